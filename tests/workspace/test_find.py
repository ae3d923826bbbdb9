"""C-FIND against the simulator, whose hospital tells what the right answer is."""

import warnings
from collections.abc import Callable
from datetime import date, time
from typing import Any

import pandas as pd
import pytest

from qrkit.errors import AssociationAborted, ConnectionRefused, InputError, NodeTimeout, NotFound, StatusError
from qrkit.jobs import NewJob
from qrkit.profile import Profile, Statement, Subject, Verdict
from qrkit.simulator import Quirks, small_hospital
from qrkit.simulator.facts import Study
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import ProfileTable
from qrkit.workspace import Workspace
from tests.peers.waiting import free_port
from tests.workspace.opened import Linked, StartSimulator, all_studies, link, uids_of

MODELS = ("study-root", "patient-root", "patient-study-only")
DAY = "2026-06-30"


def keys(frame: pd.DataFrame, keyword: str = "StudyInstanceUID") -> list[str]:
    return sorted(frame[keyword])


def expected(linked: Linked, wanted: Callable[[Study], object]) -> list[str]:
    """The UIDs of the studies that should be found; never none, which would prove nothing."""
    found = sorted(study.StudyInstanceUID for study in all_studies(linked.hospital) if wanted(study))
    assert found
    return found


def test_dates_in_reverse_order_are_reported_in_the_coverage_and_the_notes_of_a_plan(linked: Linked) -> None:
    note = "The dates are in reverse order: used as 2026-06-29 to 2026-06-30."
    given = (DAY, "2026-06-29")
    coverage = linked.workspace.find("pacs", date=given).attrs["qrkit"]["coverage"]
    assert (coverage["complete"], coverage["notes"]) == (True, [note])
    assert note in str(coverage)
    assert note in coverage._repr_html_()
    assert linked.workspace.plan("pacs", "CT", date=given).notes[0] == note
    assert "notes" not in linked.workspace.find("pacs", date=given[::-1]).attrs["qrkit"]["coverage"]


def test_a_code_that_is_not_a_modality_is_reported_in_the_coverage(linked: Linked) -> None:
    coverage = linked.workspace.find("pacs", date=DAY, modalities="CTT,CT").attrs["qrkit"]["coverage"]
    assert (coverage["complete"], coverage["notes"]) == (True, ["CTT is not a DICOM modality code."])


def test_rows_are_dropped_by_a_key_that_the_node_honours_and_was_not_asked_for(linked: Linked) -> None:
    seen = Statement(subject=Subject.MODALITY, verdict=Verdict.HONOURED, evidence="CT found 3 of 3")
    profile = Profile(node="pacs", probed="2026-07-01T08:00:00+00:00", statements=(seen,))
    ProfileTable(linked.workspace._state).add(profile, "test")
    frame = linked.workspace.find("pacs", level="SERIES", date=DAY, modalities=["CT", "SR"])
    assert set(frame["Modality"]) == {"CT", "SR"}


def test_an_id_may_be_shortened_to_its_first_characters(linked: Linked) -> None:
    workspace = linked.workspace
    query = workspace.find("pacs", date=DAY).attrs["qrkit"]["query_id"]
    for short in (query[:6], f"{query[:8]}…", f"{query[:8]}..."):
        assert workspace.queries.show(short).query_id == query
        assert workspace.queries.read(short).attrs["qrkit"]["query_id"] == query
        assert len(workspace.queries.diff(short, query)) == 0
    plan = workspace.plan("pacs", "CT", date=DAY)
    assert workspace.plans[plan.plan_id[:6]].plan_id == plan.plan_id
    job = JobTable(workspace._state).create(NewJob(node="pacs", requests=plan.requests()))
    assert (workspace.jobs[job[:6]].job_id, workspace.jobs[job[:6]].status.job_id) == (job, job)
    with pytest.raises(NotFound, match="There is no query"):
        workspace.queries.show(query[:5])


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_studies_are_found_under_each_information_model(linked: Linked, model: str) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    frame = linked.workspace.find("pacs", date=DAY)
    assert keys(frame) == expected(linked, lambda study: study.StudyDate == "20260630")
    for study in all_studies(linked.hospital):
        row = frame[frame["StudyInstanceUID"] == study.StudyInstanceUID]
        if len(row):
            assert row["PatientID"].tolist() == [study.patient.PatientID]
            assert row["PatientName"].tolist() == [study.patient.PatientName]
            assert row["StudyDate"].dt.date.tolist() == [date(2026, 6, 30)]
            assert row["StudyTime"].tolist() == [time.fromisoformat(_colons(study.StudyTime))]
            assert row["NumberOfStudyRelatedInstances"].tolist() == [study.NumberOfStudyRelatedInstances]
            assert set(row["ModalitiesInStudy"].iloc[0].split("\\")) == set(study.ModalitiesInStudy)


