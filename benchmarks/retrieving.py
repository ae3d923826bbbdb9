"""Objects transferred: our Storage SCP compared with others, fed by dcmsend, and C-GET from a stock Orthanc."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from benchmarks.objects import write_ct, write_sr
from benchmarks.servers import pynetdicom_storescp, qrkit_receiver, storescp
from benchmarks.timing import Measured, in_turn, seconds_of
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal, get_model, storage_proposals
from qrkit.dimse.retrieve import Retrieval
from qrkit.node import Node
from qrkit.store.files import FileStore
from tests.peers.orthanc import Orthanc
from tests.peers.peer import NO_DELAY, PeerAddress
from tests.peers.programs import dcmtk_program
from tests.peers.pynetdicom_scu import keep_responses

SENDERS = 8

AE_TITLE = "QRKIT"


def measure_storage(folder: Path, *, rounds: int) -> Iterator[Measured]:
    """Measure one series of CT, many small SR, and eight senders at once of each."""
    ct, sr = write_ct(folder / "ct", 300), write_sr(folder / "sr", 1_000)
    eight_ct = [write_ct(folder / f"ct{number}", 60) for number in range(SENDERS)]
    eight_sr = [write_sr(folder / f"sr{number}", 200) for number in range(SENDERS)]
    with ExitStack() as stack:
        ours = stack.enter_context(qrkit_receiver(folder / "qrkit"))
        dcmtk = stack.enter_context(storescp(folder / "storescp"))
        forking = stack.enter_context(storescp(folder / "forking", "--fork"))
        plain = stack.enter_context(pynetdicom_storescp(folder / "pynetdicom"))
        single = {"qrkit": ours, "DCMTK storescp": dcmtk, "pynetdicom": plain}
        many = {"qrkit": ours, "DCMTK storescp --fork": forking}
        forked = {"DCMTK storescp --fork": 1.0}
        for work, receivers, folders, goals in (
            ("receive 300 CT, 157 MB", single, [ct], {"DCMTK storescp": 1, "pynetdicom": 3}),
            ("receive 1,000 small SR", single, [sr], {"DCMTK storescp": 1, "pynetdicom": 4}),
            ("receive 8 × 60 CT at once, 252 MB", many, eight_ct, forked),
            ("receive 8 × 200 SR at once", many, eight_sr, forked),
        ):
            candidates = {name: partial(receiver.receive, folders) for name, receiver in receivers.items()}
            yield Measured(work=work, seconds=in_turn(candidates, rounds=rounds), goals=goals)


class Fetching:
    """The same studies, fetched by each candidate over one association into an empty folder."""

    def __init__(self, node: Node, folder: Path, loaded: Path) -> None:
        self._node = node
        self._folder = folder
        headers = [dcmread(path, stop_before_pixels=True) for path in sorted(loaded.iterdir())]
        self._expected = len(headers)
        self._studies = sorted({str(header.StudyInstanceUID) for header in headers})
        self._classes = sorted({str(header.SOPClassUID) for header in headers})
        self._queries = self._write_queries(folder / "queries")

    def by_qrkit(self) -> float:
        """Fetch by our data phase, into our files."""
        return self._timed(self._by_qrkit)

    def by_getscu(self) -> float:
        """Fetch by DCMTK's getscu, which takes one file per query."""
        return self._timed(self._by_getscu)

    def by_pynetdicom(self) -> float:
        """Fetch by plain pynetdicom, writing each data set as its documentation does."""
        return self._timed(self._by_pynetdicom)

    def _timed(self, fetch: Callable[[Path], None]) -> float:
        target = self._folder / "fetched"
        target.mkdir()
        seconds = seconds_of(lambda: fetch(target))
        received = sum(1 for path in target.rglob("*") if path.is_file())
        if received != self._expected:
            raise RuntimeError(f"{fetch} brought {received} of {self._expected} objects.")
        shutil.rmtree(target)
        return seconds

    def _by_qrkit(self, target: Path) -> None:
        files = FileStore(target, free_space_floor=0)
        model = get_model(self._node.information_model)
        proposals = [Proposal(abstract_syntax=model), *storage_proposals(self._classes)]
        with associate(self._node, proposals, calling_ae_title=AE_TITLE) as association:
            for study in self._studies:
                Retrieval(association, node=self._node).get(_identifier(study), files)
        files.close()

    def _by_getscu(self, target: Path) -> None:
        titles = ["-aet", AE_TITLE, "-aec", self._node.ae_title]
        address = [self._node.host, str(self._node.port)]
        queries = [str(path) for path in self._queries]
        command = [str(dcmtk_program("getscu")), "-S", *titles, "-od", str(target), *address, *queries]
        # getscu 3.6.7 crashes at its very end where it has more than one query file; `_timed` counts what it brought
        subprocess.run(command, env={**os.environ, **NO_DELAY}, check=False)

    def _by_pynetdicom(self, target: Path) -> None:
        def on_store(event: evt.Event) -> int:
            received = event.dataset
            received.file_meta = event.file_meta
            received.save_as(target / f"{received.SOPInstanceUID}.dcm", enforce_file_format=True)
            return 0

        entity = AE(ae_title=AE_TITLE)
        entity.add_requested_context(get_model(self._node.information_model))
        for sop_class in self._classes:
            entity.add_requested_context(sop_class)
        association = entity.associate(
            self._node.host,
            self._node.port,
            ae_title=self._node.ae_title,
            ext_neg=[build_role(sop_class, scp_role=True) for sop_class in self._classes],
            evt_handlers=[(evt.EVT_C_STORE, on_store)],
        )
        keep_responses(association)
        for study in self._studies:
            for _ in association.send_c_get(_identifier(study), get_model(self._node.information_model)):
                pass
        association.release()

    def _write_queries(self, folder: Path) -> Sequence[Path]:
        folder.mkdir(parents=True)
        paths = []
        for number, study in enumerate(self._studies):
            path = folder / f"{number:04}.dcm"
            _identifier(study).save_as(path, implicit_vr=True, little_endian=True)
            paths.append(path)
        return paths


def measure(folder: Path, *, rounds: int) -> Iterator[Measured]:
    """Measure 100 studies of one small object each, and one study of 300 CT."""
    small = write_sr(folder / "studies", 100, studies=100)
    large = write_ct(folder / "ct", 300)
    with Orthanc(folder / "orthanc", PeerAddress.free("ORTHANC")) as peer:
        peer.load([*sorted(small.iterdir()), *sorted(large.iterdir())])
        node = Node(name="orthanc", host=peer.host, port=peer.port, ae_title=peer.ae_title)
        studies = Fetching(node, folder / "small", small)
        yield _measured("C-GET 100 studies of one object, Orthanc", studies, {"getscu": 1, "pynetdicom": 12}, rounds)
        series = Fetching(node, folder / "large", large)
        yield _measured("C-GET 300 CT, Orthanc", series, {"getscu": 1, "pynetdicom": 1}, rounds)


def _measured(work: str, fetching: Fetching, goals: dict[str, float], rounds: int) -> Measured:
    candidates = {"qrkit": fetching.by_qrkit, "getscu": fetching.by_getscu, "pynetdicom": fetching.by_pynetdicom}
    return Measured(work=work, seconds=in_turn(candidates, rounds=rounds), goals=goals)


def _identifier(study: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study
    return identifier
