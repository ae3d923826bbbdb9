"""Whatever is given to a public method, only errors of qrkit come out of it, each in one short line."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import qrkit
from qrkit.errors import InputError, NotFound, QrkitError
from qrkit.tables import Level
from qrkit.workspace import Workspace
from qrkit.workspace.arguments import checks_arguments
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import Linked, worker_in_thread

HOSTILE: dict[str, object] = {
    "None": None,
    "NaN": float("nan"),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "empty text": "",
    "text": "x",
    "mistyped": "of",
    "line breaks": "a\r\nb\x1b[31m\u2028",
    "null character": "a\0b",
    "half a character": "\ud800",
    "path": "../../x",
    "long text": "x" * 100_000,
    "text of Python": "{0.__class__} {x} %s",
    "bytes": b"x",
    "number": 7,
    "negative": -1,
    "huge number": 10**30,
    "gigantic number": 10**5000,
    "infinite": float("inf"),
    "fraction": 0.5,
    "boolean": True,
    "object": object(),
    "list": ["x", None],
    "empty list": [],
    "long list": ["x"] * 10_000,
    "nested": [["x"], {"a": [1]}],
    "dict": {"x": object()},
    "dict of numbers": {1: 2},
    "set": {"x", 1},
    "column": pd.Series(["x", None]),
    "index": pd.Index([1, 2]),
    "array": np.array(["x"]),
    "array of no dimension": np.array("x"),
    "number of NumPy": np.int64(3),
    "day out of reach": np.datetime64(2**62, "s"),
    "table": pd.DataFrame({"x": [1]}),
    "empty table": pd.DataFrame(),
    "table of UIDs": pd.DataFrame({"StudyInstanceUID": ["1.2", None], "NumberOfStudyRelatedInstances": ["x", "y"]}),
    "table of nested UIDs": pd.DataFrame({"StudyInstanceUID": [["1.2"]], "PatientID": [{"a": 1}]}),
    "table of numbers": pd.DataFrame({"SOPInstanceUID": [1.5]}),
    "table with twins": pd.DataFrame([["1.2", "1.3"]], columns=["StudyInstanceUID", "StudyInstanceUID"]),
    "class": Level,
    "function": len,
}
MOST = 300
"""Characters of a message without its advice."""

OF_A_QUERY = ("PatientID", "StudyDate", "StudyTime", "PatientBirthDate", "NumberOfStudyRelatedInstances", "x", "a\nb")
VARIABLE = {
    "workspace.find": OF_A_QUERY,
    "workspace.plan": OF_A_QUERY,
    "workspace.open": ("ae_title", "port", "files", "database_url", "x"),
    "workspace.retrieve_uids": ("method", "to", "source", "after", "x"),
    "nodes.add": ("host", "port", "ae_title", "method", "timeouts", "tls", "pause", "enabled", "sites", "x"),
    "nodes.edit": ("host", "port", "ae_title", "method", "timeouts", "tls", "pause", "retrieve_hours", "x"),
    "files.paths": ("Modality", "InstanceNumber", "size", "x"),
    "schedules.add": OF_A_QUERY,
}
"""Names to try where a method takes any."""
CALLED_BACK = ("on_progress", "watch")
"""Functions of the caller."""
NOT_CALLED = ("workspace.close", "workspace.duckdb")
"""Methods without arguments, of which one ends the test's own workspace."""


