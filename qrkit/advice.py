"""Advice as a value: shown as a command on the command line, a call in a notebook, or a button on a page.

An error carries its `Advice`, and each surface shows how its readers take the action.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Surface(Enum):
    """The places where a reader can act."""

    COMMAND_LINE = "command line"
    NOTEBOOK = "notebook or script"
    PAGE = "page"


_readers = [Surface.NOTEBOOK]
"""Where the readers of this process act, the innermost last. Users who import qrkit type calls."""


@contextlib.contextmanager
def read_on(surface: Surface) -> Iterator[None]:
    """Word advice for the readers of a surface while the block runs, in all threads."""
    _readers.append(surface)
    try:
        yield
    finally:
        _readers.pop()


class Action(Enum):
    """Actions that solve a problem; the value is the sentence that advises it, without a full stop."""

    LIST_NODES = "List all nodes"
    ADD_NODE = "Add a node first"
    EDIT_NODE = "Change this setting"
    PROBE_NODE = "Probe the node again"
    LIST_JOBS = "List all jobs"
    SHOW_JOB = "Show its progress"
    RETRY_JOB = "Retry the job"
    LIST_QUERIES = "List all queries"
    RERUN_QUERY = "Run the query again"
    LIST_PLANS = "List all plans"
    CONFIRM_PLAN = "Confirm it"
    ALLOW_WHOLE_ARCHIVE = "Allow that"
    SELECT_REPORTS = "Select studies of structured reports only"
    INCLUDE_EMPTY_REPORTS = "Include them"
    CREATE_PLAN = "Create a plan"
    LIST_USERS = "List all users"
    ADD_USER = "Add a user first"
    LIST_SCHEDULES = "List all schedules"
    LIST_HANDLER_RUNS = "List all handler runs"
    RETRY_HANDLER_RUN = "Retry the handler run"
    START_WORKER = "Start a worker"
    REPAIR = "Repair the workspace"


@dataclass(frozen=True, slots=True)
class Button:
    """The place of an action on a page."""

    page: str = ""  # name of the page's notebook; empty: an administrator does it on the command line
    label: str = ""  # of the button or the field; empty: reading the page is enough
    by_administrators: bool = False  # whether only administrators may press it


COMMANDS = {
    Action.LIST_NODES: "qrkit nodes list",
    Action.ADD_NODE: "qrkit nodes add",
    Action.EDIT_NODE: "qrkit nodes edit {subject}{options}",
    Action.PROBE_NODE: "qrkit probe {subject}",
    Action.LIST_JOBS: "qrkit jobs list",
    Action.SHOW_JOB: "qrkit jobs show {subject}",
    Action.RETRY_JOB: "qrkit jobs retry {subject}",
    Action.LIST_QUERIES: "qrkit queries list",
    Action.RERUN_QUERY: "qrkit queries rerun {subject}",
    Action.LIST_PLANS: "qrkit plans list",
    Action.CONFIRM_PLAN: "--yes",
    Action.ALLOW_WHOLE_ARCHIVE: "--whole-archive",
    Action.SELECT_REPORTS: "--sr-only",
    Action.INCLUDE_EMPTY_REPORTS: "--empty-sr",
    Action.CREATE_PLAN: "qrkit plan",
    Action.LIST_USERS: "qrkit users list",
    Action.ADD_USER: "qrkit users add NAME --role administrator",
    Action.LIST_SCHEDULES: "qrkit schedule list",
    Action.LIST_HANDLER_RUNS: "qrkit handlers runs",
    Action.RETRY_HANDLER_RUN: "qrkit handlers retry {subject}",
    Action.START_WORKER: "qrkit serve",
    Action.REPAIR: "qrkit repair",
}
"""The command of each action, or the option of the refused command."""

CALLS = {
    Action.LIST_NODES: "ws.nodes.list()",
    Action.ADD_NODE: "ws.nodes.add(…)",
    Action.EDIT_NODE: "ws.nodes.edit({subject!r}{arguments})",
    Action.PROBE_NODE: "ws.probe({subject!r})",
    Action.LIST_JOBS: "ws.jobs.list()",
    Action.SHOW_JOB: "ws.jobs[{subject!r}]",
    Action.RETRY_JOB: "ws.jobs[{subject!r}].retry()",
    Action.LIST_QUERIES: "ws.queries.list()",
    Action.RERUN_QUERY: "ws.queries.rerun({subject!r})",
    Action.LIST_PLANS: "ws.plans.list()",
    Action.CONFIRM_PLAN: "ws.retrieve(plan.confirmed())",
    Action.ALLOW_WHOLE_ARCHIVE: "ws.plan(whole_archive=True, …)",
    Action.SELECT_REPORTS: "ws.plan(sr_only=True, …)",
    Action.INCLUDE_EMPTY_REPORTS: "ws.plan(empty_sr=True, …)",
    Action.CREATE_PLAN: "ws.plan(…)",
    Action.LIST_USERS: "ws.users.list()",
    Action.ADD_USER: "ws.users.add(…)",
    Action.LIST_SCHEDULES: "ws.schedules.list()",
    Action.LIST_HANDLER_RUNS: "ws.after.list()",
    Action.RETRY_HANDLER_RUN: "ws.after.retry({subject})",
    Action.START_WORKER: COMMANDS[Action.START_WORKER],
    Action.REPAIR: "qrkit.repair()",
}
"""The call of each action, on the workspace `ws`."""

BUTTONS = {
    Action.LIST_NODES: Button("nodes"),
    Action.ADD_NODE: Button("nodes", "Save node", by_administrators=True),
    Action.EDIT_NODE: Button("nodes", "Edit node", by_administrators=True),
    Action.PROBE_NODE: Button("nodes", "Probe", by_administrators=True),
    Action.LIST_JOBS: Button("jobs"),
    Action.SHOW_JOB: Button("jobs", "Open"),
    Action.RETRY_JOB: Button("jobs", "Retry failed"),
    Action.LIST_QUERIES: Button("history"),
    Action.RERUN_QUERY: Button("history", "Run again"),
    Action.LIST_PLANS: Button(),
    Action.CONFIRM_PLAN: Button("dose", "Retrieve although it exceeds the budget"),
    Action.ALLOW_WHOLE_ARCHIVE: Button(),
    Action.SELECT_REPORTS: Button("dose"),
    Action.INCLUDE_EMPTY_REPORTS: Button("dose"),
    Action.CREATE_PLAN: Button("dose"),
    Action.LIST_USERS: Button("users"),
    Action.ADD_USER: Button("users", "Add user", by_administrators=True),
    Action.LIST_SCHEDULES: Button(),
    Action.LIST_HANDLER_RUNS: Button(),
    Action.RETRY_HANDLER_RUN: Button(),
    Action.START_WORKER: Button(),
    Action.REPAIR: Button(),
}
"""The page and button of each action."""

TITLES = {
    "start": "Start",
    "query": "Query and retrieve",
    "dose": "Dose objects",
    "jobs": "Jobs",
    "history": "History",
    "nodes": "Nodes",
    "users": "Users",
}
"""The titles of the pages, by the names of their notebooks, in the order of the navigation."""

_PRESS = {
    (False, False): "see the {title} page",
    (False, True): "an administrator can see the {title} page",
    (True, False): "press {label} on the {title} page",
    (True, True): "an administrator can press {label} on the {title} page",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """An action to take, with its subject.

    >>> advice = Advice("", Action.RETRY_JOB, "5f2e")
    >>> for surface in Surface: print(advice.on(surface))
    Retry the job: qrkit jobs retry 5f2e.
    Retry the job: ws.jobs['5f2e'].retry().
    Retry the job: press Retry failed on the Jobs page.
    >>> print(Advice("Allow it to answer queries", Action.EDIT_NODE, "pacs", (("can_find", True),)))
    Allow it to answer queries: qrkit nodes edit pacs --can-find.
    >>> print(Advice("Choose another folder."))
    Choose another folder.
    """

    # one or more sentences, of which the last names the action and needs no full stop; empty: the action's own
    text: str = ""
    action: Action | None = None  # None: the text is all
    subject: str = ""  # name or id of the node, job or query
    settings: tuple[tuple[str, bool | str], ...] = ()  # names and values to set

    def __bool__(self) -> bool:
        return bool(self.text or self.action)

    def __str__(self) -> str:
        return self.on(_readers[-1])

    @property
    def sentence(self) -> str:
        """The advice without the command, call or button, to be stored and read anywhere."""
        text = self.text or (self.action.value if self.action else "")
        return text if not text or text.endswith((".", "?", "!")) else f"{text}."

    def on(self, surface: Surface) -> str:
        """Return the advice for the readers of a surface."""
        if self.action is None:
            return self.text
        return f"{self.sentence.rstrip('.')}: {self._how(self.action, surface)}."

    def _how(self, action: Action, surface: Surface) -> str:
        if surface is Surface.PAGE:
            return _pressed(BUTTONS[action])
        template = COMMANDS[action] if surface is Surface.COMMAND_LINE else CALLS[action]
        options = "".join(f" --{name.replace('_', '-')}{_option(value)}" for name, value in self.settings)
        arguments = "".join(f", {name}={value!r}" for name, value in self.settings)
        return template.format(subject=self.subject, options=options, arguments=arguments)


def _pressed(button: Button) -> str:
    if not button.page:
        return "ask an administrator"
    words = _PRESS[bool(button.label), button.by_administrators]
    return words.format(label=button.label, title=TITLES[button.page])


def _option(value: bool | str) -> str:  # noqa: FBT001 - the value of a setting
    return "" if isinstance(value, bool) else f" {value}"
