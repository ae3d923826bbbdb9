"""The arguments of a command: a list, never a shell's line, so nothing that a PACS says can become a command.

Placeholders: ``{folder}``, the folder of the series; ``{list}``, a text file that names each file on a line of its
own; ``{files}``, which stands alone and becomes one argument per file; ``{count}``, how many these are;
``{StudyInstanceUID}``, ``{SeriesInstanceUID}``, ``{Modality}``, ``{node}`` and ``{job_id}``. Nothing about the
patient is among them, since everybody on a machine can read the arguments of a process. ``{{`` is a brace.

What a program prints may quote the patient: that is taken out before it is kept or logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from string import Formatter

from qrkit.errors import InputError
from qrkit.handlers.run import Series

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
    """Check that a command can be filled in.

    Raises
    ------
    InputError
        If it has a placeholder that nothing can be put in for, or one in the place of the program.
    """
    for place, argument in enumerate(command):
        names = list(_names(argument, of=of))
        unknown = [name for name in names if name not in PLACEHOLDERS]
        if unknown:
            raise InputError(
                f"The command of {of} has the placeholder {{{unknown[0]}}}, which is none.",
                advice=f"There are {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}; a brace is written twice.",
            )
        if place == 0 and (names or not argument):
            raise InputError(f"The command of {of} begins with the program to run, not with {argument!r}.")
        if "files" in names and argument != "{files}":
            raise InputError(f"{{files}} stands alone as an argument in the command of {of}.")


def arguments(command: Sequence[str], series: Series, *, folder: Path, listing: Path) -> list[str]:
    """Return a command with everything filled in.

    Parameters
    ----------
    folder
        The folder of the series.
    listing
        The text file that names its files.

    >>> series = Series(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", modality=("CT",), files=(Path("a.dcm"),))
    >>> arguments(["run", "{Modality}/{SeriesInstanceUID}", "{files}"], series, folder=Path("f"), listing=Path("l"))
    ['run', 'CT/1.2.3', 'a.dcm']
    """
    # a code that a PACS made up could look like an option of the program
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
                raise InputError(f"A placeholder is a name in braces, in the command of {of}: {argument!r}.")
            if name is not None:
                yield name
    except ValueError as error:
        raise InputError(
            f"The argument {argument!r} of {of} has a brace that stands alone; write it twice."
        ) from error


_SHORTEST = 3
"""Shorter parts of a value, as "Li" of a name, would take half of every sentence along."""

_GONE = "[…]"


def redacted(text: str, values: Iterable[str]) -> str:
    """Return a text without the values of a patient, whole and by their parts, in any case.

    A program that prints them in another form, such as a date of birth with other separators, is not found out; dates
    of eight digits are also sought with separators.

    >>> redacted("read DOE^JANE (id Q-1234, born 1970-01-31): Jane failed", ["Doe^Jane", "Q-1234", "19700131"])
    'read […] (id […], born […]): […] failed'
    """
    parts = {part for value in values for part in _parts(value) if len(part) >= _SHORTEST}
    for part in sorted(parts, key=lambda part: (-len(part), part)):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", _GONE, text, flags=re.IGNORECASE)
    return text


def _parts(value: str) -> Iterable[str]:
    yield value
    yield from re.split(r"[\^=\\ ]+", value)
    if re.fullmatch(r"\d{8}", value, re.ASCII):
        year, month, day = value[:4], value[4:6], value[6:]
        for sign in "-./":
            yield sign.join((year, month, day))
            yield sign.join((day, month, year))
