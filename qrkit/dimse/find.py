"""C-FIND: answers as Arrow batches (PS3.4 C.4.1)."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pydicom.dataset import Dataset

from qrkit import errors, uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.answers import AnswerDecoder
from qrkit.dimse.association import Association
from qrkit.dimse.contexts import MODELS, Proposal
from qrkit.dimse.messages import (
    PendingRequest,
    check_response,
    decode_command,
    read_command_bytes,
    send_request,
)
from qrkit.dimse.status import PENDING, PENDING_KEYS_UNSUPPORTED, SUCCESS, Service, failure
from qrkit.node import Node
from qrkit.stop import NEVER, Stop
from qrkit.tables import Level, keyword_tag, unique_key
from qrkit.words import counted

BATCH = 5_000
"""Answers in one Arrow batch, at most."""

_BATCH_BYTES = 4_194_304
"""Bytes of Identifiers after which a batch is passed on, so that large answers do not add up."""

_OLDEST = 5.0
"""Seconds after which the rows received so far are passed on, though the node sends no more for now."""

RELATIONAL = b"\x01"
"""Service class application information that offers relational queries, and nothing else (PS3.4 C.5.1.1.1)."""


_REMEMBERED = 1_024
"""Distinct answers of a request that are remembered, to know them again."""

_MOST_VAIN = 50_000
"""Pending responses that bring nothing new; and at least `_MOST_ROUNDS` for each remembered answer."""

_MOST_ROUNDS = 20

_LAST_PATIENCE = 0.25
"""Seconds for a data set that the final response announces."""


class _Novelty:
    """Counts the pending responses of a request, and those that bring nothing new: some nodes send them for ever."""

    def __init__(self) -> None:
        self.new = 0
        self.vain = 0
        self._known: set[int] = set()

    def take(self, answer: bytes | None) -> None:
        """Count a response by its Identifier; None: it has none."""
        key = hash(answer)
        if answer is None or key in self._known:
            self.vain += 1
            return
        self.new += 1
        if len(self._known) < _REMEMBERED:
            self._known.add(key)

    @property
    def is_over(self) -> bool:
        """Whether nothing new can be expected."""
        return self.vain >= max(_MOST_VAIN, _MOST_ROUNDS * len(self._known))


class _Response(NamedTuple):
    """The parts of a response other than its Identifier."""

    status: int = 0
    is_pending: bool = False
    is_ours: bool = True
    comment: str = ""
    has_data_set: bool = False


class FindResponses:
    """The answers to one C-FIND request, to be iterated once.

    `count` is the number of answers so far, `without_identifier` that of pending responses whose Identifier did not
    come, `of_another` that of pending responses that name another request. `keys_unsupported` becomes true if the
    node responds that it does not support some optional key (0xFF01), so it ignored it. The answers before an error
    are passed on before it is raised. `keep` takes answers while the node pauses; without it they stay until there
    are more.
    """

    def __init__(
        self,
        association: Association,
        ask: PendingRequest,
        decoder: AnswerDecoder,
        *,
        timeouts: tuple[float, float],
        stop: Stop = NEVER,
    ) -> None:
        self.keep: Callable[[pa.RecordBatch], None] | None = None
        self.is_row: Callable[[bytes], bool] = bool
        self.count = 0
        self.without_identifier = 0
        self.of_another = 0
        self.keys_unsupported = False
        self._association = association
        self._ask = ask
        self._decoder = decoder
        self._response_timeout, self._inactivity_timeout = timeouts
        self._stop = stop
        self._last: tuple[bytes, _Response] = (b"", _Response())
        self._size = 0  # bytes of the Identifiers that wait
        self._has_ended = False
        self._novelty = _Novelty()
        self._seen = -1  # new answers at the last progress
        self._progress = self._taken = 0.0  # when that was, and when answers were last passed on

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        stream = self._association.stream
        stream.patience = self._response_timeout
        self._progress = self._taken = time.monotonic()
        outer, stream.on_wait = stream.on_wait, self._tick
        try:
            while self._read_one():
                if len(self._decoder) >= BATCH or self._size >= _BATCH_BYTES:
                    self._ask.check(self._stop)
                    yield self._take()
                elif self.count == 1:
                    stream.patience = self._inactivity_timeout
        except BaseException:
            self._decoder.drop_unfinished()
            if len(self._decoder):
                yield self._take()
            raise
        finally:
            stream.on_wait = outer
        if len(self._decoder) or not self.count:
            yield self._take()

    def _take(self) -> pa.RecordBatch:
        self._size, self._taken = 0, time.monotonic()
        return self._decoder.take()

    def _tick(self) -> None:
        """Check, some times a second, whether to end: only a new, whole answer is progress, not each of its bytes."""
        self._ask.check(self._stop)
        now, new = time.monotonic(), self._novelty.new
        if new != self._seen:
            self._seen, self._progress = new, now
        patience = self._inactivity_timeout if new else self._response_timeout
        if now - self._progress > patience:
            if self._novelty.vain:
                raise self._nothing_new(f" for {patience:g} seconds")
            raise errors.NodeTimeout(
                f"{self._association.peer} sent no whole answer for {patience:g} seconds.",
                advice="Try again; if the node is known to be slow, raise its response or inactivity timeout.",
            )
        if self.keep is not None and len(self._decoder) and now - self._taken > _OLDEST:
            self.keep(self._take())

    def _nothing_new(self, how_long: str = "") -> errors.LimitReached:
        vain = f"{self._novelty.vain:,} pending responses without anything new"
        return errors.LimitReached(
            f"{self._association.peer} sent {vain}{how_long}, after {counted(self._novelty.new, 'answer')}.",
            advice="Ask the PACS team for the log of this moment.",
        )

    def _read_one(self) -> bool:
        """Read one response; False after the last.

        One pending response is like the other, so a command set that repeats is not decoded again.
        """
        context_id, data = read_command_bytes(self._association)
        if data != self._last[0]:
            self._last = (data, self._read(data))
        response = self._last[1]
        if response.is_pending or not response.is_ours:
            self._take_answer(response, context_id)
            return not self._has_ended or self._goes_on()
        status = response.status
        if status == SUCCESS or self._has_ended:
            self._has_ended = True
            self._take_last(context_id, is_announced=response.has_data_set)
            return self._goes_on()
        if self._ask.is_cancelled:
            raise errors.Cancelled("The query was cancelled.")
        raise failure(Service.FIND, status, peer=self._association.peer, comment=response.comment)

    def _read(self, data: bytes) -> _Response:
        association, was_named = self._association, self._association.names_requests
        command = decode_command(data, peer=association.peer)
        status = check_response(association, command, Service.FIND)
        is_pending = status in (PENDING, PENDING_KEYS_UNSUPPORTED)
        is_ours = self._ask.is_answered_by(command, is_final=not is_pending)
        if was_named is False and association.names_requests:  # so the answers before were to another request
            self.of_another += self.count
        self.keys_unsupported |= is_ours and status == PENDING_KEYS_UNSUPPORTED
        return _Response(status, is_pending, is_ours, command.comment, command.has_data_set)

    def _goes_on(self) -> bool:
        """Whether a response is here already that a node sent after the final one."""
        stream = self._association.stream
        return stream.has_more and stream.command_follows(within=_LAST_PATIENCE) is True

    def _take_last(self, context_id: int, *, is_announced: bool) -> None:
        """Take a row that is the data set of the final response: none belongs there, so it is hardly waited for."""
        stream = self._association.stream
        if not (is_announced or stream.has_more):
            return
        answer = stream.read_optional_data(context_id, within=_LAST_PATIENCE)
        if self.is_row(answer):
            self._decoder.add(answer)
            self.count += 1

    def _take_answer(self, response: _Response, context_id: int) -> None:
        answer = self._association.stream.read_small_data(context_id) if response.is_pending else None
        self._novelty.take(answer if response.is_ours else None)
        if self._novelty.is_over:
            raise self._nothing_new()
        if not response.is_ours:
            self.of_another += response.is_pending
        elif answer is None:
            self.without_identifier += 1
        else:
            self._decoder.add(answer)
            self._size += len(answer)
            self.count += 1


def find(
    association: Association,
    identifier: Dataset,
    keywords: Sequence[str],
    *,
    node: Node,
    stop: Stop = NEVER,
) -> FindResponses:
    """Send one C-FIND request under the node's information model; `keywords` are the columns of the answers.

    While iterating, StatusError is raised if the node ends with anything but success, NodeTimeout if no whole answer
    comes in time, and Cancelled if `stop` ends it.
    """
    model = MODELS[node.information_model].find
    ask = send_request(association, dimse.C_FIND_RQ, model, identifier)
    decoder = AnswerDecoder(
        keywords,
        implicit=ask.context.transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN,
        character_set=node.character_set,
    )
    timeouts = (node.timeouts.response, node.timeouts.inactivity)
    responses = FindResponses(association, ask, decoder, timeouts=timeouts, stop=stop)
    responses.is_row = partial(_has_value, keyword_tag(unique_key(Level(identifier.QueryRetrieveLevel))))
    return responses


def _has_value(tag: int, data: bytes) -> bool:
    """Whether an element has a value, in explicit or implicit VR."""
    place = data.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    return place >= 0 and any(data[place + (6 if data[place + 4 : place + 6].isalpha() else 4) : place + 8])


def find_proposals(node: Node, *, relational: bool = False) -> tuple[Proposal, ...]:
    """Return the contexts that queries of a node need.

    Relational queries (PS3.4 C.5.1.1.1) are offered to a node that is known to accept the offer.
    """
    extended = RELATIONAL if relational else b""
    return (Proposal(abstract_syntax=MODELS[node.information_model].find, extended=extended),)
