"""From the click to the freed association, against a PACS that ignores C-CANCEL."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.pacs import hospital
from benchmarks.servers import process, workspace
from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.workspace import Workspace
from tests.peers.waiting import free_port, wait_until

LIMIT = 3.0

CASES: dict[str, Quirks] = {
    "that keeps sending": Quirks(ignore_cancel=True, delay_object=0.1),
    "that has gone silent": Quirks(ignore_cancel=True, retrieve_hang=True),
    "that heeds C-CANCEL": Quirks(delay_object=0.1),
}


def measure(folder: Path, *, rounds: int) -> Iterator[str]:
    """Cancel a running retrieve; the PACS shows when its association is free, the state what users see."""
    port = free_port()
    archive = hospital(rounds * len(CASES) * 2)
    served = {"QRKIT_WORKSPACE": str(folder), "QRKIT_PORT": str(port)}
    with (
        workspace(folder, port) as opened,
        Simulator(archive, destinations={"QRKIT": ("127.0.0.1", port)}) as pacs,
        process([sys.executable, "-m", "qrkit.cli", "serve"], port, **served),
    ):
        opened.nodes.add("pacs", host="127.0.0.1", port=pacs.port, ae_title=pacs.ae_title)
        number = 0
        for case, quirks in CASES.items():
            for method in ("get", "move"):
                freed, told = [], []
                for _ in range(rounds):
                    one = _cancel(opened, pacs, quirks, (archive.study(number).StudyInstanceUID, method))
                    freed.append(one[0])
                    told.append(one[1])
                    number += 1
                verdict = "met" if max(freed) <= LIMIT else "missed"
                yield (
                    f"cancel: C-{method.upper()} from a PACS {case}, {rounds} times: association free after "
                    f"{median(freed):.2f} s, at worst {max(freed):.2f} s; job cancelled after {median(told):.2f} s, "
                    f"at worst {max(told):.2f} s ({verdict}: {LIMIT:g} s)"
                )


def _cancel(opened: Workspace, pacs: Simulator, quirks: Quirks, asked: tuple[str, str]) -> tuple[float, float]:
    study, method = asked
    pacs.quirks = quirks
    served = len(pacs.requests)
    job = opened.retrieve_uids("pacs", study_uids=[study], method=method)
    # the listing has been answered, its association left, and that of the retrieve is there
    wait_until(lambda: _has_listed(pacs, served) and pacs.open_associations, 20, what="the retrieve")
    wait_until(lambda: quirks.retrieve_hang or job.status.received, 20, what="some objects")
    time.sleep(0.3)
    clicked = time.perf_counter()
    job.cancel()
    wait_until(lambda: not pacs.open_associations, 20, what="the association is free")
    freed = time.perf_counter() - clicked
    wait_until(lambda: job.state is JobState.CANCELLED, 20, what="the job is cancelled")
    return freed, time.perf_counter() - clicked


def _has_listed(pacs: Simulator, served: int) -> bool:
    return any(one.service == "C-FIND" for one in pacs.requests[served:])
