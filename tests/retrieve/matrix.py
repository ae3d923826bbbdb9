"""Every way to hide rows crossed with every way to lose objects, by both methods, at three levels.

``python -m tests.retrieve.matrix`` prints what the retrieves ended as, without and with a query before them, which
teaches the node's profile how many rows it returns.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import qrkit
from qrkit.errors import NodeError
from qrkit.jobs import ItemOutcome, JobState, RetrieveRequest
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.simulator.facts import Study
from qrkit.tables import Level
from qrkit.workspace import Workspace
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import all_studies, files_of, link, uids_of, worker_in_thread

COUNTS = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances")
OBJECTS = COUNTS[1:]

HIDES: Mapping[str, Quirks] = {
    "nothing hidden": Quirks(),
    "silent cap": Quirks(cap=4),
    "silent cap of one": Quirks(cap=1),
    "cap with 0xA700": Quirks(cap=4, cap_mode="status"),
    "last answers left out": Quirks(hide_answers=1),
    "no counts": Quirks(omit_keys=COUNTS),
    "empty counts": Quirks(blank_keys=COUNTS),
    "silent cap, no counts": Quirks(cap=4, omit_keys=COUNTS),
    "silent cap, series counted only": Quirks(cap=4, omit_keys=OBJECTS),
    "last answers left out, no counts": Quirks(hide_answers=1, omit_keys=COUNTS),
    "last two left out, no counts": Quirks(hide_answers=2, omit_keys=COUNTS),
    "counts too low": Quirks(count_less=2),
    "series without images": Quirks(no_instances_of=("CT", "MR", "MG", "DX", "XA", "US", "PT")),
    "StudyInstanceUID ignored": Quirks(ignore_keys=("StudyInstanceUID",)),
    "UIDs ignored, silent cap": Quirks(ignore_keys=("StudyInstanceUID", "SeriesInstanceUID"), cap=30),
    "no lists of UIDs, no relational queries": Quirks(refuse_uid_lists=True, relational=False, cap=4),
    "C-FIND fails": Quirks(find_status=0xC001),
    "C-FIND breaks off": Quirks(find_abort_after=3),
    "no C-FIND": Quirks(services=("echo", "get", "move", "store")),
    "invalid UIDs": Quirks(invalid_uid=True, cap=4),
}

LOSES: Mapping[str, Mapping[str, Any]] = {
    "nothing lost": {},
    "sends 2 less": {"send_less": 2},
    "sends 2 less, no counters": {"send_less": 2, "no_counters": True},
    "fails 2": {"fail_objects": 2},
    "fails 2, no counters": {"fail_objects": 2, "no_counters": True},
    "aborts after 4": {"drop_after": 4},
    "breaks off after 4": {"break_after": 4},
    "0xFE00 after 4": {"retrieve_status": 0xFE00, "retrieve_status_after": 4},
    "0xB000 after 4, no counters": {"retrieve_status": 0xB000, "retrieve_status_after": 4, "no_counters": True},
}
METHODS = ("get", "move")
LEVELS = ("STUDY", "SERIES", "IMAGE")

_TIMEOUTS = {"connect": 5.0, "association": 10.0, "response": 20.0, "inactivity": 0.4}
_PATIENT = _TIMEOUTS | {"inactivity": 20.0}
"""For nodes that lose nothing: none waits for the limit, and a slow machine does not reach it."""
_LIMIT = 120.0
_AT_ONCE = 24
"""Simulators at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How the retrieve at one level ended: its outcome, and how many objects there are and came."""

    hides: str
    loses: str
    method: str
    level: str
    outcome: ItemOutcome
    truth: int
    here: int

    @property
    def word(self) -> str:
        """The end in one word."""
        state = self.outcome.state
        return "unproven" if state is JobState.COMPLETE and not self.outcome.proven else state.value

    @property
    def is_false(self) -> bool:
        """Whether it is said to be complete although objects are missing."""
        return self.word == "complete" and self.here < self.truth


def _large(study: Study) -> tuple[str, frozenset[str]]:
    """Return the largest series of a study, and its objects, if these are six or more."""
    series = max(study.series, key=lambda one: len(one.instances))
    uids = frozenset(one.SOPInstanceUID for one in series.instances)
    return (series.SeriesInstanceUID, uids) if len(uids) > 5 else ("", frozenset())


def _requests(studies: Sequence[Study]) -> Iterator[tuple[RetrieveRequest, frozenset[str]]]:
    of_study, of_series, of_images = studies
    yield RetrieveRequest(level=Level.STUDY, StudyInstanceUID=of_study.StudyInstanceUID), frozenset(uids_of(of_study))
    for level, study in ((Level.SERIES, of_series), (Level.IMAGE, of_images)):
        series, uids = _large(study)
        request = RetrieveRequest(
            level=level,
            StudyInstanceUID=study.StudyInstanceUID,
            SeriesInstanceUID=series,
            sop_instance_uids=tuple(sorted(uids)) if level is Level.IMAGE else (),
        )
        yield request, uids


def run(workspace: Workspace, pairs: Sequence[tuple[str, str, str]], *, queried: bool = False) -> list[Cell]:
    """Retrieve for each triple of what hides, what loses, and a method; `queried`: after a query for all studies."""
    cells: list[Cell] = []
    with worker_in_thread(workspace):
        for start in range(0, len(pairs), _AT_ONCE):
            cells += _run_some(workspace, pairs[start : start + _AT_ONCE], start, queried=queried)
    return cells


def _run_some(
    workspace: Workspace, pairs: Sequence[tuple[str, str, str]], start: int, *, queried: bool
) -> list[Cell]:
    cells: list[Cell] = []
    with ExitStack() as stack:
        jobs = []
        for number, (hides, loses, method) in enumerate(pairs, start):
            hospital = small_hospital(seed=1000 + number, studies=40, days=2, matrix=16)
            studies = [study for study in all_studies(hospital) if len(study.series) > 1 and _large(study)[0]][:3]
            quirks = replace(HIDES[hides], **LOSES[loses])
            pacs = stack.enter_context(Simulator(hospital, quirks=quirks, ae_title=f"PACS{number}"))
            link(workspace, pacs, f"pacs{number}", timeouts=_TIMEOUTS if LOSES[loses] else _PATIENT)
            if queried:
                with suppress(NodeError):  # of some of them nothing is learned
                    workspace.find(f"pacs{number}", date=("2026-06-01", "2026-06-30"))
            wanted = list(_requests(studies))
            job = workspace.retrieve([request for request, _ in wanted], node=f"pacs{number}", method=method)
            jobs.append(((hides, loses, method), job, wanted))
        ended = [(pair, job.wait(timeout=_LIMIT), wanted) for pair, job, wanted in jobs]
        here = files_of(workspace)
        for (hides, loses, method), status, wanted in ended:
            for item, (request, uids) in zip(status.items, wanted, strict=True):
                cells.append(
                    Cell(
                        hides=hides,
                        loses=loses,
                        method=method,
                        level=request.level,
                        outcome=item.outcome,
                        truth=len(uids),
                        here=len(uids & here),
                    )
                )
    return cells


def everything() -> list[tuple[str, str, str]]:
    """Return all triples."""
    return list(product(HIDES, LOSES, METHODS))


def table(cells: Sequence[Cell]) -> str:
    """Return a line for each way to hide and to lose, with a word for each level, two if the methods differ."""
    lines = [f"{'':42}{'':28}{'STUDY':22}{'SERIES':22}IMAGE"]
    for hides, loses in dict.fromkeys((cell.hides, cell.loses) for cell in cells):
        some = [cell for cell in cells if (cell.hides, cell.loses) == (hides, loses)]
        words = []
        for level in LEVELS:
            of_level = dict.fromkeys(cell.word + "!" * cell.is_false for cell in some if cell.level == level)
            words.append(" / ".join(of_level))
        lines.append(f"{hides:42}{loses:28}{words[0]:22}{words[1]:22}{words[2]}")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    for queried in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            workspace = qrkit.open(Path(folder), ae_title="QRKIT", host=LOOPBACK, port=free_port(), retries=0)
            cells = run(workspace, everything(), queried=queried)
            workspace.close()
        sys.stdout.write(f"{'After a query' if queried else 'Without a query before'}\n{table(cells)}\n")


if __name__ == "__main__":
    main()
