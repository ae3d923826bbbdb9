"""Jobs as the command line prints them with ``--format json``; other programs rely on the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrkit.job.value import ItemRow, JobRow


def job_to_json(job: JobRow) -> dict[str, Any]:
    """Return a job with its items as plain values; `error` is the whole sentence, `advice` its last part."""
    return {
        "job_id": job.job_id,
        "state": job.state.value,
        "node": job.node,
        "method": job.method.value,
        "destination": job.destination,
        "priority": job.priority,
        "expected": job.expected,
        "stored": job.stored,
        "bytes": job.bytes,
        "estimated_bytes": job.estimated_bytes,
        "error": job.said,
        "advice": job.advice,
        "reason": job.reason,
        "not_before": job.not_before,
        "paused_by": job.paused_by.value if job.paused_by else None,
        "items": [_item_to_json(item) for item in job.items],
    }


def _item_to_json(item: ItemRow) -> Mapping[str, Any]:
    request, result = item.request, item.outcome
    return {
        "level": request.level,
        "StudyInstanceUID": request.StudyInstanceUID,
        "SeriesInstanceUID": request.SeriesInstanceUID or None,
        "state": result.state.value,
        "expected": result.expected,
        "stored": result.stored,
        "received": result.received,
        "bytes": result.bytes,
        "missing": list(result.missing),
        "error": result.said,
        "advice": result.advice,
        "note": result.note,
        "attempts": item.attempts,
        "failures": item.failures,
        "not_before": item.not_before,
        "started": item.started,
        "finished": item.finished,
    }
