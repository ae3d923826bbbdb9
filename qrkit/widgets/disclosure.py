"""`DisclosureButtons`: buttons that open what is folded away, and say whether it is open; ipywidgets' own don't."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import traitlets

from qrkit.widgets.labels import FIELDS_CSS

_HERE = Path(__file__).parent


class DisclosureButtons(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """Buttons of which one may be open.

    Parameters
    ----------
    label
        What they are, for a screen reader.

    Attributes
    ----------
    opened
        Which one is open; -1: none.
    told
        What the pictures beside them say, for a screen reader.
    """

    _esm = _HERE / "disclosure.js"
    _css = (_HERE / "disclosure.css").read_text(encoding="utf-8") + FIELDS_CSS  # it unfolds fields, too

    label = traitlets.Unicode().tag(sync=True)
    labels: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    opened = traitlets.Int(-1).tag(sync=True)
    told = traitlets.Unicode().tag(sync=True)

    def __init__(self, labels: Sequence[str], *, label: str) -> None:
        super().__init__(labels=list(labels), label=label)

    @traitlets.validate("opened")
    def _check(self, proposal: dict[str, int]) -> int:
        if not -1 <= proposal["value"] < len(self.labels):  # a browser may send anything
            raise traitlets.TraitError("There is no such button.")
        return proposal["value"]
