"""A PACS that speaks oddly: its results and objects are those of one that does not, in the same time."""

import time

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from tests.workspace.opened import Linked, files_of, of_size, uids_of, worker_in_thread

FAULTS = [
    Quirks(odd_negotiation=True),
    Quirks(no_release_answer=True),
    Quirks(pdu_length=1_048_576),
    Quirks(wrong_flags=True),
    Quirks(odd_negotiation=True, no_release_answer=True, pdu_length=300_000, wrong_flags=True),
]
NAMES = ["odd negotiation", "no answer to a release", "large PDUs", "wrong flags", "all of it"]


@pytest.mark.slow
@pytest.mark.parametrize("quirks", FAULTS, ids=NAMES)
def test_a_node_that_speaks_oddly_gives_the_same_series_at_once(linked: Linked, quirks: Quirks) -> None:
    expected = linked.workspace.find("pacs", level="series", date="2026-06-28 to 2026-06-30")
    linked.pacs.quirks = quirks
    started = time.monotonic()
    found = linked.workspace.find("pacs", level="series", date="2026-06-28 to 2026-06-30")
    assert time.monotonic() - started < 15  # seconds; a timeout of an association is 20
    assert set(found["SeriesInstanceUID"]) == set(expected["SeriesInstanceUID"])
    assert found.attrs["qrkit"]["coverage"]["complete"]
    assert linked.workspace.echo("pacs")["ok"].all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move"])
def test_a_node_that_speaks_oddly_gives_the_same_objects(linked: Linked, method: str) -> None:
    linked.pacs.quirks = FAULTS[-1]
    study = of_size(linked.hospital, 3)[0]
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
        status = job.wait(timeout=60)
    assert (status.state, status.items[0].outcome.error) == (JobState.COMPLETE, "")
    assert files_of(linked.workspace) == uids_of(study)
