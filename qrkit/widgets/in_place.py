"""`on_page`: advice for whoever has a page and no command line: it names the page, its button, or who can help."""

from __future__ import annotations

import re

_PAGES = {"jobs": "Jobs", "queries": "History", "nodes": "Nodes", "users": "Users"}

_AWAY = (
    "The database of this workspace cannot be used just now. What is being fetched goes on. Try again in a minute; "
    "if it stays so, tell an administrator."
)

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), told)
    for pattern, told in (
        *((rf"\bqrkit {verb} list shows those there are", f"The page {page} shows those there are")
          for verb, page in _PAGES.items()),
        (r" ?\bqrkit \w+ list shows those there are\.", ""),
        (r"Add one first: qrkit nodes add\b", "An administrator adds one on the page Nodes"),
        (r"Change that: qrkit nodes edit (\S+) --information-model [\w-]+",
         r"An administrator can change that of \1 at the command line"),
        (r": qrkit nodes edit (\S+) --information-model [\w-]+",
         r", an administrator can change that of \1 at the command line"),
        (r"Change it by: qrkit nodes edit (\S+)[^.]*", r"An administrator can change \1 on the page Nodes"),
        (r": qrkit nodes edit (\S+)[^.]*", r", an administrator can change \1 on the page Nodes"),
        (r"Start it by hand: qrkit serve\b", "Ask an administrator to start it"),
        (r"start one: qrkit serve\b", "ask an administrator to start one"),
        (r", or by qrkit serve\b", ""),
        (r"\bqrkit jobs retry asks\b", "Try again what failed asks"),
        (r"\bqrkit queries rerun asks again\b", "Run again on the page History asks again"),
        (r"ask again: qrkit queries rerun\b", "ask again by Run again on the page History"),
        (r"Renew it: qrkit probe \S+", "An administrator can probe it again on the page Nodes"),
        (r"\bqrkit repair saves what\b", "an administrator can save what"),
        (r"\bqrkit repair lists them\b", "an administrator can have them listed"),
        (r"have qrkit repair put it aside and save\b", "ask an administrator to put it aside and save"),
        (r"\bqrkit after retry\b", "an administrator can have it run again"),
        (r"Mend that, then try again; qrkit serve shows it too\b", "An administrator can mend that; then try again"),
        (r"\bqrkit jobs show( [\w-]+)? tells", "the page Jobs tells"),
        (r"Say that it is meant: --yes, or plan\.meant\(\)", "If it is meant, tick Above the budget on purpose"),
        (r"\bLook into the worker's log\b", "An administrator can look into the worker's log"),
        (r"^The state of the workspace, .*", _AWAY),
    )
)  # fmt: skip


def on_page(text: str) -> str:
    """Return a message with advice that can be followed on a page.

    >>> on_page("There is no job 'x'. qrkit jobs list shows those there are.")
    "There is no job 'x'. The page Jobs shows those there are."
    >>> on_page("pacs may not be queried. Change it by: qrkit nodes edit pacs --can-find.")
    'pacs may not be queried. An administrator can change pacs on the page Nodes.'
    >>> on_page("The state of the workspace, postgresql+psycopg://host/qrkit, cannot be used: timeout.")[:62]
    'The database of this workspace cannot be used just now. What i'
    """
    for pattern, told in _RULES:
        text = pattern.sub(told, text)
    return text
