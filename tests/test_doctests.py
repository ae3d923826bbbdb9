"""The examples in the docstrings of every module of the package."""

import doctest
import importlib
import pkgutil

import pytest

import qrkit

MODULES = sorted({"qrkit", *(module.name for module in pkgutil.walk_packages(qrkit.__path__, "qrkit."))})


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_the_examples_of_a_module_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
