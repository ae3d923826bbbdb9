"""Links to a job or a query: written here, and read here from the address of a page."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import parse_qs, quote

import ipywidgets

NAMES = {"job": "jobs", "query": "history"}
"""The kinds of things that an address may name, with their pages."""

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def share(page: str, what: str, identifier: str) -> ipywidgets.HTML:
    """Return a link to a job or a query, which can be sent to anyone with an account."""
    link = escape(f"{page}.ipynb?{what}={quote(identifier)}")
    return ipywidgets.HTML(f'<a class="qrkit-share" href="{link}">Link to this {escape(what)}</a>')


def named_in(address: str) -> tuple[str, str]:
    """Return the kind and the id that the query string of an address names; both are empty if it names nothing.

    An invalid id is replaced by ``?``, so that the page reports it as not found.

    >>> named_in("job=4f2a-1&x=1"), named_in("job=<b>"), named_in("")
    (('job', '4f2a-1'), ('job', '?'), ('', ''))
    """
    given = parse_qs(address)
    for what in NAMES:
        if given.get(what):
            identifier = given[what][0]
            return what, identifier if _ID.fullmatch(identifier) else "?"
    return "", ""
