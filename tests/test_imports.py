"""Files import each other in one direction only."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import qrkit

_ROOT = Path(qrkit.__file__).parent


def _module(path: Path) -> str:
    parts = path.relative_to(_ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


_MODULES = {_module(path): path for path in _ROOT.rglob("*.py")}


def _imports(node: ast.AST) -> Iterator[str]:
    """The modules that run when the code does; imports for the type checker alone do not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield from (
                full if (full := f"{child.module}.{alias.name}") in _MODULES else child.module
                for alias in child.names
            )
        yield from _imports(child)


@pytest.mark.slow
def test_there_is_no_circle_of_files() -> None:
    graph = {
        module: {name for name in _imports(ast.parse(path.read_text(encoding="utf-8"))) if name in _MODULES}
        - {module}
        for module, path in _MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
    assert len(graph) > 200
