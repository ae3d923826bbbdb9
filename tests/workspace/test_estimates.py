"""What rows of answers would cost to fetch, before and after something has come."""

import pandas as pd
import pytest

from qrkit.errors import InputError
from qrkit.jobs import JobState
from qrkit.store.files import FileStore
from qrkit.workspace.estimates import selections
from tests.workspace.opened import Linked, worker_in_thread

DAY = "2026-06-30"


@pytest.mark.slow
def test_objects_are_known_at_once_and_bytes_once_something_has_come(linked: Linked) -> None:
    studies = linked.workspace.find("pacs", date=DAY)
    before = linked.workspace.estimate(studies)
    assert before.objects == studies["NumberOfStudyRelatedInstances"].sum()
    assert (before.bytes, before.seconds, before.uncounted, before.based_on) == (None, None, 0, 0)
    smallest = studies.nsmallest(1, "NumberOfStudyRelatedInstances")
    smallest.attrs = studies.attrs
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve(smallest).wait(timeout=60)
    after = linked.workspace.estimate(smallest)
    assert after.objects == job.stored
    assert after.bytes is not None
    assert 0.2 * job.bytes <= after.bytes <= 5 * job.bytes
    assert after.based_on > 0


def test_series_and_images_are_counted_once_each(linked: Linked) -> None:
    series = linked.workspace.find("pacs", level="SERIES", date=DAY)
    twice = pd.concat([series, series], ignore_index=True)
    assert linked.workspace.estimate(twice, node="pacs").objects == series["NumberOfSeriesRelatedInstances"].sum()
    images = linked.workspace.find("pacs", level="IMAGE", study_uid=series["StudyInstanceUID"].iloc[0])
    assert linked.workspace.estimate(images).objects == len(images)
    unknown = series.drop(columns="NumberOfSeriesRelatedInstances")
    found = linked.workspace.estimate(unknown, node="pacs")
    assert (found.objects, found.uncounted) == (None, len(series))
    with pytest.raises(InputError, match="StudyInstanceUID"):
        linked.workspace.estimate(pd.DataFrame({"Modality": ["CT"]}))


@pytest.mark.parametrize(
    ("uids", "objects"), [(["1.2", None, None], 5), ([None, "", " "], 0), ([" ", "1.2", "1.2"], 7)]
)
def test_rows_without_a_uid_select_nothing(uids: list[str | None], objects: int) -> None:
    frame = pd.DataFrame({"StudyInstanceUID": uids, "NumberOfStudyRelatedInstances": [5, 7, 9]})
    assert sum(selection.objects or 0 for selection in selections(frame)) == objects


@pytest.mark.slow
def test_a_job_larger_than_the_free_space_says_so_and_goes_on_if_it_is_resumed(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = linked.workspace
    found = workspace.find("pacs", date=DAY, modalities=["CT"]).sort_values("NumberOfStudyRelatedInstances")
    small, large = found.head(1), found.tail(1)
    with worker_in_thread(workspace):
        first = workspace.retrieve(small, node="pacs")
        assert first.to_json()["estimated_bytes"] is None
        assert first.wait(timeout=60).state is JobState.COMPLETE
        monkeypatch.setattr(FileStore, "free_space", lambda _: workspace.settings.free_space_floor)
        assert workspace.retrieve(small, node="pacs").wait(timeout=60).estimated_bytes == 0
        job = workspace.retrieve(large, node="pacs")
        told = job.to_json()
        assert told["estimated_bytes"] > 0
        assert (told["state"], told["paused_by"]) == ("paused", "disk")
        assert "needed, 0 bytes free" in told["reason"]
        job.resume()
        assert job.wait(timeout=60).state is JobState.COMPLETE
