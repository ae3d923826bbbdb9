"""C-ECHO: is the node there, and does it talk to us (PS3.4 annex A)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qrkit import uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.messages import check_response, read_command
from qrkit.dimse.status import Category, Service, classify, failure
from qrkit.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """How a node answered C-ECHO, in seconds."""

    association: float
    """From the TCP connection to the accepted association."""
    round_trip: float
    """From C-ECHO-RQ to C-ECHO-RSP."""


def echo(node: Node, *, calling_ae_title: str) -> Echo:
    """Send one C-ECHO; raise NodeError as `associate`, and StatusError for any response but success."""
    started = time.perf_counter()
    verification = Proposal(abstract_syntax=uids.VERIFICATION)
    with associate(node, [verification], calling_ae_title=calling_ae_title) as association:
        established = time.perf_counter()
        context = association.context_for(uids.VERIFICATION)
        request = dimse.request(
            dimse.C_ECHO_RQ, sop_class_uid=uids.VERIFICATION, message_id=association.next_message_id()
        )
        association.stream.send(association.stream.message(context.context_id, request))
        _, command = read_command(association)
        status = check_response(association, command, Service.ECHO)
        if classify(Service.ECHO, status).category is not Category.SUCCESS:
            raise failure(Service.ECHO, status, peer=association.peer, comment=command.comment)
        answered = time.perf_counter()
    return Echo(association=established - started, round_trip=answered - established)
