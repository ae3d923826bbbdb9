"""The border of the public methods: names of arguments are checked, and their values become plain ones, only here.

What a query matches is read by `qrkit.query.build_query`, and what a node is set to by `qrkit.node.changed`.
"""

from __future__ import annotations

import inspect
import math
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from qrkit.errors import InputError
from qrkit.node import Node
from qrkit.query import ARGUMENTS, Query
from qrkit.query.dates import is_missing
from qrkit.query.matching import as_list, refuse_missing
from qrkit.stop import Stop
from qrkit.words import comma_list, did_you_mean, nearest, shown

PublicClass = TypeVar("PublicClass", bound=type)

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SECRET = ("password",)
"""Arguments whose values no message repeats."""
_COUNTS = ("limit", "offset")
"""Whole numbers that cannot be negative."""
_LARGEST = 2**63 - 1
"""The largest whole number of a database."""


def checks_arguments(public: PublicClass) -> PublicClass:
    """Make the public methods of a class raise InputError for arguments that they cannot take.

    Their signatures stay. Values become those that the annotation names: a node its name, a pandas column a list, a
    text a list of one where a list is needed, and a number of NumPy a plain one. None stands for the default.

    >>> @checks_arguments
    ... class Letters:
    ...     def send(self, text: str, *, to: str, copies: int = 1) -> None: ...
    >>> Letters().send("Hello", to="Ann", copy=2)
    Traceback (most recent call last):
    qrkit.errors.InputError: 'copy' is not an argument of send. Did you mean copies?
    >>> Letters().send("Hello")
    Traceback (most recent call last):
    qrkit.errors.InputError: send needs to.
    >>> Letters().send("Hello", to=["Ann"])
    Traceback (most recent call last):
    qrkit.errors.InputError: to is a text, not ['Ann'].
    """
    for name, method in vars(public).items():
        if inspect.isfunction(method) and (name == "__getitem__" or not name.startswith("_")):
            setattr(public, name, _checked(method))
    return public


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @wraps(method)
    def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
        try:
            bound = signature.bind(*given, **named)
        except TypeError as error:
            raise _refused(method.__name__, signature, named, error) from error
        for name, value in bound.arguments.items():
            bound.arguments[name] = _read(signature.parameters[name], _kept(value))
        return method(*bound.args, **bound.kwargs)

    return call


def _kept(value: Any) -> Any:  # noqa: ANN401 - whatever a method takes
    """Return the items of a generator as a list, since it can be read only once; also within other keys."""
    if isinstance(value, dict):
        return {key: list(item) if isinstance(item, Iterator) else item for key, item in value.items()}
    return list(value) if isinstance(value, Iterator) else value


def _refused(name: str, signature: inspect.Signature, named: dict[str, Any], error: TypeError) -> InputError:
    parameters = signature.parameters.values()
    known = [one.name for one in parameters if one.kind in _NAMED and one.name != "self"]
    missing = str(error).partition("missing a required ")[2].rpartition(": ")[2].strip("'")
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    suspects = (key for key in named if key not in known and not (takes_any and not nearest(key, [missing])))
    unknown = next(suspects, None)
    if unknown is not None:
        advice = did_you_mean(unknown, known, otherwise=f"Use {', '.join(known)}." if known else "")
        return InputError(f"{shown(unknown)} is not an argument of {name}.", advice=advice)
    return InputError(f"{name} needs {missing}." if missing else f"{name}: {error}.")


def _read(parameter: inspect.Parameter, value: Any) -> Any:  # noqa: ANN401 - whatever a method takes
    """Return the value of an argument as its annotation names it; one that is read elsewhere as it is."""
    reader = _READERS.get(str(parameter.annotation).removesuffix(" | None"))
    if reader is None or value is parameter.default or parameter.name in ARGUMENTS:
        return value
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple(reader(parameter.name, item) for item in value)
    if value is None and isinstance(parameter.default, str | tuple | bool):
        return parameter.default
    return reader(parameter.name, value)


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a text that can be stored.

    >>> is_text("pacs"), is_text(None), is_text("a" + chr(0)), is_text(chr(0xD800))
    (True, False, False, False)
    """
    return isinstance(value, str) and not _flaw(value)


def _flaw(text: str) -> str:
    """Return why a text cannot be stored; empty if it can be."""
    if "\0" in text:
        return "a null character"
    return "an invalid Unicode character" if any("\ud800" <= character <= "\udfff" for character in text) else ""


def read_text(name: str, value: object) -> str:
    """Return a text; of a node its name, of an enum its value.

    Raises
    ------
    InputError
        If it is not a text that can be stored.

    >>> read_text("node", Node(name="pacs", host="h", ae_title="A"))
    'pacs'
    """
    plain = value.name if isinstance(value, Node) else value.value if isinstance(value, Enum) else value
    if not isinstance(plain, str):
        raise _wrong(name, value, "a text")
    flaw = _flaw(plain)
    if flaw:
        raise InputError(f"{name} contains {flaw}: {shown(plain)}.", advice="Remove it.")
    return str(plain)


def _texts(name: str, value: object) -> list[str]:
    items: Sequence[object] | None = comma_list(value) if isinstance(value, str) else as_list(value)
    if isinstance(value, Node):
        items = [value]
    if items is None:
        raise _wrong(name, value, "a list of texts, or one text with commas")
    refuse_missing(name, items)
    return [read_text(name, item) for item in items]


def read_path(name: str, value: object) -> Path:
    """Return the path of a file or folder.

    Raises
    ------
    InputError
        If no file can have it.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise _wrong(name, value, "the path of a file or folder")
    try:
        is_valid = bool(path) and "\0" not in path and bool(os.fsencode(path))
    except UnicodeEncodeError:
        is_valid = False
    if not is_valid:
        raise InputError(f"{name} is not a valid path: {shown(path)}.", advice="Enter another one.")
    return Path(path)


