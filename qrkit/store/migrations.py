"""How the tables of a state come to be as this version needs them.

A fresh state gets all tables as `qrkit.store.schema` has them; an older one is migrated step by step. Either
way the numbers are recorded in the same transaction, so a state is whole at one version or at another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from qrkit.errors import StateUnavailable
from qrkit.store import schema
from qrkit.store.schema import accounts, metadata, plan_answers, plans, profiles, schema_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema version to the next.

    Attributes
    ----------
    number
        The version that it leads to.
    apply
        Changes the tables of a state of the version before; None where there was none before.
    """

    number: int
    name: str
    apply: Callable[[sa.Connection], None] | None = None


def _add_plans(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=[plans, plan_answers])


def _add_profiles(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=[profiles])


def _add_accounts(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=[accounts])


def _add_after(connection: sa.Connection) -> None:
    """Keep what is done with series after they have arrived."""
    tables = [schema.chosen_handlers, schema.completed_items, schema.handler_runs]
    metadata.create_all(connection, tables=tables)


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
                connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {name} {kind}"))
    connection.execute(sa.text("UPDATE jobs SET paused_by = 'user' WHERE paused"))


def _add_schedules(connection: sa.Connection) -> None:
    """Add schedules, and the site of a worker and whether it stays."""
    metadata.create_all(connection, tables=[schema.schedules, schema.schedule_runs])
    connection.execute(sa.text("ALTER TABLE workers ADD COLUMN site TEXT NOT NULL DEFAULT ''"))
    connection.execute(sa.text("ALTER TABLE workers ADD COLUMN service BOOLEAN NOT NULL DEFAULT FALSE"))


def _tell_who_asks(connection: sa.Connection) -> None:
    """Add the process of a query and its heartbeat; rename a column whose name is reserved in SQL."""
    for column in ("machine TEXT NOT NULL DEFAULT ''", "process BIGINT", "heartbeat TEXT"):
        connection.execute(sa.text(f"ALTER TABLE queries ADD COLUMN {column}"))
    connection.execute(sa.text("DROP INDEX audit_at"))
    connection.execute(sa.text('ALTER TABLE audit RENAME COLUMN "at" TO happened'))
    connection.execute(sa.text("CREATE INDEX audit_happened ON audit (happened)"))


def _add_estimates(connection: sa.Connection) -> None:
    """Add the estimated bytes of a job."""
    connection.execute(sa.text("ALTER TABLE jobs ADD COLUMN estimated_bytes BIGINT"))


def _add_batches(connection: sa.Connection) -> None:
    """Keep which batches are under way, so that a node's limit of associations holds for all workers together."""
    metadata.create_all(connection, tables=[schema.batches])


def _count_deaths(connection: sa.Connection) -> None:
    """Count the workers that died with an item apart from its failed tries."""
    connection.execute(sa.text("ALTER TABLE job_items ADD COLUMN deaths BIGINT NOT NULL DEFAULT 0"))


def _tell_disks(connection: sa.Connection) -> None:
    """Add the disk of a worker, and the disk for whose space a job is paused."""
    for table, column in (("workers", "disk"), ("jobs", "rests_on")):
        connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT ''"))


def _tell_what_is_proven(connection: sa.Connection) -> None:
    """Add whether the expected objects of an item or job are proven; unknown for existing ones."""
    for table in ("jobs", "job_items"):
        connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN proven BOOLEAN"))
        connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN why JSON NOT NULL DEFAULT '[]'"))
    connection.execute(sa.text("DROP INDEX job_items_sums"))
    columns = "job_id, state, proven, expected, stored, received, bytes"
    connection.execute(sa.text(f"CREATE INDEX job_items_sums ON job_items ({columns})"))


MIGRATIONS = (
    Migration(number=1, name="the first tables"),
    Migration(number=2, name="plans, and what nodes have answered for them", apply=_add_plans),
    Migration(number=3, name="profiles of nodes", apply=_add_profiles),
    Migration(number=4, name="accounts of the dashboard", apply=_add_accounts),
    Migration(number=5, name="after arrival", apply=_add_after),
    Migration(number=6, name="waiting for another try, priorities", apply=_add_waiting),
    Migration(number=7, name="schedules, sites of workers", apply=_add_schedules),
    Migration(number=8, name="who asks a query", apply=_tell_who_asks),
    Migration(number=9, name="estimates of jobs", apply=_add_estimates),
    Migration(number=10, name="batches under way", apply=_add_batches),
    Migration(number=11, name="workers that died with an item", apply=_count_deaths),
    Migration(number=12, name="disks of workers", apply=_tell_disks),
    Migration(number=13, name="whether what to expect is proven", apply=_tell_what_is_proven),
)

# Of no meaning but to be ours: processes that migrate the same PostgreSQL wait for one another by it.
_ADVISORY_LOCK = 7_305_411_926


def is_current(connection: sa.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether the state has exactly the tables that this version needs.

    Raises
    ------
    StateUnavailable
        If it is of a newer version than ours.
    """
    return _version(connection, migrations) == migrations[-1].number


def migrate(connection: sa.Connection, *, now: str, migrations: Sequence[Migration] = MIGRATIONS) -> bool:
    """Bring the state to the newest version, within the transaction that is open; return whether it is a fresh one.

    Processes that do it at once wait for one another: on SQLite by its write lock, which the caller's
    transaction holds, on PostgreSQL by an advisory lock until the transaction ends.

    Raises
    ------
    StateUnavailable
        If the state is of a newer version than ours.
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
