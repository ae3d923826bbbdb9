"""The tables of the state, once for SQLite and PostgreSQL.

Columns that hold DICOM content are named by DICOM keyword. Times are UTC, ISO 8601 with microseconds and
``+00:00``, so that they sort as text. A change of a table comes with a migration in `qrkit.store.migrations`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

# SQLite counts only columns of exactly this type up by itself.
_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, default="")


def _maybe(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, default=0)


def _list(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, sa.JSON, nullable=False, default=list)


def _partial_index(
    name: str, column: sa.Column[Any], condition: sa.ColumnElement[bool], *, unique: bool = False
) -> None:
    """Add an index of the rows that meet a condition.

    PostgreSQL gets its condition when the table is made there. Naming that dialect here loads it in every process.
    """
    index = sa.Index(name, column, unique=unique, sqlite_where=condition)

    @sa.event.listens_for(column.table, "before_create")
    def add_condition(_table: sa.Table, connection: sa.Connection, **_options: object) -> None:
        if connection.dialect.name == "postgresql":
            index.dialect_kwargs["postgresql_where"] = condition


schema_version = sa.Table(
    "schema_version",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _text("name"),
    _text("applied"),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("node_id", _Number, primary_key=True),
    _text("name"),
    sa.Column("settings", sa.JSON, nullable=False),
    _text("created"),
    _maybe("removed"),
)
_partial_index("nodes_of_one_name", nodes.c.name, nodes.c.removed.is_(None), unique=True)

profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("profile_id", _Number, primary_key=True),
    _text("node"),
    _text("probed"),
    _text("user"),
    _text("stale"),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Index("profiles_node", "node"),
)

queries = sa.Table(
    "queries",
    metadata,
    sa.Column("query_id", sa.Text, primary_key=True),
    _text("node"),
    _text("level"),
    sa.Column("request", sa.JSON, nullable=False),
    _text("user"),
    _text("state"),
    _text("started"),
    _maybe("finished"),
    sa.Column("seconds", sa.Float),
    sa.Column("row_count", sa.BigInteger),
    sa.Column("coverage", sa.JSON(none_as_null=True)),
    _text("error"),
    sa.Column("error_status", sa.Integer),
    _maybe("result_file"),
    sa.Column("settled_in", sa.Integer),
    _text("machine"),
    sa.Column("process", sa.BigInteger),
    _maybe("heartbeat"),
    sa.Index("queries_started", "started"),
    sa.Index("queries_fresh", "settled_in", "state"),
)

generations = sa.Table(
    "generations",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _text("file"),
    _text("created"),
    _maybe("retired"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    _text("node"),
    _text("method"),
    _text("destination"),
    _text("user"),
    _text("source"),
    _text("state"),
    _text("created"),
    _maybe("started"),
    _maybe("finished"),
    _count("expected"),
    _count("stored"),
    _count("received"),
    _count("bytes"),
    _text("error"),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    _text("advice"),
    _text("reason"),
    _text("paused_by"),
    _count("priority"),
    _count("failures"),
    _maybe("not_before"),
    _maybe("served"),
    sa.Column("estimated_bytes", sa.BigInteger),
    _text("rests_on"),
    sa.Column("proven", sa.Boolean),
    _list("why"),
    _list("doubts"),
    sa.Index("jobs_created", "created"),
)

job_items = sa.Table(
    "job_items",
    metadata,
    sa.Column("item_id", _Number, primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.job_id"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    _text("level"),
    _text("PatientID"),
    _text("StudyInstanceUID"),
    _text("SeriesInstanceUID"),
    sa.Column("sop_instance_uids", sa.JSON, nullable=False),
    sa.Column("expected_uids", sa.JSON, nullable=False),
    _text("state"),
    sa.Column("expected", sa.BigInteger),
    _count("stored"),
    sa.Column("missing", sa.JSON, nullable=False),
    _count("received"),
    _count("bytes"),
    _text("error"),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    _maybe("worker_id"),
    _maybe("started"),
    _maybe("finished"),
    _text("advice"),
    _text("note"),
    _count("failures"),
    _count("deaths"),
    _maybe("not_before"),
    sa.Column("proven", sa.Boolean),
    _list("why"),
    sa.Column("refetch", sa.Boolean, nullable=False, default=False),
    sa.Index("job_items_job", "job_id", "position"),
    sa.Index("job_items_next", "job_id", "state", "position"),
    # All that a job's sums are made of, so that they are read from the index alone.
    sa.Index("job_items_sums", "job_id", "state", "proven", "expected", "stored", "received", "bytes"),
)
_partial_index("job_items_running", job_items.c.worker_id, job_items.c.state == "running")

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("batch_id", sa.Text, primary_key=True),
    _text("worker_id"),
    _text("node"),
    _text("job_id"),
    _text("began"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("instance_id", _Number, primary_key=True),
    _text("SOPInstanceUID"),
    _text("SOPClassUID"),
    _text("StudyInstanceUID"),
    _text("SeriesInstanceUID"),
    _text("TransferSyntaxUID"),
    _maybe("PatientID"),
    _maybe("AccessionNumber"),
    _maybe("StudyDate"),
    _maybe("Modality"),
    _maybe("SeriesDescription"),
    _maybe("StudyDescription"),
    _maybe("StationName"),
    _maybe("Manufacturer"),
    _maybe("ManufacturerModelName"),
    sa.Column("InstanceNumber", sa.BigInteger),
    _text("path"),
    sa.Column("size", sa.BigInteger, nullable=False),
    _text("sha256"),
    _text("source"),
    _maybe("job_id"),
    sa.Column("item_id", sa.BigInteger),
    _text("received"),
    sa.UniqueConstraint("SOPInstanceUID", "sha256", name="instances_once"),
    sa.Index("instances_series", "SeriesInstanceUID"),
    sa.Index("instances_study", "StudyInstanceUID"),
)

# Objects that were requested by the UIDs of another study or series than their own, such as one that was merged.
instance_aliases = sa.Table(
    "instance_aliases",
    metadata,
    sa.Column("alias_id", _Number, primary_key=True),
    _text("SOPInstanceUID"),
    _text("path"),
    _text("StudyInstanceUID"),
    _text("SeriesInstanceUID"),
    sa.UniqueConstraint("path", "StudyInstanceUID", "SeriesInstanceUID", name="instance_aliases_once"),
    sa.Index("instance_aliases_series", "SeriesInstanceUID"),
    sa.Index("instance_aliases_study", "StudyInstanceUID"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("audit_id", _Number, primary_key=True),
    _text("happened"),
    _text("who"),
    _text("action"),
    _text("subject"),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Index("audit_happened", "happened"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker_id", sa.Text, primary_key=True),
    _text("host"),
    sa.Column("pid", sa.BigInteger, nullable=False),
    _text("ae_title"),
    sa.Column("port", sa.Integer, nullable=False),
    _text("started"),
    _text("heartbeat"),
    _text("state"),
    _text("site"),
    sa.Column("service", sa.Boolean, nullable=False, default=False),
    _text("disk"),
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("plan_id", sa.Text, primary_key=True),
    _text("node"),
    _text("user"),
    _text("created"),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("coverage", sa.JSON, nullable=False),
    sa.Column("funnel", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("cost", sa.JSON, nullable=False),
    _text("folder"),
    sa.Index("plans_created", "created"),
)

plan_answers = sa.Table(
    "known_answers",
    metadata,
    sa.Column("answers_id", sa.Text, primary_key=True),
    _text("node"),
    _text("file"),
    _text("created"),
    sa.Index("known_answers_node", "node"),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("role"),
    _text("password"),
    _text("created"),
    _text("changed"),
)

chosen_handlers = sa.Table(
    "after_chosen",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.job_id"), primary_key=True),
    # Names of handlers; a job without a row has the automatic ones.
    sa.Column("handlers", sa.JSON, nullable=False),
)

completed_items = sa.Table(
    "after_due",
    metadata,
    # An item that became complete, and whose series have no handler runs yet.
    sa.Column("item_id", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("job_id"),
)

handler_runs = sa.Table(
    "after_runs",
    metadata,
    sa.Column("run_id", _Number, primary_key=True),
    _text("handler"),
    _text("StudyInstanceUID"),
    _text("SeriesInstanceUID"),
    _text("content"),
    sa.Column("last_instance_id", sa.BigInteger, nullable=False),
    _count("objects"),
    sa.Column("levels", sa.JSON, nullable=False),
    _text("job_id"),
    _text("state"),
    _count("attempts"),
    _text("due"),
    _maybe("worker_id"),
    _text("created"),
    _maybe("started"),
    _maybe("finished"),
    _text("error"),
    _text("note"),
    sa.UniqueConstraint("handler", "StudyInstanceUID", "SeriesInstanceUID", "content", name="after_runs_once"),
    sa.Index("after_runs_next", "state", "due"),
    sa.Index("after_runs_series", "StudyInstanceUID", "SeriesInstanceUID"),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("schedule_id", _Number, primary_key=True),
    _text("name"),
    _text("node"),
    _text("kind"),
    sa.Column("what", sa.JSON, nullable=False),
    _text("every"),
    _text("zone"),
    sa.Column("retrieve", sa.JSON, nullable=False),
    _text("user"),
    _text("created"),
    _text("next_due"),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    _maybe("removed"),
    sa.Index("schedules_due", "next_due"),
)

schedule_runs = sa.Table(
    "schedule_runs",
    metadata,
    sa.Column("run_id", _Number, primary_key=True),
    sa.Column("schedule_id", sa.BigInteger, sa.ForeignKey("schedules.schedule_id"), nullable=False),
    _text("due"),
    _text("started"),
    _maybe("finished"),
    _text("state"),
    sa.Column("missed", sa.Integer, nullable=False, default=0),
    _maybe("worker_id"),
    _maybe("query_id"),
    _maybe("plan_id"),
    _maybe("job_id"),
    sa.Column("found", sa.BigInteger),
    _text("error"),
    sa.Index("schedule_runs_of", "schedule_id", "run_id"),
    sa.Index("schedule_runs_open", "state"),
)
