"""Which objects are here already: listed, and their files in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qrkit.store.instances import InstanceTable


def held_uids(sop_instance_uids: Sequence[str], instances: InstanceTable, files: Path) -> set[str]:
    """Return those of the SOP Instances that are listed and whose file is there: somebody may have deleted it."""
    rows = instances.paths(sop_instance_uids)
    return {uid for uid, path in rows if (files / path).is_file()}
