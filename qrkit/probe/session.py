"""Runs the steps of `qrkit.probe.probe` with a node."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import date
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

from qrkit.dimse.association import Association, associate
from qrkit.dimse.find import find_proposals
from qrkit.errors import Congested, NodeError
from qrkit.find.session import AssociationRetry
from qrkit.node import Node
from qrkit.probe.associations import make_offer, send_question
from qrkit.probe.probe import probe, probe_wildcards
from qrkit.probe.questions import Agreement, Offer, QueryAnswers, QueryEnd, Question
from qrkit.profile import Profile, Statement, Subject
from qrkit.query import Load
from qrkit.stop import NEVER, Stop

QuestionCallback = Callable[[int, str], None]
"""Called before each question with its number and description."""

_Found = TypeVar("_Found")

_BROKEN = (QueryEnd.LOST, QueryEnd.SILENT, QueryEnd.CANCEL_IGNORED)


def check_wildcards(node: Node, *, calling_ae_title: str, stop: Stop = NEVER) -> tuple[Statement, Load]:
    """Find out by a few questions whether a node matches wildcards; return the result and its load.

    The result is unknown if the node fails.
    """
    prober = Prober(node, calling_ae_title=calling_ae_title, stop=stop)
    try:
        with prober:
            statement = prober.check_wildcards(today=date.today())
    except NodeError as error:
        statement = Statement(subject=Subject.WILDCARDS, evidence=error.message)
    return statement, prober.load


class Prober:
    """Probes one node over one association at a time, and replaces a lost one.

    Parameters
    ----------
    stop
        Ends the probe early.
    watch
        Called before each question.

    Attributes
    ----------
    load
        The requests so far.
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
        self._association: Association | None = None
        self._retry = AssociationRetry(node.timeouts.association)
        self.load = Load()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._association is not None:
            self._association.__exit__(kind, error, trace)

    def run(self, *, today: date, now: str) -> Profile:
        """Probe the node and return its profile.

        Raises
        ------
        NodeError
            If the node is unreachable, or refuses the association.
        Cancelled
            If `stop` ends it.
        """
        return self._follow(probe(self._node, today=today, probed=now))

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
        if self.load.requests and self._node.pause:
            self.load += Load(waited=self._node.pause)
            self._stop.wait(self._node.pause)
        self.load += Load(requests=1, busiest=1)
        if self._watch is not None:
            self._watch(self.load.requests, question.what)
        try:
            association = self._association or self._open(question)
        except NodeError as error:
            if self.load.requests == 1:
                raise
            return QueryAnswers(ended=QueryEnd.LOST, failure=error.message)
        self._association = association
        begun = time.monotonic()
        answers = send_question(association, question, self._node, stop=self._stop)
        self.load += Load(seconds=time.monotonic() - begun, answers=answers.count)
        if answers.ended in _BROKEN:
            association.abort()
            self._retry.closed()
            self._association = None
        return answers

    def _open(self, question: Question) -> Association:
        asked = replace(self._node, information_model=question.model)
        opened = self._retried(
            lambda: associate(
                self._node,
                find_proposals(asked, relational=question.relational),
                calling_ae_title=self._calling_ae_title,
                stop=self._stop,
            )
        )
        self._retry.opened()
        return opened

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
            except Congested:
                pause = self._retry.pause(tries)
                if pause is None:
                    raise
                self._stop.wait(pause)
        raise AssertionError  # count never ends
