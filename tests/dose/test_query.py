"""What a plan is asked for: groups or SR only, options, and the query for its studies."""

from collections.abc import Callable
from datetime import date

import pytest

from qrkit.dose import DoseQuery, ask_codes, build_dose_query
from qrkit.dose.query import ANY_CODE
from qrkit.errors import InputError
from qrkit.profile import Verdict
from qrkit.tables import Level

TODAY = date(2026, 2, 1)


def asked(**given: object) -> DoseQuery:
    return build_dose_query(today=TODAY, **given)  # type: ignore[arg-type]  # as people give it


def test_codes_are_asked_in_the_order_of_the_groups() -> None:
    query = asked(dose="nm,fl,mg,dx,ct", date="today")
    assert query.codes == ("CT", "MG", "RF", "XA", "DX", "CR", "PX", "DR", "IO", "RG", "NM", "PT")
    assert asked(dose=["FL", "CT"], date="today").codes == ("CT", "RF", "XA")
    assert asked(sr_only=True, date="today").codes == ("SR",)


def test_everything_is_off_unless_it_is_asked_for() -> None:
    query = asked(dose="CT", date="today")
    assert (query.sr_only, query.options, query.refetch) == (False, frozenset(), False)
    query = asked(dose="CT", date="today", toshiba=True, empty_sr=True, refetch=True)
    assert (sorted(query.options), query.refetch) == (["empty_sr", "toshiba"], True)


def test_dates_may_be_open_and_swapped_and_stations_are_those_of_series() -> None:
    assert (
        asked(dose="CT", date_from="20260110").query.dates == asked(dose="CT", date=(TODAY, "2026-01-10")).query.dates
    )
    assert asked(dose="CT", date_until="2026-01-10").query.to_json()["dates"] == ["1900-01-01", "2026-01-10"]
    assert asked(dose="CT", date="today", station_include="ct1").query.filters.station_level is Level.SERIES
    by_study = asked(dose="CT", date="today", station_include="ct1", station_level="study")
    assert by_study.query.filters.station_level is Level.STUDY


