"""Files import each other in one direction only, and none is long."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import qrkit

_ROOT = Path(qrkit.__file__).parent


def _module(path: Path) -> str:
    parts = path.relative_to(_ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


_MODULES = {_module(path): path for path in _ROOT.rglob("*.py")}


def _imports(path: Path) -> set[str]:
    """The modules that a file names in an import, for the type checker alone too."""
    imported = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            imported.update(name if name in _MODULES else node.module for name in names)
    return imported & _MODULES.keys()


_GRAPH = {module: _imports(path) - {module} for module, path in _MODULES.items()}


def _folder(module: str) -> str:
    return module if _MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


@pytest.mark.slow
def test_there_is_no_circle_of_files() -> None:
    TopologicalSorter(_GRAPH).prepare()  # raises CycleError, which names the circle
    assert len(_GRAPH) > 200


@pytest.mark.slow
def test_a_folder_does_not_import_from_a_folder_that_imports_from_it() -> None:
    folders: dict[str, set[str]] = {}
    for module, imported in _GRAPH.items():
        folders.setdefault(_folder(module), set()).update(map(_folder, imported))
    # The single files of the package and of the simulator are of several layers; import-linter knows the former.
    left_out = {"qrkit", "qrkit.simulator"}
    graph = {folder: imported - {folder} - left_out for folder, imported in folders.items() if folder not in left_out}
    TopologicalSorter(graph).prepare()


def test_no_file_has_more_than_400_lines() -> None:
    lines = {module: path.read_text(encoding="utf-8").count("\n") for module, path in _MODULES.items()}
    assert [module for module, number in lines.items() if number > 400] == []
