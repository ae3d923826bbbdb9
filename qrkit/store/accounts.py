"""The accounts of the dashboard, in the state, and their passwords: hashed by Argon2id, never as typed.

Earlier versions stored scrypt hashes (RFC 7914). They are still accepted, and replaced at the next login.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from base64 import b64decode
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qrkit.access import Role
from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.store.audit import write_audit
from qrkit.store.schema import accounts
from qrkit.store.state import StateTable, value_of
from qrkit.words import shown

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)

LEAST = 8
"""Characters that a password needs."""

_SCRYPT_MEMORY = 128 * 8 * (2**15 + 2) + 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, without its password. Times are UTC, ISO 8601."""

    name: str
    role: Role
    created: str
    changed: str


class AccountTable(StateTable):
    """The accounts of a workspace; the history keeps the names of removed ones."""

    def add(self, name: str, password: str, role: Role, *, by: str) -> None:
        """Add an account. Raises InputError if the name or the password is not valid, or the name is taken."""
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{shown(name)} is not a valid user name. "
                "Use 1 to 64 letters, digits, dots, hyphens, underscores or @."
            )
        stored = hash_password(password)
        now = self._state.now()
        with self._state.transaction() as connection:
            if connection.execute(_named(name)).first() is not None:
                raise InputError(
                    f"There is already a user {shown(name)}.", advice="Edit that user, or enter another name."
                )
            connection.execute(
                accounts.insert().values(name=name, role=role.value, password=stored, created=now, changed=now)
            )
            write_audit(connection, now, who=by, action="user added", subject=name, details={"role": role.value})

    def get(self, name: str) -> Account | None:
        """Return an account; None if there is none of that name."""
        row = self._state.row(_named(name))
        return None if row is None else _account(row)

    def list(self) -> tuple[Account, ...]:
        """Return all accounts by name."""
        return tuple(map(_account, self._state.rows(sa.select(accounts).order_by(accounts.c.name))))

    def check(self, name: str, password: str) -> Account | None:
        """Return the account of a name and its password; None if either is wrong, after the same time.

        An outdated hash of the password is replaced.
        """
        row = self._state.row(_named(name))
        is_right = is_password(password, unknown_hash() if row is None else row.password)
        if row is None or not is_right:
            return None
        if is_outdated(row.password):
            same = (accounts.c.name == name, accounts.c.password == row.password)
            with self._state.transaction() as connection:
                connection.execute(accounts.update().where(*same).values(password=hash_password(password)))
        return _account(row)

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Change the password of an account.

        Raises NotFound if there is no such account; InputError if the password is not valid.
        """
        self._change(name, "user password changed", by=by, password=hash_password(password))

    def set_role(self, name: str, role: Role, *, by: str) -> None:
        """Change the role of an account. Raises NotFound if there is no such account."""
        self._change(name, "user role changed", by=by, role=role.value)

    def remove(self, name: str, *, by: str) -> None:
        """Remove an account; the history of its user stays. Raises NotFound if there is no such account."""
        with self._state.transaction() as connection:
            _require(connection, name)
            connection.execute(accounts.delete().where(accounts.c.name == name))
            write_audit(connection, self._state.now(), who=by, action="user removed", subject=name)

    def _change(self, name: str, action: str, *, by: str, **values: str) -> None:
        now = self._state.now()
        with self._state.transaction() as connection:
            _require(connection, name)
            connection.execute(accounts.update().where(accounts.c.name == name).values(changed=now, **values))
            details = {key: value for key, value in values.items() if key != "password"}
            write_audit(connection, now, who=by, action=action, subject=name, details=details)


def _named(name: str) -> sa.Select[Any]:
    return sa.select(accounts).where(accounts.c.name == name)


def _require(connection: sa.Connection, name: str) -> None:
    if connection.execute(_named(name)).first() is None:
        raise NotFound(f"There is no user {shown(name)}.", advice=Advice(action=Action.LIST_USERS))


def _account(row: sa.Row[Any]) -> Account:
    return value_of(Account, row, role=Role(row.role))


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # it would slow down every command

    return PasswordHasher()


def hash_password(password: str) -> str:
    """Return the hash of a password with its parameters and salt. Raises InputError if it is too short."""
    if len(password) < LEAST:
        raise InputError(f"A password needs at least {LEAST} characters.")
    return _hasher().hash(_normalized(password))


def is_password(password: str, stored: str) -> bool:
    """Whether this is the password of a stored hash.

    >>> is_password("correct horse", hash_password("correct horse")), is_password("wrong", hash_password("12345678"))
    (True, False)
    """
    if stored.startswith("scrypt$"):
        return _is_scrypt_password(password, stored)
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored, _normalized(password))
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Whether a stored hash is older than the current method or parameters.

    >>> is_outdated(hash_password("correct horse")), is_outdated("scrypt$32768$8$1$AA==$AA==")
    (False, True)
    """
    return stored.startswith("scrypt$") or _hasher().check_needs_rehash(stored)


@cache
def unknown_hash() -> str:
    """Return a hash to compare with if there is no such account, so that the time does not show that."""
    return _hasher().hash(secrets.token_bytes(LEAST))


def _is_scrypt_password(password: str, stored: str) -> bool:
    _, cost, block, parallel, salt, wanted = stored.split("$")
    found = hashlib.scrypt(
        _normalized(password),
        salt=b64decode(salt),
        n=int(cost),
        r=int(block),
        p=int(parallel),
        maxmem=_SCRYPT_MEMORY,
        dklen=32,
    )
    return hmac.compare_digest(found, b64decode(wanted))


def _normalized(password: str) -> bytes:
    # The same letter may be typed as one character or as two; see NFKC in RFC 8265.
    return unicodedata.normalize("NFKC", password).encode()
