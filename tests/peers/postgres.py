"""A throw-away PostgreSQL cluster."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from tests.peers.processes import ServerProcess
from tests.peers.programs import postgresql_program
from tests.peers.waiting import LOOPBACK, free_port, wait_until

_OWNER = "qrkit"


class Postgres(ServerProcess):
    """A PostgreSQL server on loopback that trusts everybody on this machine and never waits for the disk.

    PostgreSQL refuses to run as root: then it runs as the user `postgres` of its Debian package, who must be
    able to reach the folder. pytest's tmp_path is closed to other users; `tempfile.mkdtemp()` in /tmp is not,
    once the folder is the user's own.

    Parameters
    ----------
    folder
        Holds the cluster and its log.
    """

    name: ClassVar[str] = "postgres"
    # A fast shutdown; SIGTERM would wait for the clients.
    end_signal = signal.SIGINT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = 0

    def user(self) -> str | None:
        """Give `postgres` when the tests run as root."""
        return "postgres" if os.geteuid() == 0 else None

    @property
    def cluster(self) -> Path:
        """The cluster's data folder."""
        return self.folder / "cluster"

    def prepare(self) -> None:
        """Make the cluster."""
        self.port = free_port()
        if user := self.user():
            shutil.chown(self.folder, user)
        self._run(
            "initdb",
            *("--pgdata", str(self.cluster)),
            *("--username", _OWNER),
            *("--auth", "trust"),
            *("--encoding", "UTF8"),
            *("--locale", "C"),
            "--no-sync",
        )

    def command(self) -> list[str | Path]:
        """Give the program and its arguments."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [postgresql_program("postgres"), "-D", self.cluster, *options]

    def is_ready(self) -> bool:
        """Whether it accepts clients."""
        ask = [str(postgresql_program("pg_isready")), "--quiet", *self._where(), "--dbname", "postgres"]
        return subprocess.run(ask, check=False).returncode == 0

    def stop_at_once(self) -> None:
        """Have it end without a word to its clients, as by ``pg_ctl stop -m immediate``; see `start`."""
        os.kill(self.pid, signal.SIGQUIT)
        wait_until(lambda: not self.is_alive(), what="the server ends")
        self.close()

    def url(self, database: str) -> str:
        """Give the SQLAlchemy URL of a database, for psycopg."""
        return f"postgresql+psycopg://{_OWNER}@{LOOPBACK}:{self.port}/{database}"

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """Give the SQLAlchemy URL of an empty database, which is dropped in the end, with all its connections.

        A server that was stopped meanwhile is started for that: others may go on with it.
        """
        name = f"test_{uuid4().hex}"
        self._run("createdb", *self._where(), name)
        try:
            yield self.url(name)
        finally:
            if not self.is_alive():
                self.start()
            self._run("dropdb", *self._where(), "--force", name)

    def _where(self) -> tuple[str, ...]:
        """Host, port and user, as the clients' options."""
        return ("--host", LOOPBACK, "--port", str(self.port), "--username", _OWNER)

    def _run(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs; its output stands in the error when it fails."""
        completed = subprocess.run(
            [str(postgresql_program(name)), *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            user=self.user(),
        )
        if completed.returncode:
            raise RuntimeError(f"{name} ended with status {completed.returncode}: {completed.stdout}")
