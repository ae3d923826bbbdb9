"""Profiles of nodes, found by probes. All are kept; the newest is used until it is stale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from qrkit.profile import Evidence, Profile
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

    def learn(self, node: str, evidence: Evidence, user: str) -> bool:
        """Add what a query has shown to the profile of a node, probed or not; return whether it was new.

        A stale profile is left as it is: a probe shall renew it.
        """
        with self._state.transaction() as connection:
            row = connection.execute(_newest(node).limit(1)).first()
            known = Profile.unknown(node) if row is None else _profile(row)
            if known.stale or known.is_told_by(evidence):
                return False
            learnt = known.learnt(evidence, now=self._state.now()).to_json()
            if row is None:
                connection.execute(
                    profiles.insert().values(node=node, probed="", user=user, stale="", content=learnt)
                )
            else:
                connection.execute(
                    profiles.update().where(profiles.c.profile_id == row.profile_id).values(content=learnt)
                )
        return True

    def get(self, node: str) -> Profile | None:
        """Return the newest profile of a node, stale or not; None if nothing was seen of it."""
        return next(iter(self.list(node, limit=1)), None)

    def list(self, node: str, *, limit: int | None = None) -> tuple[Profile, ...]:
        """Return the profiles of a node, the newest first."""
        with self._state.reading() as connection:
            rows = connection.execute(_newest(node).limit(limit)).all()
        return tuple(_profile(row) for row in rows)

    def mark_stale(self, node: str, why: str) -> bool:
        """Mark the profile of a node as stale; return whether it was valid so far."""
        with self._state.transaction() as connection:
            return write_stale(connection, node, why)


def _newest(node: str) -> sa.Select[Any]:
    return sa.select(profiles).where(profiles.c.node == node).order_by(profiles.c.profile_id.desc())


def _profile(row: sa.Row[Any]) -> Profile:
    return replace(Profile.from_json(row.content), stale=row.stale)


def write_stale(connection: sa.Connection, node: str, why: str) -> bool:
    """Mark the profiles of a node that hold as stale; the first reason stands."""
    holding = profiles.update().where(profiles.c.node == node, profiles.c.stale == "")
    return bool(connection.execute(holding.values(stale=why)).rowcount)
