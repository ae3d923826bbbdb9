"""``qrkit users``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_records, say
from qrkit.errors import InputError
from qrkit.words import shown

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(cls=Commands, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the user.")]
RoleOption = Annotated[
    str,
    typer.Option(
        "--role",
        help="viewer (can query), operator (can also retrieve) or administrator (can also change nodes and users).",
    ),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of a prompt.")
]


@app.command("add")
@with_workspace
def add(workspace: Workspace, name: Name, *, role: RoleOption = "viewer", password_stdin: FromStdin = False) -> None:
    """Add a user. Prompts for the password, and stores only its hash."""
    if name in workspace.users:
        raise InputError(
            f"There is a user {shown(name)} already.", advice=f"See: qrkit users role {name}, or passwd."
        )
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
    """Set the password of a user. Their sessions end."""
    workspace.users.set_password(name, _password(from_stdin=password_stdin))
    say(f"Set the password of {name}.")


@app.command("role")
@with_workspace
def role(
    workspace: Workspace,
    name: Name,
    new: Annotated[str, typer.Argument(help="New role: viewer, operator or administrator.")],
) -> None:
    """Change the role of a user."""
    workspace.users.set_role(name, new)
    say(f"{name} is now {new}.")


@app.command("remove")
@with_workspace
def remove(workspace: Workspace, name: Name) -> None:
    """Remove a user. Their actions stay in the history."""
    workspace.users.remove(name)
    say(f"Removed {name}.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("There is no terminal to prompt for the password.", advice="Use --password-stdin.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
