"""The permissions of a user in a workspace, by their role, and the audit of their actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qrkit.access import Access, Role
from qrkit.errors import NotAllowed
from qrkit.store.accounts import AccountTable
from qrkit.store.audit import AuditTable
from qrkit.store.state import State


class Permissions:
    """The permissions of one user.

    Parameters
    ----------
    access
        The user and their role.
    audit
        Records what they do; None records nothing.
    """

    def __init__(self, access: Access, audit: AuditTable | None = None) -> None:
        self.access = access
        self._audit = audit

    @contextmanager
    def operating(self, what: str, action: str, subject: str) -> Iterator[None]:
        """Check that the user is an operator, run the block, and record it in the audit.

        Raises
        ------
        NotAllowed
            If the user is not an operator.
        """
        self.access.require(Role.OPERATOR, what)
        yield
        self.write(action, subject)

    def write(self, action: str, subject: str, details: Mapping[str, object] | None = None, *, who: str = "") -> None:
        """Record an action of the user, or of another person named by `who`."""
        if self._audit is not None:
            self._audit.write(who or self.access.user, action, subject, details)


def access_of(user: str, role: str, state: State) -> Access:
    """Return what a user may do: everything, unless a server that authenticated them gives their role.

    The role of their account now goes before the one that the server gave.
    """
    if not role:
        return Access.unlimited(user)
    granted, table = Role.parse(role), AccountTable(state)
    has_account = table.get(user) is not None  # a user whom a proxy authenticates needs none

    def role_now() -> Role:
        account = table.get(user)
        if account is None and has_account:
            raise NotAllowed(f"{user} may not continue: the account was removed.", advice="Log in as another user.")
        return account.role if account is not None else granted

    return Access(user=user, role_now=role_now)
