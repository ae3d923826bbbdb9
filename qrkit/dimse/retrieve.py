"""C-GET and C-MOVE as SCU (PS3.4 C.4.2 and C.4.3)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO

from pydicom.dataset import Dataset

from qrkit import errors, uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import Association
from qrkit.dimse.contexts import get_model, move_model
from qrkit.dimse.messages import Command, PendingRequest, check_response, read_command, send_request
from qrkit.dimse.scp import store
from qrkit.dimse.status import CANCELLED, PENDING, SUCCESS, Category, Service, classify, failure
from qrkit.node import Node, Timeouts
from qrkit.receipt import Receiver
from qrkit.stop import NEVER, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Suboperations:
    """The node's counts of its C-STORE sub-operations (PS3.7 9.1.3.1); None where it sends none."""

    status: int = PENDING
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    comment: str = ""
    received: int = 0
    """Objects received over this association (C-GET only)."""
    bytes: int = 0
    """Their size."""
    failed_uids: tuple[str, ...] = ()
    """Failed SOP Instance UID List of the final response."""
    named: int | None = None
    """Sub-operations that the responses so far have counted at most, those that remain as well."""
    named_in_all: int | None = None
    """The same, of the responses that also count those that remain."""


_LIST_PATIENCE = 2.0
"""Seconds in which the list of failures has to arrive after a final response that announces it."""

OnProgress = Callable[[Suboperations], None]

