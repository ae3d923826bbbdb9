"""``qrkit nodes`` and ``qrkit probe``, which shows the profile of a node as a card."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qrkit.cli.options import Command, Commands, Format, FormatOption, OutputOption, signed, with_workspace
from qrkit.cli.output import print_bytes, print_json, print_records, printing, say, stderr
from qrkit.errors import InputError
from qrkit.node import node_to_mapping
from qrkit.profile import LABELS, Profile, Subject, Verdict
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
    say(f"{counted(profile.requests, 'request')}; stored as the profile of {node}.")
    if all(profile.verdict(subject) is Verdict.UNKNOWN for subject in Subject):
        raise typer.Exit(_NOTHING_SEEN)


def print_card(profile: Profile, console: Console) -> None:
    """Print the card of a profile."""
    said = profile.card()
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
    """Return a profile as a table: one row per finding, and per return key."""
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


app = typer.Typer(cls=Commands, no_args_is_help=True)

_TIMEOUTS = {
    "connect": "the TCP connection",
    "association": "the association",
    "response": "a response, and the first object of a retrieve",
    "inactivity": "the next whole response, or bytes of an object",
    "query": "all responses to one C-FIND request",
}
_TEXTS = {
    "host": "Host name or IP address.",
    "ae_title": "AE title of the node.",
    "calling_ae_title": "AE title that qrkit calls with. Default: that of the workspace.",
    "description": "Free text.",
    "information_model": "Information model: patient-root, study-root or patient-study-only.",
    "method": "Preferred retrieve method: auto, get or move.",
    "move_destination": "AE title that the node sends to by C-MOVE. Default: that of the workspace.",
    "retrieve_hours": "Hours for retrieves: 22:00-06:00, or Mon-Fri 22:00-06:00, Sat-Sun 00:00-24:00.",
    "time_zone": "Time zone of these hours, such as Europe/Berlin. Default: that of this machine.",
    "character_set": "Character set of responses without SpecificCharacterSet.",
    "sites": "Sites that can reach the node, separated by commas. Default: all.",
}
_SWITCHES = {
    "can_find": "Allow queries to the node.",
    "can_get": "Allow retrieves by C-GET.",
    "can_move": "Allow retrieves by C-MOVE.",
    "can_store": "The node can receive objects, as a C-MOVE destination.",
    "enabled": "Disabled nodes are never contacted.",
}
_TLS_FILES = {
    "ca_file": "PEM file of trusted certificates. Default: those that this machine trusts.",
    "certificate_file": "PEM file of our own certificate, if the node requires one.",
    "key_file": "PEM file of the key, unless the certificate file has it.",
}
_TLS_SWITCHES = {
    "tls": "Encrypt connections by TLS.",
    "tls_verify": "Require a trusted certificate.",
    "tls_check_host_name": "Require a certificate for the host name.",
}

Name = Annotated[str, typer.Argument(help="Name of the node.")]


def _with_settings(command: Command) -> Command:
    """Give a command the settings of a node as options; its argument `settings` has those that are used."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the command's own
        given = {name: value for name in _OPTIONS if (value := options.pop(name, None)) is not None}
        command(*arguments, settings=_nested(given), **options)

    return signed(run, command, replaced="settings", added={name: (kind, None) for name, kind in _OPTIONS.items()})


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options as the settings of a node: timeouts and TLS are tables of their own."""
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
    "port": Annotated[int | None, typer.Option(help="DICOM port of the node.")],
    "associations": Annotated[int | None, typer.Option(help="Highest number of associations at once.")],
    "pause": Annotated[float | None, typer.Option(help="Seconds to wait between two requests.")],
    **{
        f"{name}_timeout": Annotated[float | None, typer.Option(help=f"Timeout for {_TIMEOUTS[name]}, in seconds.")]
        for name in _TIMEOUTS
    },
}


@app.command("add")
@with_workspace
@_with_settings
def add(workspace: Workspace, name: Name, *, settings: dict[str, Any]) -> None:
    """Add a node: qrkit nodes add pacs --host 10.1.2.3 --port 104 --ae-title MAINPACS."""
    node = workspace.nodes.add(name, **settings)
    say(f"Added {node.name}: {node.ae_title} at {node.host}:{node.port}. Test it: qrkit echo {quote(node.name)}")


@app.command("edit")
@with_workspace
@_with_settings
def edit(workspace: Workspace, name: Name, *, settings: dict[str, Any]) -> None:
    """Change settings of a node. The others stay as they are."""
    if not settings:
        raise InputError("No setting is given.", advice="See: qrkit nodes edit --help.")
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
    """Show the settings and the profile of a node as JSON; on a terminal, the profile also as a card."""
    profile = workspace.profile(name)
    print_json(node_to_mapping(workspace.nodes[name]) | {"profile": profile.to_json() if profile else None})
    if profile and stderr.is_terminal:
        print_card(profile, stderr)


@app.command("remove")
@with_workspace
def remove(workspace: Workspace, name: Name) -> None:
    """Remove a node. Its queries, jobs and objects are kept."""
    workspace.nodes.remove(name)
    say(f"Removed {name}. Its queries, jobs and objects are kept.")


@app.command("export")
@with_workspace
def export(
    workspace: Workspace,
    file: Annotated[Path | None, typer.Argument(help="File to write. Default: standard output.")] = None,
) -> None:
    """Export all nodes as TOML."""
    text = workspace.nodes.export(file)
    if file is None:
        print_bytes(text.encode())


@app.command("import")
@with_workspace
def import_nodes(
    workspace: Workspace, file: Annotated[Path, typer.Argument(help="File written by qrkit nodes export.")]
) -> None:
    """Import the nodes of a TOML file, all or none. Nodes of the same name are changed."""
    nodes = workspace.nodes.import_(file)
    say(f"{counted(len(nodes), 'node')}: {', '.join(node.name for node in nodes)}.")
