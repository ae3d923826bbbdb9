"""`Frame`: the head of a dashboard, with its navigation and who is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import traitlets

from qrkit.widgets.labels import FIELDS_CSS

_HERE = Path(__file__).parent


class Frame(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """The links to all pages; `page` is the name of the one that is shown.

    Parameters
    ----------
    pages
        Name and title of each.
    who
        Who is logged in, as it is shown.
    can_log_out
        Whether there is a server to log out from.
    """

    _esm = _HERE / "frame.js"
    _css = (_HERE / "frame.css").read_text(encoding="utf-8") + FIELDS_CSS

    pages: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    page = traitlets.Unicode().tag(sync=True)
    who = traitlets.Unicode().tag(sync=True)
    can_log_out = traitlets.Bool(False).tag(sync=True)

    def __init__(self, *, pages: Sequence[tuple[str, str]], page: str, who: str, can_log_out: bool = False) -> None:
        super().__init__(pages=[list(one) for one in pages], page=page, who=who, can_log_out=can_log_out)

    @traitlets.validate("page")
    def _check(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in [name for name, _ in self.pages]:  # a browser may send anything
            raise traitlets.TraitError("There is no such page.")
        return proposal["value"]
