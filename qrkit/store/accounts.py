"""The accounts of the dashboard, in the state.

`qrkit.store.passwords` is imported where a password is used: its library would slow down every command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy as sa

from qrkit.access import Role
from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.store.audit import write_audit
from qrkit.store.schema import accounts
from qrkit.store.state import State
from qrkit.words import shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, without its password. Times are UTC, ISO 8601."""

    name: str
    role: Role
    created: str
    changed: str


class AccountTable:
    """The accounts of a workspace; the history keeps the names of removed ones."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, name: str, password: str, role: Role, *, by: str) -> None:
        """Add an account.

        Raises
        ------
        InputError
            If the name or the password is not valid, or the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{shown(name)} is not a valid user name. "
                "Use 1 to 64 letters, digits, dots, hyphens, underscores or @."
            )
        from qrkit.store.passwords import hash_password

        stored = hash_password(password)
        now = self._state.now()
        with self._state.transaction() as connection:
            if _row(connection, name) is not None:
                raise InputError(
                    f"There is already a user {shown(name)}.", advice="Edit that user, or enter another name."
                )
            connection.execute(
                accounts.insert().values(name=name, role=role.value, password=stored, created=now, changed=now)
            )
            write_audit(connection, now, who=by, action="user added", subject=name, details={"role": role.value})

    def get(self, name: str) -> Account | None:
        """Return an account; None if there is none of that name."""
        with self._state.reading() as connection:
            row = _row(connection, name)
        return None if row is None else _account(row)

    def list(self) -> tuple[Account, ...]:
        """Return all accounts by name."""
        with self._state.reading() as connection:
            return tuple(_account(row) for row in connection.execute(sa.select(accounts).order_by(accounts.c.name)))

    def check(self, name: str, password: str) -> Account | None:
        """Return the account of a name and its password; None if either is wrong, after the same time.

        An outdated hash of the password is replaced.
        """
        from qrkit.store.passwords import hash_password, is_outdated, is_password, unknown_hash

        with self._state.reading() as connection:
            row = _row(connection, name)
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

        Raises
        ------
        NotFound
            If there is no such account.
        InputError
            If the password is not valid.
        """
        from qrkit.store.passwords import hash_password

        self._change(name, "user password changed", by=by, password=hash_password(password))

    def set_role(self, name: str, role: Role, *, by: str) -> None:
        """Change the role of an account.

        Raises
        ------
        NotFound
            If there is no such account.
        """
        self._change(name, "user role changed", by=by, role=role.value)

    def remove(self, name: str, *, by: str) -> None:
        """Remove an account; the history of its user stays.

        Raises
        ------
        NotFound
            If there is no such account.
        """
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


def _row(connection: sa.Connection, name: str) -> sa.Row[tuple[str, str, str, str, str]] | None:
    return connection.execute(sa.select(accounts).where(accounts.c.name == name)).one_or_none()


def _require(connection: sa.Connection, name: str) -> None:
    if _row(connection, name) is None:
        raise NotFound(f"There is no user {shown(name)}.", advice=Advice(action=Action.LIST_USERS))


def _account(row: sa.Row[tuple[str, str, str, str, str]]) -> Account:
    return Account(name=row.name, role=Role(row.role), created=row.created, changed=row.changed)
