"""``python -m benchmarks``: starts the peers on loopback, runs each beside qrkit in turn, prints one table."""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks import finding, memory, planning, retrieving, storage, windows
from benchmarks.timing import Measured
from tests.peers.programs import dcmtk_program

WORKS: dict[str, Callable[..., Iterator[Measured]]] = {
    "storage": storage.measure,
    "retrieve": retrieving.measure,
    "find": finding.measure,
    "plan": planning.measure,
}


def main() -> None:
    """Run the benchmarks that are asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", choices=[*WORKS, "memory", "windows", []], help="which; all without")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that warms up")
    parser.add_argument("--folder", type=Path, default=None, help="where objects are written meanwhile")
    options = parser.parse_args()
    chosen = options.works or [*WORKS, "memory"]
    folder = Path(tempfile.mkdtemp(prefix="qrkit-bench-", dir=options.folder))
    try:
        print(f"{date.today()}, {_versions()}; medians of {options.rounds}, in turn.\n")
        print("| work | qrkit | peer | | times as fast | goal | |\n|---|--:|---|--:|--:|--:|---|")
        for name in [one for one in WORKS if one in chosen]:
            for measured in WORKS[name](folder / name, rounds=options.rounds):
                _print(measured)
        if "plan" in chosen:
            planned = planning.measure_many(folder / "many")
            print(
                f"| plan {planned.studies:,} CT, all answers known | {planned.seconds:.2f} s | memory "
                f"| +{planned.bytes / 1e6:.0f} MB | | | |",
                flush=True,
            )
        if "windows" in chosen:
            print("\n| a year from a PACS with | found | requests | | | |\n|---|--:|--:|--:|---|---|")
            for found in windows.measure(folder / "windows"):
                print(found.row(), flush=True)
        if "memory" in chosen:
            grown = memory.measure(folder / "memory")
            met = "met" if grown.bytes < memory.LIMIT else "missed"
            print(
                f"| receive one object of 2 GB, {grown.seconds:.1f} s | +{grown.bytes / 1e6:.0f} MB | limit "
                f"| {memory.LIMIT / 1e6:.0f} MB | | | {met} |",
                flush=True,
            )
    finally:
        shutil.rmtree(folder)


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
