"""One object that a node cannot send: the others are retrieved, and it is named."""

import pytest

from qrkit.errors import NodeError, NodeTimeout, ProtocolError
from qrkit.jobs import ItemOutcome, ItemRow, JobState, RetrieveRequest
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.parts import has_ended_early
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.store.header import ObjectHeader
from qrkit.tables import Level
from tests.retrieve.conftest import LIMIT, fetch, services
from tests.workspace.opened import Linked, of_size, uids_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]


@pytest.fixture
def study(linked: Linked) -> Study:
    return of_size(linked.hospital, 8, most=24)[0]


def number(study: Study, place: int) -> str:
    return [one.SOPInstanceUID for series in study.series for one in series.instances][place - 1]


@pytest.mark.parametrize("status", [0xC000, 0xC123, 0xA702, 0xB000, 0])
@pytest.mark.parametrize("method", ["get", "move"])
@pytest.mark.parametrize("place", [3, -1])
def test_the_others_are_retrieved_and_the_one_is_named(
    linked: Linked, study: Study, method: str, place: int, status: int
) -> None:
    count = len(uids_of(study))
    place = place if place > 0 else count
    linked.pacs.quirks = Quirks(broken_object=place, broken_status=status)
    job = fetch(linked, study, method=method)
    (item,) = job.items
    assert (job.state, job.stored, job.expected) == (JobState.PARTIAL, count - 1, count)
    assert item.outcome.missing == (number(study, place),)
    assert item.outcome.error
    assert len(services(linked)) <= 3 + 2 * count.bit_length()


@pytest.mark.parametrize("status", [0xC000, 0xA702, 0])
def test_an_object_that_stands_first_ends_nothing_either(linked: Linked, study: Study, status: int) -> None:
    linked.pacs.quirks = Quirks(broken_object=1, broken_status=status)
    job = fetch(linked, study, method="get")
    assert (job.stored, job.items[0].outcome.missing) == (len(uids_of(study)) - 1, (number(study, 1),))


def test_a_node_that_sends_nothing_is_not_asked_for_each_object(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(retrieve_status=0xC000)
    job = fetch(linked, study, method="get")
    assert (job.state, job.stored) == (JobState.FAILED, 0)
    assert len(services(linked)) <= 4 + 2 * len(uids_of(study)).bit_length()


@pytest.mark.parametrize(
    ("error", "arrived", "ends_early"),
    [
        (NodeTimeout("silent"), True, True),
        (NodeTimeout("silent"), False, False),
        (ProtocolError("a PDU that is too long"), False, True),
        (ProtocolError("a PDU that is too long"), True, True),
    ],
)
def test_silence_and_broken_messages_may_be_those_of_one_object(
    error: NodeError, *, arrived: bool, ends_early: bool
) -> None:
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2", expected=("1.3", "1.4", "1.5"))
    row = ItemRow(item_id=1, job_id="a", position=0, request=request, outcome=ItemOutcome(state=JobState.RUNNING))
    active = ActiveItem(row, node="pacs", expected=frozenset(request.expected))
    active.begin_try()
    if arrived:
        active.took("1.3", ObjectHeader(StudyInstanceUID="1.2"), 10)
    active.error = error
    assert has_ended_early(active) is ends_early


def test_series_and_images_are_divided_as_well(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(broken_object=2)
    rows = linked.workspace.find("pacs", level="IMAGE", study_uid=study.StudyInstanceUID)
    job = linked.workspace.retrieve(rows, method="get").wait(timeout=LIMIT)
    assert (job.state, job.stored) == (JobState.PARTIAL, len(rows) - 1)
    assert [uid for item in job.items for uid in item.outcome.missing] == [number(study, 2)]
