"""``python -m benchmarks``: start the peers on loopback, run qrkit and each peer in turn, print one table."""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from benchmarks import (
    faults,
    finding,
    hunting,
    hunting_retrieves,
    jobs,
    lab,
    memory,
    million,
    page,
    planning,
    retrieving,
    start,
    windows,
)
from benchmarks.timing import Measured
from tests.peers.programs import dcmtk_program

WORKS: dict[str, Callable[..., Iterator[Measured]]] = {
    "storage": retrieving.measure_storage,
    "retrieve": retrieving.measure,
    "find": finding.measure,
    "plan": planning.measure,
}

HUNTS: dict[str, Callable[[Path, hunting.Hunt], Iterator[str]]] = {
    "queries": hunting.measure,
    "retrieves": hunting_retrieves.measure,
}


def main() -> None:
    """Run the benchmarks that are asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "works",
        nargs="*",
        choices=[*WORKS, "memory", "windows", "jobs", "faults", "page", "lab", "hunt", "start", "million", []],
        help="which; all without",
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that warms up")
    parser.add_argument("--folder", type=Path, default=None, help="where objects are written meanwhile")
    parser.add_argument("--part", action="append", choices=[*jobs.PARTS], help="of jobs; may be repeated")
    parser.add_argument("--kills", type=int, default=200, help="of the worker, by jobs")
    parser.add_argument("--seed", default=uuid4().hex[:6], help="of faults and the hunt; the same one repeats them")
    parser.add_argument("--minutes", type=float, default=20, help="of the soak of jobs, or of the hunt")
    parser.add_argument("--hunted", action="append", choices=[*HUNTS], help="what the hunt sends; all without")
    parser.add_argument("--random", action="store_true", help="no switches alone and in pairs before those at random")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of the hunt")
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="cases of the hunt at most")
    options = parser.parse_args()
    chosen = options.works or [*WORKS, "memory"]
    folder = Path(tempfile.mkdtemp(prefix="qrkit-bench-", dir=options.folder))
    try:
        print(f"{date.today()}, {_versions()}; medians of {options.rounds}, in turn.\n")
        if not {"jobs", "faults", "hunt", "start", "million"}.issuperset(chosen):
            print("| work | qrkit | peer | | times as fast | goal | |\n|---|--:|---|--:|--:|--:|---|")
        for name in chosen:
            _run(name, folder, options)
    finally:
        shutil.rmtree(folder)


def _run(name: str, folder: Path, options: argparse.Namespace) -> None:
    if name in WORKS:
        for measured in WORKS[name](folder / name, rounds=options.rounds):
            _print(measured)
    for line in LINES[name](folder, options) if name in LINES else ():
        print(line, flush=True)


def _plan_of_many(folder: Path, _: argparse.Namespace) -> Iterator[str]:
    planned = planning.measure_many(folder / "many")
    yield (
        f"| plan {planned.studies:,} CT, all responses known | {planned.seconds:.2f} s | memory "
        f"| +{planned.bytes / 1e6:.0f} MB | | | |"
    )


def _windows(folder: Path, _: argparse.Namespace) -> Iterator[str]:
    yield "\n| a year from a PACS with | found | requests | | | |\n|---|--:|--:|--:|---|---|"
    for found in windows.measure(folder / "windows"):
        yield found.row()


def _memory(folder: Path, _: argparse.Namespace) -> Iterator[str]:
    grown = memory.measure(folder / "memory")
    met = "met" if grown.bytes < memory.LIMIT else "missed"
    yield (
        f"| receive one object of 2 GB, {grown.seconds:.1f} s | +{grown.bytes / 1e6:.0f} MB | limit "
        f"| {memory.LIMIT / 1e6:.0f} MB | | | {met} |"
    )


def _jobs(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    extent = jobs.Extent(kills=options.kills, minutes=options.minutes, rounds=options.rounds)
    for line in jobs.measure(folder / "jobs", extent, parts=tuple(options.part or ())):
        yield line if line.startswith("|") else f"- {line}\n"


def _faults(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    for line in faults.measure(folder / "faults", seed=options.seed, rounds=options.rounds):
        yield f"- {line}"


def _page(folder: Path, _: argparse.Namespace) -> Iterator[str]:
    yield "\n| page | |\n|---|--:|"
    for what, figure in page.measure(folder / "page"):
        yield f"| {what} | {figure} |"


def _lab(folder: Path, _: argparse.Namespace) -> Iterator[str]:
    yield "\n| JupyterLab by keyboard | |\n|---|--:|"
    for what, figure in lab.measure(folder / "lab"):
        yield f"| {what} | {figure} |"


def _hunt(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    chosen = options.hunted or [*HUNTS]
    hunt = hunting.Hunt(
        seed=options.seed,
        seconds=60 * options.minutes / len(chosen),
        first=options.first,
        most=options.cases,
        systematic=not options.random,
    )
    for name in chosen:
        for line in HUNTS[name](folder / f"hunt-{name}", hunt):
            yield f"- {line}"


def _million(folder: Path, _: argparse.Namespace) -> Iterator[str]:
    yield "\n| C-FIND of many rows | |\n|---|--:|"
    for what, figure in million.measure(folder / "million"):
        yield f"| {what} | {figure} |"


def _start(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    yield "\n| command | CPU time | goal | |\n|---|--:|--:|---|"
    for started in start.measure(folder / "start", rounds=options.rounds):
        yield started.row()


LINES: dict[str, Callable[[Path, argparse.Namespace], Iterator[str]]] = {
    "plan": _plan_of_many,
    "windows": _windows,
    "memory": _memory,
    "jobs": _jobs,
    "faults": _faults,
    "page": _page,
    "lab": _lab,
    "hunt": _hunt,
    "start": _start,
    "million": _million,
}


def _print(measured: Measured) -> None:
    ours, *_ = measured.seconds.values()
    for peer, goal in measured.goals.items():
        ratio = measured.ratio(peer)
        if goal is None:
            aim, verdict = "", measured.notes.get(peer, "")
        else:
            aim, verdict = f"{goal:.2f}", "met" if ratio >= goal else "missed"
        seconds = f"{ours:.2f} s | {peer} | {measured.seconds[peer]:.2f} s"
        print(f"| {measured.work} | {seconds} | {ratio:.2f} | {aim} | {verdict} |", flush=True)


def _versions() -> str:
    said = subprocess.run([dcmtk_program("storescp"), "--version"], capture_output=True, text=True, check=False)
    dcmtk = next((word for word in said.stdout.split() if word.startswith("v3.")), "unknown")
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("qrkit", "pynetdicom", "pydicom", "duckdb", "pyarrow")
    )
    return f"{packages}, DCMTK {dcmtk}, Python {platform.python_version()}, {platform.system()}"


if __name__ == "__main__":
    main()
