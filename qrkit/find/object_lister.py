"""Asks a node for the objects of studies and series, over one association, and returns the list of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from qrkit.errors import NoContextAccepted, NodeError, StatusError
from qrkit.find.object_list import ListedRows, ListSteps, ObjectList, list_steps, not_listed
from qrkit.find.session import FindSession
from qrkit.find.windowed import WindowedAnswer, WindowedFind, vain_doubts
from qrkit.find.windows import FailureKind, failure_of
from qrkit.jobs import RetrieveRequest
from qrkit.node import InformationModel, Node
from qrkit.profile import Profile
from qrkit.query import Request
from qrkit.stop import Stop
from qrkit.tables import Level

_PATIENCE = 2.0
"""Seconds for which a congested node is tried again: a job that waits for it has longer pauses of its own."""


_GONE = (FailureKind.AWAY, FailureKind.BROKEN)


class ObjectLister:
    """Lists the objects of one node.

    Parameters
    ----------
    stop
        Ends early what is under way.
    learn
        Told at the end of what the answers have shown of the node.
    """

    def __init__(
        self,
        node: Node,
        profile: Profile,
        *,
        calling_ae_title: str,
        stop: Stop,
        learn: Callable[[WindowedFind], None] = lambda _: None,
    ) -> None:
        self._node = replace(node, associations=1)
        self._profile = profile
        self._calling_ae_title = calling_ae_title
        self._stop = stop
        self._learn = learn

    def list_objects(self, requests: Sequence[RetrieveRequest]) -> tuple[ObjectList, ...]:
        """Return the list of each request; one of a node that cannot be asked has the reason or the error.

        Raises
        ------
        Cancelled
            If `stop` wants it.
        """
        name, model = self._node.name, self._node.information_model
        if not self._node.can_find:
            return (not_listed(f"{name} cannot be asked for what it holds, as it has no C-FIND"),) * len(requests)
        if model is InformationModel.PATIENT_STUDY_ONLY:  # it has no series and images (PS3.4 C.6.3)
            return (not_listed(f"{name} cannot be asked for series and images under Patient/Study Only"),) * len(
                requests
            )
        steps = list_steps(requests, model, self._profile.reliance)
        asked = _Asked()
        try:
            rows = self._run(steps, asked)
        except NoContextAccepted:
            return (not_listed(f"{name} cannot be asked for what it holds, as it accepts no C-FIND"),) * len(requests)
        except NodeError as error:
            return tuple(_failed(error) for _ in requests)
        return tuple(self._list_of(request, rows, asked.error_of(request)) for request in requests)

    def _run(self, steps: ListSteps, asked: _Asked) -> ListedRows:
        session = FindSession(
            self._node,
            calling_ae_title=self._calling_ae_title,
            stop=self._stop,
            habits=self._profile.habits,
            patience=_PATIENCE,
        )
        with session:
            windowed = WindowedFind(session, self._node, self._profile, today=date.today())
            requests = next(steps)
            while True:
                answers = windowed.try_ask(requests)
                asked.take(requests, answers)
                try:
                    requests = steps.send([answer.table for answer in answers])
                except StopIteration as end:
                    rows: ListedRows = end.value
                    break
        self._learn(windowed)
        rows.doubt(vain_doubts(session.vain))
        return rows

    def _list_of(self, request: RetrieveRequest, rows: ListedRows, error: NodeError | None) -> ObjectList:
        listed = rows.object_list(request)
        if error is None:
            return listed
        failed = _failed(error)
        has_none = not listed.objects and listed.counted is None
        if has_none and isinstance(error, StatusError) and not error.transient:
            return failed  # a node without IMAGE level: the counters of the retrieve are all that is known
        # what the node counts is the next best proof
        return replace(listed, short=(*failed.short, *listed.short), error=error)


def _failed(error: NodeError) -> ObjectList:
    return not_listed(f"the node did not list its objects: {error.message.rstrip('.')}", error)


class _Asked:
    """The requests that have failed, with their errors."""

    def __init__(self) -> None:
        self._errors: dict[Request, NodeError] = {}

    def take(self, requests: Sequence[Request], answers: Sequence[WindowedAnswer]) -> None:
        """Note which requests of a step have failed.

        Raises
        ------
        NodeError
            If none was answered, and none will be: the node is away, or breaks off whatever it is asked.
        """
        errors = [answer.error for answer in answers]
        first = errors[0] if errors else None
        if first is not None and all(errors) and failure_of(first).kind in _GONE:
            raise first
        for request, error in zip(requests, errors, strict=True):
            self._errors.pop(request, None)
            if error is not None:
                self._errors[request] = error

    def error_of(self, request: RetrieveRequest) -> NodeError | None:
        """Return the error by which the list of a request is not there; lists of UIDs were asked again one by one."""
        return next((error for asked, error in self._errors.items() if _is_for(asked, request)), None)


def _is_for(asked: Request, request: RetrieveRequest) -> bool:
    if asked.level is Level.STUDY or asked.value("StudyInstanceUID") != request.StudyInstanceUID:
        return False
    return request.level is Level.STUDY or asked.value("SeriesInstanceUID") == request.SeriesInstanceUID
