"""Pictures below an answer, a plan and a job: drawn when they are opened, renewed when what they are of changes."""

from collections.abc import Iterator
from concurrent.futures import wait

import pytest
import traitlets

from qrkit.widgets.charts import Pictures, pictures_of_job, pictures_of_studies
from qrkit.widgets.disclosure import DisclosureButtons
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
def pictures(clock: Clock) -> Iterator[Pictures]:
    made = Pictures(clock=clock)
    yield made
    made.close()


def drawn(pictures: Pictures) -> str:
    """What the open picture says, once it is drawn; empty: none is."""
    wait([future for future, _, _ in pictures.background._waiting], timeout=60)
    pictures.background.tick()
    if not pictures.place.outputs:
        return ""
    (output,) = pictures.place.outputs
    assert output["data"][PLOTLY]["config"]["responsive"]
    assert pictures.buttons.told == output["data"]["text/plain"]
    return str(pictures.buttons.told)


def test_an_answer_offers_the_pictures_it_has_columns_for(linked: Linked) -> None:
    studies = linked.workspace.find("pacs")
    assert list(pictures_of_studies(lambda: studies)) == ["Studies per day", "Hours of the day", "Descriptions"]
    assert list(pictures_of_studies(lambda: studies[["StudyDate", "ModalitiesInStudy"]])) == ["Studies per day"]
    assert not pictures_of_studies(lambda: studies.head(0))
    assert not pictures_of_studies(lambda: studies.assign(ModalitiesInStudy=None, StudyTime=None))


def test_a_picture_is_drawn_when_it_is_opened_and_again_when_its_rows_have_changed(
    pictures: Pictures, clock: Clock, linked: Linked
) -> None:
    shown = [linked.workspace.find("pacs")]
    pictures.offer(pictures_of_studies(lambda: shown[0]))
    assert drawn(pictures) == ""
    pictures.buttons.opened = 0
    before = drawn(pictures)
    assert f"{len(shown[0]):,} studies" in before
    shown[0] = shown[0].head(3)
    pictures.renew()
    assert pictures.tick()  # not for each letter of a filter
    assert drawn(pictures) == before
    clock.now = 1.0
    assert not pictures.tick()
    assert drawn(pictures).startswith("3 studies")
    pictures.buttons.opened = -1
    assert drawn(pictures) == ""


def test_the_open_picture_stays_open_under_another_answer_that_has_it(pictures: Pictures, linked: Linked) -> None:
    studies = linked.workspace.find("pacs")
    pictures.offer(pictures_of_studies(lambda: studies))
    pictures.buttons.opened = 2
    assert pictures.opened == "Descriptions"
    pictures.offer(pictures_of_studies(lambda: studies[["ModalitiesInStudy", "StudyDescription"]]))
    assert (pictures.opened, pictures.buttons.opened) == ("Descriptions", 0)
    pictures.offer({})
    assert (pictures.opened, pictures.layout.display) == ("", "none")


def test_the_rate_of_a_job_that_has_brought_nothing_says_so(pictures: Pictures, linked: Linked) -> None:
    job = linked.workspace.retrieve(linked.workspace.find("pacs").head(1))
    job.cancel()
    pictures.offer(pictures_of_job(linked.workspace, job.status))
    pictures.buttons.opened = 0
    assert drawn(pictures) == "No file has arrived"


def test_what_cannot_be_drawn_is_told(pictures: Pictures) -> None:
    pictures.offer({"Broken": lambda: 1 // 0})
    pictures.buttons.opened = 0
    assert drawn(pictures) == ""
    assert 'role="alert"' in pictures.notice.value


def test_a_browser_cannot_open_what_is_not_there() -> None:
    buttons = DisclosureButtons(["one"], label="Pictures")
    with pytest.raises(traitlets.TraitError):
        buttons.opened = 7
