"""A year of studies from a simulated PACS that cuts its answers off: what is found, by how many requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.servers import workspace
from qrkit.simulator import Quirks, Simulator, large_hospital

STUDIES = 200_000
CAP = 500
DAYS = 365

_PACS = {
    "silent cap": Quirks(cap=CAP),
    "0xA700": Quirks(cap=CAP, cap_mode="status"),
    "silent cap, 5 % without StudyTime": Quirks(cap=CAP, no_study_time_share=0.05),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Outcome of one query."""

    pacs: str
    studies: int
    found: int
    requests: int
    seconds: float
    is_complete: bool

    def row(self) -> str:
        """Return it as a row of a table."""
        allowed = 3 * self.studies // CAP
        met = "met" if self.requests <= allowed and self.found == self.studies else "missed"
        proven = "complete" if self.is_complete else "unproven"
        return (
            f"| {self.pacs} | {self.found:,} of {self.studies:,} | {self.requests:,} of {allowed:,} "
            f"| {self.seconds:.0f} s | {proven} | {met} |"
        )


def measure(folder: Path, *, studies: int = STUDIES) -> Iterator[Found]:
    """Ask for the year of each PACS, in one query."""
    hospital = large_hospital(studies=studies, days=DAYS)
    first, last = hospital.days
    for number, (name, quirks) in enumerate(_PACS.items()):
        with Simulator(hospital, quirks=quirks) as pacs, workspace(folder / str(number)) as opened:
            opened.nodes.add("pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)
            began = time.perf_counter()
            answer = opened.find("pacs", date=(first, max(last, first + timedelta(days=1))))
            seconds = time.perf_counter() - began
        coverage = answer.attrs["qrkit"]["coverage"]
        yield Found(
            pacs=name,
            studies=studies,
            found=answer["StudyInstanceUID"].nunique(),
            requests=coverage["requests"],
            seconds=seconds,
            is_complete=coverage["complete"],
        )
