"""Values of lists without a row: only what was provably answered by nothing was not found."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from qrkit.errors import AssociationAborted
from qrkit.find.asked_values import AskedValues, MissingValues, missing_from_all, without_wildcards
from qrkit.find.windowed import WindowedAnswer
from qrkit.node import InformationModel
from qrkit.query import Coverage, Query, Request
from qrkit.simulator import Quirks
from qrkit.tables import Level
from tests.workspace.opened import Linked, all_studies

ROOT = InformationModel.STUDY_ROOT
ACCESSION = "AccessionNumber"


def answered(*values: str | None, doubts: Sequence[str] = (), failed: bool = False) -> WindowedAnswer:
    table = pa.table(
        {"StudyInstanceUID": [f"1.{row}" for row in range(len(values))], ACCESSION: pa.array(values, pa.string())}
    )
    return WindowedAnswer(table=table, error=AssociationAborted("aborted") if failed else None, doubts=tuple(doubts))


def of_values(**answers: WindowedAnswer) -> MissingValues:
    """What is missing, where each value had a request of its own."""
    query = Query(level=Level.STUDY, keys=((ACCESSION, "\\".join(answers)),))
    values = AskedValues(query, ROOT)
    requests = [Request(level=Level.STUDY, keys=((ACCESSION, value),)) for value in answers]
    values.take(requests, list(answers.values()))
    return values.missing()


def test_a_value_is_not_found_only_if_its_request_was_answered_by_nothing() -> None:
    missing = of_values(
        A1=answered("A1"),
        A2=answered(),
        A3=answered(failed=True),
        A4=answered(doubts=["cut off"]),
        A5=answered("a5"),
        A6=answered(None, None),
        A7=answered("A7", failed=True),
    )
    assert missing.not_found == ((ACCESSION, ("A2",)),)
    assert missing.unanswered == ((ACCESSION, ("A3", "A4")),)
    assert missing.not_returned == ((ACCESSION, ("A5", "A6")),)


def one_search(answer: WindowedAnswer, *, is_ignored: bool, level: Level = Level.STUDY) -> MissingValues:
    """What is missing of A1 and A2, asked for by one search, with or without the first value as a key."""
    query = Query(level=Level.STUDY, keys=((ACCESSION, "A1\\A2"),))
    values = AskedValues(query, ROOT)
    values.take([Request(level=level, keys=((ACCESSION, "A1"),) if is_ignored else ())], [answer])
    return values.missing(ignored=[ACCESSION] if is_ignored else [])


@pytest.mark.parametrize("is_ignored", [True, False])
def test_one_search_for_all_values_answers_for_all(*, is_ignored: bool) -> None:
    assert one_search(answered("A1", None), is_ignored=is_ignored).not_found == ((ACCESSION, ("A2",)),)
    assert one_search(answered("B1"), is_ignored=is_ignored).not_found == ((ACCESSION, ("A1", "A2")),)
    cut_off = one_search(answered("A1", doubts=["cut off"]), is_ignored=is_ignored)
    assert (cut_off.not_found, cut_off.unanswered) == ((), ((ACCESSION, ("A2",)),))


def test_a_search_in_which_no_row_has_the_key_tells_nothing_of_the_values() -> None:
    assert one_search(answered(None, None), is_ignored=False).not_returned == ((ACCESSION, ("A1", "A2")),)


def test_what_is_below_the_rows_of_the_values_does_not_matter() -> None:
    below = one_search(answered(failed=True), is_ignored=False, level=Level.SERIES)
    assert below == MissingValues(not_found=((ACCESSION, ("A1", "A2")),))


def test_wildcards_that_the_node_does_not_match_are_not_answered() -> None:
    coverage = Coverage(not_found=((ACCESSION, ("A*", "B1")),))
    missing = without_wildcards(coverage, [ACCESSION])
    assert (missing.not_found, missing.unanswered) == (((ACCESSION, ("B1",)),), ((ACCESSION, ("A*",)),))


def test_a_value_that_one_of_several_queries_found_is_not_missing() -> None:
    none = Coverage(not_found=((ACCESSION, ("A1", "A2")),))
    assert missing_from_all([none, Coverage()]) == MissingValues()
    assert missing_from_all([none, Coverage(not_found=((ACCESSION, ("A2",)),))]).not_found == ((ACCESSION, ("A2",)),)


@pytest.mark.parametrize("quirks", [Quirks(omit_keys=(ACCESSION,)), Quirks(blank_keys=(ACCESSION,))])
def test_values_with_rows_that_do_not_have_them_are_not_called_not_found(linked: Linked, quirks: Quirks) -> None:
    linked.pacs.quirks = quirks
    asked = [study.AccessionNumber for study in all_studies(linked.hospital) if study.AccessionNumber][:2]
    frame = linked.workspace.find("pacs", accession=[*asked, "NOSUCH"])
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["not_found"] == {ACCESSION: ["NOSUCH"]}
    assert coverage["not_returned"] == {ACCESSION: asked}
    assert "Rows were returned for 2 AccessionNumber values of the list, but none has the value." in str(coverage)


def test_values_that_a_local_filter_removes_are_neither_not_found_nor_not_returned(linked: Linked) -> None:
    known = [study.AccessionNumber for study in all_studies(linked.hospital) if study.AccessionNumber][:3]
    frame = linked.workspace.find("pacs", accession=[*known, "NOSUCH"], description_include=["no such description"])
    assert frame.empty
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["not_found"] == {ACCESSION: ["NOSUCH"]}
    assert not {"not_returned", "unanswered"} & set(coverage)


def numbers_of(linked: Linked, *, is_ct: bool) -> list[str]:
    """AccessionNumbers whose studies all have, or do not have, CT."""
    studies = [study for study in all_studies(linked.hospital) if study.AccessionNumber]
    of_ct = {study.AccessionNumber for study in studies if "CT" in study.ModalitiesInStudy}
    others = {study.AccessionNumber for study in studies} - of_ct
    return sorted(of_ct if is_ct else others)[:3]


@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
@pytest.mark.parametrize("model", ["study-root", "patient-root"])
def test_values_of_studies_that_the_modalities_exclude_are_told_apart(linked: Linked, level: str, model: str) -> None:
    linked.workspace.nodes.edit("pacs", information_model=model)
    of_ct, others = numbers_of(linked, is_ct=True), numbers_of(linked, is_ct=False)
    frame = linked.workspace.find("pacs", level=level, accession=[*of_ct, *others, "NOSUCH"], modalities=["CT"])
    coverage = frame.attrs["qrkit"]["coverage"]
    assert coverage["not_found"] == {ACCESSION: ["NOSUCH"]}
    assert coverage["excluded"] == {ACCESSION: others}
    assert set(frame[ACCESSION]) == set(of_ct) if level == "STUDY" else not frame.empty
    alone = linked.workspace.find("pacs", level=level, accession=others[0], modalities=["CT"])
    assert alone.attrs["qrkit"]["coverage"]["excluded"] == {ACCESSION: others[:1]}
    assert "exclude all studies of 1 AccessionNumber value" in str(alone.attrs["qrkit"]["coverage"])


@pytest.mark.parametrize("quirks", [Quirks(no_match_by_modalities=True), Quirks(ignore_keys=("ModalitiesInStudy",))])
def test_values_that_the_modalities_exclude_are_told_where_the_node_does_not_match_these(
    linked: Linked, quirks: Quirks
) -> None:
    of_ct, others = numbers_of(linked, is_ct=True), numbers_of(linked, is_ct=False)
    linked.pacs.quirks = quirks
    frame = linked.workspace.find("pacs", accession=[*of_ct, *others, "NOSUCH"], modalities=["CT"])
    coverage = frame.attrs["qrkit"]["coverage"]
    assert set(frame[ACCESSION]) == set(of_ct)
    assert coverage["excluded"] == {ACCESSION: others}
    assert coverage["not_found"] == {ACCESSION: ["NOSUCH"]}


@pytest.mark.parametrize("groups", ["CT", "CT,FL"])
def test_a_plan_tells_values_of_other_modalities_from_unknown_ones(linked: Linked, groups: str) -> None:
    of_ct = numbers_of(linked, is_ct=True)
    others = [
        study.AccessionNumber
        for study in all_studies(linked.hospital)
        if study.AccessionNumber and set(study.ModalitiesInStudy) <= {"MR", "US"}
    ][:3]
    plan = linked.workspace.plan("pacs", dose=groups, accession=[*of_ct, *others, "NOSUCH"])
    coverage = plan.to_json()["coverage"]
    assert coverage["not_found"] == {ACCESSION: ["NOSUCH"]}
    assert coverage["excluded"] == {ACCESSION: others}
    assert linked.workspace.plans[plan.plan_id].to_json()["coverage"] == coverage


def test_values_that_are_asked_for_alone_without_an_answer_are_unanswered() -> None:
    missing = MissingValues(not_found=((ACCESSION, ("A1", "A2", "A3", "A*")), ("PatientID", ("1",))))
    query = Query(keys=((ACCESSION, "A1\\A2\\A3"),))
    alone = MissingValues(not_found=((ACCESSION, ("A1",)),), unanswered=((ACCESSION, ("A2",)),))
    assert missing.with_answers_alone(query, alone) == MissingValues(
        not_found=(("PatientID", ("1",)), (ACCESSION, ("A*", "A1"))),
        excluded=((ACCESSION, ("A3",)),),
        unanswered=((ACCESSION, ("A2",)),),
    )


@pytest.mark.parametrize("patients", [["P1", None], ["P1", " "], None])
def test_a_value_that_may_belong_to_a_patient_without_an_id_is_unanswered(patients: list[str | None] | None) -> None:
    values = AskedValues(Query(keys=((ACCESSION, "A1\\A2"),)), InformationModel.PATIENT_ROOT)
    table = pa.table({"PatientName": ["A", "B"]} if patients is None else {"PatientID": patients})
    values.take([Request(level=Level.PATIENT)], [WindowedAnswer(table=table)])
    below = [Request(level=Level.STUDY, keys=(("PatientID", "P1"), (ACCESSION, value))) for value in ("A1", "A2")]
    values.take(below, [answered("A1"), answered()])
    assert values.missing() == MissingValues(unanswered=((ACCESSION, ("A2",)),))


@pytest.mark.parametrize("quirks", [Quirks(omit_keys=("PatientID",)), Quirks(blank_keys=("PatientID",))])
@pytest.mark.parametrize("more", [{}, {"modalities": ["CT"]}, {"date": ("2026-06-01", "2026-06-30")}])
def test_values_below_patients_without_a_patient_id_are_unanswered(
    linked: Linked, quirks: Quirks, more: dict[str, Any]
) -> None:
    linked.workspace.nodes.edit("pacs", information_model="patient-root")
    linked.pacs.quirks = quirks
    studies = [study for study in all_studies(linked.hospital) if study.AccessionNumber][:3]
    for keyword in (ACCESSION, "StudyInstanceUID"):
        asked = [getattr(study, keyword) for study in studies]
        given: dict[str, Any] = {keyword: asked, **more}
        frame = linked.workspace.find("pacs", **given)
        coverage = frame.attrs["qrkit"]["coverage"]
        assert coverage["unanswered"] == {keyword: asked}
        assert not {"not_found", "excluded", "not_returned"} & set(coverage)
        assert not coverage["complete"]


def test_values_that_a_node_does_not_answer_alone_are_unanswered(linked: Linked) -> None:
    services = linked.workspace._services
    node, finder = services.nodes.get("pacs"), services.finder
    query = Query(keys=((ACCESSION, "A1"), ("ModalitiesInStudy", "CT")))
    linked.pacs.quirks = Quirks(find_status=0xC001)
    missing, _ = finder.explain(node, query, MissingValues(not_found=((ACCESSION, ("A1",)),)))
    assert missing == MissingValues(unanswered=((ACCESSION, ("A1",)),))
