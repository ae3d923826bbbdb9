"""Reference pages made from the code when the site is built, so that they cannot differ from it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def command_line() -> str:
    """Return every command with its arguments and options, as `qrkit --help` shows them."""
    lines = ["# Command line", "", "Every command, as `--help` shows it.", ""]
    for names, command in _all_commands():
        usage = " ".join(names + tuple(_metavar(parameter) for parameter in _arguments(command)))
        rows = [_parameter_row(parameter) for parameter in command.params if parameter.name != "help"]
        lines += [f"## {' '.join(names)}", "", (command.help or "").strip(), ""]
        lines += ["```text", f"{usage} [OPTIONS]", "```", ""]
        lines += _table(("argument or option", "meaning", "default"), rows)
    return "\n".join(lines)


def settings() -> str:
    """Return every setting with its variable, default and meaning."""
    from qrkit.settings import Settings

    meanings = _attributes(inspect.getdoc(Settings) or "")
    rows = []
    for field in dataclasses.fields(Settings):
        if field.name == "tables":
            continue
        known = field.default is not dataclasses.MISSING and field.default != ""
        default = f"`{field.default}`" if known else ""
        rows.append((f"`{field.name}`", f"`QRKIT_{field.name.upper()}`", default, meanings.get(field.name, "")))
    lines = [
        "# Settings",
        "",
        "Settings are read from `qrkit.toml` in the folder of the workspace, then from the environment, which wins.",
        "An argument of `qrkit.open` wins over both.",
        "",
    ]
    return "\n".join(lines + _table(("in qrkit.toml", "variable", "default", "meaning"), rows))


def tables() -> str:
    """Return every table that `ws.sql` can read, with its columns and their types."""
    import qrkit

    with tempfile.TemporaryDirectory() as folder, qrkit.open(folder, port=0) as workspace:
        columns = workspace.sql(
            "select table_name, column_name, data_type from information_schema.columns "
            "group by all order by table_name, min(ordinal_position)"
        )
    lines = [
        "# Tables and columns",
        "",
        "`ws.sql`, `qrkit sql` and `ws.duckdb()` read these tables. Columns that are DICOM keywords contain the",
        "values that the node returned. `patients`, `studies`, `series` and `images` have the newest row of each",
        "UID; the tables that end in `_answers` have every row of every query.",
        "",
    ]
    for name, rows in columns.groupby("table_name", sort=True):
        lines += [f"## {name}", ""]
        pairs = zip(rows["column_name"], rows["data_type"], strict=True)
        lines += _table(("column", "type"), [(f"`{column}`", kind) for column, kind in pairs])
    return "\n".join(lines)


def errors() -> str:
    """Return the tree of errors and every DIMSE status with its meaning."""
    from qrkit import errors as module

    lines = ["# Errors", "", "Every error of qrkit is a `qrkit.QrkitError` with `message` and `advice`.", ""]
    lines += ["```text", _tree(module.QrkitError), "```", "", "## Meanings", ""]
    rows = []
    for name in sorted(module.__all__):
        kind = getattr(module, name)
        transient = "yes" if getattr(kind, "transient", False) is True else ""
        rows.append((f"`{name}`", _summary(kind), transient))
    lines += _table(("error", "meaning", "a retry may help"), rows)
    lines += ["## DIMSE status", "", "A status that no table of DICOM lists belongs to the class of its range.", ""]
    lines += _table(("service", "status", "meaning", "what to do", "a retry may help"), list(_statuses()))
    return "\n".join(lines)


def messages() -> str:
    """Return the table of messages with their advice, read from where they are raised."""
    lines = [
        "# Troubleshooting by message",
        "",
        "Every failure names what failed and what to do next. This page lists the messages; `…` stands for a value,",
        "such as the name of a node. Use the search of your browser.",
        "",
    ]
    titles = {
        "dimse": "A node",
        "retrieve": "A retrieve",
        "find": "A query",
        "query": "What you asked for",
        "node": "The settings of a node",
        "settings": "The settings of a workspace",
        "store": "The workspace",
        "worker": "The worker",
        "handlers": "Handlers",
        "dose": "Dose plans",
        "workspace": "Calls",
    }
    for place, title in titles.items():
        rows = sorted(set(_messages(ROOT / "qrkit" / place)))
        if rows:
            lines += [f"## {title}", "", *_table(("message", "what to do"), rows)]
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference/command_line.md": command_line,
    "reference/settings.md": settings,
    "reference/tables.md": tables,
    "reference/errors.md": errors,
    "howto/troubleshooting.md": messages,
}


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [tuple(" ".join(cell.split()).replace("|", "\\|") for cell in row) for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *cells)] + [""]


def _all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its names; `qrkit` itself loads a command only when it is called."""
    import typer.main

    from qrkit.cli.app import app, load_command

    listed = typer.main.get_command(app)
    for name, command in listed.commands.items():  # type: ignore[attr-defined] # a group
        if not command.hidden:
            yield from _commands(load_command(name), ("qrkit", name))


