"""What probes found out about nodes. Every profile is kept; the newest counts, until it is stale."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from qrkit.profile import Profile
from qrkit.store.audit import write_audit
from qrkit.store.schema import profiles
from qrkit.store.state import State


class ProfileTable:
    """The profiles of the nodes of a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, profile: Profile, user: str) -> None:
        """Keep the profile of a probe; from now on it is the one of its node."""
        with self._state.transaction() as connection:
            connection.execute(
                profiles.insert().values(
                    node=profile.node,
                    probed=profile.probed,
                    user=user,
                    stale=profile.stale,
                    content=profile.to_json(),
                )
            )
            write_audit(
                connection,
                self._state.now(),
                who=user,
                action="node probed",
                subject=profile.node,
                details={"requests": profile.requests},
            )

    def get(self, node: str) -> Profile | None:
        """Return the newest profile of a node, stale or not; None if it was never probed."""
        return next(iter(self.list(node, limit=1)), None)

    def list(self, node: str, *, limit: int | None = None) -> tuple[Profile, ...]:
        """Return the profiles of a node, the newest first."""
        wanted = sa.select(profiles).where(profiles.c.node == node).order_by(profiles.c.profile_id.desc())
        with self._state.reading() as connection:
            rows = connection.execute(wanted.limit(limit)).all()
        return tuple(replace(Profile.from_json(row.content), stale=row.stale) for row in rows)

    def mark_stale(self, node: str, why: str) -> bool:
        """Say that the profile of a node no longer holds; return whether it did so far."""
        with self._state.transaction() as connection:
            return write_stale(connection, node, why)


def write_stale(connection: sa.Connection, node: str, why: str) -> bool:
    """Mark the profiles of a node that hold as stale; the first reason stands."""
    holding = profiles.update().where(profiles.c.node == node, profiles.c.stale == "")
    return bool(connection.execute(holding.values(stale=why)).rowcount)
