"""`AnswerGrid`: itables' widget, whose order, search, page and choice outlast other rows and filters."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import itables
import traitlets
from itables.widget import ITable

_BUNDLE = Path(itables.__file__).parent / "html" / "dt_bundle.js"

_STYLE = Path(itables.__file__).parent / "widget" / "static" / "widget.css"


def _script() -> str:
    """Return our module, with itables' bundle in it as a text: what it exports is all that we need to know."""
    ours = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    bundle = json.dumps(_BUNDLE.read_text(encoding="utf-8"))
    return f"const VERSION = {json.dumps(version('itables'))};\nconst BUNDLE = {bundle};\n{ours}"


class AnswerGrid(ITable):  # type: ignore[misc] # itables publishes no types
    """A table of which the browser keeps all rows, and shows those of `shown`.

    itables' own makes the table anew for each change: whoever has sorted it or turned a page would lose their place,
    and five thousand rows would go to the browser again for each letter of a filter.

    Attributes
    ----------
    shown
        Positions of the rows that are shown; None: all.
    """

    _esm = _script()
    _css = _STYLE.read_text(encoding="utf-8") + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    # Of thousands of positions each would be checked at each letter of a filter.
    shown: Any = traitlets.List(default_value=None, allow_none=True).tag(sync=True)
