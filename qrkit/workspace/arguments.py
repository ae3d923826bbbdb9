"""Answers a mistyped argument of a public method with the nearest name, as an InputError instead of a TypeError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from qrkit.errors import InputError
from qrkit.words import did_you_mean, nearest

PublicClass = TypeVar("PublicClass", bound=type)

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def checks_arguments(public: PublicClass) -> PublicClass:
    """Make the public methods of a class raise InputError for unknown arguments; their signatures stay.

    >>> @checks_arguments
    ... class Letters:
    ...     def send(self, text: str, *, to: str, copies: int = 1) -> None: ...
    >>> Letters().send("Hello", to="Ann", copy=2)
    Traceback (most recent call last):
    qrkit.errors.InputError: 'copy' is not an argument of send. Did you mean copies?
    >>> Letters().send("Hello")
    Traceback (most recent call last):
    qrkit.errors.InputError: send needs to.
    """
    for name, method in vars(public).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(public, name, _checked(method))
    return public


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
        signature = inspect.signature(method)
        try:
            signature.bind(*given, **named)
        except TypeError as error:
            raise _refused(method.__name__, signature, named, error) from error
        return method(*given, **named)

    return call


def _refused(name: str, signature: inspect.Signature, named: dict[str, Any], error: TypeError) -> InputError:
    parameters = signature.parameters.values()
    known = [one.name for one in parameters if one.kind in _NAMED and one.name != "self"]
    missing = str(error).partition("missing a required ")[2].rpartition(": ")[2].strip("'")
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    suspects = (key for key in named if key not in known and not (takes_any and not nearest(key, [missing])))
    unknown = next(suspects, None)
    if unknown is not None:
        advice = did_you_mean(unknown, known, otherwise=f"Use {', '.join(known)}." if known else "")
        return InputError(f"{unknown!r} is not an argument of {name}.", advice=advice)
    return InputError(f"{name} needs {missing}." if missing else f"{name}: {error}.")
