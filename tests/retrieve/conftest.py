"""The fixtures of the upper layers."""

from tests.workspace.opened import (
    _temporary_files_stay_here,
    hospital,
    linked,
    open_workspace,
    start_simulator,
    workspace,
)

__all__ = ["_temporary_files_stay_here", "hospital", "linked", "open_workspace", "start_simulator", "workspace"]