def _colons(text: str) -> str:
    return f"{text[:2]}:{text[2:4]}:{text[4:6]}"


@pytest.mark.parametrize("model", MODELS)
def test_patients_are_found_under_each_information_model(linked: Linked, model: str) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    frame = linked.workspace.find("pacs", level="PATIENT", patient_id="Q10000*")
    wanted = {study.patient.PatientID for study in all_studies(linked.hospital)}
    assert keys(frame, "PatientID") == sorted(one for one in wanted if one.startswith("Q10000"))


@pytest.mark.parametrize("model", ["study-root", "patient-root"])
def test_series_and_images_have_what_is_known_of_the_levels_above(linked: Linked, model: str) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    study = all_studies(linked.hospital)[-1]
    series = linked.workspace.find("pacs", level="series", study_uid=study.StudyInstanceUID, date=DAY)
    assert keys(series, "SeriesInstanceUID") == sorted(one.SeriesInstanceUID for one in study.series)
    images = linked.workspace.find("pacs", level="image", study_uid=study.StudyInstanceUID, date=DAY)
    assert len(images) == study.NumberOfStudyRelatedInstances
    for frame in (series, images):
        assert set(frame["PatientID"]) == {study.patient.PatientID}
        assert set(frame["StudyDescription"].fillna("")) == {study.StudyDescription}
    assert set(images["Modality"]) == set(study.ModalitiesInStudy)
    assert images["SOPClassUID"].notna().all()


