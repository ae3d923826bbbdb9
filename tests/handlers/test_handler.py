"""Handlers as a site writes them: what is wrong is named before anything runs."""

from pathlib import Path

import pytest

from qrkit.errors import InputError
from qrkit.handlers import Handler, Rule, Series, arguments, chosen, handlers_from


def test_a_handler_is_read_from_its_table() -> None:
    (handler,) = handlers_from(
        [
            {
                "name": "deid",
                "command": ["/opt/deid", "--in", "{list}"],
                "modality": ["CT", "MR"],
                "station": "CT*",
                "level": "series",
                "automatic": False,
                "time_limit": 30,
                "attempts": 2,
            }
        ]
    )
    assert handler == Handler(
        name="deid",
        command=("/opt/deid", "--in", "{list}"),
        rule=Rule(modality=("CT", "MR"), station=("CT*",), level=("SERIES",)),
        automatic=False,
        time_limit=30,
        attempts=2,
    )
    assert handler.way == "command"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"copy_to": "/srv"}, "name"),
        ({"name": "a,b", "copy_to": "/srv"}, "no comma"),
        ({"name": "x"}, "needs one of copy_to, command, send_to, call; it has 0"),
        ({"name": "x", "copy_to": "/srv", "send_to": "pacs"}, "it has 2"),
        ({"name": "x", "copy_too": "/srv"}, "has no copy_too; it may have name, copy_to"),
        ({"name": "x", "command": "rm -rf"}, "command of handler 'x' is a list of texts"),
        ({"name": "x", "command": ["run", "{PatientID}"]}, "placeholder {PatientID}, which is none"),
        ({"name": "x", "command": ["{folder}"]}, "begins with the program"),
        ({"name": "x", "command": ["run", "--in={files}"]}, "stands alone"),
        ({"name": "x", "command": ["run", "{"]}, "brace that stands alone"),
        ({"name": "x", "command": ["run", "{count!r}"]}, "a name in braces"),
        ({"name": "x", "call": "os.system"}, "package.module:function"),
        ({"name": "x", "call": "os:system('x')"}, "package.module:function"),
        ({"name": "x", "copy_to": "/srv", "time_limit": 0}, "more than 0 seconds"),
        ({"name": "x", "copy_to": "/srv", "time_limit": "1"}, "a number of seconds"),
        ({"name": "x", "copy_to": "/srv", "attempts": 0}, "at least 1 attempt"),
        ({"name": "x", "copy_to": "/srv", "attempts": True}, "a whole number"),
        ({"name": "x", "copy_to": "/srv", "automatic": 1}, "true or false"),
        ({"name": "x", "copy_to": "/srv", "level": "PATIENT"}, "level of handler 'x' is STUDY"),
        ({"name": "x", "copy_to": 5}, "is a text"),
    ],
)
def test_what_is_wrong_with_a_handler_is_named(table: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        handlers_from([table])
    assert said in str(caught.value)


@pytest.mark.parametrize("tables", [{"name": "x"}, ["x"], 5])
def test_something_else_than_tables_is_an_error(tables: object) -> None:
    with pytest.raises(InputError, match=r"\[\[after\]\]"):
        handlers_from(tables)


def test_two_handlers_of_one_name_are_an_error() -> None:
    with pytest.raises(InputError, match="two handlers 'x'"):
        handlers_from([{"name": "x", "copy_to": "/a"}, {"name": "x", "copy_to": "/b"}])


def test_a_job_gets_the_automatic_handlers_or_those_it_names() -> None:
    always, asked = handlers_from(
        [{"name": "always", "copy_to": "/a"}, {"name": "asked", "copy_to": "/b", "automatic": False}]
    )
    both = (always, asked)
    assert chosen(both, None) == (always,)
    assert chosen(both, ["asked", "asked"]) == (asked,)
    assert chosen(both, []) == ()
    with pytest.raises(InputError, match=r"no handler dose\. There are always, asked"):
        chosen(both, ["dose"])
    with pytest.raises(InputError, match=r"\[\[after\]\]"):
        chosen((), ["dose"])


def test_arguments_stay_one_argument_whatever_stands_in_them() -> None:
    series = Series(
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        modality=("--rm; x", "CT"),
        node=("main pacs",),
        job_id="abc",
        files=(Path("/f/a b.dcm"), Path("/f/c.dcm")),
    )
    filled = arguments(
        ["run", "{Modality}", "{{x}} {node}", "{files}", "{count}", "{folder}", "{list}"],
        series,
        folder=Path("/f"),
        listing=Path("/tmp/l"),  # noqa: S108 - a name, no file
    )
    assert filled == ["run", "CT", "{x} main pacs", "/f/a b.dcm", "/f/c.dcm", "2", "/f", "/tmp/l"]  # noqa: S108


def test_a_rule_asks_for_each_of_its_terms() -> None:
    series = Series(
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        modality=("CT", "SR"),
        station=("CTSIM1",),
        description=("Thorax 5 mm",),
        node=("pacs",),
        level=("SERIES",),
    )
    assert Rule().fits(series)
    assert Rule(modality=("sr",), station=("ctsim*",), node=("pacs",), level=("SERIES",)).fits(series)
    assert Rule(description=("*thorax*",)).fits(series)
    assert not Rule(modality=("sr",), station=("mr*",)).fits(series)
    assert not Rule(description=("thorax",)).fits(series)
    assert not Rule(station=("*",)).fits(Series(StudyInstanceUID="1", SeriesInstanceUID="2"))
