"""What must hold once the faults are over, looked at from outside: each function gives one sentence per breach."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from pydicom import dcmread

from qrkit.jobs import ItemOutcome, ItemRow, JobRow, JobState, job_state
from qrkit.store.instances import InstanceTable
from qrkit.store.schema import batches
from qrkit.workspace import Workspace
from tests.faults.stage import Stage


def of_outcomes(stage: Stage) -> Iterator[str]:
    """Each job has ended; what it says of each item is so."""
    here = held(stage.workspace)
    for job_id, wanted in stage.wanted.items():
        job = stage.jobs.get(job_id)
        if not job.state.is_final:
            yield f"job {job_id} has not ended: {job.state.value}, {job.reason}"
        yield from _of_sums(job)
        for item, uids in zip(job.items, wanted, strict=True):
            yield from (f"job {job_id}, item {item.position}: {breach}" for breach in _of_item(item, uids, here))


def _of_sums(job: JobRow) -> Iterator[str]:
    if job.state is not job_state([item.outcome for item in job.items]):
        yield f"job {job.job_id} is {job.state.value}, its items say otherwise"
    for name in ("expected", "stored", "received", "bytes"):
        of_items = sum(getattr(item.outcome, name) or 0 for item in job.items)
        if getattr(job, name) != of_items:
            yield f"job {job.job_id}: {name} is {getattr(job, name)}, of its items {of_items}"


def _of_item(item: ItemRow, uids: frozenset[str], here: set[str]) -> Iterator[str]:
    outcome = item.outcome
    is_complete = outcome.state is JobState.COMPLETE
    yield from (_of_complete if is_complete else _of_incomplete)(outcome, uids, here)
    unexplained = JobState.PARTIAL, JobState.FAILED
    if outcome.state in unexplained and not outcome.error:
        yield f"{outcome.state.value} without a reason"


def _of_complete(outcome: ItemOutcome, uids: frozenset[str], here: set[str]) -> Iterator[str]:
    if lost := uids - here:
        yield f"complete without {len(lost)} of {len(uids)} objects"
    if outcome.missing or outcome.error or outcome.stored != len(uids):
        lacks = f"{len(outcome.missing)} missing, {outcome.stored} of {len(uids)} stored"
        yield f"complete, yet {lacks}, {outcome.error!r}"


def _of_incomplete(outcome: ItemOutcome, uids: frozenset[str], here: set[str]) -> Iterator[str]:
    missing = set(outcome.missing)
    if outcome.expected is not None and outcome.stored >= len(uids):
        yield f"{outcome.state.value} with everything here: {outcome.error!r}"
    if not missing <= uids:
        yield f"{len(missing - uids)} missing that nobody asked for"
    if missing and outcome.expected == len(uids):
        if lost := uids - missing - here:
            yield f"{len(lost)} objects are neither here nor missing"
        if outcome.stored != len(uids) - len(missing):
            yield f"{outcome.stored} stored and {len(missing)} missing of {len(uids)}"


def of_completeness(stage: Stage) -> Iterator[str]:
    """After a retry without faults, all is here, and nothing else."""
    for job_id in stage.wanted:
        job = stage.jobs.get(job_id)
        if job.state is not JobState.COMPLETE:
            yield f"job {job_id} is {job.state.value} after a retry: {job.error_text} {job.reason}"
    wanted = frozenset().union(*(uids for items in stage.wanted.values() for uids in items))
    here = held(stage.workspace)
    if wanted != here:
        yield f"{len(wanted - here)} objects are not here, {len(here - wanted)} were not asked for"


def of_files(stage: Stage) -> Iterator[str]:
    """Each file has its row, each row its file; each is whole; none is there twice."""
    folder = stage.workspace.settings.files
    rows = InstanceTable(stage.workspace._state).list()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.dcm")}
    listed = Counter(row.path for row in rows)
    yield from (f"{path} has no row" for path in sorted(files - set(listed)))
    yield from (f"the file of a row is gone: {path}" for path in sorted(set(listed) - files))
    yield from (f"{path} has {count} rows" for path, count in listed.items() if count > 1)
    versions: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.path in files:
            yield from _of_file(folder / row.path, row.SOPInstanceUID, row.sha256, row.size)
            versions[row.SOPInstanceUID].append(_content(folder / row.path))
    for uid, contents in versions.items():
        if len(set(contents)) != len(contents):
            yield f"{uid} is there twice with the same bytes"


def _of_file(path: Path, uid: str, sha256: str, size: int) -> Iterator[str]:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256 or len(content) != size:
        yield f"{path.name} is not what its row says"
    try:
        if dcmread(path).SOPInstanceUID != uid:
            yield f"{path.name} is another object"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it
        yield f"{path.name} cannot be read: {error}"


def _content(path: Path) -> str:
    """What makes a version: transfer syntax and data set, not who sent it."""
    read = dcmread(path, stop_before_pixels=True)
    meta = read.file_meta
    start = 132 + 12 + int(meta["FileMetaInformationGroupLength"].value)
    return f"{meta.TransferSyntaxUID} {hashlib.sha256(path.read_bytes()[start:]).hexdigest()}"


def of_what_is_left(stage: Stage) -> Iterator[str]:
    """No part file, no association, no batch; no worker has ended by itself or made an error of ours."""
    folder = stage.workspace.settings.files
    yield from (f"left half written: {part.name}" for part in folder.rglob("*.part"))
    for pacs in stage.pacs:
        if count := pacs.associations():
            yield f"{count} associations with {pacs.name} are open"
    with stage.workspace._state.reading() as connection:
        if under_way := connection.scalar(sa.select(sa.func.count()).select_from(batches)):
            yield f"{under_way} batches are counted that nobody runs"
    # one that cannot even start, since its workspace is on the disk that fails, rightly ends
    on_disk = stage.disk is not None and stage.workspace.settings.workspace.is_relative_to(stage.disk)
    for worker in () if on_disk else stage.workers:
        yield from (f"worker {worker.ae_title} ended by itself, status {code}" for code in worker.ended_badly)
    yield from _of_logs(stage.workspace.settings.workspace)


def _of_logs(folder: Path) -> Iterator[str]:
    for log in folder.glob("worker*.log*"):
        for line in log.read_text("utf-8", "replace").splitlines():
            try:
                told = json.loads(line)
            except ValueError:  # cut by a kill or a full disk
                continue
            if "error of ours" in told["message"] or told["level"] == "critical":
                yield f"{log.name}: {told['message']}: {told.get('traceback', '')[-800:]}"


def held(workspace: Workspace) -> set[str]:
    """SOP Instance UIDs of the files that are here."""
    files = set(workspace.settings.files.rglob("*.dcm"))
    return {path.stem for path in files if _first_version(path) not in files}


def _first_version(path: Path) -> Path:
    """Return the file beside which a version would lie that has this name, with the start of a digest at its end."""
    return path.with_name(f"{path.stem.rpartition('.')[0]}.dcm")
