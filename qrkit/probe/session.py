"""Runs the steps of `qrkit.probe.probe` with a node: associations, and C-FIND with a limited number of responses.

Unlike `qrkit.dimse.find`, it reports every end of a C-FIND, and which elements the responses contain.
"""

from __future__ import annotations

import json
import struct
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import count
from typing import Any, Self, TypeVar

import pyarrow as pa

from qrkit import errors, uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.answer_elements import UNDEFINED, read_header
from qrkit.dimse.answers import AnswerDecoder
from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal, find_model, get_model, move_model
from qrkit.dimse.element_ends import end_of_undefined
from qrkit.dimse.find import find_proposals
from qrkit.dimse.messages import PendingRequest, check_response, read_command, send_request
from qrkit.dimse.status import CANCELLED, PENDING, PENDING_KEYS_UNSUPPORTED, SUCCESS, Service, failure
from qrkit.find.associations import AssociationPool, AssociationRetry, Ending
from qrkit.find.refused_keys import RefusedKeys, may_be_for_a_key
from qrkit.find.windows import Failure, failure_of
from qrkit.node import InformationModel, Node
from qrkit.probe.probe import probe, probe_wildcards
from qrkit.probe.questions import Agreement, Offer, QueryAnswers, QueryEnd, Question
from qrkit.profile import Profile, Statement, Subject
from qrkit.profile.subjects import Extension
from qrkit.query import Load, Request, answer_keywords, identifier
from qrkit.stop import NEVER, Stop
from qrkit.tables import WARNINGS, keyword_tag, keyword_vr

