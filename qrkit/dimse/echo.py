"""C-ECHO: is the node there, and does it talk to us (PS3.4 annex A)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from qrkit import uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.messages import check_response, read_command
from qrkit.dimse.status import Category, Service, classify, failure
from qrkit.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """How a node answered C-ECHO, in seconds.

    Attributes
    ----------
    association
        From the TCP connection to the accepted association.
    round_trip
        From C-ECHO-RQ to C-ECHO-RSP.
    """

    association: float
    round_trip: float


def echo(node: Node, *, calling_ae_title: str) -> Echo:
    """Send one C-ECHO.

    Raises
    ------
    NodeError
        Its kind and advice say which of the many reasons it was; see `qrkit.dimse.association.associate`.
    """
    started = time.perf_counter()
    verification = Proposal(abstract_syntax=uids.VERIFICATION)
    with associate(node, [verification], calling_ae_title=calling_ae_title) as association:
        established = time.perf_counter()
        context = association.context_for(uids.VERIFICATION)
        request = dimse.request(
            dimse.C_ECHO_RQ, sop_class_uid=uids.VERIFICATION, message_id=association.next_message_id()
        )
        association.stream.send(association.stream.message(context.context_id, request))
        _check_echo_response(association)
        answered = time.perf_counter()
    return Echo(association=established - started, round_trip=answered - established)


def _check_echo_response(association: Association) -> None:
    """Read the response.

    Raises
    ------
    StatusError
        If its status is anything but success.
    """
    _, command = read_command(association)
    status = check_response(association, command, Service.ECHO)
    if classify(Service.ECHO, status).category is not Category.SUCCESS:
        raise failure(Service.ECHO, status, peer=association.peer, comment=command.text(dimse.ERROR_COMMENT))
