"""The workspace: the one place where the wire, the store and the worker meet."""

from __future__ import annotations

from qrkit.workspace.jobs import Job, Jobs
from qrkit.workspace.nodes import Nodes
from qrkit.workspace.queries import Queries
from qrkit.workspace.users import Users
from qrkit.workspace.workspace import Workspace

__all__ = ["Job", "Jobs", "Nodes", "Queries", "Users", "Workspace"]
