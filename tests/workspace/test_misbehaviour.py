"""What a PACS may do to a query, and what people see of it; docs/misbehaviour.md lists every switch with its test."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from qrkit.errors import (
    AssociationAborted,
    CalledTitleRejected,
    CallingTitleRejected,
    Congested,
    NoContextAccepted,
    QrkitError,
    StatusError,
)
from qrkit.profile import Profile, Statement, Subject, Verdict
from qrkit.simulator import Quirks
from qrkit.store.nodes import ProfileTable
from tests.workspace.opened import Linked, all_studies

DAY = "2026-06-30"
PAST = ("2026-06-01", DAY)
ROOT = Path(__file__).parents[2]
LINES = re.findall(
    r"^\| `(\w+)` \|.*\| (.+) \|$", (ROOT / "docs" / "misbehaviour.md").read_text("utf-8"), re.MULTILINE
)
NAMED = sorted({test for _, cell in LINES for test in re.findall(r"`(tests/\S+\.py)::(\w+)`", cell)})


def found(linked: Linked, quirks: Quirks, **what: Any) -> pd.DataFrame:  # noqa: ANN401 - any argument of find
    linked.pacs.quirks = quirks
    return linked.workspace.find("pacs", **({"date": DAY} | what))


def same_as_ever(linked: Linked, frame: pd.DataFrame) -> bool:
    """Whether a table is what a PACS that behaves gives for the day, complete and without a warning."""
    told = frame.attrs["qrkit"]
    proven = told["coverage"]["complete"] and not told["warnings"]
    return proven and frame.equals(found(linked, Quirks()))


def of_day(linked: Linked) -> int:
    return sum(study.StudyDate == "20260630" for study in all_studies(linked.hospital))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quirks", "kind", "said"),
    [
        (Quirks(known_ae_titles=("OTHER",)), CallingTitleRejected, "enter our AE title QRKIT"),
        (Quirks(reject="congestion"), Congested, "temporary congestion. Try again in a minute"),
        (Quirks(models=("patient",)), NoContextAccepted, "another information model"),
        (Quirks(services=("echo", "move")), NoContextAccepted, "but not Study Root"),
    ],
    ids=str,
)
def test_a_node_that_does_not_let_us_ask_is_an_error_with_advice(
    linked: Linked, quirks: Quirks, kind: type[QrkitError], said: str
) -> None:
    linked.workspace.nodes.edit("pacs", timeouts={"association": 0.6})
    with pytest.raises(kind, match=said):
        found(linked, quirks)
    assert linked.workspace.queries.list()["state"].tolist() == ["failed"]
    assert linked.pacs.requests == []


@pytest.mark.slow
def test_a_node_that_is_congested_at_first_is_asked_again_until_it_lets_us_in(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", associations=2)
    assert same_as_ever(linked, found(linked, Quirks(congested_at_first=2)))
    linked.pacs.quirks = Quirks(congested_at_first=3)  # two of which it has had
    assert linked.workspace.probe("pacs").probed


def test_a_node_that_checks_its_own_title_says_which_one_we_have_of_it(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", ae_title="ELSEWHERE")
    with pytest.raises(CalledTitleRejected, match="ELSEWHERE"):
        found(linked, Quirks(check_called_ae_title=True))


def test_a_node_that_takes_fewer_associations_than_it_was_said_to_is_asked_over_those_that_it_takes(
    linked: Linked,
) -> None:
    linked.workspace.nodes.edit("pacs", associations=4)
    frame = found(linked, Quirks(max_associations=1, cap=20, cap_mode="status"), date=PAST)
    assert (len(frame), frame.attrs["qrkit"]["coverage"]["complete"]) == (linked.hospital.size, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(transfer_syntaxes=("1.2.840.10008.1.2",)),
        Quirks(duplicate_answers=True),
        Quirks(delay_first_response=0.2, delay_answer=0.01),
    ],
    ids=str,
)
def test_what_does_no_harm_gives_the_same_table(linked: Linked, quirks: Quirks) -> None:
    assert same_as_ever(linked, found(linked, quirks))


@pytest.mark.slow
def test_studies_without_a_uid_are_rows_that_the_coverage_names_and_no_estimate_counts(linked: Linked) -> None:
    frame = found(linked, Quirks(no_study_uid=2))
    coverage = frame.attrs["qrkit"]["coverage"]
    assert len(frame) == of_day(linked)
    assert coverage["complete"]
    assert coverage["notes"] == ["2 rows have no StudyInstanceUID, so they cannot be retrieved."]
    counts = frame["NumberOfStudyRelatedInstances"][2:]
    assert linked.workspace.estimate(frame).objects == counts.sum()
    series = found(linked, Quirks(no_study_uid=2), level="SERIES").attrs["qrkit"]["coverage"]
    assert series["why"] == ["2 rows without a unique key could not be asked for their contents"]


@pytest.mark.slow
def test_rows_that_are_announced_and_not_sent_are_named(linked: Linked) -> None:
    frame = found(linked, Quirks(pending_without_identifier=2))
    assert len(frame) == of_day(linked) - 2
    assert frame.attrs["qrkit"]["coverage"]["why"] == ["2 STUDY rows were announced and not sent"]
    plan = linked.workspace.plan("pacs", dose="CT", date=DAY)
    assert any("announced and not sent" in why for why in plan.coverage.why)


@pytest.mark.slow
def test_names_in_another_script_than_the_key_stay_and_are_marked(linked: Linked) -> None:
    name = found(linked, Quirks())["PatientName"][0]
    frame = found(linked, Quirks(names_in_other_script=True), patient_name=name)
    (report,) = frame.attrs["qrkit"]["coverage"]["filters"]
    assert (report["filter"], report["after"], report["unsure_kept"]) == ("PatientName", len(frame), len(frame))
    assert len(frame) > 0
    assert {one["keyword"] for one in frame.attrs["qrkit"]["warnings"]} >= {"PatientName"}
    ignored = found(linked, Quirks(ignore_keys=("PatientName",)), patient_name=name)
    assert set(ignored["PatientName"]) == {name}


@pytest.mark.slow
def test_several_rows_of_a_study_are_one_and_the_coverage_names_what_differs(linked: Linked) -> None:
    wanted = found(linked, Quirks(), modalities="SR")
    frame = found(linked, Quirks(row_per_modality=True), modalities="SR")
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["complete"]
    assert frame.drop(columns="AccessionNumber").equals(wanted.drop(columns="AccessionNumber"))
    assert [text.split("\\")[0] for text in frame["AccessionNumber"]] == wanted["AccessionNumber"].tolist()
    (note,) = coverage["notes"]
    assert note.endswith(
        "returned in several rows, which are united; they differ in AccessionNumber and ModalitiesInStudy."
    )
    number = frame["AccessionNumber"][0].split("\\")[-1]
    one = found(linked, Quirks(row_per_modality=True, ignore_keys=("AccessionNumber",)), accession=number)
    assert one["StudyInstanceUID"].tolist() == frame["StudyInstanceUID"][:1].tolist()


@pytest.mark.slow
def test_series_of_a_node_without_relational_queries_are_asked_study_by_study(linked: Linked) -> None:
    frame = found(linked, Quirks(relational=False), level="SERIES")
    assert frame.equals(found(linked, Quirks(), level="SERIES"))
    assert frame.attrs["qrkit"]["coverage"]["requests"] == of_day(linked) + 1


@pytest.mark.slow
def test_series_of_other_studies_are_dropped_where_a_node_ignores_the_uid_that_it_was_asked_for(
    linked: Linked,
) -> None:
    frame = found(linked, Quirks(ignore_keys=("StudyInstanceUID", "StudyDate")), level="SERIES")
    honest = found(linked, Quirks(), level="SERIES")
    assert sorted(frame["SeriesInstanceUID"]) == sorted(honest["SeriesInstanceUID"])
    assert reports(frame)["UIDs of the level above"]["after"] == len(honest)
    assert not any("ignores the UIDs" in why for why in frame.attrs["qrkit"]["coverage"]["why"])
    ignoring = Quirks(ignore_keys=("StudyInstanceUID",), omit_keys=("NumberOfStudyRelatedSeries",))
    uncounted = found(linked, ignoring, level="SERIES").attrs["qrkit"]["coverage"]
    assert not uncounted["complete"]
    assert "the node ignores the UIDs of the level above" in uncounted["why"][-1]


def test_fifty_answers_to_a_query_without_dates_are_not_taken_for_all(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(cap=50)
    frame = linked.workspace.find("pacs")
    assert len(frame) == linked.hospital.size
    assert frame.attrs["qrkit"]["coverage"]["why"] == [
        "studies without StudyDate cannot be queried in parts and exceed the node's cap"
    ]


@pytest.mark.slow
def test_an_odd_cap_at_a_node_that_was_never_probed_is_found_out_once(linked: Linked) -> None:
    workspace = linked.workspace
    linked.pacs.quirks = Quirks(cap=37)
    frame = workspace.find("pacs", date=PAST)
    assert (len(frame), frame.attrs["qrkit"]["coverage"]["complete"]) == (linked.hospital.size, True)
    linked.pacs.quirks = Quirks()
    requests = [workspace.find("pacs", date=PAST).attrs["qrkit"]["coverage"]["requests"] for _ in range(2)]
    assert requests == [3, 1]


@pytest.mark.parametrize("cap", [30, 37])
def test_an_odd_cap_of_a_probed_node_that_ignores_dates_is_found_out(linked: Linked, cap: int) -> None:
    linked.pacs.quirks = Quirks(ignore_keys=("StudyDate",), cap=cap)
    linked.workspace.probe("pacs")
    coverage = linked.workspace.find("pacs", date=PAST).attrs["qrkit"]["coverage"]
    assert f"the node returned only {cap} rows. The node ignores StudyDate" in coverage["why"][0]


_UID = ("StudyInstanceUID",)


@pytest.mark.parametrize("quirks", [Quirks(omit_keys=_UID, cap=25), Quirks(blank_keys=_UID, cap=25)])
def test_rows_without_unique_keys_of_a_node_with_a_cap_are_not_called_all(linked: Linked, quirks: Quirks) -> None:
    linked.pacs.quirks = quirks
    frame = linked.workspace.find("pacs", date=PAST)
    assert len(frame) == linked.hospital.size
    (why,) = frame.attrs["qrkit"]["coverage"]["why"]
    assert f"{len(frame)} rows without StudyInstanceUID cannot be distinguished" in why


@pytest.mark.parametrize(
    "quirks", [Quirks(omit_keys=_UID), Quirks(blank_keys=_UID), Quirks(omit_keys=_UID, duplicate_answers=True)]
)
def test_rows_without_unique_keys_count_once_each(linked: Linked, quirks: Quirks) -> None:
    studies = [study for study in all_studies(linked.hospital) if study.AccessionNumber][:6]
    uids, numbers = ([getattr(study, key) for study in studies] for key in ("StudyInstanceUID", "AccessionNumber"))
    frame = found(linked, quirks, date=None, study_uid=uids)
    assert (len(frame), frame["AccessionNumber"].nunique()) == (6, 6)
    assert frame.attrs["qrkit"]["coverage"]["requests"] == 1
    assert len(found(linked, quirks, date=None, accession=numbers)) == 6
    assert len(found(linked, quirks, modalities=["CT", "SR"])) == len(
        found(linked, Quirks(), modalities=["CT", "SR"])
    )


@pytest.mark.parametrize("cap", [3, 7, 19])
def test_few_rows_at_a_node_of_unknown_cap_are_an_assumption_until_it_returns_more(linked: Linked, cap: int) -> None:
    frame = found(linked, Quirks(cap=cap), date=PAST)
    coverage = frame.attrs["qrkit"]["coverage"]
    assert (len(frame), coverage["requests"]) == (cap, 1)
    assert coverage["assumptions"] == [f"the node has no cap of {cap} rows, as no larger result was seen"]
    assert len(found(linked, Quirks(), date=PAST)) == linked.hospital.size
    patient = all_studies(linked.hospital)[0].patient.PatientID
    again = found(linked, Quirks(), date=None, patient_id=patient).attrs["qrkit"]["coverage"]
    assert (again["assumptions"], again["requests"]) == ([], 1)


def test_a_node_that_aborts_every_query_is_asked_for_one_study_a_few_times(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(find_abort_after=0)
    with pytest.raises(AssociationAborted):
        linked.workspace.find("pacs", study_uid=all_studies(linked.hospital)[0].StudyInstanceUID)
    assert sum(request.service == "C-FIND" for request in linked.pacs.requests) <= 4


def test_a_list_that_was_refused_is_not_tried_again(linked: Linked) -> None:
    uids = [study.StudyInstanceUID for study in all_studies(linked.hospital)[:3]]
    frames = [found(linked, Quirks(refuse_uid_lists=True), date=None, study_uid=uids) for _ in range(2)]
    assert [frame.attrs["qrkit"]["coverage"]["requests"] for frame in frames] == [4, 3]
    profile = linked.workspace.profile("pacs")
    assert profile is not None
    assert profile.verdict(Subject.UID_LISTS) is Verdict.REFUSED


@pytest.mark.slow
def test_patients_whom_a_node_says_are_too_many_are_found_by_their_dates_of_birth_or_it_says_what_to_give(
    linked: Linked,
) -> None:
    linked.workspace.nodes.edit("pacs", information_model="patient-root")
    everybody = {study.patient.PatientID for study in all_studies(linked.hospital)}
    frame = found(linked, Quirks(cap=20, cap_mode="status"), level="PATIENT", date=None)
    assert set(frame["PatientID"]) == everybody
    assert "without PatientBirthDate" in frame.attrs["qrkit"]["coverage"]["why"][-1]
    assert linked.workspace.probe("pacs").honours("wildcards")
    frame = found(linked, Quirks(cap=20, cap_mode="status"), level="PATIENT", date=None)
    assert (set(frame["PatientID"]), frame.attrs["qrkit"]["coverage"]["complete"]) == (everybody, True)
    with pytest.raises(StatusError, match="Give a PatientID, a PatientName such as"):
        found(linked, Quirks(find_status=0xA700), level="PATIENT", date=None)


def test_of_many_requests_a_few_are_asked_of_a_node_that_refuses_them(linked: Linked) -> None:
    uids = [study.StudyInstanceUID for study in all_studies(linked.hospital)[:40]]
    with pytest.raises(StatusError, match="0xC001"):
        found(linked, Quirks(find_status=0xC001), level="SERIES", date=None, study_uid=uids)
    assert len(linked.pacs.requests) == 10  # two of them show that no key is the cause


def test_keys_that_are_left_out_are_warned_of_if_the_standard_requires_them(linked: Linked) -> None:
    frame = found(linked, Quirks(omit_keys=("AccessionNumber", "StudyDescription")))
    assert frame[["AccessionNumber", "StudyDescription"]].isna().all(axis=None)
    told = frame.attrs["qrkit"]["warnings"]
    assert {(one["keyword"], one["why"]) for one in told} == {("AccessionNumber", "not returned")}
    assert len(told) == len(frame) == of_day(linked)


def test_keys_that_come_empty_are_missing_values_and_a_filter_counts_them(linked: Linked) -> None:
    frame = found(linked, Quirks(blank_keys=("StudyDescription",)), description_include="ct")
    assert frame["StudyDescription"].isna().all()
    assert reports(frame)["description include"]["blank_kept"] == len(frame) == of_day(linked)


def test_series_without_modality_are_all_kept_and_the_answer_says_so(linked: Linked) -> None:
    frame = found(linked, Quirks(missing_modality=True), level="SERIES", modalities="CT")
    assert reports(frame)["Modality"]["blank_kept"] == len(frame) > 0


def reports(frame: pd.DataFrame) -> Mapping[str, Mapping[str, Any]]:
    return {one["filter"]: one for one in frame.attrs["qrkit"]["coverage"]["filters"]}


@pytest.mark.slow
def test_wildcards_that_a_node_is_known_to_take_for_letters_are_matched_here_within_dates_else_unproven(
    linked: Linked,
) -> None:
    linked.pacs.quirks = quirks = Quirks(ignore_wildcards=True)
    seen = Statement(subject=Subject.WILDCARDS, verdict=Verdict.IGNORED, evidence="CT* found 0 of 3")
    profile = Profile(node="pacs", probed="2026-07-01T08:00:00+00:00", statements=(seen,))
    ProfileTable(linked.workspace._state).add(profile, "test")
    frame = linked.workspace.find("pacs", patient_id="Q10*")
    told = frame.attrs["qrkit"]["coverage"]
    assert (len(frame), told["complete"]) == (0, False)
    assert "does not match the wildcards in PatientID; give dates, to match them here" in told["why"][0]
    assert linked.workspace.queries.list()["complete"].tolist() == [False]
    dated = found(linked, quirks, patient_id="Q10*")
    honest = found(linked, Quirks(), patient_id="Q10*")
    assert len(honest) > 0
    assert dated["StudyInstanceUID"].tolist() == honest["StudyInstanceUID"].tolist()
    assert dated.attrs["qrkit"]["coverage"]["complete"]
    assert reports(dated)["PatientID"]["where"] == "local"
    here = found(linked, quirks, description_include="ct", blank="drop")
    assert len(here) > 0
    assert here.attrs["qrkit"]["coverage"]["complete"]


@pytest.mark.slow
def test_nothing_for_a_wildcard_is_checked_at_a_node_that_was_never_probed(linked: Linked) -> None:
    honest = found(linked, Quirks(), patient_id="Q10*")
    nothing = found(linked, Quirks(), patient_id="NOBODY*")
    told = nothing.attrs["qrkit"]["coverage"]
    assert (len(nothing), told["complete"], told["why"]) == (0, True, [])
    assert "the node matches wildcards, as in this test: the first 6 letters" in told["assumptions"][-1]
    again = found(linked, Quirks(), patient_id="NOBODY*").attrs["qrkit"]["coverage"]
    assert (told["requests"] > 1, again["requests"], again["complete"]) == (True, 1, True)
    linked.workspace.doubt_profile("pacs", "the next lines are of another PACS")
    checked = found(linked, Quirks(ignore_wildcards=True), patient_id="Q10*")
    assert checked["StudyInstanceUID"].tolist() == honest["StudyInstanceUID"].tolist()
    told = checked.attrs["qrkit"]["coverage"]
    assert (told["complete"], told["load"]["requests"]) == (True, told["requests"])
    assert 4 <= told["requests"] <= 8
    assert told["load"]["answers"] > len(checked)
    undated = linked.workspace.find("pacs", patient_id="Q10*").attrs["qrkit"]["coverage"]
    assert not undated["complete"]
    assert "does not match the wildcards in PatientID; give dates" in undated["why"][-1]
    linked.pacs.quirks = Quirks(ignore_wildcards=True, omit_keys=("StudyDescription",))
    unknown = linked.workspace.find("pacs", patient_id="Q10*").attrs["qrkit"]["coverage"]
    assert not unknown["complete"]
    assert "whether the node matches any is not known" in unknown["why"][-1]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_nothing_by_letters_that_a_node_may_compare_as_bytes_is_matched_here(linked: Linked, level: str) -> None:
    honest = found(linked, Quirks(names_in_other_script=True), level=level)
    name = honest["PatientName"][0]
    assert not name.isascii()
    wanted = honest[honest["PatientName"] == name]
    frame = linked.workspace.find("pacs", date=DAY, level=level, patient_name=f"*{name[1:]}")
    coverage = frame.attrs["qrkit"]["coverage"]
    assert len(frame) == len(wanted) > 0
    assert (coverage["complete"], coverage["load"]["requests"]) == (True, coverage["requests"])
    assert "The node found nothing by PatientName; qrkit matched that here." in coverage["notes"]
    nobody = linked.workspace.find("pacs", date=DAY, level=level, patient_name="*Müßig*").attrs["qrkit"]["coverage"]
    assert (nobody["complete"], nobody["filters"][0]["after"]) == (True, 0)


@pytest.mark.slow
def test_nothing_by_letters_beyond_ascii_in_a_whole_archive_is_doubted(linked: Linked) -> None:
    for what in ({"date": None}, {"date": "2020-01-01/2026-06-30"}):
        linked.workspace.probe("pacs")
        coverage = found(linked, Quirks(), patient_name="*Müßig*", **what).attrs["qrkit"]["coverage"]
        assert "letters beyond ASCII in PatientName, which the node may compare as bytes" in coverage["why"][-1]
        assert "give at most 31 days" in coverage["why"][-1]
    in_ascii = found(linked, Quirks(), patient_name="nobody", date=None).attrs["qrkit"]["coverage"]
    assert (in_ascii["complete"], in_ascii["assumptions"]) == (True, ["the node ignores case in PatientName"])


@pytest.mark.parametrize(
    ("verdict", "said"), [(Verdict.UNKNOWN, "the node refuses lists"), (Verdict.REFUSED, "by its profile")]
)
def test_a_list_of_uids_that_is_refused_is_asked_uid_by_uid(linked: Linked, verdict: Verdict, said: str) -> None:
    uids = [study.StudyInstanceUID for study in all_studies(linked.hospital)[:3]]
    if verdict is not Verdict.UNKNOWN:
        seen = Statement(subject=Subject.UID_LISTS, verdict=verdict, evidence="0xA900")
        profile = Profile(node="pacs", probed="2026-07-01T08:00:00+00:00", statements=(seen,))
        ProfileTable(linked.workspace._state).add(profile, "test")
    frame = found(linked, Quirks(refuse_uid_lists=True), date=None, study_uid=uids)
    coverage = frame.attrs["qrkit"]["coverage"]
    assert sorted(frame["StudyInstanceUID"]) == sorted(uids)
    assert (coverage["complete"], coverage["requests"]) == (True, 3 + (verdict is Verdict.UNKNOWN))
    assert said in coverage["ignored"][0]


def test_of_a_list_of_uids_one_that_did_not_come_is_asked_for_alone(linked: Linked) -> None:
    uids = [study.StudyInstanceUID for study in all_studies(linked.hospital)[:3]]
    frame = found(linked, Quirks(), date=None, study_uid=[*uids, "1.2.3.4"])
    coverage = frame.attrs["qrkit"]["coverage"]
    assert sorted(frame["StudyInstanceUID"]) == sorted(uids)
    assert (coverage["complete"], coverage["requests"], coverage["ignored"]) == (True, 2, [])


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["CT", "SR"])
def test_images_that_are_counted_but_not_listed_leave_the_answer_unproven(linked: Linked, modality: str) -> None:
    series = found(linked, Quirks(), level="SERIES", modalities=modality)
    coverage = found(linked, Quirks(no_instances_of=(modality,)), level="IMAGE", date=DAY).attrs["qrkit"]["coverage"]
    count = int(series["NumberOfSeriesRelatedInstances"].sum())
    assert len(series) > 0
    assert not coverage["complete"]
    assert f"{count:,} of {count:,} images were not returned: {len(series)} series ha" in coverage["why"][0]


@pytest.mark.slow
def test_objects_without_sop_class_are_kept_and_each_is_warned_of(linked: Linked) -> None:
    frame = found(linked, Quirks(no_sop_class=True), level="IMAGE")
    told = frame.attrs["qrkit"]["warnings"]
    assert len(frame) == len(found(linked, Quirks(), level="IMAGE"))
    assert frame["SOPClassUID"].isna().all()
    assert {one["keyword"] for one in told} == {"SOPClassUID"}
    assert len(told) == len(frame)


@pytest.mark.slow
def test_decimal_counts_are_whole_numbers_and_text_in_the_wrong_character_set_is_text(linked: Linked) -> None:
    frame = found(linked, Quirks(decimal_integers=True, wrong_charset=True))
    right = found(linked, Quirks())
    assert frame["NumberOfStudyRelatedInstances"].equals(right["NumberOfStudyRelatedInstances"])
    odd = {one["row"] for one in frame.attrs["qrkit"]["warnings"] if one["keyword"] == "PatientName"}
    assert odd == {row for row, name in enumerate(right["PatientName"]) if not name.isascii()}
    assert odd
    assert frame["PatientName"].notna().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("term", "is_readable"),
    [("ISO_IR 100", True), ("none", True), ("ISO 2022 IR 192", False), ("\\GB18030", False), ("KLINGON", True)],
)
def test_text_is_read_whatever_character_set_is_named_for_it(linked: Linked, term: str, is_readable: bool) -> None:  # noqa: FBT001
    names = found(linked, Quirks(), date=PAST)["PatientName"]
    frame = found(linked, Quirks(named_charset=term), date=PAST)
    odd = {one["row"] for one in frame.attrs["qrkit"]["warnings"]}
    same = frame["PatientName"] == names
    assert not set(names.index[~same]) - odd
    assert same.all() or not is_readable


def test_the_table_has_every_switch_once_and_each_line_a_test() -> None:
    assert [switch for switch, _ in LINES] == list(Quirks.descriptions())
    assert all(re.search(r"`tests/\S+\.py::\w+`", cell) for _, cell in LINES)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_test_that_the_table_names_is_there(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text("utf-8")