def test_a_level_that_the_information_model_lacks_is_refused_before_anything_is_sent(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", information_model="patient-study-only")
    with pytest.raises(InputError, match="SERIES"):
        linked.workspace.find("pacs", level="SERIES", date=DAY)
    assert linked.pacs.requests == []
    assert len(linked.workspace.queries.list()) == 0


def test_several_modalities_are_the_union_of_one_query_each(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", modalities=["PT", "MG", "SR"])
    wanted = {"PT", "MG", "SR"}
    assert keys(frame) == expected(linked, lambda study: wanted & set(study.ModalitiesInStudy))
    assert frame["StudyInstanceUID"].is_unique
    assert sum("StudyDate" not in one.keywords for one in linked.pacs.requests) == 3  # besides the halves of one


def test_dates_are_a_day_a_pair_or_an_open_range(linked: Linked) -> None:
    def found(**what: Any) -> list[str]:  # noqa: ANN401 - any argument of find
        return keys(linked.workspace.find("pacs", **what))

    assert found(date="20260625") == expected(linked, lambda study: study.StudyDate == "20260625")
    pair = expected(linked, lambda study: "20260624" <= study.StudyDate <= "20260626")
    assert found(date=("2026-06-24", date(2026, 6, 26))) == pair
    assert found(date_from="2026-06-24", date_until="2026-06-26") == pair
    assert found(date_until="2026-06-22") == expected(linked, lambda study: study.StudyDate <= "20260622")
    assert found(StudyDate="20260629-") == expected(linked, lambda study: study.StudyDate >= "20260629")


def test_a_time_window_needs_a_single_day(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", date=DAY, time=("0800", "1200"))
    assert keys(frame) == expected(
        linked, lambda study: study.StudyDate == "20260630" and "080000" <= study.StudyTime <= "120000"
    )
    with pytest.raises(InputError, match="single day"):
        linked.workspace.find("pacs", date=("2026-06-01", DAY), time=("0800", "1200"))


def test_wildcards_accession_and_any_keyword_are_matched_by_the_node(linked: Linked) -> None:
    some = next(study for study in all_studies(linked.hospital) if study.AccessionNumber)
    by_accession = linked.workspace.find("pacs", accession=some.AccessionNumber)
    assert keys(by_accession) == [some.StudyInstanceUID]
    by_id = linked.workspace.find("pacs", patient_id="Q10001?")
    assert keys(by_id) == expected(
        linked, lambda study: study.patient.PatientID.startswith("Q10001") and len(study.patient.PatientID) == 7
    )
    women = linked.workspace.find("pacs", PatientSex="F", date=DAY)
    assert keys(women) == expected(
        linked, lambda study: study.patient.PatientSex == "F" and study.StudyDate == "20260630"
    )
    with pytest.raises(InputError, match="PatientSecks"):
        linked.workspace.find("pacs", PatientSecks="F")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE", "PATIENT"])
def test_a_list_of_patients_is_asked_one_by_one_and_says_who_was_not_found(
    linked: Linked, model: str, level: str
) -> None:
    if model == "patient-study-only" and level in ("SERIES", "IMAGE"):
        pytest.skip("the model has no such level")
    linked.workspace.nodes.edit("pacs", information_model=model)
    studies = all_studies(linked.hospital)
    some = list(dict.fromkeys(study.patient.PatientID for study in studies))[:3]
    frame = linked.workspace.find("pacs", level=level, patient_id=[*some, "NOSUCH", some[0]])
    assert set(frame["PatientID"]) == set(some)
    if level == "IMAGE":
        assert set(frame["SOPInstanceUID"]) == {
            uid for study in studies if study.patient.PatientID in some for uid in uids_of(study)
        }
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["complete"]
    assert coverage["not_found"] == {"PatientID": ["NOSUCH"]}


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_lists_of_accession_numbers_with_wildcards_and_other_keys_are_the_union(linked: Linked, level: str) -> None:
    studies = [study for study in all_studies(linked.hospital) if study.AccessionNumber]
    first, second = studies[0], next(one for one in studies if one.patient.PatientID != studies[0].patient.PatientID)
    text = f"{first.AccessionNumber[:-1]}?, {second.AccessionNumber}"
    frame = linked.workspace.find(
        "pacs", level=level, accession=text, patient_id=[first.patient.PatientID, second.patient.PatientID, "NOSUCH"]
    )
    wanted = [
        study
        for study in studies
        if (study.AccessionNumber[:-1] == first.AccessionNumber[:-1] or study is second)
        and study.patient.PatientID in (first.patient.PatientID, second.patient.PatientID)
    ]
    assert set(frame["StudyInstanceUID"]) == {study.StudyInstanceUID for study in wanted}
    if level == "SERIES":
        assert len(frame) == sum(len(study.series) for study in wanted)
    assert frame.attrs["qrkit"]["coverage"]["not_found"] == {"PatientID": ["NOSUCH"]}


@pytest.mark.parametrize("one", [["NOPE"], pd.Series(["NOPE"]), "NOPE,", "NOPE"])
def test_a_list_of_one_says_that_it_was_not_found(linked: Linked, one: str | list[str]) -> None:
    frame = linked.workspace.find("pacs", accession=one)
    assert frame.attrs["qrkit"]["coverage"]["not_found"] == {"AccessionNumber": ["NOPE"]}


def test_a_list_of_studies_says_which_were_not_found(linked: Linked) -> None:
    uids = [study.StudyInstanceUID for study in all_studies(linked.hospital)[:2]]
    found = linked.workspace.find("pacs", level="SERIES", study_uid=pd.Series([*uids, "1.2.3"]))
    assert set(found["StudyInstanceUID"]) == set(uids)
    assert found.attrs["qrkit"]["coverage"]["not_found"] == {"StudyInstanceUID": ["1.2.3"]}


@pytest.mark.slow
def test_a_thousand_accession_numbers_take_few_associations(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", associations=2)
    known = [study.AccessionNumber for study in all_studies(linked.hospital) if study.AccessionNumber]
    others = [f"X{number}" for number in range(1000 - len(known))]
    frame = linked.workspace.find("pacs", accession=[*known, *others])
    assert sorted(frame["AccessionNumber"]) == sorted(known)
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["complete"], coverage["why"]
    assert coverage["requests"] == 1000
    assert coverage["not_found"] == {"AccessionNumber": others}
    assert coverage["load"]["busiest"] <= 2


def test_a_plan_takes_lists_without_a_date_and_says_which_were_not_found(linked: Linked) -> None:
    some = [
        study for study in all_studies(linked.hospital) if study.AccessionNumber and "CT" in study.ModalitiesInStudy
    ]
    numbers = [study.AccessionNumber for study in some[:2]]
    plan = linked.workspace.plan("pacs", dose="CT", accession=[*numbers, "NOSUCH"])
    assert set(plan.studies["AccessionNumber"]) == set(numbers)
    assert plan.to_json()["coverage"]["not_found"] == {"AccessionNumber": ["NOSUCH"]}
    uids = [study.StudyInstanceUID for study in some[:2]]
    assert set(linked.workspace.plan("pacs", dose="CT", study_uid=",".join(uids)).studies["StudyInstanceUID"]) == set(
        uids
    )


def test_any_return_key_becomes_a_column(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", date=DAY, return_keys=["PatientAge"])
    assert frame["PatientAge"].notna().all()


def test_descriptions_and_stations_are_filtered_here_and_the_filter_says_so(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", description_include="ct,mr", description_exclude="IMPORTED")
    wanted = expected(
        linked,
        lambda study: (
            not study.StudyDescription
            or (
                any(term in study.StudyDescription.lower() for term in ("ct", "mr"))
                and "imported" not in study.StudyDescription.lower()
            )
        ),
    )
    assert keys(frame) == wanted
    reports = {one["filter"]: one for one in frame.attrs["qrkit"]["coverage"]["filters"]}
    assert reports["description include"]["before"] == 120
    assert reports["description include"]["blank_kept"] > 0
    assert reports["description exclude"]["after"] == len(frame)
    dropped = linked.workspace.find("pacs", description_include="ct", blank="drop")
    assert dropped["StudyDescription"].str.contains("ct", case=False).all()


def test_stations_are_filtered_at_series_level(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", level="SERIES", date=DAY, station_include="ctawp", blank="drop")
    wanted = sorted(
        series.SeriesInstanceUID
        for study in all_studies(linked.hospital)
        for series in study.series
        if study.StudyDate == "20260630" and "ctawp" in series.station.StationName.lower()
    )
    assert wanted
    assert keys(frame, "SeriesInstanceUID") == wanted


@pytest.mark.slow
@pytest.mark.parametrize("family", ["山田", "Ivanova", "Παπαδόπουλος", "Łukaszewicz"])
def test_names_in_any_script_are_read_and_can_be_asked_for(
    workspace: Workspace, start_simulator: StartSimulator, family: str
) -> None:
    international = small_hospital(seed=1, studies=900, days=12)
    link(workspace, start_simulator(international), character_set="ISO_IR 192")
    patients = {one.patient.PatientID: one.patient for one in all_studies(international)}
    patient = next(one for one in patients.values() if family in one.PatientName)
    frame = workspace.find("pacs", patient_id=patient.PatientID)
    assert set(frame["PatientName"]) == {patient.PatientName}
    by_name = workspace.find("pacs", patient_name=f"*{family}*")
    assert set(frame["StudyInstanceUID"]) <= set(by_name["StudyInstanceUID"])
    assert by_name["PatientName"].str.contains(family).all()


def test_coverage_says_whether_the_answer_is_complete(linked: Linked) -> None:
    frame = linked.workspace.find("pacs", date=DAY)
    coverage = dict(frame.attrs["qrkit"]["coverage"])
    load = coverage.pop("load")
    assert (load["requests"], load["answers"], load["waited"], load["busiest"]) == (1, len(frame), 0, 1)
    assert coverage | {"filters": []} == {
        "complete": True,
        "why": [],
        "assumptions": [],
        "windows": 1,
        "splits": 0,
        "failures": 0,
        "asked": [],
        "ignored": [],
        "requests": 1,
        "keys_unsupported": False,
        "filters": [],
    }
    assert frame.attrs["qrkit"]["warnings"] == []


@pytest.mark.parametrize("model", MODELS)
def test_a_failure_status_is_an_error_with_code_and_comment_and_in_the_history(linked: Linked, model: str) -> None:
    linked.pacs.quirks = Quirks(find_status=0xC123, find_comment="the archive is upside down")
    linked.workspace.nodes.edit("pacs", information_model=model)
    with pytest.raises(StatusError, match="0xC123") as caught:
        linked.workspace.find("pacs", date=DAY)
    assert (caught.value.status, caught.value.comment) == (0xC123, "the archive is upside down")
    assert "upside down" in str(caught.value)
    told = linked.workspace.queries.list().iloc[0]
    assert told["state"] == "failed"
    assert "0xC123" in told["error"]
    assert linked.workspace.queries.show(told["query_id"]).error_status == 0xC123


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quirks", "kind"),
    [
        (Quirks(find_abort_after=0), AssociationAborted),
        (Quirks(find_hang=True), NodeTimeout),
        (Quirks(find_status=0xA700), StatusError),
    ],
)
def test_a_node_that_answers_nothing_is_an_error_and_never_a_short_table(
    linked: Linked, quirks: Quirks, kind: type[Exception]
) -> None:
    linked.workspace.nodes.edit("pacs", timeouts={"response": 0.5, "inactivity": 0.5})
    linked.pacs.quirks = quirks
    with pytest.raises(kind):
        linked.workspace.find("pacs", date_until=DAY)
    assert linked.workspace.queries.list()["state"].tolist() == ["failed"]
    assert linked.workspace.sql("SELECT count(*) AS n FROM studies")["n"].tolist() == [0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(cap=100),
        Quirks(cap=33),
        Quirks(cap=100, duplicate_answers=True),
        Quirks(cap=5, cap_mode="status"),
        Quirks(cap=5, cap_mode="status", no_study_time_share=0.3),
        Quirks(find_abort_after=9),
    ],
    ids=str,
)
def test_what_a_node_cuts_off_is_asked_for_in_windows_until_all_is_there(linked: Linked, quirks: Quirks) -> None:
    linked.pacs.quirks = quirks
    frame = linked.workspace.find("pacs", date=("2026-06-01", DAY))
    assert keys(frame) == sorted(study.StudyInstanceUID for study in all_studies(linked.hospital))
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["complete"], coverage["why"]
    assert coverage["windows"] == len(coverage["asked"]) > 1
    assert coverage["splits"] > 0
    assert coverage["requests"] == len(linked.pacs.requests)


def test_a_window_that_cannot_be_asked_is_named_and_the_others_are_kept(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(cap=100, ignore_keys=("StudyDate",))
    frame = linked.workspace.find("pacs", date=("2026-06-01", DAY))
    coverage = frame.attrs["qrkit"]["coverage"]
    assert len(frame) == 100
    assert not coverage["complete"]
    assert "ignores StudyDate" in coverage["why"][0]
    assert coverage["requests"] < 10


def test_a_node_that_is_not_there_is_an_error_in_the_history_too(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", port=free_port())
    with pytest.raises(ConnectionRefused):
        linked.workspace.find("pacs", date=DAY)
    assert linked.workspace.queries.list()["state"].tolist() == ["failed"]


def test_a_node_that_ignores_its_keys_is_filtered_here(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(ignore_keys=("ModalitiesInStudy", "StudyDate"))
    frame = linked.workspace.find("pacs", date=DAY, modalities="CT")
    assert keys(frame) == expected(
        linked, lambda study: study.StudyDate == "20260630" and "CT" in study.ModalitiesInStudy
    )


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(ignore_keys=("ModalitiesInStudy",)),
        Quirks(no_modalities_in_study=True),
        Quirks(no_match_by_modalities=True),
        Quirks(ignore_keys=("ModalitiesInStudy",), modalities_text=","),
        Quirks(ignore_keys=("ModalitiesInStudy",), modalities_text="*"),
    ],
    ids=["ignored", "matches none", "neither matched nor returned", "in one value", "no codes"],
)
def test_modalities_are_right_whatever_a_node_does_with_them(linked: Linked, quirks: Quirks) -> None:
    linked.pacs.quirks = quirks
    frame = linked.workspace.find("pacs", date=DAY, modalities=["MR", "PT", "MG", "US"])
    wanted = {"MR", "PT", "MG", "US"}
    assert keys(frame) == expected(
        linked, lambda study: study.StudyDate == "20260630" and wanted & set(study.ModalitiesInStudy)
    )
    assert frame["ModalitiesInStudy"].notna().all()
    asked = [one for one in linked.pacs.requests if one.level == "STUDY"]
    is_told = quirks.ignore_keys and quirks.modalities_text != "*"
    # one or two codes, or all four, and once without
    assert len(asked) == (5 if quirks.no_match_by_modalities else 2 if is_told else 3)


def test_a_profile_that_the_answers_contradict_is_stale(linked: Linked) -> None:
    assert linked.workspace.probe("pacs").honours("ModalitiesInStudy")
    linked.workspace.find("pacs", date=DAY, modalities="MR")
    profile = linked.workspace.profile("pacs")
    assert profile is not None
    assert profile.is_known
    linked.pacs.quirks = Quirks(ignore_keys=("ModalitiesInStudy",))
    linked.workspace.find("pacs", date=DAY, modalities="MR")
    profile = linked.workspace.profile("pacs")
    assert profile is not None
    assert "without a series of MR" in profile.stale


def test_a_node_known_to_ignore_modalities_is_asked_once(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(ignore_keys=("ModalitiesInStudy",))
    linked.workspace.probe("pacs")
    before = len(linked.pacs.requests)
    frame = linked.workspace.find("pacs", date=DAY, modalities=["MR", "PT", "MG", "US"])
    assert len(linked.pacs.requests) == before + 1
    (told,) = frame.attrs["qrkit"]["coverage"]["filters"]
    assert (told["filter"], told["where"]) == ("ModalitiesInStudy", "local")


@pytest.mark.slow
def test_a_node_known_to_take_lists_is_asked_for_what_is_below_many_studies_at_once(
    linked: Linked,
) -> None:
    dates = ("2026-06-26", DAY)
    by_study = {level: linked.workspace.find("pacs", level=level, date=dates) for level in ("SERIES", "IMAGE")}
    assert linked.workspace.probe("pacs").honours("series_of_studies")
    for level, honest in by_study.items():
        frame = linked.workspace.find("pacs", level=level, date=dates)
        assert frame.equals(honest)
        before, after = (one.attrs["qrkit"]["coverage"] for one in (honest, frame))
        assert after["complete"]
        assert after["requests"] * (5 if level == "SERIES" else 2) < before["requests"]


def test_any_key_that_a_node_ignores_is_matched_here_and_the_coverage_says_so(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(ignore_keys=("StudyDescription", "PatientName", "StudyTime"))
    patient = all_studies(linked.hospital)[-1].patient
    family = patient.PatientName.partition("^")[0]
    frame = linked.workspace.find("pacs", patient_name=f"{family.lower()}^*")
    assert patient.PatientID in set(frame["PatientID"])
    assert keys(frame) == expected(linked, lambda study: study.patient.PatientName.startswith(f"{family}^"))
    (told,) = frame.attrs["qrkit"]["coverage"]["filters"]
    assert (told["filter"], told["where"], told["before"], told["after"]) == ("PatientName", "both", 120, len(frame))
    hours = linked.workspace.find("pacs", date=DAY, time=("0800", "1200"), StudyDescription="CT*")
    assert keys(hours) == expected(
        linked,
        lambda study: (
            study.StudyDate == DAY.replace("-", "")
            and "080000" <= study.StudyTime <= "120000"
            and study.StudyDescription.startswith("CT")
        ),
    )


def test_rows_in_another_case_are_kept_and_marked_and_names_match_in_any_case(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(case_sensitive=False)
    some = next(one for one in all_studies(linked.hospital) if one.StudyDescription[:2].isupper())
    frame = linked.workspace.find("pacs", StudyDescription=some.StudyDescription.swapcase())
    assert set(frame["StudyDescription"]) == {some.StudyDescription}
    (told,) = frame.attrs["qrkit"]["coverage"]["filters"]
    assert (told["filter"], told["where"]) == ("StudyDescription", "both")
    assert (
        told["before"] == told["after"] == told["unsure_kept"] == len(frame) == len(frame.attrs["qrkit"]["warnings"])
    )
    named = linked.workspace.find("pacs", patient_name=some.patient.PatientName.swapcase())
    assert len(named) > 0
    assert named.attrs["qrkit"]["coverage"]["filters"] == []


def test_broken_values_are_warnings_and_never_lost_rows(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(decimal_integers=True, wrong_charset=True, missing_modality=True)
    frame = linked.workspace.find("pacs", level="SERIES", date=DAY)
    studies = [one for one in all_studies(linked.hospital) if one.StudyDate == "20260630"]
    assert len(frame) == sum(len(study.series) for study in studies)
    assert frame["Modality"].isna().all() or (frame["Modality"] == "").all()


@pytest.mark.slow
def test_uids_against_the_standard_are_kept_asked_below_and_warned_of(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(invalid_uid=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = linked.workspace.find("pacs", level="SERIES", date=DAY)
        images = linked.workspace.find("pacs", level="IMAGE", date=DAY)
    studies = [one for one in all_studies(linked.hospital) if one.StudyDate == "20260630"]
    assert len(series) == sum(len(study.series) for study in studies)
    assert len(images) == sum(study.NumberOfStudyRelatedInstances for study in studies)
    assert set(images["SeriesInstanceUID"]) == set(series["SeriesInstanceUID"])
    for frame in (series, images):
        told = frame.attrs["qrkit"]["warnings"]
        assert {one["row"] for one in told} == set(range(len(frame)))
        assert {one["raw"].removesuffix("\\x00") for one in told} == set(frame["SeriesInstanceUID"])
        assert {one["keyword"] for one in told} == {"SeriesInstanceUID"}
    assert images.attrs["qrkit"]["coverage"]["complete"]


@pytest.mark.parametrize("cap", [30, 37])
def test_studies_of_a_list_are_not_called_absent_by_a_node_that_ignores_the_list_and_is_capped(
    linked: Linked, cap: int
) -> None:
    linked.pacs.quirks = Quirks(ignore_keys=("StudyInstanceUID",), cap=cap)
    wanted = [study.StudyInstanceUID for study in all_studies(linked.hospital)][-3:]
    frame = linked.workspace.find("pacs", study_uid=wanted)
    assert keys(frame) == sorted(wanted) or not frame.attrs["qrkit"]["coverage"]["complete"]
