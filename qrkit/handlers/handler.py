"""Handlers: what a site has registered in ``[[after]]`` tables, checked here and nowhere else.

Which series a handler is for.

When a handler that has failed is tried again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from qrkit.errors import InputError
from qrkit.handlers.command_line import check_placeholders
from qrkit.handlers.run import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a series must be like; empty: anything. Terms are compared in any case, with * and ? as wildcards.

    Attributes
    ----------
    modality, station, description
        Modality, StationName, SeriesDescription of one of its objects.
    node
        Name of the node that it came from.
    level
        Level of the retrieve that brought it: STUDY, SERIES or IMAGE.
    """

    modality: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    station: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    description: tuple[str, ...] = ()

    def fits(self, series: Series) -> bool:
        """Whether a series is one of these.

        >>> from qrkit.handlers.run import Series
        >>> dose = Series(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", modality=("SR",), station=("CT01",))
        >>> Rule(modality=("SR",), station=("ct*",)).fits(dose), Rule(station=("MR*",)).fits(dose)
        (True, False)
        """
        return all(_fits(getattr(self, item.name), getattr(series, item.name)) for item in fields(self))


def _fits(terms: Collection[str], values: Collection[str]) -> bool:
    return not terms or any(fnmatchcase(value.lower(), term.lower()) for value in values for term in terms)


_WAYS = ("copy_to", "command", "send_to", "call")
_ENTRY_POINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LEVELS = ("STUDY", "SERIES", "IMAGE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """Something to be done with a series that has arrived; exactly one of the four ways.

    Attributes
    ----------
    name
        What jobs and people call it.
    copy_to
        A folder: the files are copied there, below the UIDs of study and series.
    command
        A program and its arguments, with placeholders; see `qrkit.handlers.command_line`.
    send_to
        Name of a node: the files are sent there by C-STORE.
    call
        A Python function, ``package.module:function``, which is called with a `qrkit.handlers.Series`.
    rule
        Which series it is for.
    automatic
        Whether it runs for every job that names no handlers; else only where it is named.
    time_limit
        Seconds after which a run is ended.
    attempts
        How often it is tried in all.
    """

    name: str
    copy_to: str = ""
    command: tuple[str, ...] = ()
    send_to: str = ""
    call: str = ""
    rule: Rule = field(default_factory=Rule)
    automatic: bool = True
    time_limit: float = 600.0
    attempts: int = 5

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or len(self.name) > 64 or "," in self.name:
            raise InputError(f"A handler's name has 1 to 64 characters, no comma: {self.name!r} is none.")
        given = [way for way in _WAYS if getattr(self, way)]
        if len(given) != 1:
            raise InputError(f"Handler {self.name!r} needs one of {', '.join(_WAYS)}; it has {len(given)} of them.")
        if self.call and not _ENTRY_POINT.fullmatch(self.call):
            raise InputError(f"The call of handler {self.name!r} is package.module:function, not {self.call!r}.")
        if not 0 < self.time_limit < math.inf:
            raise InputError(
                f"The time limit of handler {self.name!r} is more than 0 seconds, not {self.time_limit}."
            )
        if self.attempts < 1:
            raise InputError(f"Handler {self.name!r} needs at least 1 attempt, not {self.attempts}.")
        wrong = [level for level in self.rule.level if level not in _LEVELS]
        if wrong:
            raise InputError(f"The level of handler {self.name!r} is {', '.join(_LEVELS)}, not {wrong[0]!r}.")
        check_placeholders(self.command, of=f"handler {self.name!r}")

    @property
    def way(self) -> str:
        """What it does: copy_to, command, send_to or call."""
        return next(way for way in _WAYS if getattr(self, way))


def handlers_from(tables: object) -> tuple[Handler, ...]:
    """Return the handlers of the ``[[after]]`` tables of `qrkit.toml`.

    Raises
    ------
    InputError
        If one is not valid, or two have one name.

    >>> handlers_from([{"name": "dose", "copy_to": "/srv/dose", "modality": "SR"}])[0].rule.modality
    ('SR',)
    """
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise InputError("Handlers are tables that begin with [[after]] in qrkit.toml.")
    handlers = tuple(_handler(table) for table in tables)
    names = [handler.name for handler in handlers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"There are two handlers {twice!r} in qrkit.toml.")
    return handlers


def chosen(handlers: Sequence[Handler], names: Sequence[str] | None) -> tuple[Handler, ...]:
    """Return the handlers that take part in a job: those it names, else the automatic ones.

    Parameters
    ----------
    names
        None where the job names none; an empty list where it wants none.

    Raises
    ------
    InputError
        If there is no such handler.
    """
    if names is None:
        return tuple(handler for handler in handlers if handler.automatic)
    known = {handler.name: handler for handler in handlers}
    unknown = [name for name in names if name not in known]
    if unknown:
        there_are = f"There are {', '.join(known)}." if known else "Register it by an [[after]] table in qrkit.toml."
        raise InputError(f"There is no handler {', '.join(unknown)}.", advice=there_are)
    return tuple(known[name] for name in dict.fromkeys(names))


_RULES = tuple(item.name for item in fields(Rule))
_NAMES = tuple(item.name for item in fields(Handler) if item.name != "rule") + _RULES


def _handler(table: Mapping[str, Any]) -> Handler:
    name = table.get("name", "")
    unknown = sorted(set(table) - set(_NAMES))
    if unknown:
        raise InputError(f"Handler {name!r} has no {', '.join(unknown)}; it may have {', '.join(_NAMES)}.")
    values = {key: _typed(key, value, name) for key, value in table.items()}
    rule = Rule(**{key: values.pop(key) for key in _RULES if key in values})
    return Handler(**{"name": "", **values}, rule=rule)


def _typed(key: str, value: object, name: object) -> Any:  # noqa: ANN401 - as the field is typed
    if key in (*_RULES, "command"):
        listed = [value] if isinstance(value, str) and key != "command" else value
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise InputError(f"{key} of handler {name!r} is a list of texts, not {value!r}.")
        return tuple(one.upper() for one in listed) if key == "level" else tuple(listed)
    kinds: dict[str, tuple[type, ...]] = {"automatic": (bool,), "attempts": (int,), "time_limit": (int, float)}
    kind = kinds.get(key, (str,))
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
        what = {"automatic": "true or false", "attempts": "a whole number", "time_limit": "a number of seconds"}
        raise InputError(f"{key} of handler {name!r} is {what.get(key, 'a text')}, not {value!r}.")
    return value


_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 3_600, 21_600))
LONGEST_PAUSE = _PAUSES[-1]
"""A run that is due later than that was put off by a clock that was wrong."""


def pause_after(attempts: int, *, most: int, transient: bool = True) -> timedelta | None:
    """Return how long to wait after a failure; None: no more.

    Growing, so that a receiver that is restarted is met soon, and one that is down for a night is not worn out.

    Parameters
    ----------
    attempts
        How often it was tried.
    most
        How often it may be tried in all.
    transient
        Whether the same may work later without anybody changing anything.

    >>> [pause_after(tried, most=3) for tried in (1, 2, 3)]
    [datetime.timedelta(seconds=30), datetime.timedelta(seconds=120), None]
    >>> pause_after(1, most=3, transient=False) is None
    True
    """
    if not transient or attempts >= most:
        return None
    return _PAUSES[min(max(attempts, 1), len(_PAUSES)) - 1]