def _commands(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - typer's
    """Yield a command, or those of a group, with their names."""
    if not hasattr(command, "commands"):
        yield names, command
        return
    for name, inner in command.commands.items():
        yield from _commands(inner, (*names, name))


def _arguments(command: Any) -> list[Any]:  # noqa: ANN401 - typer's
    return [parameter for parameter in command.params if not parameter.opts[0].startswith("-")]


def _metavar(parameter: Any) -> str:  # noqa: ANN401 - typer's
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    if parameter.nargs != 1:
        name += "…"
    return name if parameter.required else f"[{name}]"


def _parameter_row(parameter: Any) -> tuple[str, str, str]:  # noqa: ANN401 - typer's
    if not parameter.opts[0].startswith("-"):
        return _code(_metavar(parameter)), parameter.help or "", ""
    names = ", ".join(map(_code, (*parameter.opts, *parameter.secondary_opts)))
    default = parameter.default
    shown = "" if default in (None, "", False, ()) or callable(default) or default == [] else f"`{default}`"
    return names, parameter.help or "", shown


def _code(text: str) -> str:
    return f"`{text}`"


def _attributes(docstring: str) -> dict[str, str]:
    """Return the attributes that a numpydoc docstring describes."""
    section = docstring.partition("Attributes\n----------\n")[2]
    described = re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?|\n(?=    ))+)", section, flags=re.MULTILINE)
    plain = {names: " ".join(text.replace("``", "`").split()) for names, text in described}
    return {name: text for names, text in plain.items() for name in re.split(r",\s*", names)}


def _summary(documented: object) -> str:
    text = inspect.getdoc(documented) or ""
    return " ".join(text.partition("\n\n")[0].replace("``", "`").split())


def _tree(kind: type[Exception], indent: str = "") -> str:
    children = [child for child in kind.__subclasses__() if child.__module__ == "qrkit.errors"]
    return "\n".join([f"{indent}{kind.__name__}", *(_tree(child, indent + "    ") for child in children)])


def _statuses() -> Iterator[tuple[str, ...]]:
    """Yield a row for each run of statuses of a service that mean the same."""
    from qrkit.dimse.status import Service, classify

    for service in Service:
        read = ((code, classify(service, code)) for code in range(0x10000))
        for key, run in groupby(read, key=lambda pair: dataclasses.replace(pair[1], code=0)):
            codes = [code for code, _ in run]
            if key.meaning == "a status that DICOM does not define":
                continue
            shown = f"`0x{codes[0]:04X}`" if len(codes) == 1 else f"`0x{codes[0]:04X}` to `0x{codes[-1]:04X}`"
            yield service.value, shown, key.meaning, key.advice, "yes" if key.transient else ""


def _messages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the messages of the errors that are raised below a folder, or in a module, with their advice."""
    for module in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        tree = ast.parse(module.read_text("utf-8"))
        constants = {
            target.id: statement.value
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                advice = next((_text(word.value, constants) for word in node.keywords if word.arg == "advice"), "")
                message = _text(node.args[0], constants)
                if advice and message and " " in message:
                    yield message, advice


def _text(value: ast.expr, constants: dict[str, ast.expr]) -> str:
    """Return the text of a literal, of an f-string with `…` for its values, or of the first text of a call."""
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, {}) or "…" for part in parts)
        case ast.Name(id=name) if name in constants:
            return _text(constants[name], {})
        case ast.Call(args=arguments, keywords=words):
            texts = (_text(argument, constants) for argument in (*arguments, *(word.value for word in words)))
            return next(filter(None, texts), "")
    return ""
