"""The settings of a workspace: from `qrkit.toml` in its folder and from the environment, which wins."""

from __future__ import annotations

import getpass
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from qrkit.errors import InputError
from qrkit.node import check_ae_title
from qrkit.words import did_you_mean, shown

FILE_NAME = "qrkit.toml"

TABLE_NAMES = ("handlers", "after", "plan")
"""Tables that the file may have besides its flat settings; each is read and checked by its owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a workspace, from its file, the environment or a call.

    Attributes
    ----------
    workspace
        Folder of the workspace.
    ae_title
        AE title of this workspace; the PACS must know it.
    host
        Address on which the Storage SCP listens.
    port
        Port on which the Storage SCP listens; 0 selects a free one.
    database_url
        SQLAlchemy URL of the state, such as PostgreSQL; if empty, SQLite in the workspace.
    files
        Folder of received objects.
    unsolicited
        ``refuse`` or ``keep``: objects that a known node sends without a job.
    tls_certificate
        PEM file with the certificate of the Storage SCP, which then accepts TLS only; relative paths start in the
        workspace.
    tls_key
        PEM file with its key, unless the certificate file contains it.
    tls_ca
        PEM file with a CA; callers must then present a certificate of it.
    free_space_floor
        Bytes to keep free on the disk of `files`; below this, objects are refused with 0xA700.
    worker_idle_exit
        Seconds without work after which a background worker exits.
    retries
        Number of retries after a failure that may pass.
    retry_pause
        Seconds before the second try; each further pause is three times as long, at most half an hour.
    site
        Your name for the place of this computer; some nodes can be reached from some sites only.
    tables
        The tables of the file as TOML gives them, by name: ``handlers`` (or its
        earlier name ``after``) and ``plan``.
    """

    workspace: Path
    ae_title: str = "QRKIT"
    host: str = "0.0.0.0"
    port: int = 11112
    database_url: str = ""
    files: Path
    unsolicited: str = "refuse"
    tls_certificate: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    free_space_floor: int = 1_000_000_000
    worker_idle_exit: int = 60
    retries: int = 3
    retry_pause: int = 2
    site: str = ""
    tables: Mapping[str, Any] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the settings as environment variables, for a process that opens the same workspace."""
        return {f"QRKIT_{name.upper()}": str(getattr(self, name)) for name in ("workspace", *SETTING_NAMES)}

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        if not 0 <= self.port <= 65535:
            raise InputError(f"QRKIT_PORT must be 0 to 65535, not {self.port}.")
        if re.fullmatch(r"[A-Za-z0-9_-]{0,32}", self.site, re.ASCII) is None:
            raise InputError(f"QRKIT_SITE has up to 32 letters, digits, - and _: {shown(self.site)} does not.")
        if self.unsolicited not in ("refuse", "keep"):
            raise InputError(f"QRKIT_UNSOLICITED is refuse or keep, not {shown(self.unsolicited)}.")
        if self.database_url and "://" not in self.database_url:
            raise InputError(
                f"QRKIT_DATABASE_URL is not a valid database URL: {shown(self.database_url)}.",
                advice="Give postgresql://user:password@host/database, or nothing for SQLite in the workspace.",
            )
        if (self.tls_key or self.tls_ca) and not self.tls_certificate:
            raise InputError("QRKIT_TLS_KEY and QRKIT_TLS_CA need QRKIT_TLS_CERTIFICATE.")
        for name in ("free_space_floor", "worker_idle_exit", "retries", "retry_pause"):
            if getattr(self, name) < 0:
                raise InputError(f"QRKIT_{name.upper()} cannot be negative: {getattr(self, name)}.")


def workspace_folder(folder: str | Path | None, environment: Mapping[str, str]) -> Path:
    """Return the workspace's folder: the one given, else `QRKIT_WORKSPACE`, else one in the user's data folder."""
    chosen = folder or environment.get("QRKIT_WORKSPACE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return default_workspace()


def default_workspace() -> Path:
    """Return the workspace's folder where none is given."""
    return Path(platformdirs.user_data_path("qrkit", appauthor=False)) / "workspace"


def default_in_words() -> str:
    """Return which workspace is used where no folder is given, for help texts; the user's home is ``~``."""
    folder, home = default_workspace(), Path.home()
    shown = f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)
    return f"$QRKIT_WORKSPACE, else {shown}"


def load_settings(folder: Path, environment: Mapping[str, str]) -> Settings:
    """Read the settings of the workspace in `folder`.

    Raise `InputError` if the file or a variable is not valid; the message names it.
    """
    values = _from_file(folder / FILE_NAME)
    tables = {name: values.pop(name) for name in TABLE_NAMES if name in values}
    for name in SETTING_NAMES:
        variable = f"QRKIT_{name.upper()}"
        if environment.get(variable, "") != "":
            values[name] = environment[variable]
    for name in _NUMBERS:
        if name in values:
            values[name] = _whole_number(name, values[name])
    files = Path(values.pop("files", "files")).expanduser()
    for name in _FILES:
        if values.get(name):
            values[name] = str(folder / Path(values[name]).expanduser())
    return Settings(workspace=folder, files=files if files.is_absolute() else folder / files, tables=tables, **values)


def current_user(environment: Mapping[str, str]) -> str:
    """Return who is asking, for the history: `QRKIT_USER`, the JupyterHub user, or the login name."""
    named = environment.get("QRKIT_USER") or environment.get("JUPYTERHUB_USER")
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


SETTING_NAMES = tuple(item.name for item in fields(Settings) if item.name not in ("workspace", "tables"))
_NUMBERS = ("port", "free_space_floor", "worker_idle_exit", "retries", "retry_pause")
_FILES = ("tls_certificate", "tls_key", "tls_ca")
_TEXTS = tuple(name for name in SETTING_NAMES if name not in _NUMBERS)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid TOML: it is no UTF-8 text.") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from error
    unknown = sorted(set(values) - {*SETTING_NAMES, *TABLE_NAMES})
    if unknown:
        known = ", ".join((*SETTING_NAMES, *(f"[{name}]" for name in TABLE_NAMES)))
        raise InputError(
            f"{path} has no setting {', '.join(unknown)}; it may have {known}.",
            advice=did_you_mean(unknown[0], (*SETTING_NAMES, *TABLE_NAMES)),
        )
    no_text = next((name for name, value in values.items() if name in _TEXTS and not isinstance(value, str)), None)
    if no_text is not None:
        raise InputError(f"{path}: {no_text} is a text, not {shown(values[no_text])}.", advice="Put it in quotes.")
    return values


def _whole_number(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise InputError(f"QRKIT_{name.upper()} is a whole number, not {shown(value)}.") from error
