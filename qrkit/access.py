"""Roles and permissions of the users of a workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from qrkit.errors import InputError, NotAllowed
from qrkit.words import did_you_mean, shown


class Role(Enum):
    """A role of a user; each role includes the permissions of those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    @classmethod
    def parse(cls, text: str | Role) -> Role:
        """Return the role of that name; raise `InputError` if there is none.

        >>> Role.parse("Operator")
        <Role.OPERATOR: 'operator'>
        """
        if isinstance(text, Role):
            return text
        try:
            return cls(text.strip().lower())
        except ValueError as error:
            known = [role.value for role in cls]
            advice = did_you_mean(text, known, otherwise="Use viewer, operator or administrator.")
            raise InputError(f"{shown(text)} is not a role.", advice=advice) from error

    def covers(self, other: Role) -> bool:
        """Whether this role may do what another one may.

        >>> Role.OPERATOR.covers(Role.VIEWER), Role.VIEWER.covers(Role.OPERATOR)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A user with their role."""

    user: str  # the name that the history and the audit know them by
    role_now: Callable[[], Role]  # returns their role at this moment: an administrator may change it at any time

    @classmethod
    def unlimited(cls, user: str) -> Access:
        """Return unlimited access, for users who can open the workspace's files anyway.

        >>> Access.unlimited("me").role_now().value
        'administrator'
        """
        return cls(user=user, role_now=lambda: Role.ADMINISTRATOR)

    def require(self, needed: Role, what: str) -> None:
        """Raise `NotAllowed` unless the role allows the action `what`, such as ``retrieve``."""
        role = self.role_now()
        if not role.covers(needed):
            raise NotAllowed(
                f"{self.user} may not {what}: that needs the role {needed.value}, and theirs is {role.value}.",
                advice="Ask an administrator of this workspace.",
            )
