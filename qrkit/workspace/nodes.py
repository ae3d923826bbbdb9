"""The nodes of a workspace: added, changed, listed, removed, checked, and copied to another workspace as TOML."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrkit.access import Access, Role
from qrkit.errors import InputError, QrkitError
from qrkit.node import CHARACTER_SETS, Node, changed, node_from_mapping, node_to_mapping
from qrkit.stop import NEVER, Stop
from qrkit.tables import Records
from qrkit.words import one_line, shown
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.probe.session import QuestionCallback
    from qrkit.profile import Profile


_NEW_NAME = re.compile(r"\w[\w.-]*")

_ECHOES_AT_ONCE = 16

_ECHO_COLUMNS = ["node", "ok", "association_ms", "round_trip_ms", "error_kind", "error", "advice"]


@checks_arguments
class Nodes:
    """The nodes of a workspace; only administrators may change them.

    Examples
    --------
    ::

        ws.nodes.add("pacs", host="10.1.2.3", port=104, ae_title="MAINPACS")
        ws.nodes.edit("pacs", associations=2)
        ws.nodes["pacs"].port
    """

    def __init__(self, services: Services) -> None:
        self._table = services.nodes
        self._access = services.permissions.access

    def __getitem__(self, name: str) -> Node:
        return self._table.get(name)

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of nodes, as of a list
        return iter(self._table.list())

    def __len__(self) -> int:
        return len(self._table.list())

    def __contains__(self, name: object) -> bool:
        wanted = name.name if isinstance(name, Node) else name
        return isinstance(wanted, str) and any(node.name == wanted for node in self._table.list())

    def add(self, name: str, **settings: object) -> Node:
        """Add a node.

        Parameters
        ----------
        **settings
            The attributes of `qrkit.node.Node`: `host`, `port`, `ae_title` and so on; `timeouts` and `tls` as dicts.

        Raises
        ------
        NotAllowed
            If the user is not an administrator.
        InputError
            If a setting is not valid, or there is a node of that name.
        """
        self._require_administrator()
        node = _checked(node_from_mapping({"name": name, **_with_whole_paths(settings)}))
        _check_new_name(node.name)
        self._table.add(node, self._access.user)
        return node

    def edit(self, name: str, /, **settings: object) -> Node:
        """Change some settings of a node; the others stay.

        Raises
        ------
        NotAllowed
            If the user is not an administrator.
        NotFound
            If there is no such node.
        InputError
            If a setting is not valid.
        """
        self._require_administrator()
        if "name" in settings:
            raise InputError(
                "A node keeps its name, since the history knows it by that.",
                advice="Add a node of the new name, and remove the old one.",
            )
        node = _checked(changed(self._table.get(name), _with_whole_paths(settings)))
        self._table.change(node, self._access.user)
        return node

    def remove(self, name: str) -> None:
        """Remove a node; its queries, jobs and objects stay.

        Raises
        ------
        NotAllowed
            If the user is not an administrator.
        NotFound
            If there is no such node.
        """
        self._require_administrator()
        self._table.remove(name, self._access.user)

    def list(self) -> pd.DataFrame:
        """Return the nodes as a table: one row per node, one column per setting, timeouts in seconds.

        TLS is one column for each of its settings, too.
        """
        return self.records().frame()

    def records(self) -> Records:
        """Return the same table as plain values."""
        rows = [_flat(node) for node in self._table.list()]
        return Records.of(rows, list(_flat(Node(name="-", host="-", ae_title="-"))))

    def export(self, path: str | Path | None = None) -> str:
        """Return all nodes as TOML, and write it to a file if one is named."""
        import tomli_w

        text = tomli_w.dumps({"node": [node_to_mapping(node) for node in self._table.list()]})
        if path is not None:
            try:
                Path(path).write_text(text, encoding="utf-8")
            except OSError as error:
                raise InputError(f"{one_line(str(path))} cannot be written: {error.strerror}.") from error
        return text

    def import_(self, path: str | Path) -> tuple[Node, ...]:
        """Add the nodes of a TOML file; one of a name that is there replaces its settings.

        All or none: the file is checked as a whole before anything changes.

        Raises
        ------
        NotAllowed
            If the user is not an administrator.
        InputError
            If the file cannot be read or a node is not valid.
        """
        self._require_administrator()
        nodes = [_checked(node_from_mapping(values)) for values in _read(Path(path))]
        known = {node.name for node in self._table.list()}
        for node in nodes:
            if node.name not in known:
                _check_new_name(node.name)
        for node in nodes:
            (self._table.change if node.name in known else self._table.add)(node, self._access.user)
            known.add(node.name)
        return tuple(nodes)

    def _require_administrator(self) -> None:
        self._access.require(Role.ADMINISTRATOR, "change nodes")

    def _ipython_key_completions_(self) -> tuple[str, ...]:
        return tuple(node.name for node in self._table.list())

    def __repr__(self) -> str:
        return f"<Nodes: {', '.join(node.name for node in self._table.list()) or 'none yet'}>"

    def _repr_html_(self) -> str:
        from qrkit.workspace.overview import nodes_html

        return nodes_html(self._table.list())


def _checked(node: Node) -> Node:
    """Return a node as it was given; refuse a character set that there is not, which the state may still have."""
    unknown = [term for term in node.character_set.split("\\") if term not in CHARACTER_SETS]
    if unknown:
        raise InputError(
            f"Node {node.name} cannot have the character set {shown(unknown[0])}.",
            advice="Write a defined term of PS3.3 C.12.1.1.2, such as ISO_IR 192 for UTF-8.",
        )
    return node


def _check_new_name(name: str) -> None:
    """Refuse a name that a shell or a path reads as something else; a workspace may have older ones."""
    if not _NEW_NAME.fullmatch(name):
        raise InputError(
            f"{shown(name)} is not a valid node name.",
            advice="Use letters, digits, hyphens, underscores and dots. Begin with a letter, digit or underscore.",
        )


def _flat(node: Node) -> dict[str, Any]:
    """Return the settings of a node side by side; those of TLS begin with tls."""
    row = node_to_mapping(node)
    timeouts, tls = row.pop("timeouts"), row.pop("tls")
    row |= {f"{name}_timeout": seconds for name, seconds in timeouts.items()}
    return row | {"tls" if name == "enabled" else f"tls_{name}": value for name, value in tls.items()}


def _with_whole_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings whose TLS files have absolute paths: the worker runs in another folder."""
    tls = settings.get("tls")
    if not isinstance(tls, Mapping):
        return dict(settings)
    whole = {name: _whole_path(value) if str(name).endswith("_file") else value for name, value in tls.items()}
    return {**settings, "tls": whole}


