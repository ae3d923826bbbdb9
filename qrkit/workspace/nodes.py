"""The nodes of a workspace: added, changed, listed, removed, and copied to another workspace as TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrkit.access import Role
from qrkit.errors import InputError
from qrkit.node import CHARACTER_SETS, Node, changed, node_from_mapping, node_to_mapping
from qrkit.tables import Records
from qrkit.words import one_line, shown
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd


_NEW_NAME = re.compile(r"\w[\w.-]*")


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
