"""Notebooks as tests: the cells of one run in their order, whatever shuffles the other tests."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the cells last, notebook by notebook, as they stand: each needs what those above it have done."""
    cells = sorted(filter(_is_cell, items), key=lambda item: (str(item.path), getattr(item, "cell_num", 0)))
    items[:] = [item for item in items if not _is_cell(item)] + cells


def _is_cell(item: pytest.Item) -> bool:
    return item.path.suffix == ".ipynb"
