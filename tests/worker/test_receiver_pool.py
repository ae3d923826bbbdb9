"""Several senders at once: received by several processes, admitted and filed in one place, and nothing lost."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from pydicom import dcmread

from qrkit import uids
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.messages import store_request
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.errors import ConnectionLost, NodeError
from qrkit.jobs import JobState
from qrkit.node import Node, Tls
from qrkit.receipt import Arrival, Refused
from qrkit.store.files import FileStore, WrittenObject
from qrkit.worker.receiver_pool import ReceiverPool
from qrkit.worker.receiver_process import Assignment
from tests.dimse.received import MemoryReceiver, data_set_bytes
from tests.dimse.scripted import p_data
from tests.peers.certificates import Authority
from tests.peers.dcmtk import storescu
from tests.peers.peer import NO_DELAY, PeerAddress
from tests.peers.processes import runs
from tests.peers.programs import dcmtk_program
from tests.peers.waiting import LOOPBACK, wait_until
from tests.workspace.opened import Linked, environment, files_of, of_size, uids_of, wait_for_worker, worker_in_thread

pytestmark = pytest.mark.skipif(os.name == "nt", reason="connected sockets cannot be handed over")


@dataclass(slots=True)
class Kept:
    """What the worker is in these tests: puts objects in their place, or refuses those of a class."""

    files: FileStore
    refused_class: str = ""
    begun: list[Arrival] = field(default_factory=list)
    objects: dict[str, Path] = field(default_factory=dict)
    unstored: dict[str, str] = field(default_factory=dict)

    def note_unstored(self, arrival: Arrival, why: str) -> None:
        self.unstored[arrival.sop_instance_uid] = why

    def touch(self, arrival: Arrival) -> None:
        self.begun.append(arrival)

    def adopt(self, arrival: Arrival, written: WrittenObject) -> None:
        if arrival.sop_class_uid == self.refused_class:
            written.part.unlink()
            raise Refused(0x0124, "this object was not requested")
        self.objects[arrival.sop_instance_uid] = self.files.keep(written, arrival).path


@dataclass(frozen=True, slots=True)
class Receiving:
    """A Storage SCP whose associations are all served by another process from now on."""

    scp: StorageScp
    reception: ReceiverPool
    kept: Kept
    memory: MemoryReceiver

    @property
    def address(self) -> PeerAddress:
        return PeerAddress("QRKIT", LOOPBACK, self.scp.port)

    def send(self, paths: list[Path]) -> subprocess.Popen[bytes]:
        options = ("--decompress-never", "--read-file-only")
        command = [str(dcmtk_program("dcmsend")), *options, LOOPBACK, str(self.scp.port), *map(str, paths)]
        return subprocess.Popen(command, env=NO_DELAY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def parts(self) -> list[Path]:
        """Part files with something in them: those that are ready for the next object have nothing."""
        return [path for path in self.kept.files.incoming.glob("*.part") if path.stat().st_size]


def node_at(port: int, tls: Tls | None = None) -> Node:
    return Node(name="ours", host=LOOPBACK, port=port, ae_title="QRKIT", tls=tls or Tls())


@contextmanager
def receiving(folder: Path, *, tls: Tls | None = None, most: int = 1) -> Iterator[Receiving]:
    """Give a Storage SCP that is busy with two associations, so that it hands over the next ones."""
    kept, memory = Kept(FileStore(folder / "files", free_space_floor=0)), MemoryReceiver()
    listener = Listener(ae_title="QRKIT", host=LOOPBACK, port=0, tls=tls or Tls())
    assignment = Assignment(listener=listener, files=kept.files.folder, free_space_floor=0)
    with ReceiverPool(assignment, lambda _: kept, kept.files.sweep, most=most) as reception:
        with StorageScp(listener, lambda _: memory, aside=reception) as scp, ExitStack() as held:
            node = node_at(scp.port, tls)
            for _ in range(2):
                echoing = associate(node, [Proposal(abstract_syntax=uids.VERIFICATION)], calling_ae_title="X")
                held.enter_context(echoing)
            wait_until(lambda: any(one.is_ready for one in reception._processes), 30, what="a process is ready")
            yield Receiving(scp, reception, kept, memory)
        pids = reception.pids
    assert not any(map(psutil.pid_exists, pids))
    assert reception.pids == []


def test_the_worker_learns_why_an_object_could_not_be_written(tmp_path: Path, samples: list[Path]) -> None:
    with receiving(tmp_path) as ours:
        ours.kept.files.incoming.mkdir(parents=True, exist_ok=True)
        ours.kept.files.incoming.joinpath("sample").touch()
        shutil.rmtree(ours.kept.files.folder)
        ours.kept.files.folder.touch()  # a file where the folder was
        assert "0x110" in storescu(ours.address, samples[:1], options=("-v",)).stdout
        wait_until(lambda: ours.kept.unstored, what="the worker learns it")
    assert list(ours.kept.unstored.values()) == ["The object cannot be written: Not a directory"]


def test_one_association_alone_needs_no_other_process(tmp_path: Path) -> None:
    kept = Kept(FileStore(tmp_path, free_space_floor=0))
    listener = Listener(ae_title="QRKIT", host=LOOPBACK, port=0)
    assignment = Assignment(listener=listener, files=tmp_path, free_space_floor=0)
    with (
        ReceiverPool(assignment, lambda _: kept, kept.files.sweep) as reception,
        StorageScp(listener, lambda _: MemoryReceiver(), aside=reception) as scp,
    ):
        proposals = [Proposal(abstract_syntax=uids.VERIFICATION)]
        with associate(node_at(scp.port), proposals, calling_ae_title="X"):
            assert reception.pids == []


def test_a_burst_starts_all_the_processes_it_needs_at_once(tmp_path: Path) -> None:
    with receiving(tmp_path, most=3) as ours, ExitStack() as burst:
        before = ours.reception.pids
        node = node_at(ours.scp.port)
        for _ in range(3):
            proposals = [Proposal(abstract_syntax=uids.VERIFICATION)]
            burst.enter_context(associate(node, proposals, calling_ae_title="X"))
        assert (len(before), len(ours.reception.pids)) == (1, 3)


def test_objects_of_many_senders_are_all_in_place_byte_for_byte(tmp_path: Path, samples: list[Path]) -> None:
    with receiving(tmp_path, most=2) as ours:
        senders = [ours.send(samples[number::4]) for number in range(4)]
        assert [sender.wait(60) for sender in senders] == [0] * 4
        wait_until(lambda: ours.reception.load == 0, what="the associations have ended")
        assert ours.parts() == []
    sent = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): data_set_bytes(path) for path in samples}
    there = {uid: data_set_bytes(path) for uid, path in ours.kept.objects.items()}
    assert len(there) >= len(samples) / 2  # the others came to a thread, which had less to do
    received = there | ours.memory.objects()
    assert received.keys() == sent.keys()
    assert sum(received[uid] != sent[uid] for uid in sent) <= 4  # those that dcmsend encodes anew
    assert {arrival.sender for arrival in ours.kept.begun} == {"DCMSEND"}
    assert list(ours.kept.files.incoming.glob("*.part")) == []


@pytest.mark.slow
def test_the_worker_hears_of_a_large_object_while_its_bytes_come(tmp_path: Path) -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    with (
        receiving(tmp_path) as ours,
        associate(node_at(ours.scp.port), [Proposal(abstract_syntax=ct)], calling_ae_title="X") as sender,
    ):
        context_id = sender.context_for(ct).context_id
        sender.stream.send(p_data(context_id, store_request(ct, "1.2.3", 1), command=True))

        def sign() -> bool:
            sender.stream.send(p_data(context_id, bytes(10_000), command=False, last=False))
            return len(ours.kept.begun) > 2

        wait_until(sign, what="signs of life after the first, which its request gives")
        sender.abort()
    assert {arrival.sop_instance_uid for arrival in ours.kept.begun} == {"1.2.3"}


def test_the_peer_is_told_what_the_worker_says_of_each_object(tmp_path: Path, samples: list[Path]) -> None:
    with receiving(tmp_path) as ours:
        ours.kept.refused_class = str(dcmread(samples[0], specific_tags=["SOPClassUID"]).SOPClassUID)
        sent = storescu(ours.address, samples[:1], options=("-v",))
        assert "0x124" in sent.stdout.lower(), sent.stdout
        assert ours.parts() == []
    assert ours.kept.objects == {}


def test_tls_is_spoken_by_the_receiving_process(tmp_path: Path, samples: list[Path]) -> None:
    authority = Authority(tmp_path)
    shown = authority.sign("ours")
    tls = Tls(
        enabled=True,
        ca_file=str(authority.certificate),
        certificate_file=str(shown.certificate),
        key_file=str(shown.key),
    )
    with receiving(tmp_path, tls=tls) as ours:
        options = ("--enable-tls", str(shown.key), str(shown.certificate), "--add-cert-file", tls.ca_file)
        storescu(ours.address, samples[:3], options=(*options, "--propose-lossless"), check=True)
    assert len(ours.kept.objects) == 3


def test_a_process_that_is_killed_loses_only_what_it_was_receiving(tmp_path: Path, samples: list[Path]) -> None:
    with receiving(tmp_path) as ours:
        ct = "1.2.840.10008.5.1.4.1.1.2"
        cut_off = associate(node_at(ours.scp.port), [Proposal(abstract_syntax=ct)], calling_ae_title="X")
        context_id = cut_off.context_for(ct).context_id
        cut_off.stream.send(p_data(context_id, store_request(ct, "1.2.3", 1), command=True))
        cut_off.stream.send(p_data(context_id, bytes(100_000), command=False, last=False))
        wait_until(ours.parts, what="the object is half written")
        (pid,) = ours.reception.pids
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionLost):
            cut_off.stream.read_command()
        cut_off.abort()
        wait_until(lambda: not ours.reception.load and not ours.parts(), what="what it left was swept")
        assert ours.send(samples[:2]).wait(60) == 0  # by a thread, while another process starts
        wait_until(lambda: ours.reception.pids not in ([], [pid]), what="another process was started")
    assert len(ours.memory.kept) == 2


def test_stopping_aborts_what_is_under_way_and_leaves_no_process(tmp_path: Path) -> None:
    with receiving(tmp_path) as ours:
        node = node_at(ours.scp.port)
        under_way = associate(node, [Proposal(abstract_syntax=uids.VERIFICATION)], calling_ae_title="X")
        wait_until(lambda: ours.reception.load == 1, what="the association was handed over")
    with pytest.raises(NodeError):
        under_way.stream.read_command()
    under_way.abort()


def test_a_process_ends_after_a_while_without_associations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrkit.worker.receiver_pool.IDLE_EXIT", 0.2)
    with receiving(tmp_path) as ours:
        wait_until(lambda: ours.reception.pids == [], what="the idle process ends")


def test_a_move_by_several_associations_is_complete_and_refuses_what_nobody_wants(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", associations=4)
    studies = of_size(linked.hospital, 4)[:12]
    wanted = {uid for study in studies for uid in uids_of(study)}
    with worker_in_thread(linked.workspace), ExitStack() as held:
        node = node_at(linked.workspace.settings.port)
        proposals = [Proposal(abstract_syntax=uids.VERIFICATION)]
        for _ in range(2):
            held.enter_context(associate(node, proposals, calling_ae_title="X"))
        wait_until(receiving_processes, 30, what="a receiving process runs")
        job = linked.workspace.retrieve_uids(
            "pacs", study_uids=[study.StudyInstanceUID for study in studies], method="move"
        )
        status = job.wait(timeout=60)
    assert (status.state, status.stored) == (JobState.COMPLETE, len(wanted))
    assert files_of(linked.workspace) == wanted
    assert receiving_processes() == []


def receiving_processes(parent: int = 0) -> list[psutil.Process]:
    """The receiving processes of a worker, by default of one in this process."""
    children = psutil.Process(parent or os.getpid()).children()
    return [child for child in children if "qrkit.worker.receiver_process" in child.cmdline()]


def test_no_process_outlives_a_worker_that_is_killed(linked: Linked) -> None:
    command = [sys.executable, "-m", "qrkit.cli", "serve"]
    served = subprocess.Popen(command, env=environment(linked.workspace), stderr=subprocess.DEVNULL)
    try:
        wait_for_worker(linked.workspace)
        node = node_at(linked.workspace.settings.port)
        proposals = [Proposal(abstract_syntax=uids.VERIFICATION)]
        opened = [associate(node, proposals, calling_ae_title="X") for _ in range(2)]
        wait_until(lambda: receiving_processes(served.pid), 30, what="a receiving process runs")
        orphans = receiving_processes(served.pid)
    finally:
        served.kill()
        served.wait(20)
    for association in opened:
        association.abort()
    wait_until(lambda: not any(map(runs, orphans)), 20, what="the receiving process ends with its worker")


def test_a_receiving_process_whose_worker_was_killed_ends_without_a_word(tmp_path: Path) -> None:
    listener = Listener(ae_title="QRKIT", host=LOOPBACK, port=0)
    assignment = Assignment(listener=listener, files=tmp_path, free_space_floor=0)
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        command = [sys.executable, "-m", "qrkit.worker.receiver_process", str(theirs.fileno()), assignment.to_text()]
        ended = subprocess.run(command, pass_fds=(theirs.fileno(),), capture_output=True, check=False, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, b"")
