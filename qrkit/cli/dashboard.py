"""``qrkit dashboard``."""

from __future__ import annotations

import os
import webbrowser
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.options import with_workspace
from qrkit.cli.output import say
from qrkit.dashboard.options import Hub, ServeOptions

if TYPE_CHECKING:
    from qrkit.workspace import Workspace


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
