"""``qrkit nodes``.

``qrkit probe``, and the card of a profile on the terminal.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qrkit.cli.options import Command, Format, FormatOption, OutputOption, signed, with_workspace
from qrkit.cli.output import print_bytes, print_json, print_records, printing, say, stderr
from qrkit.errors import InputError
from qrkit.node import node_to_mapping
from qrkit.profile import Profile, Subject, Verdict, card
from qrkit.profile.card import LABELS
from qrkit.tables import Records
from qrkit.words import counted

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

_NOTHING_SEEN = 3
_ABOUT_WIDTH = max(map(len, LABELS.values()))
_SAID_WIDTH = max(len(verdict.value) for verdict in Verdict)
_STYLES = {verdict.value: style for verdict, style in zip(Verdict, ("green", "yellow", "red", "dim"), strict=True)}


@with_workspace
def probe(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Test what a node can do with at most 12 small queries. The exit status is 3 if nothing was learned."""
    with stderr.status(f"Probing {node} …") as status:
        profile = workspace.probe(
            node, watch=lambda number, what: status.update(f"Probing {node}: {number} of at most 12, {what} …")
        )
    if form is Format.TABLE and output is None:
        with printing():
            print_card(profile, Console(highlight=False))
    elif form is Format.JSON and output is None:
        print_json(profile.to_json())
    else:
        print_records(_profile_records(profile), form, output)
    say(f"{counted(profile.requests, 'request')}; kept as the profile of {node}.")
    if all(profile.verdict(subject) is Verdict.UNKNOWN for subject in Subject):
        raise typer.Exit(_NOTHING_SEEN)


def print_card(profile: Profile, console: Console) -> None:
    """Print the card of a profile."""
    said = card(profile)
    console.print(Text(said.title, style="bold"))
    for warning in said.warnings:
        console.print(Text(str(warning), style="yellow"))
    for section in said.sections:
        evident = any(line.evidence for line in section.lines)
        table = Table(box=None, padding=(0, 1), show_header=False, expand=True)
        # widths, not least widths: rich cuts the last column off where those and the padding exceed the terminal
        table.add_column(width=_ABOUT_WIDTH, overflow="fold")
        table.add_column(overflow="fold", width=_SAID_WIDTH if evident else None, ratio=None if evident else 1)
        if evident:
            table.add_column(style="dim", ratio=1, overflow="fold")
        for line in section.lines:
            said_of = [Text(line.about), Text(line.text, style=_STYLES.get(line.text, "")), Text(line.evidence)]
            table.add_row(*said_of[: len(table.columns)])
        console.print(Text(f"\n{section.heading}", style="bold"))
        console.print(table)


def _profile_records(profile: Profile) -> Records:
    """Return a profile as a table: one row per verdict, and per return key."""
    values = profile.to_json()
    rows = [("matching", name, said["verdict"], said["evidence"]) for name, said in values["statements"].items()]
    rows += [
        (f"returned at {level}", keyword, said["fill"], said["evidence"])
        for level, keys in values["returned"].items()
        for keyword, said in keys.items()
    ]
    cap = values["cap"]
    rows.append(("limit", "cap", "" if cap["likely"] is None else str(cap["likely"]), cap["evidence"]))
    columns = ["kind", "about", "said", "evidence"]
    return Records.of([dict(zip(columns, row, strict=True)) for row in rows], columns)


app = typer.Typer(no_args_is_help=True)

_TIMEOUTS = ("connect", "association", "response", "inactivity")
_TEXTS = {
    "host": "Host name or address.",
    "ae_title": "Its AE title.",
    "calling_ae_title": "AE title by which it knows us, if not the workspace's own.",
    "description": "For people.",
    "information_model": "patient-root, study-root or patient-study-only.",
    "method": "Preferred retrieve method: auto, get or move.",
    "move_destination": "AE title to which it sends, if not the workspace's own.",
    "retrieve_hours": "When it may be fetched from: 22:00-06:00, or Mon-Fri 22:00-06:00, Sat-Sun 00:00-24:00.",
    "time_zone": "Of those hours, such as Europe/Berlin, if not this machine's.",
    "character_set": "SpecificCharacterSet of answers that name none.",
    "sites": "Sites from which it can be reached, parted by commas; else from all.",
}
_SWITCHES = {
    "can_find": "It may be queried.",
    "can_get": "It may be asked by C-GET.",
    "can_move": "It may be asked by C-MOVE.",
    "can_store": "It takes objects, as a C-MOVE destination.",
    "enabled": "It is in use.",
}
_TLS_FILES = {
    "ca_file": "PEM file of the certificates that we trust for it; without: those that this machine trusts.",
    "certificate_file": "PEM file of our own certificate, if it wants one.",
    "key_file": "PEM file of the key, unless it is in the certificate's file.",
}
_TLS_SWITCHES = {
    "tls": "Connections are encrypted by TLS.",
    "tls_verify": "Its certificate must be one that we trust.",
    "tls_check_host_name": "Its certificate must be for its host.",
}

