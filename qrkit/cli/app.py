"""The commands of `qrkit`: each is loaded when it is called, and what errors look like on the terminal."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from qrkit import __version__
from qrkit.advice import Surface, read_on
from qrkit.cli.options import Commands, WorkspaceOption, folder_given, uids_as_options
from qrkit.cli.output import OUTPUT_CLOSED, discard_stdout
from qrkit.errors import InputError, QrkitError
from qrkit.words import did_you_mean, printable

_COMMANDS = {
    "demo": ("demo:demo", "Try qrkit on a simulated hospital. Needs no network and no PACS."),
    "nodes": ("nodes:app", "Manage the PACS, modalities and stores that qrkit contacts."),
    "echo": ("queries:echo", "Send C-ECHO to nodes. The exit status is 1 if any node fails."),
    "probe": (
        "nodes:probe",
        "Test what a node can do with at most 12 small queries. The exit status is 3 if nothing was learned.",
    ),
    "find": ("queries:find", "Query a node by C-FIND. The exit status is 3 if the result may be incomplete."),
    "plan": (
        "queries:plan",
        "Plan the smallest retrieve that has the dose data. The exit status is 3 if studies may be missing.",
    ),
    "retrieve": (
        "retrieve:retrieve",
        "Retrieve a plan, studies, series or a query's rows. Exit status 3 if objects are missing or unproven.",
    ),
    "jobs": ("retrieve:jobs", "List and control retrieve jobs, which the worker runs."),
    "handlers": ("handlers:app", "Run programs on received series."),
    "after": ("handlers:after", "The earlier name of qrkit handlers."),
    "schedule": ("schedules:app", "Run queries and dose plans at set times."),
    "queries": ("queries:queries", "List earlier queries and show their results again."),
    "plans": ("queries:plans", "List dose plans, compare them, and show why something was retrieved or not."),
    "instances": ("queries:instances", "List the received objects."),
    "sql": (
        "queries:sql",
        "Run one SELECT on the tables, such as studies, series, instances, queries, jobs and nodes.",
    ),
    "report": ("maintenance:report", "Write a report on a query, plan or job as one HTML file that works offline."),
    "serve": ("maintenance:serve", "Run the worker and its Storage SCP until stopped."),
    "repair": ("maintenance:repair", "Repair a damaged workspace while no worker runs. Nothing is deleted."),
    "dashboard": (
        "dashboard:dashboard",
        "Start the web dashboard. Listens on this computer only unless --host is given.",
    ),
    "users": ("dashboard:users", "Manage who may log in to the dashboard, and their roles."),
}
"""Where each command is in this package, and its line in ``qrkit --help``."""

_HIDDEN = ("after",)
"""Earlier names of commands, which scripts may use."""


class _AllCommands(Commands):
    """The commands, which are loaded when they are called; ``--help`` needs only their lines."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as typer gives them
        super().__init__(**settings)
        for name, (_, line) in _COMMANDS.items():
            self.add_command(TyperCommand(name, help=line, hidden=name in _HIDDEN))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's own click has no public types
        """Return the command that is called, loaded."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else command, rest


def load_command(name: str) -> Any:  # noqa: ANN401 - a command of typer's own click
    """Return a command: a function, or a group of commands, whose line is its help."""
    (where, attribute), line = _COMMANDS[name][0].split(":"), _COMMANDS[name][1]
    found = getattr(importlib.import_module(f"qrkit.cli.{where}"), attribute)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
        command.help = line
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command


app = typer.Typer(
    name="qrkit",
    cls=_AllCommands,
    help="Query a PACS, retrieve what you need, keep every result as a table.",
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
    workspace: WorkspaceOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Handle the options before the command."""
    del version  # its callback has dealt with it
    if workspace is not None:
        os.environ["QRKIT_WORKSPACE"] = folder_given(workspace) or ""


_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""The base of typer's errors for a wrong command line: of its own click, or of the real one in older versions."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    given = uids_as_options(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of patients have letters that some terminals do not
            stream.reconfigure(errors="replace")
    with read_on(Surface.COMMAND_LINE):
        return _status_of(given)


def _status_of(arguments: list[str]) -> int:
    """Run a command, report its error, and return its exit status."""
    try:
        status = app(arguments, prog_name="qrkit", standalone_mode=False)
    except _UsageError as error:
        status = _fail_usage(error)
    except QrkitError as error:
        status = _fail(error, 2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:  # the reader of our output has seen enough
        discard_stdout()
        status = OUTPUT_CLOSED
    except typer.Abort:  # there was a question, and no answer
        status = 1
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
        if isinstance(end.__context__, BrokenPipeError):  # rich ends a program by that
            status = OUTPUT_CLOSED
    return status if isinstance(status, int) else 0


def _fail_usage(error: Any) -> int:  # noqa: ANN401 - typer's own click has no public types
    """Report in one line what is wrong with a command line; a group without a command has shown its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return 2
    command = error.ctx.command_path if error.ctx is not None else "qrkit"
    help_advice = f"See: {command} --help."
    if type(error).__name__ != "NoSuchOption":
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        return _fail(QrkitError(f"{message}.", advice=help_advice), 2)
    known = [name for parameter in error.ctx.command.params for name in (*parameter.opts, *parameter.secondary_opts)]
    option = error.option_name
    advice = did_you_mean(option, known, otherwise=help_advice)
    return _fail(QrkitError(f"{option} is not an option of {command}.", advice=advice), 2)


def _fail(error: QrkitError, status: int) -> int:
    print("qrkit: " + printable(" ".join(str(error).split())), file=sys.stderr)  # noqa: T201 - the one line of an error
    return status
