"""C-ECHO, C-STORE, C-GET and C-MOVE as service class provider (PS3.4 A.4, B.2, C.4.2, C.4.3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qrkit.simulator.objects.encoding import IMPLICIT_VR, data_set_bytes
from qrkit.simulator.pacs.association import PacsAssociation
from qrkit.simulator.pacs.find_service import checked_identifier
from qrkit.simulator.pacs.identifier import UNIQUE_KEY, IdentifierError
from qrkit.simulator.pacs.matching import (
    SelectedInstance,
    endless_instances,
    find_matches,
    selected_instances,
    unrequested_instances,
)
from qrkit.simulator.pacs.quirks import Quirks
from qrkit.simulator.pacs.senders import GetSender, MoveSender, Sender
from qrkit.simulator.pacs.server_state import Cancellation, Recorder
from qrkit.simulator.pacs.wire import (
    C_MOVE_RQ,
    CANCELLED,
    IDENTIFIER_DOES_NOT_MATCH,
    PENDING,
    SUCCESS,
    AssociationEndedError,
    Message,
    response,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qrkit.simulator.pacs.server_state import ServerState

UNABLE_TO_PERFORM_SUBOPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
SOME_FAILED = 0xB000
"""Sub-operations complete, one or more failures (PS3.4 C.4.2.1.5)."""

_FAILED_LIST = 0x00080058


def serve_echo(association: PacsAssociation, message: Message, state: ServerState) -> None:
    """Answer one C-ECHO-RQ."""
    with Recorder(state, association, "C-ECHO") as record:
        record.status = 0x0000
        record.put()
        _respond(association, message, SUCCESS)


def serve_store(association: PacsAssociation, message: Message, state: ServerState) -> None:
    """Store one object or refuse it; success is sent only after its file is written."""
    with Recorder(state, association, "C-STORE") as record:
        state.pause(state.quirks.delay_store)
        record.status = state.quirks.store_status
        if record.status == 0x0000:
            context = association.contexts[message.context_id]
            state.archive.add(
                message.text("AffectedSOPClassUID"),
                message.text("AffectedSOPInstanceUID"),
                context.transfer_syntax,
                message.data,
            )
            record.answers = 1
        record.put()
        _respond(association, message, record.status)


def _respond(association: PacsAssociation, message: Message, status: int) -> None:
    elements = response(message, status)
    if instance := message.text("AffectedSOPInstanceUID"):
        elements["AffectedSOPInstanceUID"] = instance
    association.send(message.context_id, elements)
    association.flush()


@dataclass(slots=True)
class SubOperationCounters:
    """The counters of one retrieve (PS3.4 C.4.2.1.6 and following)."""

    remaining: int
    completed: int = 0
    failed: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def count(self, item: SelectedInstance, *, stored: bool) -> None:
        """Count one sub-operation."""
        self.remaining = max(self.remaining - 1, 0)
        if stored:
            self.completed += 1
        else:
            self.failed += 1
            self.failed_uids.append(item.instance.SOPInstanceUID)


class Retrieve:
    """One C-GET or C-MOVE while it is being served."""

    def __init__(self, association: PacsAssociation, message: Message, state: ServerState, record: Recorder) -> None:
        self._association = association
        self._message = message
        self._state = state
        self._record = record
        self.cancellation = Cancellation(association, message.number("MessageID"), ignored=state.quirks.ignore_cancel)

    def run(self, items: Sequence[SelectedInstance], sender: Sender) -> None:
        """Send all objects and the responses."""
        counters = SubOperationCounters(len(items))
        status = self._send_all(items, sender, counters)
        self._record.answers = counters.completed
        self.finish(status, counters)

    def finish(self, status: int, counters: SubOperationCounters | None = None, comment: str = "") -> None:
        """Send the final response; failed UIDs go with it unless all went well (PS3.4 C.4.2.1.4.2)."""
        self._record.status = status
        self._record.put()
        failed = counters.failed_uids if counters else []
        data = None
        if failed and status != SUCCESS:
            context = self._association.contexts[self._message.context_id]
            explicit = context.transfer_syntax != IMPLICIT_VR
            data = data_set_bytes([(_FAILED_LIST, "UI", "\\".join(failed).encode())], explicit=explicit)
        self._respond(status, counters, data, comment or self._state.quirks.retrieve_comment)

    def _send_all(self, items: Sequence[SelectedInstance], sender: Sender, counters: SubOperationCounters) -> int:
        quirks = self._state.quirks
        while quirks.pend_forever and not self.cancellation.requested():
            self._wait(quirks.pend_forever, counters)
            self._respond(PENDING, counters)
        for number, item in enumerate(self._with_unrequested(items)):
            if self.cancellation.requested():
                return CANCELLED
            if number == quirks.drop_after and self._state.happens_again("drop", quirks.drop_times):
                self._association.abort()
                raise AssociationEndedError("aborted by a quirk")
            if quirks.broken_object and _number_in_study(item) == quirks.broken_object:
                counters.count(item, stored=False)
                return self._end_at_broken_object()
            if quirks.retrieve_status and number == quirks.retrieve_status_after:
                return quirks.retrieve_status
            self._wait(quirks.delay_object if number else quirks.delay_first_object, counters)
            counters.count(item, stored=self._sub_operation(number, len(items), item, sender))
            if counters.remaining and not quirks.no_pending:
                self._respond(PENDING, counters)
        return _final_status(quirks, counters)

    def _end_at_broken_object(self) -> int:
        if not self._state.quirks.broken_status:
            self._association.abort()
            raise AssociationEndedError("aborted by a quirk")
        return self._state.quirks.broken_status

    def _wait(self, seconds: float, counters: SubOperationCounters) -> None:
        """Wait before an object, with the pending responses of a PACS that has nothing new to report."""
        every = self._state.quirks.pend_every
        while every and seconds > every:
            self._state.pause(every)
            seconds -= every
            self._respond(PENDING, counters)
        self._state.pause(seconds)

    def _sub_operation(self, number: int, total: int, item: SelectedInstance, sender: Sender) -> bool:
        quirks = self._state.quirks
        if number < quirks.fail_objects:
            return False
        if total - quirks.send_less <= number < total:
            return True
        if number == quirks.break_after:
            sender.break_off(item)
            return False
        return sender.store(item) and (not quirks.send_twice or sender.store(item))

    def _with_unrequested(self, items: Sequence[SelectedInstance]) -> Iterator[SelectedInstance]:
        quirks = self._state.quirks
        yield from items
        if quirks.runaway:
            yield from endless_instances(self._state.archive, items)
        elif quirks.send_endlessly:
            yield from itertools.cycle(items)
        elif quirks.send_more:
            yield from itertools.islice(unrequested_instances(self._state.archive, items), quirks.send_more)

    def _respond(
        self, status: int, counters: SubOperationCounters | None, data: bytes | None = None, comment: str = ""
    ) -> None:
        shown = comment if status not in {PENDING, SUCCESS} else ""
        elements = response(self._message, status, shown, has_data=data is not None)
        if counters is not None and not self._state.quirks.no_counters:
            if status in {PENDING, CANCELLED} or counters.remaining:
                elements["NumberOfRemainingSuboperations"] = min(counters.remaining, 0xFFFF)
            elements["NumberOfCompletedSuboperations"] = min(counters.completed, 0xFFFF)
            elements["NumberOfFailedSuboperations"] = min(counters.failed, 0xFFFF)
            elements["NumberOfWarningSuboperations"] = 0
        self._association.send(self._message.context_id, elements, data)
        self._association.flush()


def _number_in_study(item: SelectedInstance) -> int:
    uids = [one.SOPInstanceUID for series in item.study.series for one in series.instances]
    return uids.index(item.instance.SOPInstanceUID) + 1


def _early_counters(quirks: Quirks, number: int) -> SubOperationCounters:
    """Return what a C-MOVE counts that has not sent any of its objects yet."""
    count = quirks.early_counters
    return SubOperationCounters(number if count == "remaining" else 0, number if count == "completed" else 0)


def _final_status(quirks: Quirks, counters: SubOperationCounters) -> int:
    if quirks.retrieve_status and quirks.retrieve_status_after < 0:
        return quirks.retrieve_status
    if not counters.failed:
        return SUCCESS
    return SOME_FAILED if counters.completed else UNABLE_TO_PERFORM_SUBOPERATIONS


def serve_retrieve(association: PacsAssociation, message: Message, state: ServerState) -> None:
    """Answer one C-GET-RQ on its own association, or one C-MOVE-RQ over an association to the move destination."""
    is_move = message.number("CommandField") == C_MOVE_RQ
    with Recorder(state, association, "C-MOVE" if is_move else "C-GET") as record:
        retrieve = Retrieve(association, message, state, record)
        items = _selected(association, message, state, record)
        destination = message.text("MoveDestination")
        if items is None:
            retrieve.finish(record.status)
        elif not is_move:
            sender = GetSender(association, state, retrieve.cancellation, message.number("Priority"))
            retrieve.run(items, sender)
        elif destination not in state.destinations:
            retrieve.finish(MOVE_DESTINATION_UNKNOWN, comment=f"unknown move destination {destination}")
        elif state.quirks.finish_early:
            record.answers = len(items)
            retrieve.finish(SUCCESS, _early_counters(state.quirks, len(items)))
            state.run_in_background(lambda: _send_late(state, association, message, items))
        else:
            with MoveSender(state, items, association.calling_ae_title, message) as move_sender:
                retrieve.run(items, move_sender)


def _send_late(
    state: ServerState, association: PacsAssociation, message: Message, items: Sequence[SelectedInstance]
) -> None:
    """Return the objects of a C-MOVE that was already reported as done."""
    with MoveSender(state, items, association.calling_ae_title, message) as sender:
        for number, item in enumerate(items):
            state.pause(state.quirks.delay_object if number else state.quirks.delay_first_object)
            sender.store(item)


def _selected(
    association: PacsAssociation, message: Message, state: ServerState, record: Recorder
) -> Sequence[SelectedInstance] | None:
    """Return the objects asked for; None if the request is refused, with the status on record."""
    quirks = state.quirks
    if quirks.retrieve_hang:
        state.hang(association)
    context = association.contexts[message.context_id]
    try:
        identifier = checked_identifier(message.data, context, association, quirks)
        record.level, record.keywords = identifier.level.name, identifier.matching_keywords
        if not identifier.values(UNIQUE_KEY[identifier.level]):
            raise IdentifierError(f"{UNIQUE_KEY[identifier.level]} is missing")
    except IdentifierError:
        record.status = IDENTIFIER_DOES_NOT_MATCH
        return None
    if quirks.retrieve_status and quirks.retrieve_status_after == 0:
        record.status = quirks.retrieve_status
        return None
    # retrieve identifiers hold unique keys; anything else in them does not count (PS3.4 C.4.2.1.4.1)
    unique = identifier.without({key.keyword for key in identifier.keys} - set(UNIQUE_KEY.values()))
    return [item for match in find_matches(state.archive, unique, Quirks()) for item in selected_instances(match)]
