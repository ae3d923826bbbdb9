"""``qrkit sql`` and ``qrkit instances``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_frame, say
from qrkit.errors import InputError
from qrkit.uids import is_valid_uid
from qrkit.words import counted

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(cls=Commands, no_args_is_help=True)


@app.command("list")
@with_workspace
def instances(
    workspace: Workspace,
    *,
    study: Annotated[str, typer.Option(help="Only objects of this StudyInstanceUID.")] = "",
    series: Annotated[str, typer.Option(help="Only objects of this SeriesInstanceUID.")] = "",
    modality: Annotated[str, typer.Option(help="Only objects of this Modality.")] = "",
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the received objects: class, transfer syntax, size, SHA-256, source and job."""
    for name, uid in (("study", study), ("series", series)):
        if uid and not is_valid_uid(uid):
            raise InputError(
                f"--{name} needs a UID: {uid!r} is not one. Enter digits and dots, at most 64 characters."
            )
    values = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "Modality": modality.upper()}
    frame = workspace.files.list({name: value for name, value in values.items() if value})
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'file')} in {workspace.files.folder}.")


@with_workspace
def sql(
    workspace: Workspace,
    text: Annotated[str, typer.Argument(help="One SELECT statement.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Run one SELECT on the tables, such as studies, series, instances, queries, jobs and nodes."""
    print_frame(workspace.sql(text), form, output)
