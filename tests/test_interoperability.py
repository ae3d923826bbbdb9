"""docs/interoperability.md: each test that it names exists, and each service of each peer is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "interoperability.md").read_text("utf-8")

CALLED, CALLING = (section.partition("\n## ")[0] for section in PAGE.split("## ", 3)[1:3])
ALL = ("C-ECHO", "C-FIND", "C-GET", "C-MOVE", "C-STORE")


@cache
def functions(path: str) -> set[str]:
    """The functions of a test file."""
    return {one.name for one in ast.parse((ROOT / path).read_text("utf-8")).body if isinstance(one, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), sorted(set(re.findall(r"`(tests/[\w/.]+)::(\w+)`", PAGE))))
def test_each_test_that_is_named_exists(path: str, name: str) -> None:
    assert name in functions(path)


@pytest.mark.parametrize(
    ("section", "peer", "services"),
    [
        (CALLED, "DCMTK", ALL),
        (CALLED, "Orthanc", ALL),
        (CALLED, "pynetdicom", ALL),
        (CALLING, "DCMTK", ALL),
        (CALLING, "Orthanc", ("C-ECHO", "C-STORE", "C-FIND", "C-MOVE")),
        (CALLING, "GDCM", ("C-ECHO", "C-STORE", "C-FIND", "C-MOVE")),
        (CALLING, "pynetdicom", ALL),
    ],
)
def test_each_service_of_a_peer_is_there(section: str, peer: str, services: tuple[str, ...]) -> None:
    rows = [line.split("|") for line in section.splitlines() if line.startswith(f"| {peer}")]
    shown = {service for row in rows if "::" in row[3] for service in row[2].strip().split(", ")}
    assert shown == set(services)
