"""The audit trail of a workspace: who did what, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from qrkit.store.schema import audit
from qrkit.store.state import StateTable, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One action of a user, and when it happened: UTC, ISO 8601."""

    happened: str
    who: str
    action: str
    subject: str
    details: Mapping[str, Any]


class AuditTable(StateTable):
    """The audit trail; rows are only ever added."""

    def write(self, who: str, action: str, subject: str, details: Mapping[str, Any] | None = None) -> None:
        """Add a row."""
        with self._state.transaction() as connection:
            write_audit(connection, self._state.now(), who=who, action=action, subject=subject, details=details)

    def list(self, limit: int = 100, *, subject: str | None = None) -> tuple[AuditRow, ...]:
        """Return the newest rows first."""
        wanted = sa.select(audit).order_by(audit.c.audit_id.desc()).limit(limit)
        if subject is not None:
            wanted = wanted.where(audit.c.subject == subject)
        return tuple(value_of(AuditRow, row) for row in self._state.rows(wanted))


def write_audit(  # the row's columns, all named by the caller
    connection: sa.Connection,
    happened: str,
    *,
    who: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add a row within the transaction of the action."""
    connection.execute(
        audit.insert().values(happened=happened, who=who, action=action, subject=subject, details=dict(details or {}))
    )