def _whole_path(value: object) -> object:
    return str(Path(value).expanduser().absolute()) if isinstance(value, str | Path) and str(value) else value


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{one_line(str(path))} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{one_line(str(path))} is not valid TOML: {error}.") from error
    nodes = values.get("node")
    if not isinstance(nodes, list) or not nodes or not all(isinstance(node, dict) for node in nodes):
        raise InputError(f"{one_line(str(path))} holds no nodes; it needs tables that begin with [[node]].")
    return nodes


@checks_arguments
class NodeChecks:
    """The part of a workspace that checks whether nodes answer, and what they can do."""

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
        table, title = self._services.nodes, self._services.settings.ae_title
        asked = [table.get(name) for name in nodes] or [node for node in table.list() if node.enabled]
        with ThreadPoolExecutor(_ECHOES_AT_ONCE, thread_name_prefix="echo") as pool:
            return Records.of(pool.map(lambda node: _echo_row(node, title), asked), _ECHO_COLUMNS)

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


def _echo_row(node: Node, calling_ae_title: str) -> dict[str, Any]:
    from qrkit.dimse.echo import echo

    row: dict[str, Any] = {"node": node.name, "ok": True, "error_kind": "", "error": "", "advice": ""}
    try:
        answer = echo(node, calling_ae_title=calling_ae_title)
    except QrkitError as error:
        what = {"error_kind": type(error).__name__, "error": error.message, "advice": error.advice}
        return row | {"ok": False} | what
    return row | {
        "association_ms": round(answer.association * 1000, 2),
        "round_trip_ms": round(answer.round_trip * 1000, 2),
    }
