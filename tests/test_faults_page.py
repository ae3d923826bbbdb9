"""The table of faults names tests that are there."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_NAMED = re.findall(r"`(\S+\.py)::(\w+)` \|$", (_ROOT / "docs" / "faults.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), _NAMED)
def test_each_fault_has_its_test(file: str, name: str) -> None:
    assert f"def {name}(" in (_ROOT / "tests" / file).read_text("utf-8")


def test_there_are_at_least_25_faults() -> None:
    assert len(set(_NAMED)) >= 25
