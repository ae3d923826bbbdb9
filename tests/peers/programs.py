"""Where the peers' programs are, and whether they have to be there."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path


class PeerMissingError(Exception):
    """A program that a peer needs is not on this machine."""


def in_ci() -> bool:
    """Whether this is continuous integration, where no peer may be missing."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def program(name: str, *, places: Sequence[str | Path] = (), package: str) -> Path:
    """Give the full path of a program: from the places, in their order, else from PATH.

    Raises
    ------
    PeerMissingError
        It is in none of them; the message names the Debian package that brings it.
    """
    for place in places:
        if (path := Path(place) / name).is_file():
            return path
    if found := shutil.which(name):
        return Path(found)
    raise PeerMissingError(f"{name} is not installed; on Debian and Ubuntu: apt-get install {package}")


def dcmtk_program(name: str) -> Path:
    """Give the full path of a DCMTK program.

    pynetdicom installs Python scripts under the same names, usually earlier on PATH; scripts are passed over.
    """
    path = program(name, places=("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"), package="dcmtk")
    if path.read_bytes()[:2] == b"#!":
        raise PeerMissingError(f"{path} is a script, not DCMTK's {name}; on Debian and Ubuntu: apt-get install dcmtk")
    return path


def postgresql_program(name: str) -> Path:
    """Give the full path of a PostgreSQL program, of the newest version that Debian installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major_version, reverse=True)
    return program(name, places=versions, package="postgresql")


def _major_version(binaries: Path) -> float:
    """The number in `/usr/lib/postgresql/15/bin`."""
    return float(binaries.parent.name)
