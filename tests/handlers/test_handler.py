"""Handlers as a site writes them: what is wrong is named before anything runs."""

from pathlib import Path

import pytest

from qrkit.errors import InputError
from qrkit.handlers import Handler, ReceivedSeries, SeriesCriteria, arguments, chosen, handlers_from


def test_a_handler_is_read_from_its_table() -> None:
    table = {
        "name": "deid",
        "command": ["/opt/deid", "--in", "{list}"],
        "modality": ["CT", "MR"],
        "station": "CT*",
        "level": "series",
        "automatic": False,
        "time_limit": 30,
        "attempts": 2,
    }
    (handler,) = handlers_from({"handlers": [table]})
    assert handler == Handler(
        name="deid",
        command=("/opt/deid", "--in", "{list}"),
        criteria=SeriesCriteria(modality=("CT", "MR"), station=("CT*",), level=("SERIES",)),
        automatic=False,
        time_limit=30,
        attempts=2,
    )
    assert handler.action == "command"


def test_both_names_of_the_table_register_handlers() -> None:
    tables = {"after": [{"name": "old", "copy_to": "/a"}], "handlers": [{"name": "new", "copy_to": "/b"}]}
    assert [handler.name for handler in handlers_from(tables)] == ["new", "old"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"copy_to": "/srv"}, "name"),
        ({"name": "a,b", "copy_to": "/srv"}, "is not a valid handler name"),
        ({"name": "x"}, "has 0 actions. Give exactly one of copy_to, command, send_to, call"),
        ({"name": "x", "copy_to": "/srv", "send_to": "pacs"}, "has 2 actions"),
        ({"name": "x", "copy_too": "/srv"}, "copy_too is not a setting of a handler"),
        ({"name": "x", "command": "rm -rf"}, "not a valid command of handler 'x'. Use a list of texts"),
        ({"name": "x", "command": ["run", "{PatientID}"]}, "unknown placeholder {PatientID}"),
        ({"name": "x", "command": ["{folder}"]}, "does not begin with a program"),
        ({"name": "x", "command": ["run", "--in={files}"]}, "is not a separate argument"),
        ({"name": "x", "command": ["run", "{"]}, "contains a single brace"),
        ({"name": "x", "command": ["run", "{count!r}"]}, "is not a name in braces"),
        ({"name": "x", "call": "os.system"}, "package.module:function"),
        ({"name": "x", "call": "os:system('x')"}, "package.module:function"),
        ({"name": "x", "copy_to": "/srv", "time_limit": 0}, "seconds above 0"),
        ({"name": "x", "copy_to": "/srv", "time_limit": "1"}, "a number of seconds"),
        ({"name": "x", "copy_to": "/srv", "attempts": 0}, "Use at least 1"),
        ({"name": "x", "copy_to": "/srv", "attempts": True}, "Use a whole number"),
        ({"name": "x", "copy_to": "/srv", "automatic": 1}, "true or false"),
        ({"name": "x", "copy_to": "/srv", "level": "PATIENT"}, "'PATIENT' is not a valid level of handler 'x'"),
        ({"name": "x", "copy_to": 5}, "Use a text"),
    ],
)
def test_what_is_wrong_with_a_handler_is_named(table: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        handlers_from({"handlers": [table]})
    assert said in str(caught.value)


@pytest.mark.parametrize("tables", [{"name": "x"}, ["x"], 5])
def test_something_else_than_tables_is_an_error(tables: object) -> None:
    with pytest.raises(InputError, match=r"\[\[handlers\]\]"):
        handlers_from({"handlers": tables})


def test_two_handlers_of_one_name_are_an_error() -> None:
    with pytest.raises(InputError, match="have the name 'x'"):
        handlers_from({"handlers": [{"name": "x", "copy_to": "/a"}, {"name": "x", "copy_to": "/b"}]})


def test_a_job_gets_the_automatic_handlers_or_those_it_names() -> None:
    always = Handler(name="always", copy_to="/a")
    asked = Handler(name="asked", copy_to="/b", automatic=False)
    both = (always, asked)
    assert chosen(both, None) == (always,)
    assert chosen(both, ["asked", "asked"]) == (asked,)
    assert chosen(both, []) == ()
    with pytest.raises(InputError, match=r"no handler dose\. Use always, asked"):
        chosen(both, ["dose"])
    with pytest.raises(InputError, match=r"\[\[handlers\]\]"):
        chosen((), ["dose"])


def test_arguments_stay_one_argument_whatever_stands_in_them() -> None:
    series = ReceivedSeries(
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
    series = ReceivedSeries(
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        modality=("CT", "SR"),
        station=("CTSIM1",),
        description=("Thorax 5 mm",),
        node=("pacs",),
        level=("SERIES",),
    )
    assert SeriesCriteria().fits(series)
    assert SeriesCriteria(modality=("sr",), station=("ctsim*",), node=("pacs",), level=("SERIES",)).fits(series)
    assert SeriesCriteria(description=("*thorax*",)).fits(series)
    assert not SeriesCriteria(modality=("sr",), station=("mr*",)).fits(series)
    assert not SeriesCriteria(description=("thorax",)).fits(series)
    assert not SeriesCriteria(station=("*",)).fits(ReceivedSeries(StudyInstanceUID="1", SeriesInstanceUID="2"))
