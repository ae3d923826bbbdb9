"""`page`: a dashboard in Voilà or a notebook: the navigation, and each page, created when it is first opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import anywidget
import ipywidgets
import traitlets

from qrkit.access import Role
from qrkit.advice import TITLES
from qrkit.errors import QrkitError
from qrkit.widgets.dose_page import DosePage
from qrkit.widgets.history_page import HistoryPage
from qrkit.widgets.jobs_page import JobsPage
from qrkit.widgets.labels import FIELDS_CSS
from qrkit.widgets.links import NAMES, named_in
from qrkit.widgets.nodes_page import NodesPage
from qrkit.widgets.notice import Notice
from qrkit.widgets.query_page import QueryPage
from qrkit.widgets.start_page import StartPage
from qrkit.widgets.users_page import UsersPage
from qrkit.widgets.visitor import become_the_visitors, is_served
from qrkit.workspace import Workspace

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

_FOR_ADMINISTRATORS = ("users",)
"""Pages that the navigation shows to administrators only; the workspace also refuses them to other users."""


_HERE = Path(__file__).parent


class Frame(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """The links to all pages; `page` is the name of the current one.

    Parameters
    ----------
    pages
        Name and title of each.
    who
        The logged-in user with their role.
    can_log_out
        Whether a server provides the login.
    """

    _esm = _HERE / "page.js"
    _css = (_HERE / "page.css").read_text(encoding="utf-8") + FIELDS_CSS

    pages: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    page = traitlets.Unicode().tag(sync=True)
    who = traitlets.Unicode().tag(sync=True)
    can_log_out = traitlets.Bool(False).tag(sync=True)

    def __init__(self, *, pages: Sequence[tuple[str, str]], page: str, who: str, can_log_out: bool = False) -> None:
        super().__init__(pages=[list(pair) for pair in pages], page=page, who=who, can_log_out=can_log_out)

    @traitlets.validate("page")
    def _check(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in [name for name, _ in self.pages]:  # a browser may send anything
            raise traitlets.TraitError("Unknown page.")
        return proposal["value"]


class Dashboard(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """All pages of a workspace; one is shown at a time.

    Parameters
    ----------
    name
        Name of the first page.
    address
        The query string of its address, which may name a job or a query to show.
    """

    def __init__(self, *, workspace: Workspace, name: str = "start", served: bool = False, address: str = "") -> None:
        self._workspace = workspace
        self._made: dict[str, ipywidgets.Widget] = {}
        self.notice = Notice()
        role = workspace.access.role_now()
        who = f"{workspace.user}, {role.value}"
        hidden = () if role is Role.ADMINISTRATOR else _FOR_ADMINISTRATORS
        titles = [(key, title) for key, title in TITLES.items() if key not in hidden]
        what, identifier = named_in(address)
        name = "start" if name in hidden else NAMES.get(what, name)
        self.frame = Frame(pages=titles, page=name, who=who, can_log_out=served)
        self.shown = ipywidgets.VBox()
        super().__init__([self.frame, self.notice, self.shown])
        self.add_class("qrkit-page")
        self.frame.observe(lambda change: self._show(change["new"]), "page")
        self._show(name)
        if what and hasattr(self.shown.children[0], "open_named"):
            with self.notice.shown_errors():
                self.shown.children[0].open_named(identifier)

    def close(self) -> None:
        """Stop what the pages have started; retrieves continue."""
        for made in {*self._made.values(), *self.shown.children}:
            made.close()
        super().close()

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
    """Return a dashboard of the workspace, for the user named by the server.

    Parameters
    ----------
    name
        Name of the page, if the address has none.
    """
    served = is_served()
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
