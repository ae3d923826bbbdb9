"""Charts below an answer, a plan and a job: drawn when they are opened, renewed when what they are of changes."""

from collections.abc import Iterator
from concurrent.futures import wait

import pytest
import traitlets

from qrkit.widgets.charts import Charts, charts_of_job, charts_of_studies
from qrkit.widgets.labels import DisclosureButtons
from tests.workspace.opened import Linked

PLOTLY = "application/vnd.plotly.v1+json"


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def charts(clock: Clock) -> Iterator[Charts]:
    made = Charts(clock=clock)
    yield made
    made.close()


def drawn(charts: Charts) -> str:
    """What the open picture says, once it is drawn; empty: none is."""
    wait([future for future, _, _ in charts.background._waiting], timeout=60)
    charts.background.tick()
    if not charts.place.outputs:
        return ""
    (output,) = charts.place.outputs
    assert output["data"][PLOTLY]["config"]["responsive"]
    assert charts.buttons.description == output["data"]["text/plain"]
    return str(charts.buttons.description)


def test_an_answer_offers_the_pictures_it_has_columns_for(linked: Linked) -> None:
    studies = linked.workspace.find("pacs")
    assert list(charts_of_studies(lambda: studies)) == ["Studies per day", "Hours of the day", "Descriptions"]
    assert list(charts_of_studies(lambda: studies[["StudyDate", "ModalitiesInStudy"]])) == ["Studies per day"]
    assert not charts_of_studies(lambda: studies.head(0))
    assert not charts_of_studies(lambda: studies.assign(ModalitiesInStudy=None, StudyTime=None))


def test_a_picture_is_drawn_when_it_is_opened_and_again_when_its_rows_have_changed(
    charts: Charts, clock: Clock, linked: Linked
) -> None:
    shown = [linked.workspace.find("pacs")]
    charts.offer(charts_of_studies(lambda: shown[0]))
    assert drawn(charts) == ""
    charts.buttons.opened = 0
    before = drawn(charts)
    assert f"{len(shown[0]):,} studies" in before
    shown[0] = shown[0].head(3)
    charts.renew()
    assert charts.tick()  # not for each letter of a filter
    assert drawn(charts) == before
    clock.now = 1.0
    assert not charts.tick()
    assert drawn(charts).startswith("3 studies")
    charts.buttons.opened = -1
    assert drawn(charts) == ""


def test_the_open_picture_stays_open_under_another_answer_that_has_it(charts: Charts, linked: Linked) -> None:
    studies = linked.workspace.find("pacs")
    charts.offer(charts_of_studies(lambda: studies))
    charts.buttons.opened = 2
    assert charts.opened == "Descriptions"
    charts.offer(charts_of_studies(lambda: studies[["ModalitiesInStudy", "StudyDescription"]]))
    assert (charts.opened, charts.buttons.opened) == ("Descriptions", 0)
    charts.offer({})
    assert (charts.opened, charts.layout.display) == ("", "none")


def test_the_rate_of_a_job_that_has_brought_nothing_says_so(charts: Charts, linked: Linked) -> None:
    job = linked.workspace.retrieve(linked.workspace.find("pacs").head(1))
    job.cancel()
    charts.offer(charts_of_job(linked.workspace, job.status))
    charts.buttons.opened = 0
    assert drawn(charts) == "No files received yet"


def test_what_cannot_be_drawn_is_told(charts: Charts) -> None:
    charts.offer({"Broken": lambda: 1 // 0})
    charts.buttons.opened = 0
    assert drawn(charts) == ""
    assert 'role="alert"' in charts.notice.value


def test_a_browser_cannot_open_what_is_not_there() -> None:
    buttons = DisclosureButtons(["one"], label="Charts")
    with pytest.raises(traitlets.TraitError):
        buttons.opened = 7
