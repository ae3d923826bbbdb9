"""The state of a workspace: one database that all its processes open at once.

SQLite in WAL mode in the workspace's folder, or PostgreSQL. Every change is one transaction, and whatever the
database says goes wrong becomes an error of qrkit here and nowhere else.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, TypeVarTuple

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy import exc

from qrkit.advice import Action, Advice
from qrkit.errors import DiskFull, InputError, StateUnavailable, StoreError
from qrkit.store.migrations import is_current, migrate

if TYPE_CHECKING:
    import pyarrow as pa
    from _typeshed import DataclassInstance
    from sqlalchemy.pool import ConnectionPoolEntry

FILE_NAME = "qrkit.sqlite"

_FULL_ADVICE = "Make room there; nothing was changed."
_GONE_ADVICE = "Check that the file or server is there, that you may write it, and that nothing locks it."
_DAMAGED_ADVICE = Advice(
    "The file is damaged. Restore a backup, or save what can be read and quarantine the file", Action.REPAIR
)

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_PATIENCE = 30.0
"""Seconds that a write waits for those of other processes."""


_POSTGRESQL = {
    "connect_timeout": int(_PATIENCE),
    # a server that vanishes from the network without a word is noticed, instead of waited for without end
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": int(_PATIENCE * 1000),
}


_Columns = TypeVarTuple("_Columns")
_Dataclass = TypeVar("_Dataclass", bound="DataclassInstance")
_Value = TypeVar("_Value")


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class State:
    """The open state of a workspace; use `State.open`.

    The tables of the database must be current. `clock` returns the time in UTC.
    """

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.engine = engine
        self.instances_read: pa.Table | None = None
        """The rows of `instances` that this process has read last, for `qrkit.store.sql`."""
        self.is_new = False
        """Whether this process has made it, rather than found it."""
        self._clock = clock
        self._where = str(engine.url.database) if _is_file(engine.url) else engine.url.render_as_string()
        self._identity: tuple[int, int] | None = None
        self._is_closed = False
        sa.event.listen(engine, "checkin", self._after_use)  # codespell:ignore checkin

    @classmethod
    def open(cls, url_or_folder: str | Path, *, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open the state of a workspace; a fresh one is made, an older one is migrated.

        A folder contains SQLite; a URL is SQLAlchemy's. Raises InputError if the URL names no
        database that qrkit can use; StateUnavailable if the database cannot be reached, is not ours, or was made by a
        newer qrkit.
        """
        url = _url(url_or_folder)
        if _is_file(url):
            _make_file(Path(str(url.database)))
        state = cls(_engine(url), clock=clock)
        try:
            with state.reading() as connection:
                current = is_current(connection)
            if not current:
                state._prepare(url)
            state._identity = state._file_identity()
        except BaseException:
            state.close()
            raise
        return state

    def close(self) -> None:
        """Close all connections; one that another thread still uses is closed after its use."""
        self._is_closed = True
        self.engine.dispose()

    def _after_use(self, _connection: object, record: ConnectionPoolEntry) -> None:
        # The pool that a connection came from is no longer looked after once it is disposed of.
        if self._is_closed:
            record.invalidate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_replaced(self) -> bool:
        """Whether the SQLite file was deleted, moved or replaced since it was opened, so that writing is in vain."""
        return self._identity != self._file_identity()

    def _file_identity(self) -> tuple[int, int] | None:
        if self.engine.dialect.name != "sqlite":
            return None
        try:
            there = Path(str(self.engine.url.database)).stat()
        except OSError:
            return None
        return there.st_dev, there.st_ino

    def now(self) -> str:
        """Return the time now as the state writes it."""
        return as_text(self._clock())

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection to write with: all of it happens, or nothing.

        On SQLite it holds the write lock from the start, so nothing it has read changes under it.
        """
        with self._translating(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection to read with: everything it reads is of one moment."""
        options: dict[str, Any] = {"reading": True}
        if self.engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._translating(), self.engine.connect() as connection:
            connection.execution_options(**options)
            yield connection

    def rows(self, wanted: sa.Select[*_Columns]) -> Sequence[sa.Row[*_Columns]]:
        """Return the rows of one SELECT."""
        with self.reading() as connection:
            return connection.execute(wanted).all()

    def row(self, wanted: sa.Select[*_Columns]) -> sa.Row[*_Columns] | None:
        """Return the first row of one SELECT; None if there is none."""
        with self.reading() as connection:
            return connection.execute(wanted).first()

    def scalars(self, wanted: sa.Select[Any]) -> Sequence[Any]:
        """Return the first column of one SELECT."""
        with self.reading() as connection:
            return connection.scalars(wanted).all()

    def count(self, table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
        """Return how many rows of a table meet some conditions."""
        wanted = sa.select(sa.func.count()).select_from(table).where(*which)
        with self.reading() as connection:
            return connection.scalar(wanted) or 0

    def has(self, table: sa.Table, *which: sa.ColumnElement[bool]) -> bool:
        """Whether any row of a table meets some conditions; it takes no write lock, and is cheap with many rows."""
        return self.row(sa.select(sa.literal(1)).select_from(table).where(*which).limit(1)) is not None

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (exc.IntegrityError, exc.ProgrammingError, exc.DataError) as error:
            raise StoreError(f"The state refused a change: {_sentence(error)}.") from error
        except (exc.DBAPIError, exc.TimeoutError) as error:
            if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise DiskFull(f"The disk of the workspace, {self._where}, is full.", advice=_FULL_ADVICE) from error
            raise StateUnavailable(
                f"The state of the workspace, {self._where}, cannot be used: {_sentence(error)}.",
                advice=_DAMAGED_ADVICE if is_damage_of_sqlite(getattr(error, "orig", None)) else _GONE_ADVICE,
            ) from error
        except exc.SQLAlchemyError as error:
            raise StoreError(f"The state could not be read or written: {_sentence(error)}.") from error

    def _prepare(self, url: sa.URL) -> None:
        """Make or migrate the tables; of many processes that want to, one does."""
        with _one_process_at_a_time(url):
            if url.get_backend_name() == "sqlite":
                _use_write_ahead_log(Path(str(url.database)))
            with self.transaction() as connection:
                self.is_new = migrate(connection, now=self.now())


_SHORT_ID = re.compile(r"[0-9a-f]{6,31}", re.ASCII)
"""The first characters of an id, enough to name it; a whole one has 32."""


def full_id(connection: sa.Connection, column: sa.Column[str], given: str) -> str:
    """Return the id that begins with the characters given, at least six; what is given if none does.

    A trailing ellipsis, as in shortened ids that are shown, does not count. Raise `InputError` if several begin so.
    """
    start = given.strip().removesuffix("…").rstrip(".").lower()
    if not _SHORT_ID.fullmatch(start):
        return given
    found = connection.scalars(sa.select(column).where(column.startswith(start)).limit(2)).all()
    if len(found) > 1:
        raise InputError(f"Several ids begin with {start}.", advice="Give more characters.")
    return found[0] if found else given


class StateTable:
    """Some tables of the state, with the questions and changes that belong together."""

    def __init__(self, state: State) -> None:
        self._state = state


def value_of(kind: type[_Dataclass], row: sa.Row[Any], **converted: object) -> _Dataclass:
    """Return the value whose fields are named as the columns of a row; some are converted."""
    values = row._mapping  # noqa: SLF001 - the public way in SQLAlchemy
    return kind(**{name: values[name] for name in field_names(kind) if name not in converted}, **converted)


@cache
def field_names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass, in order."""
    return tuple(item.name for item in fields(kind))


def in_parts(values: Sequence[_Value], most: int = 500) -> Iterator[Sequence[_Value]]:
    """Give values a part at a time: SQLite allows 32,766 parameters in a statement, older ones 999."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def insert_unless_known(connection: sa.Connection, table: sa.Table) -> Any:  # noqa: ANN401 - of either dialect
    """Return an INSERT that skips the rows whose unique key the table has already."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table).on_conflict_do_nothing()


def as_text(moment: datetime) -> str:
    """Return a moment as the state writes it.

    >>> as_text(datetime(2026, 1, 31, 8, 15, tzinfo=UTC))
    '2026-01-31T08:15:00.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def is_damage_of_sqlite(error: BaseException | None) -> bool:
    """Whether SQLite reports that the file is damaged or is not an SQLite file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _is_file(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _make_file(path: Path) -> None:
    """Create the file unless it exists: only its owner could write one that SQLite creates, whatever the umask."""
    with suppress(OSError):  # which SQLite will tell
        path.touch()


def _url(url_or_folder: str | Path) -> sa.URL:
    if isinstance(url_or_folder, Path) or "://" not in url_or_folder:
        folder = Path(url_or_folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateUnavailable(
                f"The workspace folder {folder} cannot be made: {error.strerror}.",
                advice="Give another folder with --workspace or QRKIT_WORKSPACE.",
            ) from error
        return sa.URL.create("sqlite+pysqlite", database=str(folder / FILE_NAME))
    try:
        url = sa.make_url(url_or_folder)
    except exc.ArgumentError as error:
        raise InputError("QRKIT_DATABASE_URL is not a valid database URL.", advice=_URL_ADVICE) from error
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    raise InputError(f"qrkit keeps its state in SQLite files and PostgreSQL, not in {backend!r}.", advice=_URL_ADVICE)


_URL_ADVICE = "Give postgresql://user:password@host/database, or nothing for SQLite in the workspace."


def _engine(url: sa.URL) -> sa.Engine:
    """Return an engine; parameters are hidden, since errors are logged and patients' data are not."""
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE})
        sa.event.listen(engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine, "begin", _on_sqlite_begin)
        return engine
    try:
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=_POSTGRESQL)
    except ModuleNotFoundError as error:
        raise InputError(
            "PostgreSQL needs its driver, which is not installed.", advice="pip install 'qrkit[postgres]'."
        ) from error


