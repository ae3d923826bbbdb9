"""How the tables of a state come to be as this version needs them.

A fresh state gets all tables as `qrkit.store.schema` has them; an older one is migrated step by step. Either
way the numbers are recorded in the same transaction, so a state is whole at one version or at another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from qrkit.errors import StateUnavailable
from qrkit.store.schema import (
    accounts,
    batches,
    chosen_handlers,
    completed_items,
    handler_runs,
    instance_aliases,
    metadata,
    plan_answers,
    plans,
    profiles,
    schedule_runs,
    schedules,
    schema_version,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema version to the next."""

    number: int  # the version that it leads to
    name: str
    apply: Callable[[sa.Connection], None] | None = (
        None  # changes the tables of the version before; None for the first
    )


def _tables(*tables: sa.Table) -> Callable[[sa.Connection], None]:
    return partial(metadata.create_all, tables=tables)


def _column(table: str, definition: str) -> Callable[[sa.Connection], None]:
    return partial(_add_column, table=table, definition=definition)


def _add_column(connection: sa.Connection, table: str, definition: str) -> None:
    connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {definition}"))


def _add_waiting(connection: sa.Connection) -> None:
    """Add waiting for another try with its reason, and priorities of jobs."""
    texts = {"jobs": ("advice", "reason", "paused_by"), "job_items": ("advice", "note")}
    numbers = {"jobs": ("priority", "failures"), "job_items": ("failures",)}
    times = {"jobs": ("not_before", "served"), "job_items": ("not_before",)}
    for columns, kind in (
        (texts, "TEXT NOT NULL DEFAULT ''"),
        (numbers, "BIGINT NOT NULL DEFAULT 0"),
        (times, "TEXT"),
    ):
        for table, names in columns.items():
            for name in names:
                _add_column(connection, table, f"{name} {kind}")
    connection.execute(sa.text("UPDATE jobs SET paused_by = 'user' WHERE paused"))


def _add_schedules(connection: sa.Connection) -> None:
    """Add schedules, and the site of a worker and whether it stays."""
    metadata.create_all(connection, tables=[schedules, schedule_runs])
    _add_column(connection, "workers", "site TEXT NOT NULL DEFAULT ''")
    _add_column(connection, "workers", "service BOOLEAN NOT NULL DEFAULT FALSE")


def _tell_who_asks(connection: sa.Connection) -> None:
    """Add the process of a query and its heartbeat; rename a column whose name is reserved in SQL."""
    for column in ("machine TEXT NOT NULL DEFAULT ''", "process BIGINT", "heartbeat TEXT"):
        _add_column(connection, "queries", column)
    connection.execute(sa.text("DROP INDEX audit_at"))
    connection.execute(sa.text('ALTER TABLE audit RENAME COLUMN "at" TO happened'))
    connection.execute(sa.text("CREATE INDEX audit_happened ON audit (happened)"))


def _tell_disks(connection: sa.Connection) -> None:
    """Add the disk of a worker, and the disk for whose space a job is paused."""
    for table, column in (("workers", "disk"), ("jobs", "rests_on")):
        _add_column(connection, table, f"{column} TEXT NOT NULL DEFAULT ''")


def _tell_what_is_proven(connection: sa.Connection) -> None:
    """Add whether the expected objects of an item or job are proven; unknown for existing ones."""
    for table in ("jobs", "job_items"):
        _add_column(connection, table, "proven BOOLEAN")
        _add_column(connection, table, "why JSON NOT NULL DEFAULT '[]'")
    connection.execute(sa.text("DROP INDEX job_items_sums"))
    columns = "job_id, state, proven, expected, stored, received, bytes"
    connection.execute(sa.text(f"CREATE INDEX job_items_sums ON job_items ({columns})"))


MIGRATIONS = (
    Migration(number=1, name="the first tables"),
    Migration(number=2, name="plans, and what nodes have answered for them", apply=_tables(plans, plan_answers)),
    Migration(number=3, name="profiles of nodes", apply=_tables(profiles)),
    Migration(number=4, name="accounts of the dashboard", apply=_tables(accounts)),
    Migration(number=5, name="after arrival", apply=_tables(chosen_handlers, completed_items, handler_runs)),
    Migration(number=6, name="waiting for another try, priorities", apply=_add_waiting),
    Migration(number=7, name="schedules, sites of workers", apply=_add_schedules),
    Migration(number=8, name="who asks a query", apply=_tell_who_asks),
    Migration(number=9, name="estimates of jobs", apply=_column("jobs", "estimated_bytes BIGINT")),
    Migration(number=10, name="batches under way", apply=_tables(batches)),
    Migration(
        number=11,
        name="workers that died with an item",
        apply=_column("job_items", "deaths BIGINT NOT NULL DEFAULT 0"),
    ),
    Migration(number=12, name="disks of workers", apply=_tell_disks),
    Migration(number=13, name="whether what to expect is proven", apply=_tell_what_is_proven),
    Migration(
        number=14,
        name="why the list of a job may be incomplete",
        apply=_column("jobs", "doubts JSON NOT NULL DEFAULT '[]'"),
    ),
    Migration(
        number=15,
        name="items that retrieve stored objects again",
        apply=_column("job_items", "refetch BOOLEAN NOT NULL DEFAULT FALSE"),
    ),
    Migration(number=16, name="objects requested by other UIDs than their own", apply=_tables(instance_aliases)),
)

# Of no meaning but to be ours: processes that migrate the same PostgreSQL wait for one another by it.
_ADVISORY_LOCK = 7_305_411_926


def is_current(connection: sa.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether the state has exactly the tables that this version needs.

    Raises StateUnavailable if it is of a newer version than ours.
    """
    return _version(connection, migrations) == migrations[-1].number


def migrate(connection: sa.Connection, *, now: str, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Bring the state to the newest version, within the transaction that is open; return whether it is a fresh one.

    Processes that do it at once wait for one another: on SQLite by its write lock, which the caller's transaction
    holds, on PostgreSQL by an advisory lock until the transaction ends. Raises StateUnavailable if the state is of a
    newer version than ours.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    version = _version(connection, migrations)
    if version is None:
        metadata.create_all(connection)
    for migration in migrations:
        if version is not None and migration.number <= version:
            continue
        if version is not None and migration.apply is not None:
            migration.apply(connection)
        connection.execute(schema_version.insert().values(number=migration.number, name=migration.name, applied=now))
    return version is None


def _version(connection: sa.Connection, migrations: Sequence[Migration]) -> int | None:
    """Return the number of the last migration that the state has seen; None for a fresh state."""
    if not sa.inspect(connection).has_table(schema_version.name):
        return None
    version: int | None = connection.scalar(sa.select(sa.func.max(schema_version.c.number)))
    newest = migrations[-1].number
    if version is not None and version > newest:
        raise StateUnavailable(
            f"The state of this workspace has version {version}; this qrkit reads versions up to {newest}.",
            advice="Install the newer qrkit that others use here: pip install --upgrade qrkit.",
        )
    return version
