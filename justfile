# Tasks of development; `just` alone lists them. Run them in the environment that has the extras test and docs.

fast := "not (peer or browser or process or notebook or slow)"

_list:
    @just --list --unsorted

# linters, types, import contracts, spelling
check:
    ruff check .
    ruff format --check .
    mypy
    lint-imports
    codespell
    validate-pyproject pyproject.toml
    nbstripout --verify notebooks/*.ipynb dashboards/*.ipynb

# tests that need no other program
test *options:
    python -m pytest -m "{{fast}}" {{options}}

# all tests
test-all *options:
    python -m pytest {{options}}

# build the documentation strictly into site/
docs:
    NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# show the documentation at http://127.0.0.1:8000
docs-serve:
    NO_MKDOCS_2_WARNING=1 mkdocs serve --dev-addr 127.0.0.1:8000

# benchmarks, such as: just bench windows
bench *works:
    python -m benchmarks {{works}}

# write requirements.lock anew, keeping versions that still fit
lock:
    uv pip compile --universal --no-header --all-extras --python-version 3.11 pyproject.toml -o requirements.lock
