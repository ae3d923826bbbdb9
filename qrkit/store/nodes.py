"""The nodes of a workspace, and their profiles, found by probes: the newest is used until it is stale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.node import Node, node_from_mapping, node_to_mapping
from qrkit.profile import Evidence, Profile
from qrkit.store.audit import write_audit
from qrkit.store.schema import nodes, profiles
from qrkit.store.state import StateTable
from qrkit.words import did_you_mean, shown

_OF_A_PROFILE = ("host", "port", "ae_title", "calling_ae_title", "information_model")
"""Settings without which what a probe found out about a node need not hold."""


class NodeTable(StateTable):
    """The nodes that the workspace knows; a removed one keeps its row, for the history."""

    def add(self, node: Node, user: str) -> None:
        """Add a node. Raises InputError if there is one of that name already."""
        with self._state.transaction() as connection:
            # PostgreSQL: two that add the same name wait here, so that the second sees the first.
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE"))
            if connection.scalar(_present(node.name)) is not None:
                raise InputError(
                    f"There is a node {shown(node.name)} already.",
                    advice=Advice("Give another name, or change that node", Action.EDIT_NODE, node.name),
                )
            now, settings = self._state.now(), node_to_mapping(node)
            connection.execute(nodes.insert().values(name=node.name, settings=settings, created=now))
            write_audit(connection, now, who=user, action="node added", subject=node.name, details=settings)

    def change(self, node: Node, user: str) -> None:
        """Replace the settings of the node of that name. Raises NotFound if there is none."""
        with self._state.transaction() as connection:
            before = _settings(connection, node.name)
            after = node_to_mapping(node)
            connection.execute(
                nodes.update().where(nodes.c.name == node.name, nodes.c.removed.is_(None)).values(settings=after)
            )
            changes = {key: [before.get(key), value] for key, value in after.items() if before.get(key) != value}
            moved = [key for key in _OF_A_PROFILE if key in changes]
            if moved:
                write_stale(connection, node.name, f"the node's {', '.join(moved)} changed")
            write_audit(
                connection, self._state.now(), who=user, action="node changed", subject=node.name, details=changes
            )

    def get(self, name: str) -> Node:
        """Return the node of that name. Raises NotFound if there is none; the advice names the existing ones."""
        with self._state.reading() as connection:
            return node_from_mapping(_settings(connection, name))

    def list(self, *, include_removed: bool = False) -> tuple[Node, ...]:
        """Return all nodes by name; a name may come more than once among removed ones."""
        wanted = sa.select(nodes.c.settings).order_by(nodes.c.name, nodes.c.node_id)
        if not include_removed:
            wanted = wanted.where(nodes.c.removed.is_(None))
        return tuple(map(node_from_mapping, self._state.scalars(wanted)))

    def remove(self, name: str, user: str) -> None:
        """Remove a node; what was asked of it and fetched from it stays.

        Raises NotFound if there is none of that name.
        """
        with self._state.transaction() as connection:
            _settings(connection, name)
            now = self._state.now()
            connection.execute(
                nodes.update().where(nodes.c.name == name, nodes.c.removed.is_(None)).values(removed=now)
            )
            write_stale(connection, name, "the node was removed")
            write_audit(connection, now, who=user, action="node removed", subject=name)


def _present(name: str) -> sa.Select[Any]:
    return sa.select(nodes.c.settings).where(nodes.c.name == name, nodes.c.removed.is_(None))


def _settings(connection: sa.Connection, name: str) -> dict[str, object]:
    settings = connection.scalar(_present(name))
    if settings is not None:
        return dict(settings)
    known = connection.scalars(sa.select(nodes.c.name).where(nodes.c.removed.is_(None)).order_by(nodes.c.name)).all()
    raise NotFound(f"There is no node {shown(name)}.", advice=_advice(name, list(known)))


def _advice(name: str, known: list[str]) -> Advice:
    """Suggest the nearest node name, or list the existing ones.

    >>> _advice("pasc", ["pacs", "ct1"]).text, _advice("x", ["pacs", "ct1"]).text
    ('Did you mean pacs?', 'Nodes: ct1, pacs.')
    """
    if not known:
        return Advice(action=Action.ADD_NODE)
    return Advice(did_you_mean(name, known, otherwise=f"Nodes: {', '.join(sorted(known))}."))


class ProfileTable(StateTable):
    """The profiles of the nodes of a workspace."""

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

        A stale profile is left as it is until a probe renews it.
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
        return tuple(map(_profile, self._state.rows(_newest(node).limit(limit))))

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
