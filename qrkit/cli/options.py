"""Options that several commands share; a decorator adds them to a command's own."""

from __future__ import annotations

import gc
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import qrkit
from qrkit.errors import InputError
from qrkit.settings import default_in_words
from qrkit.words import did_you_mean, shown


class Format(StrEnum):
    """Output format of a table."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")
]

WorkspaceOption = Annotated[
    str | None, typer.Option(help=f"Folder of the workspace. Default: {default_in_words()}.", show_default=False)
]

_TEXT_FILTERS = {
    "date_from": ("--from", "First StudyDate: 2026-01-31, 20260131, today or yesterday."),
    "date_until": ("--until", "Last StudyDate."),
    "date": ("--date", "StudyDate: one day, or a range such as 'last 7 days'."),
    "time_from": ("--time-from", "First StudyTime, HHMM. Needs a single day."),
    "time_until": ("--time-until", "Last StudyTime, HHMM."),
    "modalities": ("--modality", "Modality codes, separated by commas: CT,MR."),
    "patient_id": ("--patient-id", "PatientID, or several separated by commas; * and ? are wildcards."),
    "patient_name": ("--patient-name", "PatientName; * and ? are wildcards."),
    "accession": ("--accession", "AccessionNumber, or several separated by commas."),
    "study_uid": ("--study-uid", "StudyInstanceUID, or several separated by commas."),
    "series_uid": ("--series-uid", "SeriesInstanceUID, or several separated by commas."),
    "description_include": (
        "--description-include",
        "Keep studies whose description contains one of these terms: a,b.",
    ),
    "description_exclude": (
        "--description-exclude",
        "Drop studies whose description contains one of these terms: a,b.",
    ),
    "station_include": ("--station-include", "Keep rows whose StationName contains one of these terms: a,b."),
    "station_exclude": ("--station-exclude", "Drop rows whose StationName contains one of these terms: a,b."),
    "station_level": ("--station-level", "Use the StationName of the study or of the series."),
    "blank": ("--blank", "Let include filters keep or drop rows with an empty value."),
}

_LISTS = ("description_include", "description_exclude", "station_include", "station_exclude")
_SEVERAL = (*_LISTS, "modalities", "patient_id", "accession", "study_uid", "series_uid")
"""Filters that take several values, separated by commas or as an option each."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")

Command = Callable[..., None]


class Commands(TyperGroup):
    """A group of commands, which answers a mistyped one with the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - typer's own click has no public types
        """Return the command that is called."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            advice = did_you_mean(name, self.commands, otherwise=f"See: {ctx.command_path} --help.")
            raise InputError(f"{shown(name)} is not a command of {ctx.command_path}.", advice=advice)
        return super().resolve_command(ctx, args)


def with_workspace(command: Command) -> Command:
    """Give a command ``--workspace``, and the open workspace as its first argument."""

    @wraps(command)
    def run(*arguments: Any, workspace: str | None, **options: Any) -> None:  # noqa: ANN401 - the command's own
        with qrkit.open(folder_given(workspace)) as opened:
            loaded()
            command(opened, *arguments, **options)

    return signed(run, command, replaced="workspace", added={"workspace": (WorkspaceOption, None)})


def folder_given(workspace: str | None) -> str | None:
    """Return the folder of ``--workspace``; None without the option.

    Raises
    ------
    InputError
        If it is empty, as from a script whose variable is not set: that would take another workspace.
    """
    if workspace is not None and not workspace.strip():
        raise InputError("--workspace is empty.", advice="Give a folder, or leave it out.")
    return workspace


def with_filters(command: Command) -> Command:
    """Give a command the filters of a query, as its argument `filters`: what `build_query` takes."""

    @wraps(command)
    def run(*arguments: Any, key: list[str], return_key: list[str], **options: Any) -> None:  # noqa: ANN401
        given = _given({name: _one_text(name, options.pop(name)) for name in _TEXT_FILTERS})
        command(*arguments, filters={**given, **_keys(key), "return_keys": ",".join(return_key)}, **options)

    added: dict[str, tuple[Any, object]] = {
        name: (Annotated[list[str], typer.Option(option, help=text, show_default=False)], [])
        for name, (option, text) in _TEXT_FILTERS.items()
    }
    added["key"] = (
        Annotated[list[str], typer.Option("--key", help="Any DICOM matching key: Keyword=value. Can be repeated.")],
        [],
    )
    added["return_key"] = (
        Annotated[
            list[str],
            typer.Option("--return-key", help="Further columns, separated by commas: PatientAge,PatientSex."),
        ],
        [],
    )
    return signed(run, command, replaced="filters", added=added)


