"""C-GET and C-MOVE as a service class provider: sub-operations, counters, statuses (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from qrkit.simulator.pacs.answers import data_set_bytes
from qrkit.simulator.pacs.attributes import UNIQUE_KEY
from qrkit.simulator.pacs.find_service import CANCELLED, IDENTIFIER_DOES_NOT_MATCH, PENDING, SUCCESS, checked_query
from qrkit.simulator.pacs.identifier import IdentifierError, Query
from qrkit.simulator.pacs.quirks import Quirks
from qrkit.simulator.pacs.search import find_matches
from qrkit.simulator.pacs.selected import Item, as_items, never_ending_items, unasked_items
from qrkit.simulator.pacs.site import Cancellation, Recorder
from qrkit.simulator.pacs.store_user import GetSender, MoveSender
from qrkit.simulator.pacs.wire import C_GET_RSP, C_MOVE_RSP, NO_DATA_SET, AssociationEndedError, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qrkit.simulator.pacs.association import Association
    from qrkit.simulator.pacs.site import Site

UNABLE_TO_PERFORM_SUBOPERATIONS = 0xA702
MOVE_DESTINATION_UNKNOWN = 0xA801
SOME_FAILED = 0xB000
"""Sub-operations complete, one or more failures (PS3.4 C.4.2.1.5)."""
_FAILED_LIST = 0x00080058


class Sender(Protocol):
    """Carries objects to where they are wanted."""

    def store(self, item: Item) -> bool:
        """Send one object; whether it arrived."""

    def break_off(self, item: Item) -> None:
        """Send half of an object and close the connection."""


@dataclass(slots=True)
class Progress:
    """The counters of one retrieve (PS3.4 C.4.2.1.6 and following)."""

    remaining: int
    completed: int = 0
    failed: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def count(self, item: Item, *, stored: bool) -> None:
        """Count one sub-operation."""
        self.remaining = max(self.remaining - 1, 0)
        if stored:
            self.completed += 1
        else:
            self.failed += 1
            self.failed_uids.append(item.instance.SOPInstanceUID)


class Retrieve:
    """One C-GET or C-MOVE while it is being served."""

    def __init__(self, association: Association, message: Message, site: Site, record: Recorder) -> None:
        self._association = association
        self._message = message
        self._site = site
        self._record = record
        self._response = C_MOVE_RSP if message.text("MoveDestination") else C_GET_RSP
        self.cancellation = Cancellation(association, message.number("MessageID"), ignored=site.quirks.ignore_cancel)

    def run(self, items: Sequence[Item], sender: Sender) -> None:
        """Send all objects and the responses."""
        progress = Progress(len(items))
        status = self._send_all(items, sender, progress)
        self._record.answers = progress.completed
        self.finish(status, progress)

    def finish(self, status: int, progress: Progress | None = None, comment: str = "") -> None:
        """Send the final response; failed UIDs go with it unless all went well (PS3.4 C.4.2.1.4.2)."""
        self._record.status = status
        self._record.put()
        failed = progress.failed_uids if progress else []
        data = None
        if failed and status != SUCCESS:
            context = self._association.contexts[self._message.context_id]
            explicit = context.transfer_syntax != "1.2.840.10008.1.2"
            data = data_set_bytes([(_FAILED_LIST, "UI", "\\".join(failed).encode())], explicit=explicit)
        self._respond(status, progress, data, comment or self._site.quirks.retrieve_comment)

    def _send_all(self, items: Sequence[Item], sender: Sender, progress: Progress) -> int:
        quirks = self._site.quirks
        for number, item in enumerate(self._with_unasked(items)):
            if self.cancellation.requested():
                return CANCELLED
            if number == quirks.drop_after and self._site.happens_again("drop", quirks.drop_times):
                self._association.abort()
                raise AssociationEndedError("aborted by a quirk")
            if quirks.retrieve_status and number == quirks.retrieve_status_after:
                return quirks.retrieve_status
            self._site.pause(quirks.delay_object if number else quirks.delay_first_object)
            progress.count(item, stored=self._sub_operation(number, len(items), item, sender))
            if progress.remaining and not quirks.no_pending:
                self._respond(PENDING, progress)
        return _final_status(quirks, progress)

    def _sub_operation(self, number: int, total: int, item: Item, sender: Sender) -> bool:
        quirks = self._site.quirks
        if number < quirks.fail_objects:
            return False
        if total - quirks.send_less <= number < total:
            return True
        if number == quirks.break_after:
            sender.break_off(item)
            return False
        return sender.store(item) and (not quirks.send_twice or sender.store(item))

    def _with_unasked(self, items: Sequence[Item]) -> Iterator[Item]:
        quirks = self._site.quirks
        yield from items
        if quirks.runaway:
            yield from never_ending_items(self._site.archive, items)
        elif quirks.send_more:
            yield from itertools.islice(unasked_items(self._site.archive, items), quirks.send_more)

    def _respond(self, status: int, progress: Progress | None, data: bytes | None = None, comment: str = "") -> None:
        elements: dict[str, int | str] = {
            "AffectedSOPClassUID": self._message.text("AffectedSOPClassUID"),
            "CommandField": self._response,
            "MessageIDBeingRespondedTo": self._message.number("MessageID"),
            "CommandDataSetType": NO_DATA_SET if data is None else 0x0001,
            "Status": status,
        }
        if progress is not None and not self._site.quirks.no_counters:
            if status in {PENDING, CANCELLED}:
                elements["NumberOfRemainingSuboperations"] = min(progress.remaining, 0xFFFF)
            elements["NumberOfCompletedSuboperations"] = min(progress.completed, 0xFFFF)
            elements["NumberOfFailedSuboperations"] = min(progress.failed, 0xFFFF)
            elements["NumberOfWarningSuboperations"] = 0
        if comment and status not in {PENDING, SUCCESS}:
            elements["ErrorComment"] = comment[:64]
        self._association.send(self._message.context_id, elements, data)
        self._association.flush()


def _final_status(quirks: Quirks, progress: Progress) -> int:
    if quirks.retrieve_status and quirks.retrieve_status_after < 0:
        return quirks.retrieve_status
    if not progress.failed:
        return SUCCESS
    return SOME_FAILED if progress.completed else UNABLE_TO_PERFORM_SUBOPERATIONS


def serve_get(association: Association, message: Message, site: Site) -> None:
    """Answer one C-GET-RQ on its own association."""
    with Recorder(site, association, "C-GET") as record:
        retrieve = Retrieve(association, message, site, record)
        items = _selected(association, message, site, record)
        if items is None:
            retrieve.finish(record.status)
            return
        sender = GetSender(association, site.archive, retrieve.cancellation, message.number("Priority"))
        retrieve.run(items, sender)


def serve_move(association: Association, message: Message, site: Site) -> None:
    """Answer one C-MOVE-RQ, sending the objects over an association to the move destination."""
    with Recorder(site, association, "C-MOVE") as record:
        retrieve = Retrieve(association, message, site, record)
        items = _selected(association, message, site, record)
        if items is None:
            retrieve.finish(record.status)
            return
        destination = message.text("MoveDestination")
        if destination not in site.destinations:
            retrieve.finish(MOVE_DESTINATION_UNKNOWN, comment=f"unknown move destination {destination}")
            return
        if site.quirks.finish_early:
            record.answers = len(items)
            retrieve.finish(SUCCESS, Progress(0, completed=len(items)))
            site.run_aside(lambda: _send_late(site, association, message, items))
            return
        with MoveSender(site, items, association.calling_ae_title, message) as sender:
            retrieve.run(items, sender)


def _send_late(site: Site, association: Association, message: Message, items: Sequence[Item]) -> None:
    """Return the objects of a C-MOVE that was already reported as done."""
    with MoveSender(site, items, association.calling_ae_title, message) as sender:
        for number, item in enumerate(items):
            site.pause(site.quirks.delay_object if number else site.quirks.delay_first_object)
            sender.store(item)


def _selected(association: Association, message: Message, site: Site, record: Recorder) -> Sequence[Item] | None:
    """Return the objects asked for; None if the request is refused, with the status on record."""
    quirks = site.quirks
    if quirks.retrieve_hang:
        site.hang(association)
    context = association.contexts[message.context_id]
    try:
        query = checked_query(message.data, context, association, quirks)
        record.level, record.keywords = query.level.name, query.matching_keywords
        if not query.values(UNIQUE_KEY[query.level]):
            raise IdentifierError(f"{UNIQUE_KEY[query.level]} is missing")
    except IdentifierError:
        record.status = IDENTIFIER_DOES_NOT_MATCH
        return None
    if quirks.retrieve_status and quirks.retrieve_status_after == 0:
        record.status = quirks.retrieve_status
        return None
    unique = _unique_keys_only(query)
    return [item for match in find_matches(site.archive, unique, Quirks()) for item in as_items(match)]


def _unique_keys_only(query: Query) -> Query:
    """Retrieve identifiers hold unique keys; anything else in them does not count (PS3.4 C.4.2.1.4.1)."""
    unique = set(UNIQUE_KEY.values())
    return query.without(key.keyword for key in query.keys if key.keyword not in unique)
