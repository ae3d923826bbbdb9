"""The workspace: the one place where the wire, the store and the worker meet."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrkit.workspace.jobs import Job, Jobs
    from qrkit.workspace.nodes import Nodes
    from qrkit.workspace.queries import Queries
    from qrkit.workspace.users import Users
    from qrkit.workspace.workspace import Workspace

__all__ = ["Job", "Jobs", "Nodes", "Queries", "Users", "Workspace"]

_WHERE = {"Job": "jobs", "Jobs": "jobs", "Nodes": "nodes", "Queries": "queries", "Users": "users"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE.get(name, 'workspace')}"), name)
