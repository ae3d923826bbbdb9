"""The code blocks of README and docs as tests: against a simulated PACS instead of the one that they name.

A block that cannot run has the comment `<!-- skip: next "the reason" -->` above it.
"""

import contextlib
import io
import json
import os
import re
import shlex
import tempfile
import tomllib
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from traitlets.config import Config

from tests.workspace.opened import end_workers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
_PYTHON = PythonEvaluator()


def _set_up(namespace: dict[str, Any]) -> None:
    """Start a hospital that is the PACS of the document, in a folder and with a workspace of its own."""
    import qrkit
    from qrkit.simulator import Simulator, small_hospital

    resources = namespace["resources"] = ExitStack()
    folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="qrkit-docs-")))
    workspace = folder / "workspace"
    resources.enter_context(_environment(QRKIT_WORKSPACE=str(workspace), QRKIT_PORT="0", QRKIT_WORKER_IDLE_EXIT="0"))
    resources.enter_context(contextlib.chdir(folder))
    days = (date.today() - date(2025, 12, 31)).days
    pacs = resources.enter_context(
        Simulator(small_hospital(seed=1, until=date.today(), days=days, studies=4 * days), ae_title="MAINPACS")
    )
    resources.callback(_end_workers, folder)
    namespace["ws"] = resources.enter_context(qrkit.open())
    namespace |= {"simulated": pacs, "c": Config()}


def _end_workers(folder: Path) -> None:
    """End the workers that the document has started, in whichever workspace."""
    for state in folder.rglob("qrkit.sqlite"):
        end_workers(state.parent)


def _tear_down(namespace: dict[str, Any]) -> None:
    namespace["ws"].close()  # the document may have opened another one
    resources: ExitStack = namespace["resources"]
    resources.close()


@contextmanager
def _environment(**variables: str) -> "Iterator[None]":
    """Set variables for a while, without any other setting of qrkit."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("QRKIT_") and name != "QRKIT_TEST_SESSION"]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _has_a_node(example: Example) -> None:
    """Add the PACS that a document queries without adding it."""
    workspace = example.namespace["ws"]
    if not re.search(r"nodes(?: |\.)add\W+pacs\b", example.document.text) and "pacs" not in workspace.nodes:
        pacs = example.namespace["simulated"]
        workspace.nodes.add("pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)


def _run_python(example: Example) -> None:
    _has_a_node(example)
    port = example.namespace["simulated"].port
    source = example.parsed.replace('host="10.1.2.3", port=104', f'host="127.0.0.1", port={port}')
    line = example.line + example.parsed.line_offset
    code = compile("\n" * line + source, example.path, "exec", dont_inherit=True)
    exec(code, example.namespace)  # noqa: S102 - the code of our own documents


def _run_commands(example: Example) -> None:
    """Run each command of a block; status 3, a result that may be incomplete, is fine too."""
    _has_a_node(example)
    for line in re.sub(r"\\\n\s*", " ", example.parsed).splitlines():
        if line.strip():
            output, status = _command(line, example)
            assert status in (0, 3), f"{line}: exit status {status}\n{output}"


def _command(line: str, example: Example) -> tuple[str, int]:
    """Run a command of qrkit in this process, with its placeholders filled in."""
    from qrkit.cli.app import run

    name, *arguments = shlex.split(line, comments=True)
    assert name == "qrkit", f"not a command of qrkit: {line}"
    port = str(example.namespace["simulated"].port)
    filled = {"10.1.2.3": lambda: "127.0.0.1", "104": lambda: port, **_placeholders(line)}
    arguments = [filled[argument]() if argument in filled else argument for argument in arguments]
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with redirect_stdout(stream):
        status = run(arguments)
    stream.flush()
    return stream.buffer.getvalue().decode(), status


def _placeholders(line: str) -> dict[str, Callable[[], str]]:
    """Return what stands for the words in capitals: the newest plan, query or job, an accession number."""
    newest = "select job_id from jobs order by created desc"
    if "--plan" in line or "plans" in line:
        newest = "select plan_id from plans order by created desc"
    elif "--from-query" in line or "queries" in line:
        newest = "select query_id from queries order by started desc"
    return {"ID": lambda: _first(newest), "ACCESSION": lambda: _first("select min(AccessionNumber) from studies")}


def _first(sql: str) -> str:
    """Return the first value of a query of the workspace of the document."""
    import qrkit

    with qrkit.open() as workspace:
        return str(workspace.sql(sql).iloc[0, 0])


def _compare_json(example: Example) -> None:
    """Read JSON, and where a comment names its command, compare the keys with those of its output."""
    shown = json.loads(example.parsed)
    named = re.search(r"<!-- keys of: (.+?) -->\s*\Z", example.document.text[: example.region.start])
    if named:
        _has_a_node(example)
        output, status = _command(named.group(1), example)
        assert status in (0, 3), output
        assert _keys(shown) == _keys(json.loads(output))


def _keys(value: object) -> object:
    """Return the keys of JSON, of a list those of its first value."""
    match value:
        case dict():
            return {name: _keys(inner) for name, inner in value.items()}
        case [first, *_]:
            return [_keys(first)]
    return None if not isinstance(value, list) else []


def _open_with_settings(example: Example) -> None:
    """Open a workspace with the settings of a block."""
    import qrkit

    tomllib.loads(example.parsed)
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    (folder / "qrkit.toml").write_text(example.parsed, "utf-8")
    with qrkit.open(folder):
        pass


def _read_ini(example: Example) -> None:
    ConfigParser(strict=False, interpolation=None).read_string(example.parsed)


_SYBIL = Sybil(
    parsers=[
        SkipParser(),
        CodeBlockParser("python", _run_python),
        CodeBlockParser("sh", _run_commands),
        CodeBlockParser("json", _compare_json),
        CodeBlockParser("toml", _open_with_settings),
        CodeBlockParser("yaml", lambda example: yaml.safe_load(example.parsed) and None),
        CodeBlockParser("ini", _read_ini),
    ],
    path=str(ROOT),
    patterns=["*.md", "docs/**/*.md"],
    setup=_set_up,
    teardown=_tear_down,
)
pytest_collect_file = _SYBIL.pytest()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the blocks of a document in their order, whatever shuffles the other tests."""
    blocks = [item for item in items if item.path.suffix == ".md"]
    blocks.sort(key=lambda item: (str(item.path), item.example.line))  # type: ignore[attr-defined] # SybilItem
    items[:] = [item for item in items if item.path.suffix != ".md"] + blocks
