"""Advice that names a call or a button: the workspace has the call, and the page has the button."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import ipywidgets
import pytest

import qrkit
from qrkit.advice import BUTTONS, CALLS, COMMANDS, TITLES, Action
from qrkit.widgets.page import PAGES
from qrkit.workspace import Job
from tests.workspace.opened import Linked


@pytest.mark.parametrize("action", [one for one in Action if CALLS[one] != COMMANDS[one]])
def test_every_call_is_one_of_the_workspace(action: Action, linked: Linked) -> None:
    text = CALLS[action].format(subject="5", arguments="").replace("…", "").replace("'5'", "key")
    call = ast.parse(text, mode="eval").body
    called = call.func if isinstance(call, ast.Call) else call
    names = {"ws": linked.workspace, "qrkit": qrkit}
    if text.startswith("ws.jobs["):
        assert not isinstance(called, ast.Attribute) or hasattr(Job, called.attr)
        return
    assert callable(eval(compile(ast.Expression(called), "call", "eval"), names))  # noqa: S307 - a text of ours


def _labels(widget: ipywidgets.Widget) -> Iterator[str]:
    yield getattr(widget, "description", "")
    for child in getattr(widget, "children", ()):
        yield from _labels(child)


@pytest.mark.slow
def test_every_button_is_on_its_page(linked: Linked) -> None:
    assert set(TITLES) == set(PAGES)
    for name, make in PAGES.items():
        page = make(workspace=linked.workspace)
        try:
            labels = set(_labels(page))
        finally:
            page.close()
        missing = {button.label for button in BUTTONS.values() if button.page == name and button.label} - labels
        assert not missing, name
