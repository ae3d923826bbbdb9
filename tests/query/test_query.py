"""A query as JSON, in words, and as the call and the command that ask it again."""

import json
from datetime import date
from typing import Any

import pytest

from qrkit.errors import InputError
from qrkit.query import Query, as_call, as_command, build_query, in_words

_TODAY = date(2026, 2, 1)
_ASKED: list[dict[str, Any]] = [
    {},
    {"modalities": "CT,PT", "date": ("2026-01-01", "2026-01-31"), "description_exclude": "imported, outside"},
    {"level": "series", "date": "today", "time": ("8:00", "23:59"), "PatientName": "O'HARA^*"},
    {"date": "today", "time_from": "0830"},
    {"level": "image", "study_uid": "1.2.3", "series_uid": "1.2.3.4", "return_keys": "Rows,00191001"},
    {"level": "series", "station_include": "CT 1,CT2", "station_level": "study", "blank": "drop"},
    {"(0019,100A)": "x y", "PatientSex": "F", "study_uid": ["1.2", "1.3"]},
    {"accession": "A1,A2", "patient_id": ["Q,1"]},
]


def _asked_again(node: str, query: Query) -> Query:
    """Return what the call in `as_call` asks."""
    seen: list[tuple[str, dict[str, object]]] = []

    class Workspace:
        def find(self, name: str, **what: object) -> None:
            seen.append((name, what))

    eval(as_call(node, query), {"ws": Workspace()})  # noqa: S307 - our own code
    ((name, what),) = seen
    assert name == node
    return build_query(today=date(1999, 1, 1), **what)


@pytest.mark.parametrize("asked", _ASKED)
def test_the_call_asks_the_same_again(asked: dict[str, Any]) -> None:
    query = build_query(today=_TODAY, **asked)
    assert _asked_again("my 'pacs'", query).to_json() == query.to_json()


def test_the_command_separates_several_values_by_commas() -> None:
    query = build_query(today=_TODAY, accession=["A1", "A,2"], patient_name="DOE,J")
    assert as_command("pacs", query) == "qrkit find pacs --key 'AccessionNumber=A1,A?2' --key PatientName=DOE,J"


def test_the_command_is_quoted_for_a_shell() -> None:
    query = build_query(today=_TODAY, level="series", PatientName="O'HARA^*", station_include="CT 1,b")
    assert as_command("main pacs", query) == (
        "qrkit find 'main pacs' --level series --key 'PatientName=O'\"'\"'HARA^*' "
        "--station-include 'CT 1,b' --station-level series"
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "studies"),
        ({"level": "series", "modalities": "SR"}, "SR series"),
        ({"date": ("2026-01-01", "2026-01-31"), "modalities": "CT"}, "CT studies of 2026-01-01 to 2026-01-31"),
        ({"date": "today", "time": ("8:00", "12:30")}, "studies of 2026-02-01 from 08:00 to 12:30"),
        (
            {"station_include": "a,b", "description_exclude": "c"},
            "studies, description without c, station with a or b",
        ),
    ],
)
def test_a_query_is_told_as_people_say_it(asked: dict[str, Any], words: str) -> None:
    assert in_words(build_query(today=_TODAY, **asked)) == words


def _built(**given: object) -> Query:
    return build_query(today=_TODAY, **given)


def test_a_query_without_keys_and_dates_asks_for_the_whole_archive() -> None:
    assert _built(modalities="CT").is_open
    assert not _built(date="today").is_open


@pytest.mark.parametrize(
    "query",
    [
        _built(),
        _built(
            level="series",
            modalities=["CT", "MR"],
            date="2026-01-31",
            time=("8:00", "12:00:00.5"),
            patient_name="Dö*",
            study_uid=["1.2", "1.3"],
            description_include="a,b",
            station_exclude="c",
            station_level="study",
            blank="drop",
            return_keys=["0019100A", "KVP"],
        ),
    ],
)
def test_a_query_comes_back_from_its_json(query: Query) -> None:
    assert Query.from_json(json.loads(json.dumps(query.to_json()))) == query


@pytest.mark.parametrize(
    "kept",
    [
        {"level": "STUDY", "new": 1},
        {"filters": {"new": 1}},
        {"dates": ["2026-01-01"]},
        {"dates": ["x", "y"]},
        {"keys": ["PatientID"]},
        {"level": "X"},
    ],
)
def test_json_that_is_no_query_is_an_error(kept: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Query.from_json(kept)
