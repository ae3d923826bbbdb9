"""The checks of a workspace's nodes: whether they answer, and what they can do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from qrkit.access import Access, Role
from qrkit.errors import QrkitError
from qrkit.node import Node
from qrkit.stop import NEVER, Stop
from qrkit.tables import Records
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.probe.session import QuestionCallback
    from qrkit.profile import Profile


@checks_arguments
class NodeChecks:
    """The part of a workspace that checks nodes.

    Parameters
    ----------
    services
        What the parts of the workspace share.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def access(self) -> Access:
        """The permissions of the user: unlimited, except in the dashboard."""
        return self._services.permissions.access

    def echo(self, *nodes: str) -> pd.DataFrame:
        """Send C-ECHO to nodes, all at once.

        Parameters
        ----------
        *nodes
            Their names; without any, all enabled nodes.

        Returns
        -------
        DataFrame
            One row per node: `node`, `ok`, `association_ms` and `round_trip_ms` (milliseconds), and of a failure
            `error_kind` (the name of its class in `qrkit.errors`), `error` and `advice`.

        Raises
        ------
        NotFound
            If there is no such node.

        Examples
        --------
        ::

            ws.echo("pacs")
        """
        return self.echo_records(*nodes).frame()

    def echo_records(self, *nodes: str) -> Records:
        """Return what `echo` does, as plain values."""
        table = self._services.nodes
        asked = [table.get(name) for name in nodes] or [node for node in table.list() if node.enabled]
        return echo_nodes(asked, calling_ae_title=self._services.settings.ae_title)

    def probe(self, node: str, *, stop: Stop = NEVER, watch: QuestionCallback | None = None) -> Profile:
        """Find out what a node can do, by at most twelve small C-FIND requests, and store it.

        Parameters
        ----------
        node
            Its name.
        stop
            Ends the probe early; nothing is stored then.
        watch
            Called before each request with its number and purpose.

        Returns
        -------
        Profile
            What the node does with each key and option; later queries rely on it.

        Raises
        ------
        InputError
            If the node is disabled or does not answer queries.
        NotAllowed
            If the user's role is below that of an operator.
        NodeError
            If it cannot be reached or rejects the association. A refused query is part of the profile instead.

        Examples
        --------
        ::

            ws.probe("pacs").honours("ModalitiesInStudy")
        """
        from qrkit.node import check_can_find
        from qrkit.probe.session import Prober

        services = self._services
        self.access.require(Role.OPERATOR, "probe nodes")
        asked = services.nodes.get(node)
        check_can_find(asked)
        title = services.settings.ae_title
        with Prober(asked, calling_ae_title=title, stop=stop, watch=watch) as prober:
            profile = prober.run(today=dt.date.today(), now=services.state.now())
        services.profiles.add(profile, services.user)
        return profile

    def profile(self, node: str) -> Profile | None:
        """Return what is known of a node from its last probe and from queries; None if nothing is.

        Raises
        ------
        NotFound
            If there is no such node.
        """
        return self._services.profiles.get(self._services.nodes.get(node).name)

    def doubt_profile(self, node: str, why: str) -> bool:
        """Mark the profile of a node as stale; return whether it was valid until now.

        Parameters
        ----------
        node
            Its name.
        why
            The rest of a sentence that begins with "stale, since".
        """
        return self._services.profiles.mark_stale(node, why)


_AT_ONCE = 16

COLUMNS = ["node", "ok", "association_ms", "round_trip_ms", "error_kind", "error", "advice"]


def echo_nodes(nodes: Sequence[Node], *, calling_ae_title: str) -> Records:
    """Echo all nodes at once, one association each.

    Returns
    -------
    Records
        One row per node: `ok`, the times in milliseconds, and the kind, sentence and advice of an error.
    """
    if not nodes:
        return Records.of((), COLUMNS)
    with ThreadPoolExecutor(min(_AT_ONCE, len(nodes)), thread_name_prefix="echo") as pool:
        rows = list(pool.map(lambda node: _row(node, calling_ae_title), nodes))
    return Records.of(rows, COLUMNS)


def _row(node: Node, calling_ae_title: str) -> dict[str, Any]:
    from qrkit.dimse.echo import echo

    try:
        answer = echo(node, calling_ae_title=calling_ae_title)
    except QrkitError as error:
        return {
            "node": node.name,
            "ok": False,
            "error_kind": type(error).__name__,
            "error": error.message,
            "advice": error.advice,
        }
    return {
        "node": node.name,
        "ok": True,
        "association_ms": round(answer.association * 1000, 2),
        "round_trip_ms": round(answer.round_trip * 1000, 2),
        "error_kind": "",
        "error": "",
        "advice": "",
    }
