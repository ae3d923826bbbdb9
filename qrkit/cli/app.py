"""The commands of `qrkit`, put together, and what their errors look like."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from qrkit import __version__
from qrkit.cli import (
    dashboard,
    demo,
    handlers,
    instances,
    jobs,
    maintenance,
    nodes,
    plans,
    queries,
    retrieve,
    schedules,
    users,
)
from qrkit.cli.options import uids_as_options
from qrkit.cli.output import discard_stdout
from qrkit.errors import InputError, QrkitError

app = typer.Typer(
    name="qrkit",
    help="Ask a PACS, fetch what is needed, keep every answer as a table.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        typer.echo(f"qrkit {__version__}")
        raise typer.Exit


@app.callback()
def common(
    *,
    workspace: Annotated[str, typer.Option(help="The workspace's folder; also $QRKIT_WORKSPACE.")] = "",
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Take what may stand before every command."""
    del version  # its callback has dealt with it
    if workspace:
        os.environ["QRKIT_WORKSPACE"] = workspace


app.add_typer(nodes.app, name="nodes")
app.add_typer(jobs.app, name="jobs")
app.add_typer(handlers.app, name="after")
app.add_typer(schedules.app, name="schedule")
app.add_typer(queries.app, name="queries")
app.add_typer(plans.app, name="plans")
app.add_typer(instances.app, name="instances")
app.add_typer(users.app, name="users")
app.command("echo")(queries.echo)
app.command("find")(queries.find)
app.command("probe")(nodes.probe)
app.command("plan")(plans.plan)
app.command("retrieve")(retrieve.retrieve)
app.command("sql")(instances.sql)
app.command("report")(maintenance.report)
app.command("serve")(maintenance.serve)
app.command("repair")(maintenance.repair)
app.command("dashboard")(dashboard.dashboard)
app.command("demo")(demo.demo)


_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises where a command line is wrong: of its own click, or of the real one in older versions."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    given = uids_as_options(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of patients have letters that some terminals do not
            stream.reconfigure(errors="replace")
    try:
        status = app(given, standalone_mode=False)
    except _UsageError as error:
        status = _say_usage(error)
    except QrkitError as error:
        status = _fail(error, 2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:  # the reader of our output has seen enough
        discard_stdout()
        status = 1
    except typer.Abort:  # there was a question, and no answer
        status = 1
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    return status if isinstance(status, int) else 0


def _say_usage(error: Any) -> int:  # noqa: ANN401 - typer tells no type of it
    """Say in one line what is wrong with a command line; where only a group was named, its help has been shown."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return 2
    command = error.ctx.command_path if error.ctx is not None else "qrkit"
    told = error.format_message().replace("Value error, ", "").rstrip(".")
    return _fail(QrkitError(f"{told}.", advice=f"See: {command} --help."), 2)


def _fail(error: QrkitError, status: int) -> int:
    print("qrkit: " + " ".join(str(error).split()), file=sys.stderr)  # noqa: T201 - the one line of an error
    return status