Name = Annotated[str, typer.Argument(help="Name of the node.")]


def _with_settings(command: Command) -> Command:
    """Give a command all settings of a node, as its argument `settings`: those that were given."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the command's own
        given = {name: value for name in _OPTIONS if (value := options.pop(name, None)) is not None}
        command(*arguments, settings=_nested(given), **options)

    return signed(run, command, replaced="settings", added={name: (kind, None) for name, kind in _OPTIONS.items()})


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options as a node has them: timeouts and TLS in tables of their own."""
    tables: dict[str, dict[str, Any]] = {"timeouts": {}, "tls": {}}
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if name.endswith("_timeout"):
            tables["timeouts"][name.removesuffix("_timeout")] = value
        elif name.startswith("tls"):
            tables["tls"][name[4:] or "enabled"] = value
        else:
            settings[name] = value
    return settings | {name: table for name, table in tables.items() if table}


_OPTIONS: dict[str, Any] = {
    **{name: Annotated[str | None, typer.Option(help=text)] for name, text in _TEXTS.items()},
    **{name: Annotated[bool | None, typer.Option(help=text)] for name, text in (_SWITCHES | _TLS_SWITCHES).items()},
    **{f"tls_{name}": Annotated[str | None, typer.Option(help=text)] for name, text in _TLS_FILES.items()},
    "port": Annotated[int | None, typer.Option(help="Its DICOM port.")],
    "associations": Annotated[int | None, typer.Option(help="Most associations at once.")],
    "pause": Annotated[float | None, typer.Option(help="Seconds between two requests.")],
    **{
        f"{name}_timeout": Annotated[float | None, typer.Option(help=f"The {name} timeout, in seconds.")]
        for name in _TIMEOUTS
    },
}


@app.command("add")
@with_workspace
@_with_settings
def add(workspace: Workspace, name: Name, *, settings: dict[str, Any]) -> None:
    """Add a node: qrkit nodes add pacs --host 10.1.2.3 --port 104 --ae-title MAINPACS."""
    node = workspace.nodes.add(name, **settings)
    say(f"Added {node.name}: {node.ae_title} at {node.host}:{node.port}. Try it: qrkit echo {quote(node.name)}")


@app.command("edit")
@with_workspace
@_with_settings
def edit(workspace: Workspace, name: Name, *, settings: dict[str, Any]) -> None:
    """Change some settings of a node; the others stay."""
    if not settings:
        raise InputError("Nothing to change was given.", advice="See: qrkit nodes edit --help.")
    workspace.nodes.edit(name, **settings)
    say(f"Changed {name}: {', '.join(settings)}.")


@app.command("list")
@with_workspace
def list_nodes(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the nodes."""
    table = workspace.nodes.records()
    shown = [
        "name",
        "host",
        "port",
        "ae_title",
        *(["sites"] if any(row["sites"] for row in table.rows) else []),
        "can_find",
        "can_get",
        "can_move",
        "can_store",
        "enabled",
        "description",
    ]
    print_records(table.select(shown) if form is Format.TABLE else table, form, output)


@app.command("show")
@with_workspace
def show(workspace: Workspace, name: Name) -> None:
    """Show all settings of a node, and what a probe found out of it, as JSON; on a terminal as a card too."""
    profile = workspace.profile(name)
    print_json(node_to_mapping(workspace.nodes[name]) | {"profile": profile.to_json() if profile else None})
    if profile and stderr.is_terminal:
        print_card(profile, stderr)


@app.command("remove")
@with_workspace
def remove(workspace: Workspace, name: Name) -> None:
    """Remove a node; its queries, jobs and objects stay."""
    workspace.nodes.remove(name)
    say(f"Removed {name}; what was asked of it and fetched from it stays.")


@app.command("export")
@with_workspace
def export(
    workspace: Workspace, file: Annotated[Path | None, typer.Argument(help="A file; without it, stdout.")] = None
) -> None:
    """Write all nodes as TOML."""
    text = workspace.nodes.export(file)
    if file is None:
        print_bytes(text.encode())


@app.command("import")
@with_workspace
def import_nodes(
    workspace: Workspace, file: Annotated[Path, typer.Argument(help="A file that export wrote.")]
) -> None:
    """Add the nodes of a TOML file, all or none; one that is there is changed."""
    nodes = workspace.nodes.import_(file)
    say(f"{counted(len(nodes), 'node')}: {', '.join(node.name for node in nodes)}.")
