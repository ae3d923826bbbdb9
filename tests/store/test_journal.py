"""A write-ahead log that is only half there: a kill between two writes, or a copy of the files made meanwhile."""

import shutil
from pathlib import Path

import pytest

from qrkit.errors import StateUnavailable
from qrkit.jobs import NewJob, RetrieveRequest
from qrkit.store.jobs import JobTable
from qrkit.store.state import FILE_NAME, State
from qrkit.tables import Level

_JOBS = 40


def written(folder: Path) -> tuple[Path, Path]:
    """Copy the files of a state in the middle of its work, with all of its jobs still in the write-ahead log."""
    with State.open(folder / "original") as state:
        for number in range(_JOBS):
            request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID=f"1.{number}")
            JobTable(state).create(NewJob(node="pacs", requests=(request,)))
        copy = folder / "copy"
        shutil.copytree(folder / "original", copy, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
    return copy / FILE_NAME, copy / f"{FILE_NAME}-wal"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_of_a_half_written_log_all_whole_transactions_count_and_no_other(
    tmp_path: Path, share: float, damage: str
) -> None:
    path, log = written(tmp_path)
    content = log.read_bytes()
    end = int(len(content) * share)
    log.write_bytes(content[:end] + (b"\xff" * 4096 if damage == "overwritten" else b""))
    with State.open(path.parent) as state:
        jobs = JobTable(state).list(1000)
        with state.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert all(len(JobTable(state).get(job.job_id).items) == 1 for job in jobs)
        uids = sorted(int(JobTable(state).get(job.job_id).items[0].request.StudyInstanceUID[2:]) for job in jobs)
        assert uids == list(range(len(jobs))), "an earlier transaction is missing"
        assert len(jobs) == _JOBS if share == 1.0 else len(jobs) <= _JOBS
        JobTable(state).create(
            NewJob(node="pacs", requests=(RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1"),))
        )


def test_a_state_cut_short_is_unavailable_in_one_line(tmp_path: Path) -> None:
    path, log = written(tmp_path)
    with State.open(path.parent):
        pass  # which takes all from the log into the file
    log.unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StateUnavailable, match="malformed") as told, State.open(path.parent) as state:
        JobTable(state).list()
    assert "\n" not in str(told.value)
