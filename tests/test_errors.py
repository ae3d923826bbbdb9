"""The tree of errors: whole, drawn as it is, and every message readable by itself."""

import inspect

import pytest

from qrkit import errors


def tree(kind: type[BaseException]) -> list[type[BaseException]]:
    """A class and all below it."""
    return [kind, *(found for below in kind.__subclasses__() for found in tree(below))]


def ours() -> list[type[BaseException]]:
    """The classes of our own errors."""
    return tree(errors.QrkitError)


def test_every_error_is_exported_and_defined_here() -> None:
    assert sorted(kind.__name__ for kind in ours()) == sorted(errors.__all__)
    assert {kind.__module__ for kind in ours()} == {"qrkit.errors"}


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if "── " in line]
    drawn, path = [], ["QrkitError"]
    for line in lines:
        before, after = line.split("── ")
        depth = len(before) // 4
        path[depth:] = [after.split()[0]]
        drawn.append((path[depth], path[depth - 1]))
    parents = [(kind.__name__, kind.__mro__[1].__name__) for kind in ours() if kind is not errors.QrkitError]
    assert sorted(drawn) == sorted(parents)


def test_an_error_prints_what_happened_and_what_to_do() -> None:
    error = errors.NotFound("There is no node pacs.", advice="Add it first.")
    assert str(error) == "There is no node pacs. Add it first."
    assert (error.message, error.advice) == ("There is no node pacs.", "Add it first.")
    assert str(errors.NotFound("There is no node pacs.")) == "There is no node pacs."


@pytest.mark.parametrize(("result", "transient"), [(1, False), (2, True)])
def test_a_rejection_is_transient_when_the_peer_says_so(result: int, *, transient: bool) -> None:
    assert errors.Congested("x", result=result, source=3, reason=1).transient is transient


def test_some_errors_pass_by_themselves_and_others_do_not() -> None:
    passing = {kind.__name__ for kind in ours() if getattr(kind, "transient", False)}
    assert passing == {
        "AssociationAborted",
        "ConnectTimeout",
        "ConnectionLost",
        "ConnectionRefused",
        "DiskFull",
        "NetworkUnreachable",
        "NodeTimeout",
        "PortInUse",
        "StoreInUse",
    }


def test_every_class_is_documented() -> None:
    assert all(inspect.getdoc(kind) for kind in ours())