_MISUNDERSTOOD = (
    errors.AssociationAborted,
    errors.ConnectionLost,
    errors.NodeTimeout,
    errors.ProtocolError,
)
"""How a node may react to an offer that it does not understand."""

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations in which SpecificCharacterSet counts (PS3.5 6.1.2.2)."""

QuestionCallback = Callable[[int, str], None]
"""Called before each question with its number and description."""

_Found = TypeVar("_Found")


def make_offer(node: Node, offer: Offer, *, calling_ae_title: str, stop: Stop = NEVER) -> Agreement:
    """Associate with everything in the offer, and release.

    Raises NodeError as `associate`; but a failure with extensions in the offer is a result.
    """
    try:
        with associate(node, _proposals(offer), calling_ae_title=calling_ae_title, stop=stop) as association:
            return _agreement(association)
    except (*_MISUNDERSTOOD, errors.AssociationRejected) as error:
        is_misunderstood = isinstance(error, _MISUNDERSTOOD) or type(error) is errors.AssociationRejected
        if not (offer.extensions and is_misunderstood):
            raise
        return Agreement(failure=error.message)


def send_question(association: Association, question: Question, node: Node, *, stop: Stop = NEVER) -> QueryAnswers:
    """Send one C-FIND request, read the responses, and cancel it at the limit.

    Raises Cancelled if `stop` ends it, and NoContextAccepted if the association is not for C-FIND under the
    question's information model.
    """
    exchange = _Exchange(association, question, node, stop)
    try:
        return exchange.run()
    except _CancelIgnored:
        return exchange.result(QueryEnd.CANCEL_IGNORED)
    except errors.NodeTimeout as error:
        return exchange.result(QueryEnd.SILENT, failure=error.message)
    except errors.NodeError as error:
        return exchange.result(QueryEnd.LOST, failure=error.message)


class _CancelIgnored(Exception):
    """The peer continues after C-CANCEL."""


class _Exchange:
    """One question under way, with its responses so far."""

    def __init__(self, association: Association, question: Question, node: Node, stop: Stop) -> None:
        keywords = ("SpecificCharacterSet", *answer_keywords(question.request, question.model))
        context = association.context_for(find_model(question.model))
        self._association = association
        self._question = question
        self._node = node
        self._stop = stop
        self._implicit = context.transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN
        self._decoder = AnswerDecoder(keywords, implicit=self._implicit, character_set=node.character_set)
        self._keywords = {keyword_tag(keyword): keyword for keyword in keywords}
        self._element_counts: Counter[str] = Counter()
        self._count = 0
        self._vain = 0  # pending responses without an Identifier
        self._cancelled_at = 0.0

    def run(self) -> QueryAnswers:
        """Send one request and read its responses to the end."""
        request, model, stream = self._question.request, self._question.model, self._association.stream
        asked = identifier(request, model, character_set=self._node.character_set)
        ask = send_request(self._association, dimse.C_FIND_RQ, find_model(model), asked)
        stream.patience = self._node.timeouts.response
        stream.on_wait = partial(self._heed, ask)
        try:
            while (ended := self._read_one(ask)) is None:
                stream.patience = self._node.timeouts.inactivity
                if self._count + self._vain >= self._question.limit and not ask.is_cancelled:
                    self._cancelled_at = time.monotonic()
                    ask.cancel()
                self._heed(ask)
            return ended
        finally:
            stream.on_wait = None

    def result(self, ended: QueryEnd, *, status: int = 0, failure: str = "") -> QueryAnswers:
        """Return the responses so far."""
        table = pa.Table.from_batches([self._decoder.take()])
        return QueryAnswers(
            rows=tuple(table.drop_columns([WARNINGS]).to_pylist()),
            element_counts=dict(self._element_counts),
            undecodable_texts=sum(map(_has_odd_text, table[WARNINGS].to_pylist())),
            count=self._count,
            ended=ended,
            was_cancelled=self._cancelled_at > 0,
            after_cancel=time.monotonic() - self._cancelled_at if self._cancelled_at else 0.0,
            status=status,
            failure=failure,
        )

    def _read_one(self, ask: PendingRequest) -> QueryAnswers | None:
        """Read one response; return the result if it is the last one."""
        association = self._association
        context_id, command = read_command(association)
        status = check_response(association, command, Service.FIND)
        is_pending = status in (PENDING, PENDING_KEYS_UNSUPPORTED)
        is_ours = ask.is_answered_by(command, is_final=not is_pending)
        if is_pending or not is_ours:
            data = association.stream.read_small_data(context_id) if is_pending else None
            if data is None or not is_ours:
                self._vain += 1
            else:
                self._take(data)
            return None
        if status == SUCCESS:
            return self.result(QueryEnd.SUCCESS)
        if status == CANCELLED and self._cancelled_at:
            return self.result(QueryEnd.CANCELLED, status=status)
        error = failure(Service.FIND, status, peer=association.peer, comment=command.comment)
        return self.result(QueryEnd.FAILED, status=status, failure=error.message)

    def _take(self, data: bytes) -> None:
        self._count += 1
        if self._count <= self._question.limit:
            self._decoder.add(data)
            tags = _tags_of(data, implicit=self._implicit)
            self._element_counts.update(self._keywords[tag] for tag in tags if tag in self._keywords)

    def _heed(self, ask: PendingRequest) -> None:
        """End the probe if it was stopped, and the question if the peer ignores C-CANCEL."""
        self._stop.check()
        try:
            ask.check(NEVER)
        except errors.Cancelled as error:
            raise _CancelIgnored from error


def _proposals(offer: Offer) -> Sequence[Proposal]:
    extended = bytes(extension in offer.extensions for extension in Extension) if offer.extensions else b""
    return (
        Proposal(abstract_syntax=uids.VERIFICATION),
        *(Proposal(abstract_syntax=find_model(model), extended=extended) for model in InformationModel),
        *(Proposal(abstract_syntax=get_model(model)) for model in InformationModel),
        *(Proposal(abstract_syntax=move_model(model)) for model in InformationModel),
    )


def _agreement(association: Association) -> Agreement:
    accepted = {context.abstract_syntax for context in association.contexts.values()}
    find = tuple(model for model in InformationModel if find_model(model) in accepted)
    return Agreement(
        echo=uids.VERIFICATION in accepted,
        find=find,
        get=tuple(model for model in InformationModel if get_model(model) in accepted),
        move=tuple(model for model in InformationModel if move_model(model) in accepted),
        extensions={model: _extensions(association.extended.get(find_model(model), b"")) for model in find},
    )


def _extensions(answer: bytes) -> tuple[Extension, ...]:
    return tuple(extension for extension, byte in zip(Extension, answer, strict=False) if byte == 1)


def _tags_of(data: bytes, *, implicit: bool) -> set[int]:
    """Return the tags of the readable elements in an Identifier."""
    tags, position = set(), 0
    while (header := read_header(data, position, implicit=implicit)) is not None:
        group, element = struct.unpack("<HH", header.tag)
        tags.add((group << 16) + element)
        end: int | None = header.start + header.length
        if header.length == UNDEFINED:
            end = end_of_undefined(data, header.start, implicit=implicit)
        if end is None:
            break
        position = end
    return tags


def _has_odd_text(warnings: str | None) -> bool:
    """Return whether text was not readable in its character set: such a warning contains bytes beyond ASCII."""
    found: list[dict[str, Any]] = json.loads(warnings) if warnings else []
    return any(
        "\\x" in warning["raw"] and warning["keyword"] and keyword_vr(warning["keyword"]) in _TEXT
        for warning in found
    )


def _ending(answers: QueryAnswers) -> Ending:
    if answers.ended not in (QueryEnd.LOST, QueryEnd.SILENT, QueryEnd.CANCEL_IGNORED):
        return Ending.ANSWERED
    if answers.count:
        return Ending.CUT
    return Ending.SILENCE if answers.ended is QueryEnd.SILENT else Ending.NOTHING


def _failure(answers: QueryAnswers) -> Failure | None:
    """Return why a question was not answered; None if it was, in part or as a whole."""
    if not answers.is_refusal:
        return None
    is_status = answers.ended is QueryEnd.FAILED
    error = errors.StatusError(answers.failure, status=answers.status) if is_status else errors.ConnectionLost("")
    return failure_of(error, answers.count)


def check_wildcards(node: Node, *, calling_ae_title: str, stop: Stop = NEVER) -> tuple[Statement, Load]:
    """Find out by a few questions whether a node matches wildcards; return the result and its load.

    The result is unknown if the node fails.
    """
    prober = Prober(node, calling_ae_title=calling_ae_title, stop=stop)
    try:
        with prober:
            statement = prober.check_wildcards(today=date.today())
    except errors.NodeError as error:
        statement = Statement(subject=Subject.WILDCARDS, evidence=error.message)
    return statement, prober.load


class Prober:
    """Probes one node over one association at a time, and replaces a lost one.

    `stop` ends the probe early. `watch` is called before each question. `load` counts the requests so far.
    """

    def __init__(
        self,
        node: Node,
        *,
        calling_ae_title: str,
        stop: Stop = NEVER,
        watch: QuestionCallback | None = None,
    ) -> None:
        self._node = node
        self._calling_ae_title = calling_ae_title
        self._stop = stop
        self._watch = watch
        self._keys = RefusedKeys(try_ask=lambda _: [], model=node.information_model)
        self._pool = AssociationPool(node, calling_ae_title=calling_ae_title, stop=stop)
        self._retry = AssociationRetry(node.timeouts.association)
        self.load = Load()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.close(is_failed=kind is not None)

    def run(self, *, today: date, now: str) -> Profile:
        """Probe the node and return its profile.

        Raises NodeError if the node is unreachable or refuses the association, and Cancelled if `stop` ends it.
        """
        profile = self._follow(probe(self._node, today=today, probed=now))
        refused = {(one.level, one.keyword) for one in self._keys.returned}
        returned = (one for one in profile.returned if (one.level, one.keyword) not in refused)
        return replace(profile, one_request=self._pool.evidence, returned=(*returned, *self._keys.returned))

    def check_wildcards(self, *, today: date) -> Statement:
        """Find out by a few questions whether the node matches wildcards; raise as `run`."""
        return self._follow(probe_wildcards(self._node.information_model, today=today))

    def _follow(self, steps: Generator[Offer | Question, Any, _Found]) -> _Found:
        step = next(steps)
        while True:
            try:
                step = steps.send(self._offer(step) if isinstance(step, Offer) else self._send(step))
            except StopIteration as end:
                found: _Found = end.value
                return found

    def _send(self, question: Question) -> QueryAnswers:
        """Ask a question, without the keys that the node refuses; where it refuses it, find out which those are."""
        keys = self._keys_under(question)
        lean = keys.without(question.request)
        answers = self._exchange(replace(question, request=lean))
        failure = _failure(answers)
        if failure is None or not may_be_for_a_key(failure):
            return answers
        least = keys.find(lean, failure)
        after = keys.without(lean)
        if least is None or after == lean:
            return answers if least is None or least.num_rows else QueryAnswers()
        return self._exchange(replace(question, request=after))

    def _keys_under(self, question: Question) -> RefusedKeys:
        """Return what is known of refused keys; the trials of them are small questions, too."""

        def try_ask(requests: Sequence[Request]) -> list[pa.Table | Failure]:
            answers = [self._exchange(replace(question, request=request)) for request in requests]
            return [_failure(one) or pa.Table.from_pylist([dict(row) for row in one.rows]) for one in answers]

        self._keys = replace(self._keys, try_ask=try_ask, model=question.model)
        return self._keys

    def _exchange(self, question: Question) -> QueryAnswers:
        if self.load.requests and self._node.pause:
            self.load += Load(waited=self._node.pause)
            self._stop.wait(self._node.pause)
        self.load += Load(requests=1, busiest=1)
        if self._watch is not None:
            self._watch(self.load.requests, question.what)
        asked = replace(self._node, information_model=question.model)

        def send(association: Association, node: Node) -> QueryAnswers:
            begun = time.monotonic()
            answers = send_question(association, question, node, stop=self._stop)
            self.load += Load(seconds=time.monotonic() - begun, answers=answers.count)
            return answers

        try:
            return self._pool.ask(find_proposals(asked, relational=question.relational), send, _ending)
        except errors.NodeError as error:
            if self.load.requests == 1:
                raise
            return QueryAnswers(ended=QueryEnd.LOST, failure=error.message)

    def _offer(self, offer: Offer) -> Agreement:
        return self._retried(
            lambda: make_offer(
                self._node,
                offer,
                calling_ae_title=self._calling_ae_title,
                stop=self._stop,
            )
        )

    def _retried(self, attempt: Callable[[], _Found]) -> _Found:
        """Return the result of an attempt, repeated while the node refuses associations temporarily."""
        for tries in count(1):
            try:
                return attempt()
            except errors.Congested:
                pause = self._retry.pause(tries)
                if pause is None:
                    raise
                self._stop.wait(pause)
        raise AssertionError  # count never ends