def _on_sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own, implicit transactions begin late and never as IMMEDIATE; ours begin in _on_sqlite_begin.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


def _on_sqlite_begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _one_process_at_a_time(url: sa.URL) -> Iterator[None]:
    """Hold a lock file for an SQLite file; PostgreSQL has its own lock in `migrate`."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    try:
        with FileLock(f"{url.database}.lock", timeout=2 * _PATIENCE):
            yield
    except Timeout as error:
        raise StateUnavailable(
            f"Another process has been preparing {url.database} for {2 * _PATIENCE:.0f} seconds.",
            advice="End the process that hangs, then open the workspace again.",
        ) from error


def _use_write_ahead_log(path: Path) -> None:
    """Switch the file to WAL, where readers never wait for the writer; it stays so.

    SQLite answers that it is locked, without waiting, while another process just looks at the file.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
                return
        except sqlite3.Error as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                is_damaged = is_damage_of_sqlite(error)
                raise StateUnavailable(
                    f"The state of the workspace, {path}, cannot be used: {error}.",
                    advice=_DAMAGED_ADVICE if is_damaged else f"Is it on a local disk? {_GONE_ADVICE}",
                ) from error
        time.sleep(0.01)


def _sentence(error: Exception) -> str:
    """Return the first line of the database's message: the rest may quote values."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(cause).__name__
