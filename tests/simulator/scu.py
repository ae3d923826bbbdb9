"""pynetdicom as service class user: the same few calls for every test."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from qrkit.simulator import Simulator
from qrkit.simulator.facts import Kind
from tests.peers.pynetdicom_scu import keep_responses

FIND = StudyRootQueryRetrieveInformationModelFind
PATIENT_FIND = PatientRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
STORAGE = tuple(dict.fromkeys(kind.sop_class for kind in Kind if kind.sop_class))
EXPLICIT_VR = "1.2.840.10008.1.2.1"
IMPLICIT_VR = "1.2.840.10008.1.2"


@dataclass
class Outcome:
    """What came back of one request: every response in its order, and the objects received."""

    responses: list[tuple[Dataset, Dataset | None]] = field(default_factory=list)
    objects: list[Dataset] = field(default_factory=list)

    @property
    def answers(self) -> list[Dataset]:
        """The Identifiers of pending C-FIND responses."""
        return [identifier for _, identifier in self.responses if identifier is not None]

    @property
    def final(self) -> Dataset:
        """The command set of the last response; empty if the peer was lost."""
        return self.responses[-1][0]

    @property
    def status(self) -> int:
        """The last status; -1 if the peer was lost."""
        return int(self.final.Status) if "Status" in self.final else -1


@contextmanager
def association(
    pacs: Simulator,
    contexts: Sequence[str],
    *,
    storage: Sequence[str] = (),
    transfer_syntaxes: Sequence[str] = (EXPLICIT_VR, IMPLICIT_VR),
    objects: list[Dataset] | None = None,
) -> Iterator[Association]:
    """An association that ends with the block; objects that arrive in it are put into the list."""
    ae = AE(ae_title="TESTSCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    for uid in contexts:
        plain = uid not in STORAGE  # the transfer syntaxes are meant for objects
        ae.add_requested_context(uid, [EXPLICIT_VR, IMPLICIT_VR] if plain else list(transfer_syntaxes))
    for uid in storage:
        ae.add_requested_context(uid, list(transfer_syntaxes))
    roles = [build_role(uid, scp_role=True) for uid in storage]

    def keep(event: evt.Event) -> int:
        if objects is not None:
            data_set = event.dataset
            data_set.file_meta = event.file_meta
            objects.append(data_set)
        return 0x0000

    opened = ae.associate(
        pacs.host,
        pacs.port,
        ae_title=pacs.ae_title,
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    keep_responses(opened)
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()
        if opened.is_alive():
            opened.kill()
            opened.join()


def identifier(level: str, **keys: object) -> Dataset:
    """An Identifier; text outside ASCII makes it UTF-8."""
    data_set = Dataset()
    data_set.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(data_set, keyword, value)
    if not str(keys).isascii():
        data_set.SpecificCharacterSet = "ISO_IR 192"
    return data_set


def find(pacs: Simulator, level: str, *, model: str = FIND, **keys: object) -> Outcome:
    """One C-FIND, in the Study Root model unless told otherwise."""
    with association(pacs, [model]) as opened:
        assert opened.is_established
        return Outcome(list(opened.send_c_find(identifier(level, **keys), model)))


def get(
    pacs: Simulator, level: str, *, transfer_syntaxes: Sequence[str] = (EXPLICIT_VR, IMPLICIT_VR), **keys: object
) -> Outcome:
    """One C-GET; the objects are decoded."""
    outcome = Outcome()
    with association(
        pacs, [GET], storage=STORAGE, transfer_syntaxes=transfer_syntaxes, objects=outcome.objects
    ) as opened:
        assert opened.is_established
        outcome.responses = list(opened.send_c_get(identifier(level, **keys), GET))
    return outcome


def move(pacs: Simulator, destination: str, level: str, **keys: object) -> Outcome:
    """One C-MOVE."""
    with association(pacs, [MOVE]) as opened:
        assert opened.is_established
        return Outcome(list(opened.send_c_move(identifier(level, **keys), destination, MOVE)))


def echo(pacs: Simulator) -> int:
    """One C-ECHO; its status, -1 if there is no association."""
    with association(pacs, [Verification]) as opened:
        if not opened.is_established:
            return -1
        return int(opened.send_c_echo().Status)