def signed(run: Command, command: Command, *, replaced: str, added: Mapping[str, tuple[Any, object]]) -> Command:
    """Write the signature that typer reads onto `run`: that of `command`, with one argument replaced by options.

    The options are added by name, each with its annotation and default; `run` makes the replaced argument of them.
    """
    # the workspace is opened here and is no option: what opens it is not loaded for --help
    hints = inspect.get_annotations(command, locals={"Workspace": object}, eval_str=True)
    own = [
        one.replace(annotation=hints.get(one.name, one.annotation))
        for one in inspect.signature(command).parameters.values()
        if one.name != replaced
    ]
    new = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in added.items()
    ]
    run.__signature__ = inspect.Signature([*own, *new])  # type: ignore[attr-defined]  # a function may have one
    run.__annotations__ = {one.name: one.annotation for one in [*own, *new]}
    run.__dict__.pop("__wrapped__", None)
    return run


def uids_as_options(arguments: Sequence[str]) -> list[str]:
    """Return a command line of `qrkit retrieve` that names the option before each of several UIDs.

    >>> uids_as_options(["retrieve", "pacs", "--study", "1.2.3", "1.2.4", "--detach"])
    ['retrieve', 'pacs', '--study', '1.2.3', '--study', '1.2.4', '--detach']
    """
    if "retrieve" not in arguments:
        return list(arguments)
    written: list[str] = []
    option, is_value = "", False
    for argument in arguments:
        if argument.startswith("-"):
            name, has_value, _ = argument.partition("=")
            option = name if name in ("--study", "--series") else ""
            is_value = bool(option) and not has_value
        elif is_value:
            is_value = False
        elif option and _UID.fullmatch(argument):
            written.append(option)
        else:
            option = ""
        written.append(argument)
    return written


def _given(filters: Mapping[str, str | None]) -> dict[str, object]:
    """Return the filters that were given.

    An empty list filters nothing. Another empty value is refused: from a script whose variable is empty it would ask
    for the whole archive.
    """
    given: dict[str, object] = {name: value for name, value in filters.items() if value}
    empty = next((name for name, value in filters.items() if value == "" and name not in _LISTS), None)
    if empty is not None:
        raise InputError(f"{_TEXT_FILTERS[empty][0]} is empty.", advice="Give a value, or leave it out.")
    return given


def _one_text(name: str, values: Sequence[str]) -> str | None:
    """Return the value of a filter, or all of them separated by commas where it takes several; None: not given."""
    if not values:
        return None
    if len(values) > 1 and (name not in _SEVERAL or "" in values):
        raise InputError(f"{_TEXT_FILTERS[name][0]} is given {len(values)} times.", advice="Give it once.")
    return ",".join(values)


def _keys(pairs: list[str]) -> dict[str, str]:
    """Return the keys; the values of a key that is given several times separated by commas.

    Raises
    ------
    InputError
        If such a key takes a single value.
    """
    from qrkit.query.matching import takes_list

    keys: dict[str, str] = {}
    for pair in pairs:
        keyword, separator, value = pair.partition("=")
        if not (separator and keyword.strip()):
            raise InputError(f"--key takes Keyword=value, such as --key PatientSex=F, not {shown(pair)}.")
        name = keyword.strip()
        if name in keys and not (name.isidentifier() and value and takes_list(name)):
            raise InputError(f"--key {name} is given more than once.", advice="Give it once.")
        keys[name] = f"{keys[name]},{value}" if name in keys else value
    return keys


def loaded() -> None:
    """Let Python collect garbage from now on, though not look for it in what has been loaded."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
