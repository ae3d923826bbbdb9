"""Traces which modules of qrkit a call runs, and how often control comes back to a folder."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType

import qrkit

_ROOT = Path(qrkit.__file__).parent


@dataclass(slots=True)
class Walk:
    """What ran while it was traced, in this thread and in those that began meanwhile, without the simulator.

    Attributes
    ----------
    modules
        Such as ``find.session``, in the order of their first call.
    entries
        By folder: how often a call into it followed a call into another one, in any thread.
    """

    modules: list[str] = field(default_factory=list)
    entries: Counter[str] = field(default_factory=Counter)

    def returns_to(self, folder: str) -> int:
        """How often a folder was entered again after the call that began the walk."""
        return max(self.entries[folder] - 1, 0)


@contextmanager
def traced(threads: str = "") -> Iterator[Walk]:
    """Trace what runs in the block.

    Parameters
    ----------
    threads
        How the names of threads begin that are traced; without it all are.
    """
    walk = Walk()
    own = threading.local()

    def note(frame: FrameType, event: str, _: object) -> None:
        module = _module(frame.f_code.co_filename) if event == "call" else ""
        if not module or not threading.current_thread().name.startswith(threads):
            return
        folder = module.split(".")[0]
        last = getattr(own, "folder", "")
        if not last:
            own.is_simulator = folder == "simulator"  # the first call of a thread tells whose it is
        if own.is_simulator:
            own.folder = folder
            return
        if module not in walk.modules:
            walk.modules.append(module)
        if folder != last:
            walk.entries[folder] += 1
        own.folder = folder

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@cache
def _module(file: str) -> str:
    """Return the module of qrkit that a file is; empty: none."""
    path = Path(file)
    return ".".join(path.relative_to(_ROOT).with_suffix("").parts) if path.is_relative_to(_ROOT) else ""