class Calls:
    """The public methods of a workspace and its parts, with arguments that they take."""

    def __init__(self, linked: Linked, folder: Path) -> None:
        workspace = linked.workspace
        workspace.nodes.add("off", host=LOOPBACK, port=free_port(), ae_title="OFF", enabled=False)
        workspace.nodes.add("edited", host=LOOPBACK, port=free_port(), ae_title="OFF", enabled=False)
        workspace.users.add("ann", "correct horse")
        workspace.schedules.add("nightly", "off", every="daily at 02:00", date="yesterday")
        frame = workspace.find("pacs", date="2026-06-30")
        query_id = frame.attrs["qrkit"]["query_id"]
        plan = workspace.plan("pacs", "CT", date="2026-06-30")
        job = workspace.retrieve(frame.head(1))
        job.wait(timeout=60)
        nodes = folder / "nodes.toml"
        workspace.nodes.export(nodes)
        self.parts: dict[str, Any] = {"workspace": workspace, "job": job} | {
            name: getattr(workspace, name)
            for name in ("jobs", "queries", "plans", "files", "users", "schedules", "after", "nodes")
        }
        self._usual: dict[str, Any] = {
            "job_id": job.job_id,
            "query_id": query_id,
            "plan_id": plan.plan_id,
            "node": "off",
            "frame": frame,
            "what": frame,
            "before": query_id,
            "after": query_id,
            "plans.before": plan.plan_id,
            "plans.after": plan.plan_id,
            "query": workspace.queries.show(query_id).query,
            "why": "a test",
            "text": "SELECT 1",
            "path": nodes,
            "report.name": "query",
            "ids": (query_id,),
            "report.path": folder / "report.html",
            "password": "correct horse",
            "role": "viewer",
            "every": "daily at 02:00",
            "date": "yesterday",
            "study_uids": ["1.2"],
            "users.name": "ann",
            "nodes.name": "edited",
            "nodes.add.name": "other",
            "schedules.name": "nightly",
            "schedules.add.name": "other",
            "priority": 1,
            "timeout": 60.0,
            "host": LOOPBACK,
            "ae_title": "X",
            "dose": "CT",
        }
        self._always = {
            "nodes.add": ("host", "ae_title"),
            "workspace.report": ("ids",),
            "workspace.retrieve": ("node",),
            "workspace.retrieve_uids": ("study_uids",),
            "workspace.plan": ("dose", "date"),
            "schedules.add": ("date",),
        }

    def methods(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Give each method with its part before its name."""
        for part, value in self.parts.items():
            for name, _ in inspect.getmembers(type(value), callable):
                if name in ("__getitem__", "__contains__") or not name.startswith("_"):
                    yield f"{part}.{name}", getattr(value, name)

    def usual(self, called: str, parameter: str) -> Any:  # noqa: ANN401 - whatever the method takes
        """Give an argument that a method takes."""
        part, _, name = called.partition(".")
        names = (f"{called}.{parameter}", f"{name}.{parameter}", f"{part}.{parameter}", parameter)
        return next(self._usual[known] for known in names if known in self._usual)

    def tries(self, called: str, method: Callable[..., Any]) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Give calls of a method, each with one hostile value, and what it is."""
        parameters = inspect.signature(method).parameters
        needed = [
            name
            for name, parameter in parameters.items()
            if (parameter.default is parameter.empty and "VAR" not in parameter.kind.name)
        ] + [name for name in self._always.get(called, ()) if name in parameters or called == "nodes.add"]
        usual = {name: self.usual(called, name) for name in dict.fromkeys(needed)}
        yield "", lambda: _call(method, parameters, usual)
        for name, parameter in parameters.items():
            tried = VARIABLE[called] if parameter.kind is parameter.VAR_KEYWORD else (name,)
            for one in tried:
                for kind, value in HOSTILE.items():
                    if one in CALLED_BACK and callable(value):  # its own errors are the caller's
                        continue
                    hostile = (value,) if parameter.kind is parameter.VAR_POSITIONAL else value
                    given = usual | {one: hostile}
                    yield f"{one}: {kind}", lambda given=given: _call(method, parameters, given)  # type: ignore[misc]


def _call(method: Callable[..., Any], parameters: Any, given: dict[str, Any]) -> Any:  # noqa: ANN401 - any method
    positional: list[Any] = []
    named = dict(given)
    for name, parameter in parameters.items():
        if name not in named:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += named.pop(name)
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append(named.pop(name))
    return method(*positional, **named)


def _problem(call: Callable[[], Any]) -> str:
    """Return what is wrong with what comes out of a call; empty if nothing is."""
    try:
        result = call()
    except QrkitError as error:
        text = str(error)
        if not text.isprintable() or len(error.message) > MOST or len(text) > 2 * MOST:
            return f"{len(error.message)} characters, {error!r:.600}"
        return ""
    except Exception as error:  # noqa: BLE001 - what must not come out
        return f"{type(error).__name__}: {error!s:.300}"
    if isinstance(result, Workspace):
        result.close()
    return ""


@pytest.fixture
def calls(linked: Linked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """The public methods, in a folder where files of odd names may be written."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with worker_in_thread(linked.workspace), contextlib.ExitStack():
        yield Calls(linked, tmp_path)


@pytest.mark.slow
def test_no_value_brings_out_an_error_of_another_kind(calls: Calls) -> None:
    problems = [
        f"{called}({what}): {problem}"
        for called, method in calls.methods()
        if called not in NOT_CALLED
        for what, call in calls.tries(called, method)
        if (problem := _problem(call))
    ]
    assert not problems, f"{len(problems)} problems:\n" + "\n".join(problems)


def refusal(call: Callable[[], object]) -> str:
    """Return the message of the InputError that a call raises."""
    with pytest.raises(InputError) as raised:
        call()
    return str(raised.value)


def test_a_value_that_is_not_what_an_argument_takes_is_named_in_a_sentence(workspace: Workspace) -> None:
    said = {
        lambda: workspace.find(None): "node is missing (None). Give a text.",  # type: ignore[arg-type]
        lambda: workspace.nodes[None]: "name is missing (None). Give a text.",  # type: ignore[index]
        lambda: workspace.echo(None): "nodes is missing (None). Give a text.",  # type: ignore[arg-type]
        lambda: workspace.jobs[float("nan")]: "job_id is missing (nan). Give a text.",  # type: ignore[index]
        lambda: workspace.jobs[pd.NaT]: "job_id is missing (NaT). Give a text.",  # type: ignore[index]
        lambda: workspace.queries["\ud800"]: "query_id contains an invalid Unicode character: '\\ud800'. Remove it.",
        lambda: workspace.plans[10**30]: f"plan_id is a text, not 1{'0' * 30}.",  # type: ignore[index]
        lambda: workspace.jobs.list("x"): "limit is a whole number, not 'x'.",  # type: ignore[arg-type]
        lambda: workspace.jobs.list(-1): "limit cannot be -1. Enter a number from 0.",
        lambda: workspace.users.add("x", None): "password is not valid. Give a text.",  # type: ignore[arg-type]
        lambda: workspace.schedules.add("x", "pacs", every=None):  # type: ignore[arg-type]
        "every is missing (None). Give a text.",
        lambda: workspace.estimate(None):  # type: ignore[arg-type]
        "frame is missing (None). Give a DataFrame, such as the result of find.",
        lambda: workspace.ask("pacs", "x"):  # type: ignore[arg-type]
        "query is a Query, as build_query returns it, not 'x'.",
        lambda: workspace.sql(pd.DataFrame()): "text cannot be a table. Give a text.",  # type: ignore[arg-type]
        lambda: workspace.find(pd.DataFrame()): "node cannot be a table. Give a text.",  # type: ignore[arg-type]
        lambda: workspace.plan("pacs", "CT", date="today", toshiba=pd.DataFrame()):  # type: ignore[arg-type]
        "toshiba cannot be a table. Give True or False.",
        lambda: workspace.plan("pacs", pd.DataFrame()):  # type: ignore[arg-type]
        "dose is a list of texts, or one text with commas, not Empty DataFrame Columns: [] Index: [].",
        lambda: workspace.retrieve_uids("pacs", study_uids=["1.2", None]):  # type: ignore[list-item]
        "study_uids: 1 of 2 values are missing. Remove them, as by dropna().",
    }
    assert {call: refusal(call) for call in said} == said


@pytest.mark.parametrize("folder", ["", 3, b"x", float("nan"), pd.NaT, ["x"], pd.DataFrame(), "a\0b", "\ud800"])
def test_a_folder_that_cannot_be_one_is_refused(folder: Any) -> None:  # noqa: ANN401
    for opened in (qrkit.open, qrkit.repair):
        assert refusal(lambda opened=opened: opened(folder)).startswith("folder ")  # type: ignore[misc]


def test_a_message_repeats_the_beginning_of_a_long_value_in_one_line(workspace: Workspace) -> None:
    with pytest.raises(NotFound) as raised:
        workspace.jobs["x" * 1_000_000]
    assert raised.value.message == f"There is no job '{'x' * 78}…."
    with pytest.raises(NotFound) as raised:
        workspace.queries["a\r\nb"]
    assert raised.value.message == "There is no query 'a\\r\\nb'."


def test_a_node_stands_for_its_name_and_a_number_of_numpy_for_a_number(workspace: Workspace) -> None:
    node = workspace.nodes.add("pacs", host=LOOPBACK, port=free_port(), ae_title="PACS", enabled=False)
    assert node in workspace.nodes
    assert workspace.nodes[node] == node  # type: ignore[index]
    assert refusal(lambda: workspace.find(node, date="today")) == refusal(  # type: ignore[arg-type]
        lambda: workspace.find("pacs", date="today")
    )
    assert len(workspace.jobs.list(np.int64(5))) == 0  # type: ignore[arg-type]
    assert len(workspace.files.list({"InstanceNumber": np.int64(5)}, limit=5.0)) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "uids",
    [
        "1.2.3.4",
        ["1.2.3.4"],
        ("1.2.3.4",),
        {"1.2.3.4"},
        pd.Series(["1.2.3.4"]),
        pd.Index(["1.2.3.4"]),
        np.array(["1.2.3.4"]),
    ],
    ids=["text", "list", "tuple", "set", "column", "index", "array"],
)
@pytest.mark.parametrize("name", ["study_uids", "series_uids"])
def test_a_text_is_a_list_of_one_and_a_column_a_list(linked: Linked, uids: Any, name: str) -> None:  # noqa: ANN401
    linked.workspace.nodes.edit("pacs", information_model="study-root", sites="far")
    options = {"study_uids": "1.2"} if name == "series_uids" else {}
    job = linked.workspace.retrieve_uids("pacs", **{name: uids, **options})
    request = job.status.items[0].request
    assert len(job.status.items) == 1
    assert (request.SeriesInstanceUID or request.StudyInstanceUID) == "1.2.3.4"


@pytest.mark.parametrize("name", ["../x", "a b", ".x", "-x", "x/y", "a\nb", "", "x" * 65, "<b>"])
def test_a_new_node_has_a_name_that_shells_and_paths_take_as_it_is(workspace: Workspace, name: str) -> None:
    assert "is not a valid node name" in refusal(lambda: workspace.nodes.add(name, host=LOOPBACK, ae_title="X"))
    assert len(workspace.nodes) == 0


@checks_arguments
class _Letters:
    def send(self, text: str, *, copies: object = 1) -> str:
        return text * copies  # type: ignore[operator]


def test_an_unknown_argument_is_an_input_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match="'copy' is not an argument of send\\. Did you mean copies"):
        _Letters().send("a", copy=2)  # type: ignore[call-arg]


def test_a_type_error_inside_a_method_stays_one() -> None:
    with pytest.raises(TypeError, match="float"):
        _Letters().send("a", copies=0.5)


def test_a_call_does_not_look_at_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(inspect, "signature")
    assert _Letters().send("a", copies=2) == "aa"
