"""``qrkit users``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.options import Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_records, say
from qrkit.errors import InputError

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the user.")]
RoleOption = Annotated[
    str,
    typer.Option(
        "--role", help="viewer (may query and see), operator (may retrieve), administrator (nodes and users too)."
    ),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


@app.command("add")
@with_workspace
def add(workspace: Workspace, name: Name, *, role: RoleOption = "viewer", password_stdin: FromStdin = False) -> None:
    """Add a user; their password is asked for, and kept as a hash only."""
    if name in workspace.users:
        raise InputError(f"There is a user {name!r} already.", advice=f"See: qrkit users role {name}, or passwd.")
    workspace.users.add(name, _password(from_stdin=password_stdin), role=role)
    say(f"Added {name} as {role}.")


@app.command("list")
@with_workspace
def list_users(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the users."""
    print_records(workspace.users.records(), form, output)


@app.command("passwd")
@with_workspace
def passwd(workspace: Workspace, name: Name, *, password_stdin: FromStdin = False) -> None:
    """Give a user another password; their sessions end."""
    workspace.users.set_password(name, _password(from_stdin=password_stdin))
    say(f"The password of {name} is changed.")


@app.command("role")
@with_workspace
def role(
    workspace: Workspace, name: Name, new: Annotated[str, typer.Argument(help="viewer, operator or administrator.")]
) -> None:
    """Give a user another role, from now on."""
    workspace.users.set_role(name, new)
    say(f"{name} is {new} from now on.")


@app.command("remove")
@with_workspace
def remove(workspace: Workspace, name: Name) -> None:
    """Remove a user; what they did stays in the history."""
    workspace.users.remove(name)
    say(f"Removed {name}.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("There is no terminal to ask for the password on.", advice="Give it by --password-stdin.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
