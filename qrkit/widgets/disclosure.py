"""`DisclosureButtons`: buttons that open something below them, with `aria-expanded`, which ipywidgets lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import traitlets

from qrkit.widgets.labels import FIELDS_CSS

_HERE = Path(__file__).parent


class DisclosureButtons(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """Buttons of which at most one is open.

    Parameters
    ----------
    label
        Name of the group, for a screen reader.

    Attributes
    ----------
    opened
        Position of the open one; -1: none.
    description
        Text of the open chart, for a screen reader.
    """

    _esm = _HERE / "disclosure.js"
    _css = (_HERE / "disclosure.css").read_text(encoding="utf-8") + FIELDS_CSS  # they also open fields

    label = traitlets.Unicode().tag(sync=True)
    labels: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    opened = traitlets.Int(-1).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)

    def __init__(self, labels: Sequence[str], *, label: str) -> None:
        super().__init__(labels=list(labels), label=label)

    @traitlets.validate("opened")
    def _check(self, proposal: dict[str, int]) -> int:
        if not -1 <= proposal["value"] < len(self.labels):  # a browser may send anything
            raise traitlets.TraitError("There is no such button.")
        return proposal["value"]
