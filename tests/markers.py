"""Markers of tests that need more than Python, given by what they use; `slow` stands at the test itself."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    """What shows that a test belongs to a marker: a fixture, a module it imports, its folder, a word of its name."""

    fixtures: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    folder: str = ""
    word: str = "\0"


_PEERS = ("dcmqrscp", "dcmtk", "gdcm", "orthanc", "postgres", "qrscp", "storescp")
_SIGNS = {
    "peer": _Sign(
        fixtures=frozenset({*_PEERS, "database_url", "samples", "start_peer", "station"}),
        modules=frozenset(f"tests.peers.{name}" for name in _PEERS),
        folder="peers",
        word="postgres",  # a parameter of the fixtures that give each test both databases
    ),
    "browser": _Sign(fixtures=frozenset({"chromium", "watched"}), word="browser"),
    "process": _Sign(
        fixtures=frozenset({"served"}),
        modules=frozenset(
            {
                "jupyter_client.manager",
                "multiprocessing",
                "qrkit.worker.process",
                "qrkit.worker.service",
                "subprocess",
            }
            | {"tests.dashboard.served", "tests.faults.stage", "tests.store.another_process"}
        ),
        folder="worker",
    ),
    "notebook": _Sign(fixtures=frozenset({"shell"}), folder="notebook"),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test before `-m` selects among them."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("notebook")
        if item.path.suffix == ".md":
            item.add_marker("process")
        for marker, sign in _SIGNS.items():
            if _has(item, sign):
                item.add_marker(marker)


def _has(item: pytest.Item, sign: _Sign) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    named = item.path.parent.name == sign.folder or sign.word in item.name
    return named or bool(fixtures & sign.fixtures or _modules_used(item) & sign.modules)


def _modules_used(item: pytest.Item) -> set[str]:
    """Return the modules that a test file imports, and those of the names it imports."""
    values = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    return {str(getattr(value, "__module__", None) or getattr(value, "__name__", "")) for value in values}
