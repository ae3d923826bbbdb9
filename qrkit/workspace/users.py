"""The users of the dashboard of a workspace, and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrkit.access import Role
from qrkit.store.accounts import AccountTable
from qrkit.tables import Records
from qrkit.workspace.arguments import checks_arguments, is_text
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

_NAME_SHOWN = 64


@checks_arguments
class Users:
    """The accounts of a workspace; only administrators may see or change them."""

    def __init__(self, services: Services) -> None:
        self._table = AccountTable(services.state)
        self._permissions = services.permissions
        self._access = services.permissions.access

    def __contains__(self, name: object) -> bool:
        return is_text(name) and self._table.get(name) is not None

    def __len__(self) -> int:
        return len(self._table.list())

    def add(self, name: str, password: str, *, role: str | Role = Role.VIEWER) -> None:
        """Add a user: viewer (may query and see), operator (may retrieve too), administrator (may do everything).

        Raises
        ------
        NotAllowed
            If the user is not an administrator.
        InputError
            If the name, the password (at least 8 characters) or the role is not fit.
        """
        self._require("add users")
        self._table.add(name, password, Role.parse(role), by=self._access.user)

    def list(self) -> pd.DataFrame:
        """Return the users as a table: `name`, `role`, `created` and `changed` (UTC)."""
        return self.records().frame()

    def records(self) -> Records:
        """Return the same table as plain values."""
        self._require("see the users")
        rows = [
            {"name": user.name, "role": user.role.value, "created": user.created, "changed": user.changed}
            for user in self._table.list()
        ]
        return Records.of(rows, ["name", "role", "created", "changed"])

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password; their sessions in the dashboard end.

        Raises
        ------
        NotAllowed, NotFound, InputError
            If the user is not an administrator, there is no such user, or the password is too short.
        """
        self._require("change passwords")
        self._table.set_password(name, password, by=self._access.user)

    def set_role(self, name: str, role: str | Role) -> None:
        """Give a user another role, from now on.

        Raises
        ------
        NotAllowed, NotFound, InputError
            If the user is not an administrator, or there is no such user or role.
        """
        self._require("change roles")
        self._table.set_role(name, Role.parse(role), by=self._access.user)

    def remove(self, name: str) -> None:
        """Remove a user; what they did stays in the history.

        Raises
        ------
        NotAllowed, NotFound
            If the user is not an administrator, or there is no such user.
        """
        self._require("remove users")
        self._table.remove(name, by=self._access.user)

    def check(self, name: str, password: str) -> Role | None:
        """Return the role of the user with this password; None if either is wrong. The audit records it."""
        account = self._table.check(name, password)
        self._permissions.write(
            "logged in" if account else "login refused", "dashboard", who=name[:_NAME_SHOWN] or "nobody"
        )
        return account.role if account else None

    def role_of(self, name: str) -> Role | None:
        """Return what a user is now; None if there is no such user."""
        account = self._table.get(name)
        return account.role if account else None

    def stamp(self, name: str) -> str:
        """Return what changes when the account of a user does; empty if there is none."""
        account = self._table.get(name)
        return account.changed if account else ""

    def _require(self, what: str) -> None:
        self._access.require(Role.ADMINISTRATOR, what)

    def _repr_html_(self) -> str:
        return str(self.list().to_html(index=False, escape=True))
