"""`page`: a dashboard, in Voilà or a notebook: one navigation, and every page made when it is first looked at."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import ipywidgets

from qrkit.access import Role
from qrkit.advice import TITLES
from qrkit.errors import QrkitError
from qrkit.widgets.dose_page import DosePage
from qrkit.widgets.frame import Frame
from qrkit.widgets.history_page import HistoryPage
from qrkit.widgets.jobs_page import JobsPage
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
"""Pages that nobody else is shown the way to; what they show and do, the workspace allows nobody else."""


class Dashboard(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """All pages of a workspace, of which one is shown.

    Parameters
    ----------
    name
        Of the page that is shown first.
    address
        The query string of its address: it may name a job or a query, which is shown then.
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
            with self.notice.telling():
                self.shown.children[0].open_named(identifier)

    def close(self) -> None:
        """End what the pages have started; retrieves go on."""
        for made in {*self._made.values(), *self.shown.children}:
            made.close()
        super().close()

    def _show(self, name: str) -> None:
        self.notice.say("")
        # Where a page cannot be made, nobody is left on another one that the head does not name.
        made: ipywidgets.Widget = self.notice.button("Try again", lambda: self._show(name), primary=True)
        with self.notice.telling():
            made = self._made.get(name) or PAGES[name](workspace=self._workspace)
            if name in ("query", "dose", "nodes"):  # they hold what somebody is about; the others are as of now
                self._made[name] = made
        before, self.shown.children = self.shown.children, (made,)
        for left in before:
            if left is not made and left not in self._made.values():
                left.close()


def page(name: str = "start") -> ipywidgets.Widget:
    """Return a dashboard of the workspace, for whoever the server says has opened it.

    Parameters
    ----------
    name
        Of the page, where the address says none.
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
