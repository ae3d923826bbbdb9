"""The command line of a handler: placeholders in its arguments, and the patient's values in its output.

The arguments are a list and never a shell's line, so nothing that a PACS sends can become a command. No placeholder
contains patient data, since every user of a machine can read the arguments of a process. The output of a program may
contain patient data, which is removed before the output is stored or logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import Formatter

from qrkit.errors import InputError
from qrkit.jobs.handler_run import ReceivedSeries

PLACEHOLDERS = (
    "folder",
    "list",
    "files",
    "count",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "node",
    "job_id",
)
_CODE = re.compile(r"[A-Z0-9_]{1,16}", re.ASCII)


def check_placeholders(command: Sequence[str], *, of: str) -> None:
    """Raise `InputError` if a command has an unknown placeholder, or one where its program should be."""
    for place, argument in enumerate(command):
        names = list(_names(argument, of=of))
        unknown = [name for name in names if name not in PLACEHOLDERS]
        if unknown:
            raise InputError(
                f"The command of {of} contains the unknown placeholder {{{unknown[0]}}}.",
                advice=f"Use {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}; write a literal brace twice.",
            )
        if place == 0 and (names or not argument):
            raise InputError(
                f"The command of {of} does not begin with a program, but with {argument!r}.",
                advice="Give the program first.",
            )
        if "files" in names and argument != "{files}":
            raise InputError(
                f"{{files}} is not a separate argument in the command of {of}.",
                advice="Make it an argument.",
            )


def arguments(command: Sequence[str], series: ReceivedSeries, *, folder: Path, listing: Path) -> list[str]:
    """Return a command with its placeholders filled in; `listing` is a text file with one path on each line.

    >>> series = ReceivedSeries(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", files=(Path("a.dcm"),))
    >>> arguments(["run", "{SeriesInstanceUID}", "{files}"], series, folder=Path("f"), listing=Path("l"))
    ['run', '1.2.3', 'a.dcm']
    """
    # an invalid code from a PACS could look like an option of the program
    modality = next((code for code in series.modality if _CODE.fullmatch(code)), "")
    values = {
        "folder": str(folder),
        "list": str(listing),
        "count": str(len(series.files)),
        "StudyInstanceUID": series.StudyInstanceUID,
        "SeriesInstanceUID": series.SeriesInstanceUID,
        "Modality": modality,
        "node": ",".join(series.node),
        "job_id": series.job_id,
    }
    filled: list[str] = []
    for argument in command:
        filled += [str(path) for path in series.files] if argument == "{files}" else [argument.format_map(values)]
    return filled


def _names(argument: str, *, of: str) -> Iterator[str]:
    try:
        for _, name, form, conversion in Formatter().parse(argument):
            if form or conversion:
                raise InputError(
                    f"The placeholder in {argument!r} of the command of {of} is not a name in braces.",
                    advice="Remove the format or conversion.",
                )
            if name is not None:
                yield name
    except ValueError as error:
        raise InputError(
            f"The argument {argument!r} of {of} contains a single brace.", advice="Write a literal brace twice."
        ) from error


_SHORTEST = 3
"""Shorter parts of a value, such as the name "Li", would remove half of every sentence."""

_REMOVED = "[…]"


def redacted(text: str, values: Iterable[str]) -> str:
    """Return a text without the values of a patient, whole or in parts, ignoring case.

    A value in another form remains; only dates are also recognised with separators.

    >>> redacted("read DOE^JANE (id Q-1234, born 1970-01-31): Jane failed", ["Doe^Jane", "Q-1234", "19700131"])
    'read […] (id […], born […]): […] failed'
    """
    parts = {part for value in values for part in _parts(value) if len(part) >= _SHORTEST}
    for part in sorted(parts, key=lambda part: (-len(part), part)):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", _REMOVED, text, flags=re.IGNORECASE)
    return text


def _parts(value: str) -> Iterable[str]:
    yield value
    yield from re.split(r"[\^=\\ ]+", value)
    if re.fullmatch(r"\d{8}", value, re.ASCII):
        year, month, day = value[:4], value[4:6], value[6:]
        for sign in "-./":
            yield sign.join((year, month, day))
            yield sign.join((day, month, year))
