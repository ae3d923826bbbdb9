"""The handlers of a site: their settings, checked here only, their series, and one attempt of one."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from qrkit.errors import Cancelled, HandlerFailed, InputError
from qrkit.handlers.command_line import check_placeholders
from qrkit.jobs.handler_run import ReceivedSeries
from qrkit.settings import Settings
from qrkit.tables import Level
from qrkit.words import did_you_mean

_ACTIONS = ("copy_to", "command", "send_to", "call")
_ENTRY_POINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LEVELS = (Level.STUDY.value, Level.SERIES.value, Level.IMAGE.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCriteria:
    """Which series a handler processes; an empty criterion matches every series.

    Terms ignore case and may contain the wildcards * and ?.
    """

    modality: tuple[str, ...] = ()  # Modality of one of its objects
    node: tuple[str, ...] = ()  # name of the node that sent it
    station: tuple[str, ...] = ()  # StationName of one of its objects
    level: tuple[str, ...] = ()  # level of the retrieve: STUDY, SERIES or IMAGE
    description: tuple[str, ...] = ()  # SeriesDescription of one of its objects

    def fits(self, series: ReceivedSeries) -> bool:
        """Whether a series meets all criteria.

        >>> from qrkit.jobs.handler_run import ReceivedSeries
        >>> dose = ReceivedSeries(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", station=("CT01",))
        >>> SeriesCriteria(station=("ct*",)).fits(dose), SeriesCriteria(station=("MR*",)).fits(dose)
        (True, False)
        """
        return all(_fits(getattr(self, item.name), getattr(series, item.name)) for item in fields(self))


def _fits(terms: Collection[str], values: Collection[str]) -> bool:
    return not terms or any(fnmatchcase(value.lower(), term.lower()) for value in values for term in terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One action on received series: exactly one of the four."""

    name: str  # name in jobs and messages
    copy_to: str = ""  # folder that receives copies of the files, below the UIDs of study and series
    command: tuple[str, ...] = ()  # program and its arguments, with placeholders; see `qrkit.handlers.command_line`
    send_to: str = ""  # name of the node that receives the files by C-STORE
    call: str = ""  # Python function, `package.module:function`; its argument is a `qrkit.handlers.ReceivedSeries`
    criteria: SeriesCriteria = field(default_factory=SeriesCriteria)  # which series it processes
    automatic: bool = True  # True to run for every job that names no handlers; otherwise only for jobs that name it
    time_limit: float = 600.0  # seconds after which an attempt is stopped
    attempts: int = 5  # number of attempts in total

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or len(self.name) > 64 or "," in self.name:
            raise InputError(
                f"{self.name!r} is not a valid handler name.",
                advice="Use 1 to 64 characters without a comma and without leading or trailing spaces.",
            )
        given = [action for action in _ACTIONS if getattr(self, action)]
        if len(given) != 1:
            raise InputError(
                f"Handler {self.name!r} has {len(given)} actions.",
                advice=f"Give exactly one of {', '.join(_ACTIONS)}.",
            )
        if self.call and not _ENTRY_POINT.fullmatch(self.call):
            raise InputError(
                f"{self.call!r} is not a valid call of handler {self.name!r}.", advice="Use package.module:function."
            )
        if not 0 < self.time_limit < math.inf:
            raise InputError(
                f"{self.time_limit} is not a valid time_limit of handler {self.name!r}.",
                advice="Use a number of seconds above 0.",
            )
        if self.attempts < 1:
            raise InputError(f"Handler {self.name!r} has {self.attempts} attempts.", advice="Use at least 1.")
        wrong = [level for level in self.criteria.level if level not in _LEVELS]
        if wrong:
            raise InputError(
                f"{wrong[0]!r} is not a valid level of handler {self.name!r}.", advice=f"Use {', '.join(_LEVELS)}."
            )
        check_placeholders(self.command, of=f"handler {self.name!r}")

    @property
    def action(self) -> str:
        """The action: copy_to, command, send_to or call."""
        return next(action for action in _ACTIONS if getattr(self, action))


def handlers_from(tables: Mapping[str, object]) -> tuple[Handler, ...]:
    """Return the handlers of `qrkit.toml`.

    Its tables are named ``handlers``, or ``after``, the earlier name. Raise `InputError` if one is not valid, or if
    two handlers have the same name.

    >>> handlers_from({"handlers": [{"name": "dose", "copy_to": "/srv/dose", "modality": "SR"}]})[0].criteria.modality
    ('SR',)
    """
    handlers = tuple(_handler(table) for name in ("handlers", "after") for table in _listed(tables.get(name, [])))
    names = [handler.name for handler in handlers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"Two handlers in qrkit.toml have the name {twice!r}.", advice="Give each handler its own name."
        )
    return handlers


def _listed(tables: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise InputError(
            "The handlers in qrkit.toml are not a list of tables.", advice="Begin each handler with [[handlers]]."
        )
    return tables


def chosen(handlers: Sequence[Handler], names: Sequence[str] | None) -> tuple[Handler, ...]:
    """Return the handlers that run for a job: those it names, even if that is none; for None, the automatic ones.

    Raise `InputError` if a name is unknown.
    """
    if names is None:
        return tuple(handler for handler in handlers if handler.automatic)
    known = {handler.name: handler for handler in handlers}
    unknown = [name for name in names if name not in known]
    if unknown:
        there_are = f"Use {', '.join(known)}." if known else "Add a [[handlers]] table to qrkit.toml."
        advice = did_you_mean(unknown[0], known, otherwise=there_are)
        raise InputError(f"There is no handler {', '.join(unknown)}.", advice=advice)
    return tuple(known[name] for name in dict.fromkeys(names))


_CRITERIA = tuple(item.name for item in fields(SeriesCriteria))
_NAMES = tuple(item.name for item in fields(Handler) if item.name != "criteria") + _CRITERIA


def _handler(table: Mapping[str, Any]) -> Handler:
    name = table.get("name", "")
    unknown = sorted(set(table) - set(_NAMES))
    if unknown:
        raise InputError(
            f"{', '.join(unknown)} is not a setting of a handler, but handler {name!r} has it.",
            advice=f"Use {', '.join(_NAMES)}.",
        )
    values = {key: _typed(key, value, name) for key, value in table.items()}
    criteria = SeriesCriteria(**{key: values.pop(key) for key in _CRITERIA if key in values})
    return Handler(**{"name": "", **values}, criteria=criteria)


def _typed(key: str, value: object, name: object) -> Any:  # noqa: ANN401 - as the field is typed
    if key in (*_CRITERIA, "command"):
        listed = [value] if isinstance(value, str) and key != "command" else value
        if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
            raise InputError(f"{value!r} is not a valid {key} of handler {name!r}.", advice="Use a list of texts.")
        return tuple(text.upper() for text in listed) if key == "level" else tuple(listed)
    kinds: dict[str, tuple[type, ...]] = {"automatic": (bool,), "attempts": (int,), "time_limit": (int, float)}
    kind = kinds.get(key, (str,))
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
        what = {"automatic": "true or false", "attempts": "a whole number", "time_limit": "a number of seconds"}
        raise InputError(
            f"{value!r} is not a valid {key} of handler {name!r}.", advice=f"Use {what.get(key, 'a text')}."
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SopReference:
    """The SOP Class and Instance of one file, as C-STORE announces it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt of one handler for one series."""

    run_id: int  # identifies the run; no other attempt has it at the same time
    handler: Handler
    series: ReceivedSeries
    objects: tuple[SopReference, ...]  # in the order of the series' files
    settings: Settings
    # values of the patient, which are never logged; None: unknown, so that no output is logged
    private: tuple[str, ...] | None
    deadline: float  # end of the time limit on `time.monotonic`
    is_stopping: Callable[[], bool]  # True when the worker stops

    def check(self) -> None:
        """Raise `Cancelled` if the worker stops, `HandlerFailed` if the time limit has passed."""
        if self.is_stopping():
            raise Cancelled("The worker stops.")
        if time.monotonic() > self.deadline:
            raise HandlerFailed(
                f"The attempt exceeded its time limit of {self.handler.time_limit:g} seconds.",
                advice=f"Raise time_limit of handler {self.handler.name} in qrkit.toml.",
            )
