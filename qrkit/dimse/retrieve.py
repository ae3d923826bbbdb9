"""C-GET and C-MOVE as SCU (PS3.4 C.4.2 and C.4.3)."""

from __future__ import annotations

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
from qrkit.node import Node
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

    def get(self, identifier: Dataset, receiver: Receiver) -> Suboperations:
        """Retrieve by C-GET; arriving objects go to `receiver`.

        Returns the counts of the final response, with a status of success or warning. Whether everything arrived is
        not for the node to decide: compare what is stored. Raises StatusError if the node ends with a failure,
        Cancelled if `stop` ends it, and NodeError if the association breaks.
        """
        model = get_model(self._node.information_model)
        ask = send_request(self._association, dimse.C_GET_RQ, model, identifier)
        return self._run(ask, Service.GET, receiver)

    def move(self, identifier: Dataset, destination: str) -> Suboperations:
        """Retrieve by C-MOVE to the AE title `destination`; returns and raises as `get`."""
        model = move_model(self._node.information_model)
        ask = send_request(self._association, dimse.C_MOVE_RQ, model, identifier, destination)
        return self._run(ask, Service.MOVE, None)

    def _run(self, ask: PendingRequest, service: Service, receiver: Receiver | None) -> Suboperations:
        stream = self._association.stream
        stream.patience = self._node.timeouts.response
        self.state = Suboperations(received=self.state.received, bytes=self.state.bytes)
        outer, stream.on_wait = stream.on_wait, lambda: ask.check(self._stop)
        try:
            while True:
                context_id, command = read_command(self._association)
                stream.patience = self._node.timeouts.inactivity
                if command.field == dimse.C_STORE_RQ and receiver is not None:
                    self._store(context_id, command, receiver)
                elif self._is_final(context_id, command, service):
                    return self._ended(ask, service)
                ask.check(self._stop)
                if self._on_progress is not None:
                    self._on_progress(self.state)
        finally:
            stream.on_wait = outer

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

    def _is_final(self, context_id: int, command: Command, service: Service) -> bool:
        status = check_response(self._association, command, service)
        is_final = classify(service, status).category is not Category.PENDING
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
            comment=command.text(dimse.ERROR_COMMENT),
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
