"""A PACS in a box, for the demo, training and tests.

`small_hospital` and `large_hospital` provide its content, `Quirks` its misbehaviour, and `Simulator` serves it:

>>> from qrkit.simulator import Quirks, Simulator, small_hospital
>>> with Simulator(small_hospital(seed=1), quirks=Quirks(cap=500)) as pacs:
...     address = (pacs.host, pacs.port)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrkit.simulator.hospital.hospital import empty_hospital, large_hospital, small_hospital
    from qrkit.simulator.pacs.quirks import Quirks
    from qrkit.simulator.pacs.server import Simulator
    from qrkit.simulator.pacs.server_state import ServedRequest

__all__ = ["Quirks", "ServedRequest", "Simulator", "empty_hospital", "large_hospital", "small_hospital"]

_WHERE = {
    "Quirks": "pacs.quirks",
    "ServedRequest": "pacs.server_state",
    "Simulator": "pacs.server",
    "empty_hospital": "hospital.hospital",
    "large_hospital": "hospital.hospital",
    "small_hospital": "hospital.hospital",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562): pynetdicom and numpy take half a second."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
