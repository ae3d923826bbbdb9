"""A node whose answers are broken in every way: each study that can be told apart is in the table."""

from __future__ import annotations

import pytest

from qrkit.dimse.messages import STATUS
from qrkit.dimse.status import PENDING
from qrkit.workspace import Workspace
from tests.dimse.broken_answers import broken_answers
from tests.dimse.scripted import Conversation, ScriptedPeer

ANSWERS = tuple(broken_answers())


@pytest.mark.slow
def test_each_study_of_broken_answers_is_a_row_of_its_own(workspace: Workspace) -> None:
    def answer(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        for one in ANSWERS:
            if one.data:
                peer.respond(context_id, request, {STATUS: PENDING}, one.data)
        peer.respond(context_id, request, {STATUS: 0})
        peer.release()

    with ScriptedPeer(answer) as peer:
        workspace.nodes.add("odd", host="127.0.0.1", port=peer.port, ae_title="ODD")
        frame = workspace.find("odd", date="2026-01-31")
    expected = {one.readable["StudyInstanceUID"] for one in ANSWERS if "StudyInstanceUID" in one.readable}
    assert expected <= set(frame["StudyInstanceUID"])
