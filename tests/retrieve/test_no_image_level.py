"""A node without IMAGE level: the counts of study and series, then the counters, show whether all is there."""

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from tests.retrieve.conftest import fetch
from tests.workspace.opened import Linked, all_studies, uids_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]

COUNTS = ("NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances")


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122])
def test_counts_of_study_and_series_prove_what_is_not_listed(linked: Linked, status: int) -> None:
    linked.pacs.quirks = Quirks(image_level_status=status)
    study = all_studies(linked.hospital)[3]
    job = fetch(linked, study)
    (item,) = job.items
    assert (job.state, job.stored, job.expected, job.proven) == (
        JobState.COMPLETE,
        len(uids_of(study)),
        len(uids_of(study)),
        True,
    )
    assert f"0x{status:04X}" in item.outcome.note
    assert "As many objects are stored as it counts in the study or series." in item.outcome.note


@pytest.mark.parametrize("omitted", [COUNTS, (*COUNTS, "NumberOfStudyRelatedSeries")])
def test_without_counts_the_sub_operations_show_it_and_nothing_is_proven(
    linked: Linked, omitted: tuple[str, ...]
) -> None:
    linked.pacs.quirks = Quirks(image_level_status=0xA900, omit_keys=omitted)
    study = all_studies(linked.hospital)[3]
    job = fetch(linked, study)
    assert (job.state, job.stored, job.proven) == (JobState.COMPLETE, len(uids_of(study)), False)
    assert "As many objects are stored as its sub-operations report." in job.items[0].outcome.note


@pytest.mark.parametrize("omitted", [(), COUNTS])
def test_what_is_lost_is_missed_all_the_same(linked: Linked, omitted: tuple[str, ...]) -> None:
    linked.pacs.quirks = Quirks(image_level_status=0xA900, omit_keys=omitted, send_less=1)
    study = all_studies(linked.hospital)[3]
    job = fetch(linked, study)
    assert (job.state, job.stored, job.proven) == (JobState.PARTIAL, len(uids_of(study)) - 1, False)
