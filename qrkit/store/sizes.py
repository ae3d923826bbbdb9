"""Sizes of earlier objects and transfer rates of nodes, on which estimates are based."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from qrkit.jobs import JobState, RetrieveRequest
from qrkit.jobs.estimate import NodeHistory, SizeSample
from qrkit.store.schema import instances, jobs
from qrkit.store.state import State
from qrkit.tables import Level

_JOBS = 20
"""The newest retrieves of a node, from which its rate is taken."""

_AT_ONCE = 500
"""UIDs that are looked up by one statement."""

_LEAST_BYTES = 1_000_000
"""With fewer, the waiting between requests is most of what is measured."""


def node_history(state: State, node: str) -> NodeHistory:
    """Return sizes and rates of earlier retrieves from a node."""
    kinds = (instances.c.source, instances.c.Modality, instances.c.SOPClassUID)
    with state.reading() as connection:
        rows = connection.execute(
            sa.select(
                *kinds, sa.func.count().label("objects"), sa.func.sum(instances.c.size).label("bytes")
            ).group_by(*kinds)
        ).all()
        retrieves = connection.execute(
            sa.select(jobs.c.bytes, jobs.c.started, jobs.c.finished)
            .where(
                jobs.c.node == node,
                jobs.c.state.in_((JobState.COMPLETE.value, JobState.PARTIAL.value)),
                jobs.c.started.is_not(None),
                jobs.c.finished.is_not(None),
            )
            .order_by(jobs.c.finished.desc())
            .limit(_JOBS)
        ).all()
    samples = tuple(
        SizeSample(
            node=row.source,
            modality=row.Modality or "",
            sop_class=row.SOPClassUID,
            objects=int(row.objects),
            bytes=int(row.bytes),
        )
        for row in rows
    )
    return NodeHistory(node=node, samples=samples, bytes_per_second=_rate([tuple(row) for row in retrieves]))


def held_bytes(state: State, requests: Sequence[RetrieveRequest]) -> int:
    """Return how many bytes are here already of what is asked for."""
    wanted: dict[Level, set[str]] = {Level.STUDY: set(), Level.SERIES: set(), Level.IMAGE: set()}
    for request in requests:
        uids = {Level.STUDY: (request.StudyInstanceUID,), Level.SERIES: (request.SeriesInstanceUID,)}
        wanted[request.level].update(uids.get(request.level, request.sop_instance_uids))
    keys = {
        Level.STUDY: instances.c.StudyInstanceUID,
        Level.SERIES: instances.c.SeriesInstanceUID,
        Level.IMAGE: instances.c.SOPInstanceUID,
    }
    total = 0
    with state.reading() as connection:
        for level, some in wanted.items():
            uids_of_level = sorted(some)
            for start in range(0, len(uids_of_level), _AT_ONCE):
                which = keys[level].in_(uids_of_level[start : start + _AT_ONCE])
                total += connection.scalar(sa.select(sa.func.sum(instances.c.size)).where(which)) or 0
    return int(total)


def _rate(retrieves: list[tuple[int, str, str]]) -> float | None:
    fetched = sum(size for size, _, _ in retrieves)
    seconds = sum(
        (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
        for _, started, finished in retrieves
    )
    return fetched / seconds if seconds > 0 and fetched >= _LEAST_BYTES else None
