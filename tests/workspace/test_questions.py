"""The arguments of queries and plans, as an editor and `help` show them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from qrkit.errors import InputError, NotFound
from qrkit.query import ARGUMENTS
from qrkit.workspace import Workspace

_NOT_OF_A_PLAN = {"level", "modalities", "series_uid", "sop_uid", "return_keys"}


def _explained(method: str) -> set[str]:
    """The parameters that a docstring gives a meaning."""
    text = inspect.getdoc(getattr(Workspace, method)) or ""
    section = text.partition("Parameters\n")[2].partition("Returns\n")[0]
    return set(re.findall(r"^\*{0,2}(\w+)$", section, re.MULTILINE))


@pytest.mark.parametrize(
    ("method", "arguments"), [("find", {*ARGUMENTS}), ("plan", {*ARGUMENTS} - _NOT_OF_A_PLAN), ("retrieve", {"what"})]
)
def test_every_argument_is_a_typed_parameter_with_a_meaning(method: str, arguments: set[str]) -> None:
    parameters = dict(inspect.signature(getattr(Workspace, method)).parameters)
    del parameters["self"]
    assert arguments <= set(parameters)
    assert all(one.annotation is not inspect.Parameter.empty for one in parameters.values())
    assert _explained(method) == set(parameters)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"patientid": "Q1"}, "'patientid' is not a query argument. Did you mean patient_id?"),
        ({"modality": "CT"}, "'modality' is not a query argument. Did you mean modalities?"),
        ({"PatientsName": "DOE"}, "'PatientsName' is not a DICOM keyword. Did you mean PatientName?"),
    ],
)
def test_a_mistyped_argument_is_answered_with_the_nearest(
    workspace: Workspace, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as raised:
        workspace.find("pacs", level="STUDY", **given)
    assert str(raised.value) == said
    with pytest.raises(InputError) as raised:
        workspace.plan("pacs", dose="CT", date="today", refresh=False, **given)
    assert str(raised.value) == said


@pytest.mark.parametrize("given", [{"doses": "CT", "date": "today"}, {"dte": "", "dose": "CT"}])
def test_a_mistyped_argument_of_a_plan_is_answered_before_its_values(workspace: Workspace, given: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match=r"Did you mean (dose|date)\?"):
        workspace.plan("pacs", **given)


def test_a_mistyped_argument_of_any_method_is_answered_with_the_nearest(workspace: Workspace) -> None:
    said_of_node = "'nod' is not an argument of retrieve. Did you mean node?"
    calls: list[tuple[Any, dict[str, Any], str]] = [
        (
            workspace.retrieve,
            {"what": "1.2", "nod": "pacs"},
            said_of_node,
        ),
        (workspace.schedules.add, {"name": "x", "node": "pacs", "everyy": "daily"}, "Did you mean every?"),
        (workspace.probe, {"nod": "pacs"}, "Did you mean node?"),
        (workspace.jobs.list, {"limits": 3}, "Did you mean limit?"),
        (workspace.retrieve, {}, "retrieve needs what."),
        (workspace.find, {"PatientID": "Q1"}, "find needs node."),
    ]
    for call, given, said in calls:
        with pytest.raises(InputError) as raised:
            call(**given)
        assert said in str(raised.value)


def test_a_mistyped_node_setting_or_handler_is_answered_with_the_nearest(workspace: Workspace) -> None:
    workspace.nodes.add("pacs", host="127.0.0.1", port=104, ae_title="PACS")
    with pytest.raises(NotFound, match=r"no node 'pasc'. Did you mean pacs\?"):
        workspace.find("pasc", date="today")
    with pytest.raises(InputError, match=r"no setting ae_titel. Did you mean ae_title\?"):
        Workspace.open(workspace.settings.workspace, ae_titel="X")
    with pytest.raises(InputError, match=r"Did you mean ae_title\?"):
        workspace.nodes.edit("pacs", aetitle="X")