_MOST_UNCOUNTED = 10_000
"""Pending responses without counters that count as one object each, for objects that go to another node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveWatch:
    """Facts on the objects of a C-MOVE that do not depend on its responses.

    Attributes
    ----------
    last_sign
        Returns the time of the last received bytes, by the monotonic clock; None: they go to another node, unseen.
    expected
        Number of objects that should arrive; 0: not known.
    """

    last_sign: Callable[[], float] | None = None
    expected: int = 0


class _Patience:
    """How long a retrieve is waited for: since its last sign of life, and since it brought something new.

    Until the first object the response timeout holds, which has to be long enough for a long-term archive; then
    that of inactivity. Pending responses that count nothing new are no progress, however many there are.
    """

    def __init__(self, node: Node, peer: str, watch: MoveWatch) -> None:
        self._timeouts: Timeouts = node.timeouts
        self._node, self._peer, self._watch = node.name, peer, watch
        self._began = self._heard = self._new = time.monotonic()
        self._done = self._uncounted = 0
        self._remaining: float = math.inf
        self._has_begun = False

    @property
    def _limit(self) -> str:
        return "inactivity" if self._has_begun or self._last_sign > self._began else "response"

    @property
    def seconds(self) -> float:
        """Seconds of silence that are allowed now."""
        return float(getattr(self._timeouts, self._limit))

    @property
    def _last_sign(self) -> float:
        return self._watch.last_sign() if self._watch.last_sign is not None else -math.inf

    def stored(self) -> None:
        """Note an object that has arrived over the association itself."""
        self._heard = self._new = time.monotonic()
        self._has_begun = True

    def responded(self, counted: Suboperations) -> None:
        """Note a pending response; raise NodeTimeout if nothing new was received for too long."""
        self._heard = time.monotonic()
        if self._counts_something_new(counted):
            self._new, self._has_begun = self._heard, True
        allowed = max(self._timeouts.response, self._timeouts.inactivity)
        if self._heard - max(self._new, self._last_sign) >= allowed:
            name = "response" if allowed == self._timeouts.response else "inactivity"
            raise self._timeout(f"sent only responses that report nothing new for {allowed:g} seconds", name)

    def check(self) -> None:
        """Raise NodeTimeout if there was no sign of life for too long."""
        if time.monotonic() - max(self._heard, self._last_sign) >= self.seconds:
            raise self.silence()

    def silence(self) -> errors.NodeTimeout:
        """Return the error for a node that has been silent for too long."""
        return self._timeout(f"sent nothing for {self.seconds:g} seconds, and no object arrived", self._limit)

    def _counts_something_new(self, counted: Suboperations) -> bool:
        numbers = [number for number in (counted.completed, counted.failed, counted.warning) if number is not None]
        if not numbers and counted.remaining is None:
            self._uncounted += 1
            return self._watch.last_sign is None and self._uncounted <= (self._watch.expected or _MOST_UNCOUNTED)
        # no more than there are: counters that rise without end bring nothing new
        done = min(sum(numbers), self._watch.expected or math.inf)
        remaining = math.inf if counted.remaining is None else counted.remaining
        is_new = done > self._done or remaining < self._remaining < math.inf
        self._done, self._remaining = max(int(done), self._done), min(remaining, self._remaining)
        return is_new

    def _timeout(self, what: str, limit: str) -> errors.NodeTimeout:
        return errors.NodeTimeout(
            f"{self._peer} {what}: the {limit} timeout of node {self._node}.",
            advice=f"If the node needs longer, such as for its long-term archive, raise its {limit} timeout; "
            "else try again.",
        )


class Retrieval:
    """One C-GET or C-MOVE request, run to its final response.

    `on_progress` is called after each response and each object.
    """

    def __init__(
        self,
        association: Association,
        *,
        node: Node,
        on_progress: OnProgress | None = None,
        stop: Stop = NEVER,
    ) -> None:
        self._association = association
        self._node = node
        self._on_progress = on_progress
        self._stop = stop
        self.state = Suboperations()
        """The counts of the last request so far, also after an error."""

    @property
    def message_id_to_come(self) -> int:
        """Message ID that the next request will have."""
        return self._association.message_id_to_come

    @property
    def own_address(self) -> str:
        """Our address, as the node sees it unless it is translated between."""
        return self._association.stream.own_address

    def get(self, identifier: Dataset, receiver: Receiver) -> Suboperations:
        """Retrieve by C-GET; arriving objects go to `receiver`.

        Returns the counts of the final response, with a status of success or warning. Whether everything arrived is
        not for the node to decide: compare what is stored. Raises StatusError if the node ends with a failure,
        Cancelled if `stop` ends it, and NodeError if the association breaks.
        """
        model = get_model(self._node.information_model)
        ask = send_request(self._association, dimse.C_GET_RQ, model, identifier)
        return self._run(ask, Service.GET, receiver)

    def move(self, identifier: Dataset, destination: str, watch: MoveWatch | None = None) -> Suboperations:
        """Retrieve by C-MOVE to the AE title `destination`; returns and raises as `get`.

        The objects that `watch` sees are signs of life, with or without pending responses.
        """
        model = move_model(self._node.information_model)
        ask = send_request(self._association, dimse.C_MOVE_RQ, model, identifier, destination)
        return self._run(ask, Service.MOVE, None, watch or MoveWatch())

    def _run(
        self, ask: PendingRequest, service: Service, receiver: Receiver | None, watch: MoveWatch | None = None
    ) -> Suboperations:
        stream = self._association.stream
        patience = _Patience(self._node, self._association.peer, watch or MoveWatch())
        self.state = Suboperations(received=self.state.received, bytes=self.state.bytes)

        def on_wait() -> None:
            ask.check(self._stop)
            if watch is not None:
                patience.check()

        outer, stream.on_wait = stream.on_wait, on_wait
        try:
            while True:
                # the objects of a C-MOVE come elsewhere, so that only `on_wait` knows how long to wait
                stream.patience = math.inf if watch is not None else patience.seconds
                context_id, command = self._next(patience)
                stream.patience = self._node.timeouts.inactivity
                if command.field == dimse.C_STORE_RQ and receiver is not None:
                    self._store(context_id, command, receiver)
                    patience.stored()
                elif self._is_final(context_id, command, service, ask):
                    return self._ended(ask, service)
                else:
                    patience.responded(self.state)
                ask.check(self._stop)
                self._report()
        finally:
            stream.on_wait = outer

    def _next(self, patience: _Patience) -> tuple[int, Command]:
        try:
            return read_command(self._association)
        except errors.NodeTimeout as error:
            raise patience.silence() from error

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.state)

    def _store(self, context_id: int, command: Command, receiver: Receiver) -> None:
        size = store(
            self._association.stream,
            context_id,
            command,
            receiver,
            transfer_syntax_uid=self._association.contexts[context_id].transfer_syntax,
            sender=self._node.ae_title,
        )
        if size:
            self.state = replace(self.state, received=self.state.received + 1, bytes=self.state.bytes + size)

    def _is_final(self, context_id: int, command: Command, service: Service, ask: PendingRequest) -> bool:
        status = check_response(self._association, command, service)
        is_final = classify(service, status).category is not Category.PENDING
        if not ask.is_answered_by(command, is_final=is_final):
            return False
        # only a list of failures is of use; whatever else is announced or sent here is dropped by the next read
        has_failures = is_final and status != SUCCESS and command.has_data_set
        stream = self._association.stream
        data = stream.read_optional_data(context_id, within=_LIST_PATIENCE) if has_failures else b""
        counts = [command.number(element) for element in (dimse.COMPLETED, dimse.FAILED, dimse.WARNING)]
        remaining = command.number(dimse.REMAINING)
        named = sum(number or 0 for number in (*counts, remaining)) if counts[0] is not None else None
        self.state = replace(
            self.state,
            named=_larger(self.state.named, named),
            named_in_all=_larger(self.state.named_in_all, None if remaining is None else named),
            status=status,
            remaining=remaining,
            completed=counts[0],
            failed=counts[1],
            warning=counts[2],
            comment=command.comment,
            failed_uids=_failed_uids(command, data, self._association.contexts[context_id].transfer_syntax),
        )
        return is_final

    def _ended(self, ask: PendingRequest, service: Service) -> Suboperations:
        status = self.state.status
        if ask.is_cancelled and status != SUCCESS:
            raise errors.Cancelled("The retrieve was cancelled.")
        if status == CANCELLED or classify(service, status).category is Category.FAILURE:
            raise failure(service, status, peer=self._association.peer, comment=self.state.comment)
        return self.state


def _larger(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else max(first, second)


def _failed_uids(command: Command, data: bytes, transfer_syntax: str) -> tuple[str, ...]:
    """Return Failed SOP Instance UID List (0008,0058); nothing where the peer sent what cannot be read."""
    from pydicom.filereader import read_dataset

    if not data:  # Orthanc has it in the command set
        return tuple(uid for uid in command.text(dimse.FAILED_SOP_INSTANCE_UID_LIST).split("\\") if uid)
    try:
        dataset = read_dataset(BytesIO(data), transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN, True)
        value = dataset.get("FailedSOPInstanceUIDList") or []
    except Exception:  # noqa: BLE001 - a list for information only; what is missing is found out otherwise
        return ()
    return tuple(str(uid) for uid in ([value] if isinstance(value, str) else value))