def read_setting(name: str, value: object) -> str:
    """Return a setting of a workspace as the environment has it.

    Raises
    ------
    InputError
        If it is not a text, a path or a number.
    """
    if isinstance(value, os.PathLike):
        return str(read_path(name, value))
    return read_text(name, value) if isinstance(value, str) else str(_whole(name, value))


def _whole(name: str, value: object) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or type(whole).__name__ == "bool" or not hasattr(whole, "__index__"):
        raise _wrong(name, value, "a whole number")
    try:
        number = operator.index(whole)
    except TypeError as error:
        raise _wrong(name, value, "a whole number") from error
    if abs(number) > _LARGEST or (name in _COUNTS and number < 0):
        raise InputError(f"{name} cannot be {shown(number)}.", advice="Enter a number from 0." if number < 0 else "")
    return number


def _number(name: str, value: object) -> float:
    plain = value.item() if getattr(value, "ndim", 1) == 0 and hasattr(value, "item") else value
    if isinstance(plain, bool) or not isinstance(plain, int | float) or plain != plain:  # noqa: PLR0124 - NaN
        raise _wrong(name, value, "a number")
    return float(max(-_LARGEST, min(plain, _LARGEST)))


def _switch(name: str, value: object) -> bool:
    plain = value.item() if getattr(value, "ndim", 1) == 0 and hasattr(value, "item") else value
    if not isinstance(plain, int) or plain not in (0, 1):
        raise _wrong(name, value, "True or False")
    return bool(plain)


def _switch_or_options(name: str, value: object) -> bool | dict[str, Any]:
    return _mapping(name, value) if isinstance(value, Mapping) else _switch(name, value)


def _mapping(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a dict")
    return {read_text(name, key): item for key, item in value.items()}


def read_values(name: str, value: object) -> dict[str, Any]:
    """Return a dict of values that columns of the state may have."""
    return {key: read_value(key, item) for key, item in _mapping(name, value).items()}


def read_value(name: str, value: object) -> str | int | float | None:
    """Return a value that a column of the state may have.

    Raises
    ------
    InputError
        If no column has such a value.
    """
    plain = value.item() if getattr(value, "ndim", 1) == 0 and hasattr(value, "item") else value
    if plain is None:
        return None
    if isinstance(plain, float) and not math.isnan(plain):
        return plain
    return _whole(name, plain) if isinstance(plain, int) else read_text(name, plain)


def _parameters(name: str, value: object) -> list[object] | dict[str, Any]:
    if isinstance(value, Mapping):
        return _mapping(name, value)
    items = as_list(value)
    if items is None:
        raise _wrong(name, value, "a list or a dict")
    return items


def _table(name: str, value: object) -> object:
    if not (getattr(value, "ndim", 0) == 2 and hasattr(value, "drop_duplicates")):
        raise _wrong(name, value, "a table", advice="Give a DataFrame, such as the result of find.")
    return value


def _of_type(kind: type, what: str) -> Callable[[str, object], object]:
    def read(name: str, value: object) -> object:
        if not isinstance(value, kind):
            raise _wrong(name, value, what)
        return value

    return read


def _function(name: str, value: object) -> object:
    if not callable(value):
        raise _wrong(name, value, "a function")
    return value


def _wrong(name: str, value: object, what: str, *, advice: str = "") -> InputError:
    if name in _SECRET:
        return InputError(f"{name} is not valid.", advice=f"Give {what}.")
    if getattr(value, "ndim", 0) > 1:
        return InputError(f"{name} cannot be a table.", advice=f"Give {what}.")
    if is_missing(value):
        return InputError(f"{name} is missing ({shown(value)}).", advice=advice or f"Give {what}.")
    return InputError(f"{name} is {what}, not {shown(value)}.", advice=advice)


_READERS: dict[str, Callable[[str, object], object]] = {
    "str": read_text,
    "str | Role": read_text,
    "Sequence[str]": _texts,
    "str | Path": read_path,
    "int": _whole,
    "float": _number,
    "bool": _switch,
    "bool | dict[str, Any]": _switch_or_options,
    "Mapping[str, object]": read_values,
    "Sequence[object] | Mapping[str, object]": _parameters,
    "pd.DataFrame": _table,
    "Query": _of_type(Query, "a Query, as build_query returns it"),
    "Stop": _of_type(Stop, "a Stop"),
    "Callable[[JobRow], None]": _function,
    "QuestionCallback": _function,
}
"""The reader of each annotation. The others are those of a query, of settings, and of what can be retrieved."""
