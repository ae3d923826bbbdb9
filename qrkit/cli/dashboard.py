"""``qrkit dashboard``, and ``qrkit users``, who may log in to it."""

from __future__ import annotations

import os
import sys
import webbrowser
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_records, say
from qrkit.errors import InputError
from qrkit.words import shown

if TYPE_CHECKING:
    from qrkit.dashboard.options import ServeOptions
    from qrkit.workspace import Workspace

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


@with_workspace
def dashboard(
    workspace: Workspace,
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any address but this computer's needs user accounts.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free port.")] = 8866,
    certificate: Annotated[str, typer.Option(help="PEM file of the TLS certificate.")] = "",
    key: Annotated[str, typer.Option(help="PEM file of the certificate's key.")] = "",
    proxy_header: Annotated[
        str, typer.Option(help="Header with the user name from a trusted proxy, such as X-Forwarded-User.")
    ] = "",
    proxy_secret: Annotated[
        str,
        typer.Option(envvar="QRKIT_PROXY_SECRET", help="Secret of the proxy, its X-Qrkit-Secret.", show_envvar=True),
    ] = "",
    proxy_role: Annotated[
        str, typer.Option(help="Role of proxy or Hub users without an account in this workspace.")
    ] = "viewer",
    seats: Annotated[int, typer.Option(help="Highest number of visitors at once.")] = 20,
    preheated: Annotated[int, typer.Option(help="Number of kernels kept ready for visitors; about 150 MB each.")] = 1,
    session_hours: Annotated[float, typer.Option(help="Hours after which a user must log in again.")] = 10.0,
    idle_minutes: Annotated[float, typer.Option(help="Minutes after which an idle page is closed.")] = 60.0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Start the web dashboard. Listens on this computer only unless --host is given."""
    from qrkit.dashboard.options import Hub, ServeOptions

    hub = Hub.of(os.environ)
    wanted = hub.address if hub is not None else ("", 0)
    options = ServeOptions(
        host=wanted[0] or host,
        port=wanted[1] or port,
        certificate=certificate,
        key=key,
        proxy_header=proxy_header,
        proxy_secret=proxy_secret,
        proxy_role=proxy_role,
        seats=seats,
        preheated=preheated,
        session_hours=session_hours,
        idle_minutes=idle_minutes,
        open_browser=browser and hub is None,
        hub=hub,
    )
    run(workspace, options)


def run(workspace: Workspace, options: ServeOptions) -> None:
    """Serve until stopped, and show the link to log in."""
    from qrkit.dashboard.server import serve

    if options.warning:
        say(f"Warning: {options.warning}")

    def started(link: str) -> None:
        if options.hub is not None:
            say(f"The dashboard of {workspace.settings.workspace} runs as a service of the Hub: {link}")
            return
        say(
            f"The dashboard of {workspace.settings.workspace} runs until Ctrl-C. "
            f"Open this link to log in; it works once:\n{link}"
        )
        if options.open_browser:
            Thread(target=webbrowser.open, args=(link,), daemon=True).start()

    serve(workspace, options, started=started)


users = typer.Typer(cls=Commands, no_args_is_help=True)


@users.command("add")
@with_workspace
def add(workspace: Workspace, name: Name, *, role: RoleOption = "viewer", password_stdin: FromStdin = False) -> None:
    """Add a user. Prompts for the password, and stores only its hash."""
    if name in workspace.users:
        raise InputError(
            f"There is a user {shown(name)} already.", advice=f"See: qrkit users role {name}, or passwd."
        )
    workspace.users.add(name, _password(from_stdin=password_stdin), role=role)
    say(f"Added {name} as {role}.")


@users.command("list")
@with_workspace
def list_users(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the users."""
    print_records(workspace.users.records(), form, output)


@users.command("passwd")
@with_workspace
def passwd(workspace: Workspace, name: Name, *, password_stdin: FromStdin = False) -> None:
    """Set the password of a user. Their sessions end."""
    workspace.users.set_password(name, _password(from_stdin=password_stdin))
    say(f"Set the password of {name}.")


@users.command("role")
@with_workspace
def role(
    workspace: Workspace,
    name: Name,
    new: Annotated[str, typer.Argument(help="New role: viewer, operator or administrator.")],
) -> None:
    """Change the role of a user."""
    workspace.users.set_role(name, new)
    say(f"{name} is now {new}.")


@users.command("remove")
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
