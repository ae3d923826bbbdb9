"""Retrieves as a notebook asks for them: rows, UIDs, a query's id; run by a worker in the background."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from qrkit.dose import Plan
from qrkit.errors import InputError, NotFound
from qrkit.jobs import JobState, RetrieveRequest
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.tables import Level
from qrkit.widgets.job_progress import view_of
from qrkit.workspace import Workspace
from qrkit.workspace.retrieve import Retrievable, requests_from_table, uid_table
from tests.workspace.opened import Linked, all_studies, files_of, uids_of, worker_in_thread

DAY = "2026-06-30"
LIMIT = 60.0


def some_studies(linked: Linked, count: int) -> list[Study]:
    return all_studies(linked.hospital)[-count:]


def of(studies: list[Study]) -> set[str]:
    return set().union(*map(uids_of, studies))


@pytest.mark.slow
def test_rows_of_studies_are_fetched_by_the_background_worker(linked: Linked) -> None:
    studies = some_studies(linked, 3)
    frame = linked.workspace.find("pacs", study_uid=[one.StudyInstanceUID for one in studies])
    job = linked.workspace.retrieve(frame)
    seen: list[int] = []
    status = job.wait(timeout=LIMIT, on_progress=lambda row: seen.append(row.stored))
    assert status.state is JobState.COMPLETE
    assert status.source == frame.attrs["qrkit"]["query_id"]
    assert status.user == linked.workspace.user
    assert files_of(linked.workspace) == of(studies)
    assert status.expected == status.stored == status.received == len(of(studies))
    assert seen[-1] == status.stored
    assert "complete" in repr(job)
    assert job.items["state"].tolist() == ["complete"] * 3
    assert linked.workspace.jobs.list()["job_id"].tolist() == [job.job_id]


@pytest.mark.slow
def test_each_file_is_in_the_instances_table_with_what_is_known_of_it(linked: Linked) -> None:
    study = some_studies(linked, 1)[0]
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
        status = job.wait(timeout=LIMIT)
    listed = linked.workspace.files.list()
    assert set(listed["SOPInstanceUID"]) == uids_of(study)
    assert status.bytes == listed["size"].sum()
    for row in listed.itertuples():
        path = linked.workspace.files.folder / str(row.path)
        assert row.path == f"{row.StudyInstanceUID}/{row.SeriesInstanceUID}/{row.SOPInstanceUID}.dcm"
        assert path.stat().st_size == row.size
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
        assert (row.source, row.job_id) == ("pacs", job.job_id)
    held = {one.SOPInstanceUID: one for series in study.series for one in series.instances}
    assert dict(zip(listed["SOPInstanceUID"], listed["SOPClassUID"], strict=True)) == {
        uid: one.SOPClassUID for uid, one in held.items()
    }
    assert listed["TransferSyntaxUID"].str.startswith("1.2.840.10008.1.2").all()
    assert set(linked.workspace.files.paths(Modality="SR")) <= set(linked.workspace.files.folder.rglob("*.dcm"))
    assert len(linked.workspace.sql("SELECT * FROM instances WHERE StudyDate = DATE '2026-06-30'")) == len(listed)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move", "auto"])
def test_series_rows_and_image_rows_bring_just_these(linked: Linked, method: str) -> None:
    study = next(one for one in all_studies(linked.hospital) if len(one.series) > 2)
    series = linked.workspace.find("pacs", level="SERIES", study_uid=study.StudyInstanceUID)
    images = linked.workspace.find("pacs", level="IMAGE", study_uid=study.StudyInstanceUID)
    first = series.head(1)
    others = images[images["SeriesInstanceUID"] != first["SeriesInstanceUID"].iloc[0]]
    chosen = pd.concat([others.head(1), others.tail(1)])
    with worker_in_thread(linked.workspace):
        of_series = linked.workspace.retrieve(first, method=method).wait(timeout=LIMIT)
        assert of_series.state is JobState.COMPLETE
        expected = set(
            images.loc[images["SeriesInstanceUID"] == first["SeriesInstanceUID"].iloc[0], "SOPInstanceUID"]
        )
        assert files_of(linked.workspace) == expected
        assert linked.workspace.retrieve(chosen, method=method).wait(timeout=LIMIT).state is JobState.COMPLETE
    assert files_of(linked.workspace) == expected | set(chosen["SOPInstanceUID"])
    services = {one.service for one in linked.pacs.requests}
    assert ("C-MOVE" in services) == (method == "move")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["study-root", "patient-root", "patient-study-only"])
def test_a_study_is_fetched_under_each_information_model(linked: Linked, model: str) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    study = some_studies(linked, 1)[0]
    frame = linked.workspace.find("pacs", date=DAY)
    with worker_in_thread(linked.workspace):
        for method in ("get", "move"):
            rows = frame[frame["StudyInstanceUID"] == study.StudyInstanceUID]
            status = linked.workspace.retrieve(rows, method=method).wait(timeout=LIMIT)
            assert status.state is JobState.COMPLETE, status.error
    assert files_of(linked.workspace) == uids_of(study)


@pytest.mark.slow
def test_several_requests_of_different_levels_are_one_job(linked: Linked) -> None:
    one, other = [study for study in all_studies(linked.hospital) if len(study.series) > 1][:2]
    series = other.series[0]
    image = other.series[1].instances[0]
    requests = [
        RetrieveRequest(level=Level.STUDY, StudyInstanceUID=one.StudyInstanceUID),
        RetrieveRequest(
            level=Level.SERIES, StudyInstanceUID=other.StudyInstanceUID, SeriesInstanceUID=series.SeriesInstanceUID
        ),
        RetrieveRequest(
            level=Level.IMAGE,
            StudyInstanceUID=other.StudyInstanceUID,
            SeriesInstanceUID=other.series[1].SeriesInstanceUID,
            sop_instance_uids=(image.SOPInstanceUID,),
        ),
    ]
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve(requests, node="pacs")
        status = job.wait(timeout=LIMIT)
    assert status.state is JobState.COMPLETE
    assert job.items["level"].tolist() == ["STUDY", "SERIES", "IMAGE"]
    assert job.items["stored"].tolist() == [len(uids_of(one)), len(series.instances), 1]
    expected = uids_of(one) | {instance.SOPInstanceUID for instance in series.instances} | {image.SOPInstanceUID}
    assert files_of(linked.workspace) == expected
    assert len(linked.workspace.files) == len(expected)


@pytest.mark.slow
def test_series_by_uid_need_their_study_to_be_known_or_given(linked: Linked) -> None:
    study = some_studies(linked, 1)[0]
    series = [one.SeriesInstanceUID for one in study.series]
    with pytest.raises(InputError, match="study of series"):
        linked.workspace.retrieve_uids("pacs", series_uids=series)
    with worker_in_thread(linked.workspace):
        given = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], series_uids=series)
        assert given.wait(timeout=LIMIT).state is JobState.COMPLETE
        linked.workspace.find("pacs", level="SERIES", study_uid=study.StudyInstanceUID)
        known = linked.workspace.retrieve_uids("pacs", series_uids=series)
        assert known.wait(timeout=LIMIT).state is JobState.COMPLETE


FRAME = pd.DataFrame(
    {
        "StudyInstanceUID": ["1.1", "1.1", "1.2"],
        "SeriesInstanceUID": ["2.1", "2.2", "2.3"],
        "PatientID": [7.0, 7.0, None],
        "note": ["a", None, "c"],
    }
)
IMAGES = FRAME.assign(SOPInstanceUID=["3.1", " 3.2 ", "3.3"], SeriesInstanceUID=["2.1", "2.1", "2.3"])


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (FRAME[["StudyInstanceUID", "note"]], [("STUDY", "1.1", "", ()), ("STUDY", "1.2", "", ())]),
        (FRAME.iloc[1:], [("SERIES", "1.1", "2.2", ()), ("SERIES", "1.2", "2.3", ())]),
        (IMAGES, [("IMAGE", "1.1", "2.1", ("3.1", "3.2")), ("IMAGE", "1.2", "2.3", ("3.3",))]),
        (FRAME.set_index(["StudyInstanceUID", "SeriesInstanceUID"]).iloc[:1], [("SERIES", "1.1", "2.1", ())]),
        (pd.Series(["1.2"], name="StudyInstanceUID"), [("STUDY", "1.2", "", ())]),
    ],
    ids=["studies", "series", "images", "index", "column"],
)
def test_any_table_with_uids_says_what_to_retrieve(
    frame: pd.DataFrame | pd.Series, expected: list[tuple[object, ...]]
) -> None:
    requests = requests_from_table(uid_table(frame), with_patients=False)
    assert [
        (one.level, one.StudyInstanceUID, one.SeriesInstanceUID, one.sop_instance_uids) for one in requests
    ] == expected


def test_patients_are_named_where_the_information_model_needs_them() -> None:
    requests = requests_from_table(FRAME.drop(columns="SeriesInstanceUID"), with_patients=True)
    assert [(one.StudyInstanceUID, one.patient_id) for one in requests] == [("1.1", "7"), ("1.2", "")]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (FRAME.assign(SeriesInstanceUID=["2.1", "", " "]), "2 of 3 rows have no SeriesInstanceUID .* 1, 2"),
        (FRAME.assign(StudyInstanceUID=["", "1.1", "1.2"]), "1 of 3 rows has no StudyInstanceUID"),
        (FRAME.assign(SeriesInstanceUID=[2.1, 2.2, 2.3]), "dtype=str"),
        (FRAME[["StudyInstanceUID"]].set_axis(["Study Instance UID"], axis=1), "Rename its column"),
        (FRAME[["note"]], "no StudyInstanceUID"),
        (IMAGES.drop(columns="SeriesInstanceUID"), "lacks SeriesInstanceUID"),
        (7, "There are no UIDs to retrieve"),
        ([7], "There are no UIDs to retrieve"),
    ],
)
def test_a_table_that_leaves_something_open_is_refused(what: pd.DataFrame, said: str) -> None:
    with pytest.raises(InputError, match=said):
        requests_from_table(uid_table(what), with_patients=False)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["study-root", "patient-root"])
def test_a_table_from_elsewhere_and_lists_of_uids_are_retrieved(linked: Linked, tmp_path: Path, model: str) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    study, other = some_studies(linked, 2)
    found = linked.workspace.find("pacs", level="IMAGE", study_uid=[study.StudyInstanceUID, other.StudyInstanceUID])
    linked.workspace.find("pacs", level="SERIES", study_uid=study.StudyInstanceUID)
    linked.workspace.find("pacs", study_uid=[study.StudyInstanceUID, other.StudyInstanceUID])
    found[["StudyInstanceUID"]].drop_duplicates().to_csv(tmp_path / "studies.csv")
    table = pd.read_csv(tmp_path / "studies.csv")
    series = [one.SeriesInstanceUID for one in study.series]
    images = [one.SOPInstanceUID for one in study.series[0].instances]

    def asked(what: Retrievable) -> list[tuple[str, str, str, int]]:
        rows = linked.workspace.retrieve(what, node="pacs").status.items
        return [
            (
                row.request.level,
                row.request.StudyInstanceUID,
                row.request.SeriesInstanceUID,
                len(row.request.sop_instance_uids),
            )
            for row in rows
        ]

    uid = study.StudyInstanceUID
    with worker_in_thread(linked.workspace):
        assert {one[1] for one in asked(table)} == {uid, other.StudyInstanceUID}
        assert asked(uid) == asked([uid]) == asked(pd.Series([uid])) == [("STUDY", uid, "", 0)]
        assert asked(series) == [("SERIES", uid, one, 0) for one in series]
        assert asked(images) == [("IMAGE", uid, series[0], len(images))]
        job = linked.workspace.retrieve(images, node="pacs")
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
        with pytest.raises(InputError, match="are known as a SeriesInstanceUID"):
            linked.workspace.retrieve([*series, uid], node="pacs")


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({}, {"method": "push"}, "auto, get or move"),
        ({}, {"to": "pacs"}, "takes no objects"),
        ({}, {"to": "pacs", "method": "get"}, "C-MOVE"),
    ],
)
def test_what_cannot_be_fetched_is_told_before_a_job_is_made(
    linked: Linked, settings: dict[str, object], options: dict[str, str], said: str
) -> None:
    linked.workspace.nodes.edit("pacs", **settings)
    with pytest.raises(InputError, match=said):
        linked.workspace.retrieve_uids("pacs", study_uids=["1.2.3"], **options)
    assert len(linked.workspace.jobs.list()) == 0


def test_the_advice_on_rows_without_a_uid_removes_them() -> None:
    frame = pd.DataFrame({"StudyInstanceUID": ["1.2", "", None, " "]})
    with pytest.raises(InputError) as raised:
        requests_from_table(frame, with_patients=False)
    advised = str(raised.value.advice).removeprefix("Remove them: ").removesuffix(".")
    assert eval(advised, {"frame": frame})["StudyInstanceUID"].tolist() == ["1.2"]  # noqa: S307 - our own advice


def test_nothing_to_fetch_is_an_error(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", date=DAY)
    with pytest.raises(InputError, match="nothing to retrieve"):
        linked.workspace.retrieve(frame.head(0))
    with pytest.raises(InputError, match="No node is given"):
        linked.workspace.retrieve(pd.DataFrame({"StudyInstanceUID": ["1.2.3"]}))
    with pytest.raises(InputError, match="no StudyInstanceUID"):
        linked.workspace.retrieve(pd.DataFrame({"PatientID": ["Q1"]}), node="pacs")
    with pytest.raises(InputError, match="not a valid UID"):
        linked.workspace.retrieve_uids("pacs", study_uids=["../../etc"])


def test_an_unknown_job_is_not_found(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="nonsense"):
        workspace.jobs["nonsense"]


def _planned(linked: Linked) -> Plan:
    linked.pacs.quirks = Quirks(no_instances_of=("SR",))
    return linked.workspace.plan("pacs", "CT", date=DAY)


def _found(linked: Linked) -> pd.DataFrame:
    linked.pacs.quirks = Quirks(hide_answers=1)
    return linked.workspace.find("pacs", level="SERIES", date=DAY)


@pytest.mark.parametrize("made", [_planned, _found], ids=["a plan", "a query"])
def test_a_job_says_that_the_list_it_is_made_of_may_be_incomplete(
    linked: Linked, made: Callable[[Linked], Plan | pd.DataFrame]
) -> None:
    workspace = linked.workspace
    what = made(linked)
    linked.pacs.quirks = Quirks()
    if isinstance(what, Plan):
        source, why, uids = what.plan_id, what.coverage.why, what.requests()[0].StudyInstanceUID
    else:
        told = what.attrs["qrkit"]
        source, why, uids = told["query_id"], told["coverage"]["why"], what["StudyInstanceUID"][0]
        what = what.head(2)
    assert why
    with worker_in_thread(workspace):
        jobs = [workspace.retrieve(what), workspace.retrieve(uids, node="pacs", source=source)]
        ended = [job.wait(timeout=LIMIT) for job in jobs]
        plain = workspace.retrieve(uids, node="pacs").wait(timeout=LIMIT)
    for job, handle in zip(ended, jobs, strict=True):
        (reason,) = job.why
        assert reason.startswith("the result of ")
        assert reason.endswith(f" {source} may be incomplete: {'; '.join(why)}")
        assert (job.state, job.stored, job.proven) == (JobState.COMPLETE, job.expected, False)
        assert all(item.outcome.proven and not item.outcome.why for item in job.items)
        assert (job.state_in_words, reason in job.doubt) == ("complete, not proven", True)
        assert view_of(job).failures == (job.doubt,)
        assert (handle.to_json()["proven"], handle.to_json()["why"]) == (False, [reason])
    assert (plain.proven, plain.why) == (True, ())
