"""Simulators for one test each, whose received files stay inside the test's own folder."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.simulator.hospital.hospital import GeneratedHospital


class StartSimulator(Protocol):
    """Start a simulator that ends with the test."""

    def __call__(
        self,
        hospital: GeneratedHospital | None = None,
        *,
        quirks: Quirks | None = None,
        ae_title: str = "SIMPACS",
    ) -> Simulator:
        """Give the simulator, started."""


@pytest.fixture(autouse=True)
def _temporary_files_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="session")
def hospital() -> GeneratedHospital:
    return small_hospital(seed=1)


@pytest.fixture
def start_simulator() -> Iterator[StartSimulator]:
    """Start simulators that end with the test: `start_simulator(hospital, quirks=Quirks(cap=5))`."""
    with ExitStack() as stack:

        def start(
            hospital: GeneratedHospital | None = None,
            *,
            quirks: Quirks | None = None,
            ae_title: str = "SIMPACS",
        ) -> Simulator:
            return stack.enter_context(Simulator(hospital, quirks=quirks, ae_title=ae_title))

        yield start


@pytest.fixture
def pacs(hospital: GeneratedHospital, start_simulator: StartSimulator) -> Simulator:
    """A well-behaved simulator over the small hospital."""
    return start_simulator(hospital)
