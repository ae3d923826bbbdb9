"""The nodes of a workspace, in the state."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.node import Node, node_from_mapping, node_to_mapping
from qrkit.store.audit import write_audit
from qrkit.store.profiles import write_stale
from qrkit.store.schema import nodes
from qrkit.store.state import State
from qrkit.words import did_you_mean

_OF_A_PROFILE = ("host", "port", "ae_title", "calling_ae_title", "information_model")
"""Settings without which what a probe found out about a node need not hold."""


class NodeTable:
    """The nodes that the workspace knows; a removed one keeps its row, for the history."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, node: Node, user: str) -> None:
        """Add a node.

        Raises
        ------
        InputError
            If there is one of that name already.
        """
        with self._state.transaction() as connection:
            # PostgreSQL: two that add the same name wait here, so that the second sees the first.
            _lock(connection)
            if connection.scalar(_present(node.name)) is not None:
                raise InputError(
                    f"There is a node {node.name!r} already.", advice="Change that one, or give another name."
                )
            now, settings = self._state.now(), node_to_mapping(node)
            connection.execute(nodes.insert().values(name=node.name, settings=settings, created=now))
            write_audit(connection, now, who=user, action="node added", subject=node.name, details=settings)

    def change(self, node: Node, user: str) -> None:
        """Replace the settings of the node of that name.

        Raises
        ------
        NotFound
            If there is none.
        """
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
        """Return the node of that name.

        Raises
        ------
        NotFound
            If there is none; the advice names those there are.
        """
        with self._state.reading() as connection:
            return node_from_mapping(_settings(connection, name))

    def list(self, *, include_removed: bool = False) -> tuple[Node, ...]:
        """Return all nodes by name; a name may come more than once among removed ones."""
        wanted = sa.select(nodes.c.settings).order_by(nodes.c.name, nodes.c.node_id)
        if not include_removed:
            wanted = wanted.where(nodes.c.removed.is_(None))
        with self._state.reading() as connection:
            return tuple(node_from_mapping(settings) for settings in connection.scalars(wanted))

    def remove(self, name: str, user: str) -> None:
        """Remove a node; what was asked of it and fetched from it stays.

        Raises
        ------
        NotFound
            If there is none of that name.
        """
        with self._state.transaction() as connection:
            _settings(connection, name)
            now = self._state.now()
            connection.execute(
                nodes.update().where(nodes.c.name == name, nodes.c.removed.is_(None)).values(removed=now)
            )
            write_stale(connection, name, "the node was removed")
            write_audit(connection, now, who=user, action="node removed", subject=name)


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE"))


def _present(name: str) -> sa.Select[Any]:
    return sa.select(nodes.c.settings).where(nodes.c.name == name, nodes.c.removed.is_(None))


def _settings(connection: sa.Connection, name: str) -> dict[str, object]:
    settings = connection.scalar(_present(name))
    if settings is not None:
        return dict(settings)
    known = connection.scalars(sa.select(nodes.c.name).where(nodes.c.removed.is_(None)).order_by(nodes.c.name)).all()
    raise NotFound(f"There is no node {name!r}.", advice=_advice(name, list(known)))


def _advice(name: str, known: list[str]) -> Advice:
    """Suggest the nearest node name, or list the existing ones.

    >>> _advice("pasc", ["pacs", "ct1"]).text, _advice("x", ["pacs", "ct1"]).text
    ('Did you mean pacs?', 'There are ct1, pacs.')
    """
    if not known:
        return Advice(action=Action.ADD_NODE)
    return Advice(did_you_mean(name, known, otherwise=f"There are {', '.join(sorted(known))}."))