def test_no_date_is_refused_unless_the_whole_archive_is_meant_or_something_else_narrows_it() -> None:
    with pytest.raises(InputError, match="whole archive"):
        asked(dose="CT", description_include="chest")
    with pytest.raises(InputError, match="whole archive"):
        asked(dose="CT", patient_id="Q*")
    assert asked(dose="CT", whole_archive=True).query.dates is None
    for narrow in ({"accession": "A1"}, {"study_uid": "1.2"}, {"patient_id": "Q1"}, {"StudyDate": "20260101-"}):
        assert asked(dose="CT", **narrow).query.keys


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "The plan has no dose group"),
        ({"dose": ""}, "The plan has no dose group"),
        ({"dose": "CT", "sr_only": True}, "both dose groups and SR only"),
        ({"dose": "CT,OCT"}, "There is no dose group OCT"),
        ({"dose": 5}, "list of texts"),
        ({"dose": "CT", "level": "SERIES"}, "level is not an argument of a plan"),
        ({"dose": "CT", "series_uid": "1.2"}, "series_uid is not an argument of a plan"),
        ({"dose": "CT", "return_keys": ["KVP"]}, "return_keys is not an argument of a plan"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        asked(date="today", **given)


def test_it_is_kept_as_plain_values_and_read_again() -> None:
    query = asked(dose="CT", date="today", toshiba=True, description_exclude="imported", PatientID="Q*")
    assert DoseQuery.from_json(query.to_json()) == query
    with pytest.raises(InputError, match="cannot be read"):
        DoseQuery.from_json({"groups": ["CT"]})


STUDIES = {"1": "CT SR", "2": "MR", "3": "CT", "4": "MG", "5": "RF", "6": "PT CT", "7": "DX"}
CODES = ("CT", "MG", "RF", "XA", "DX", "CR", "PX", "NM", "PT")

Pacs = Callable[[str], dict[str, frozenset[str]]]


def honours(code: str) -> dict[str, frozenset[str]]:
    return {uid: frozenset(codes.split()) for uid, codes in STUDIES.items() if code in codes.split()}


def ignores(_: str) -> dict[str, frozenset[str]]:
    return {uid: frozenset(codes.split()) for uid, codes in STUDIES.items()}


def honours_silently(code: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(honours(code), frozenset())


def ignores_silently(_: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(STUDIES, frozenset())


def honours_with_a_blank_row(code: str) -> dict[str, frozenset[str]]:
    return {"0": frozenset(), **honours(code)}


def honours_with_an_odd_row(code: str) -> dict[str, frozenset[str]]:
    return {**honours(code), **({"9": frozenset({"US"})} if code == "CT" else {})}


def answers_synonyms(code: str) -> dict[str, frozenset[str]]:
    return {"8": frozenset({"CR"})} if code in ("DX", "CR") else honours(code)


def sent_codes(
    pacs: Pacs, codes: tuple[str, ...] = CODES, known: Verdict = Verdict.UNKNOWN
) -> tuple[list[str], Verdict]:
    asking = ask_codes(codes, known)
    sent = [next(asking)]
    while True:
        try:
            sent.append(asking.send(pacs(sent[-1])))
        except StopIteration as end:
            return sent, end.value


@pytest.mark.parametrize(
    "pacs", [honours, honours_silently, honours_with_a_blank_row, honours_with_an_odd_row, answers_synonyms]
)
def test_every_code_is_asked_where_the_key_is_honoured(pacs: Pacs) -> None:
    sent, matching = sent_codes(pacs)
    assert sent == list(CODES)
    assert matching is Verdict.HONOURED


@pytest.mark.parametrize("pacs", [ignores, ignores_silently])
def test_where_the_key_is_ignored_one_more_query_is_spent_to_be_sure(pacs: Pacs) -> None:
    assert sent_codes(pacs) == (["CT", "MG"], Verdict.IGNORED)


def test_codes_of_one_group_are_synonyms() -> None:
    sent, matching = sent_codes(answers_synonyms, ("DX", "CR", "PX"))
    assert (sent, matching) == (["DX", "CR", "PX"], Verdict.HONOURED)


def test_what_the_profile_knows_is_not_found_out_again() -> None:
    assert sent_codes(ignores, known=Verdict.IGNORED)[0] == ["CT"]
    assert sent_codes(ignores_silently, known=Verdict.HONOURED)[0] == list(CODES)


def test_no_answer_proves_nothing() -> None:
    def empty(_: str) -> dict[str, frozenset[str]]:
        return {}

    assert sent_codes(empty) == (list(CODES), Verdict.UNKNOWN)
    assert sent_codes(ignores, ("CT",)) == (["CT"], Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("every", "verdict"),
    [
        ({}, Verdict.HONOURED),
        ({"1": frozenset({"MR"})}, Verdict.HONOURED),
        ({"1": frozenset({"MR"}), "2": frozenset({"CT", "SR"})}, Verdict.IGNORED),
        ({"1": frozenset()}, Verdict.IGNORED),
    ],
    ids=["no studies", "other studies", "a study of the code", "a study without modalities"],
)
def test_no_studies_for_any_code_are_checked_by_one_query_without_the_key(
    every: dict[str, frozenset[str]], verdict: Verdict
) -> None:
    asking = ask_codes(("CT", "MG"), may_ask_all=True)
    sent = [next(asking), asking.send({}), asking.send({})]
    with pytest.raises(StopIteration) as end:
        asking.send(every)
    assert (sent, end.value.value) == (["CT", "MG", ANY_CODE], verdict)


def test_no_studies_are_not_checked_for_a_whole_archive_or_at_a_node_that_is_known_to_match_the_key() -> None:
    for asking in (ask_codes(("CT",)), ask_codes(("CT",), Verdict.HONOURED, may_ask_all=True)):
        next(asking)
        with pytest.raises(StopIteration):
            asking.send({})
