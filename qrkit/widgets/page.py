"""`page`: a dashboard in Voilà or a notebook: the navigation, and each page, created when it is first opened.

Its kernel may have been started in advance, and then waits for the visitor whose user and role it takes over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import anywidget
import ipywidgets
import traitlets

from qrkit.access import Role
from qrkit.advice import TITLES
from qrkit.errors import NotAllowed, QrkitError
from qrkit.widgets.dose_page import DosePage
from qrkit.widgets.history_page import HistoryPage
from qrkit.widgets.job_progress import running_jobs
from qrkit.widgets.jobs_page import JobsPage
from qrkit.widgets.labels import FIELDS_CSS, NAMES, named_in
from qrkit.widgets.nodes_page import NodesPage, NodeTiles
from qrkit.widgets.panel import Notice, Panel, title
from qrkit.widgets.query_page import QueryPage
from qrkit.widgets.users_page import UsersPage
from qrkit.words import counted, volume
from qrkit.workspace import Workspace

_FOR_ADMINISTRATORS = ("users",)
"""Pages that the navigation shows to administrators only; the workspace also refuses them to other users."""

_HERE = Path(__file__).parent

_ANSWER = 60.0
"""Seconds to wait for one response: three times as long as the server holds a request."""

_PAUSE = 0.5
"""Seconds before another request after an error."""


class StartPage(Panel):
    """The state of the nodes, the running jobs, and the storage in use."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        jobs = running_jobs(workspace) or [ipywidgets.HTML("No running jobs.")]
        files, size = workspace.sql("SELECT count(*), coalesce(sum(size), 0)::DOUBLE FROM instances").iloc[0]
        free = shutil.disk_usage(workspace.settings.workspace).free
        storage = f"{counted(int(files), 'object')}, {volume(size)}; {free / 1e9:.0f} GB free."
        self.children = (
            title("Nodes"),
            NodeTiles(workspace=workspace),
            title("Running jobs"),
            *jobs,
            title("Storage"),
            ipywidgets.HTML(storage),
        )


PAGES: dict[str, Callable[..., ipywidgets.Widget]] = {
    "start": StartPage,
    "query": QueryPage,
    "dose": DosePage,
    "jobs": JobsPage,
    "history": HistoryPage,
    "nodes": NodesPage,
    "users": UsersPage,
}
"""The pages, by the names of their notebooks."""


class Frame(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """The links to all pages, by their names and titles, and the user; `page` is the name of the current one."""

    _esm = _HERE / "page.js"
    _css = (_HERE / "page.css").read_text(encoding="utf-8") + FIELDS_CSS

    pages: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    page = traitlets.Unicode().tag(sync=True)
    who = traitlets.Unicode().tag(sync=True)
    can_log_out = traitlets.Bool(False).tag(sync=True)

    @traitlets.validate("page")
    def _check(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in [name for name, _ in self.pages]:  # a browser may send anything
            raise traitlets.TraitError("Unknown page.")
        return proposal["value"]


class Dashboard(Panel):
    """All pages of a workspace, one of them shown; a query string may name a job or a query to open first."""

    def __init__(self, *, workspace: Workspace, name: str = "start", served: bool = False, address: str = "") -> None:
        super().__init__()
        self._workspace = workspace
        self._made: dict[str, ipywidgets.Widget] = {}
        role = workspace.access.role_now()
        who = f"{workspace.user}, {role.value}"
        hidden = () if role is Role.ADMINISTRATOR else _FOR_ADMINISTRATORS
        titles = [[key, text] for key, text in TITLES.items() if key not in hidden]
        what, identifier = named_in(address)
        name = "start" if name in hidden else NAMES.get(what, name)
        self.frame = Frame(pages=titles, page=name, who=who, can_log_out=served)
        self.shown = ipywidgets.VBox()
        self.children = (self.frame, self.notice, self.shown)
        self.add_class("qrkit-page")
        self.frame.observe(lambda change: self._show(change["new"]), "page")
        self._show(name)
        if what and hasattr(self.shown.children[0], "open_named"):
            with self.notice.shown_errors():
                self.shown.children[0].open_named(identifier)

    def close(self) -> None:
        """Close it with its pages, also those that are not shown."""
        super().close()
        for made in self._made.values():
            made.close()

    def _show(self, name: str) -> None:
        self.notice.say("")
        # If a page fails, the previous one must not stay under the wrong title.
        made: ipywidgets.Widget = self.notice.button("Try again", lambda: self._show(name), primary=True)
        with self.notice.shown_errors():
            made = self._made.get(name) or PAGES[name](workspace=self._workspace)
            if name in ("query", "dose", "nodes"):  # these keep their inputs; the others show the current state
                self._made[name] = made
        before, self.shown.children = self.shown.children, (made,)
        for left in before:
            if left is not made and left not in self._made.values():
                left.close()


def page(name: str = "start") -> ipywidgets.Widget:
    """Return a dashboard of the workspace, for the user named by the server; `name` is for an address without one."""
    served = bool(os.environ.get("QRKIT_REQUESTS"))  # by the dashboard server, which has started this kernel
    try:
        if served:
            become_the_visitors()
            named = re.search(r"(\w+)\.ipynb$", os.environ.get("SCRIPT_NAME", ""))
            name = named[1] if named and named[1] in PAGES else name
        address = os.environ.get("QUERY_STRING", "") if served else ""
        return Dashboard(workspace=Workspace.open(), name=name, served=served, address=address)
    except QrkitError as error:
        notice = Notice()
        notice.failed(error)
        return notice


def become_the_visitors() -> None:
    """Take over the user and role of the visitor, whom the server must name."""
    if os.environ.get("VOILA_PREHEAT") == "True":
        os.environ.update(_visit_from(f"{os.environ['QRKIT_REQUESTS']}/{os.environ['VOILA_KERNEL_ID']}"))
    name, role = os.environ.get("HTTP_X_QRKIT_USER", ""), os.environ.get("HTTP_X_QRKIT_ROLE", "")
    if not name or not role:
        raise NotAllowed("The server did not name the user of this page.", advice="Reload the page.")
    os.environ["QRKIT_USER"], os.environ["QRKIT_ROLE"] = name, role


def _visit_from(address: str) -> dict[str, str]:
    """Request the visitor until the server responds; a busy server may be late.

    The kernel ends with its server, so that this loop ends too.
    """
    where = urlsplit(address)
    while True:
        connection = HTTPConnection(where.netloc, timeout=_ANSWER)  # ignores the proxy settings of the environment
        try:
            connection.request("GET", where.path)
            answer = connection.getresponse()
            if answer.status == HTTPStatus.OK:
                return {str(name): str(value) for name, value in json.load(answer).items()}
            if answer.status != HTTPStatus.NO_CONTENT:
                raise HTTPException(answer.status)
        except (OSError, HTTPException, ValueError):
            time.sleep(_PAUSE)
        finally:
            connection.close()
