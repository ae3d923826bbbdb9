"""A node: a PACS, modality or store that we talk to, and how it wants to be talked to.

A node is a value. It is checked here and nowhere else, so whatever holds a `Node` holds a usable one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any

from qrkit.advice import Action, Advice
from qrkit.errors import InputError
from qrkit.hours import parse_hours, time_zone
from qrkit.markup import code, facts, strong
from qrkit.words import comma_list, counted, did_you_mean, listed, one_line, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS of a node, or of our own Storage SCP; version 1.2 or newer. Files are PEM."""

    enabled: bool = False  # whether connections are encrypted at all
    # certificates that the other side's must be signed by, or be one of; empty: those this machine trusts
    ca_file: str = ""
    # `certificate_file` and `key_file`: our own, for a node that wants to see it; the key may stand in the same file
    certificate_file: str = ""
    key_file: str = ""
    verify: bool = True  # whether a certificate without a trusted signature is refused
    check_host_name: bool = True  # whether the node's certificate must be for the node's host

    def __post_init__(self) -> None:
        if self.key_file and not self.certificate_file:
            raise InputError(
                "A TLS key without its certificate is of no use.", advice="Give the certificate_file, too."
            )


class InformationModel(Enum):
    """Query/Retrieve information models of PS3.4 C.3."""

    PATIENT_ROOT = "patient-root"
    STUDY_ROOT = "study-root"
    PATIENT_STUDY_ONLY = "patient-study-only"


class Method(Enum):
    """How objects are fetched; `AUTO` takes C-GET where the node can, else C-MOVE."""

    AUTO = "auto"
    GET = "get"
    MOVE = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long we wait for a node, in seconds."""

    connect: float = 10.0  # for the TCP connection
    association: float = 30.0  # for the answer to A-ASSOCIATE-RQ and to A-RELEASE-RQ (PS3.8 ARTIM)
    response: float = 300.0  # for the first answer or object: a PACS may take minutes to fetch from its archive
    inactivity: float = 120.0  # for the next whole answer, or bytes of an object, once the first has come
    query: float = 3600.0  # for all answers to one C-FIND request

    def __post_init__(self) -> None:
        for name in ("connect", "association", "response", "inactivity", "query"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"The {name} timeout must be more than 0 seconds, not {getattr(self, name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A PACS, modality or store node.

    Attributes
    ----------
    name
        Its name in the workspace.
    host, port, ae_title
        Where it listens, and the called AE title.
    calling_ae_title
        The AE title by which it knows us; empty: the workspace's own.
    can_find, can_get, can_move, can_store
        Its operations; `can_store`: it receives objects, as a C-MOVE destination.
    information_model
        For C-FIND, C-GET and C-MOVE.
    method
        Preferred retrieve method.
    tls
        Whether and how connections to it are encrypted.
    move_destination
        AE title to which it sends by C-MOVE; empty: the workspace's own AE title.
    associations
        Maximum number of associations at a time.
    pause
        Seconds between two requests.
    most_rows
        Rows in the answer to one C-FIND request; a longer answer is ended there, and marked as incomplete.
    retrieve_hours
        When objects may be retrieved from it: ``22:00-06:00`` or ``Mon-Fri 22:00-06:00, Sat-Sun 00:00-24:00``; empty:
        always. Outside these hours jobs wait; queries do not.
    time_zone
        Of those hours, such as ``Europe/Berlin``; empty: this machine's.
    character_set
        SpecificCharacterSet (a defined term of PS3.3 C.12.1.1.2) assumed for responses that name none.
    sites
        Names of the sites from which it can be reached, separated by commas; empty: all.
    """

    name: str
    host: str
    port: int = 104
    ae_title: str
    calling_ae_title: str = ""
    description: str = ""
    can_find: bool = True
    can_get: bool = True
    can_move: bool = True
    can_store: bool = False
    information_model: InformationModel = InformationModel.STUDY_ROOT
    method: Method = Method.AUTO
    move_destination: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)
    tls: Tls = field(default_factory=Tls)
    associations: int = 2
    pause: float = 0.0
    most_rows: int = 1_000_000
    retrieve_hours: str = ""
    time_zone: str = ""
    character_set: str = "ISO_IR 100"
    sites: str = ""
    enabled: bool = True

    def is_reached_from(self, site: str) -> bool:
        """Whether a worker of that site can reach it.

        >>> node = Node(name="a", host="h", ae_title="A", sites="north, east")
        >>> node.is_reached_from("east"), node.is_reached_from("south")
        (True, False)
        """
        return not self.sites.strip() or site in comma_list(self.sites)

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip() or len(self.name) > 64:
            raise InputError(
                f"{shown(self.name)} is not a valid node name. "
                "Use 1 to 64 characters without leading or trailing spaces."
            )
        if not self.host or any(c.isspace() or not c.isprintable() for c in self.host):
            raise InputError(f"Node {shown(self.name)} needs a host: a name or an address, such as 10.1.2.3.")
        if not 1 <= self.port <= 65535:
            raise _not_a_number("port", self.port, self.name)
        check_ae_title(self.ae_title, what=f"AE title of node {shown(self.name)}")
        for name in filter(partial(getattr, self), ("calling_ae_title", "move_destination")):
            check_ae_title(getattr(self, name), what=f"{name.replace('_', ' ')} of node {shown(self.name)}")
        for least, what in ((self.associations, "association"), (self.most_rows, "row in most_rows")):
            if least < 1:
                raise InputError(f"Node {shown(self.name)} needs at least 1 {what}, not {least}.")
        if not 0 <= self.pause < math.inf:
            raise InputError(
                f"The pause of node {shown(self.name)} cannot be negative or endless: {self.pause} seconds."
            )
        _check_hours(self)

    def is_open(self, now: datetime) -> bool:
        """Whether objects may be retrieved from it at a moment, which has a time zone."""
        return parse_hours(self.retrieve_hours).is_open(now.astimezone(time_zone(self.time_zone)))

    def next_opening(self, now: datetime) -> datetime:
        """Return the next time for retrieves, in its time zone."""
        return parse_hours(self.retrieve_hours).next_opening(now.astimezone(time_zone(self.time_zone)))

    @property
    def services(self) -> str:
        """Its operations in words, such as ``find, get and move``."""
        return listed([what for what in ("find", "get", "move", "store") if getattr(self, f"can_{what}")])

    def __repr__(self) -> str:
        state = "" if self.enabled else ", disabled"
        return f"<Node {self.name}: {self.ae_title} at {self.host}:{self.port}, {self.services or 'nothing'}{state}>"

    def _repr_html_(self) -> str:
        usual = Node(name=self.name, host=self.host, ae_title=self.ae_title)
        shown: dict[str, object] = {
            "Node": strong(self.name),
            "AE title": code(self.ae_title),
            "Address": f"{self.host}:{self.port}",
        }
        shown |= {"Services": self.services or "nothing", "Description": self.description or None}
        shown |= {
            label: getattr(self, name) if getattr(self, name) != getattr(usual, name) else None
            for name, label in _SHOWN_IF_UNUSUAL.items()
        }
        waits = ", ".join(f"{item.name} {getattr(self.timeouts, item.name):g} s" for item in fields(Timeouts))
        shown |= {
            "Retrieve method": _METHODS[self.method],
            "Associations": f"{counted(self.associations, 'association')}, {self.pause:g} s between requests",
            "Timeouts": waits,
            "Most rows": f"{self.most_rows:,} in one answer",
            "TLS": ("certificate checked" if self.tls.verify else "any certificate") if self.tls.enabled else None,
        }
        return facts(shown)


_METHODS = {Method.AUTO: "C-GET where it can, else C-MOVE", Method.GET: "C-GET", Method.MOVE: "C-MOVE"}
_SHOWN_IF_UNUSUAL = {
    "calling_ae_title": "Calling AE title",
    "move_destination": "Move destination",
    "character_set": "Character set",
    "sites": "Sites",
    "enabled": "Enabled",
}

_REPERTOIRES = (6, 13, 58, 87, 100, 101, 109, 110, 126, 127, 138, 144, 148, 149, 159, 166, 192, 203)
CHARACTER_SETS = {
    *("", "GB18030", "GBK"),
    *(f"{kind} {number}" for kind in ("ISO_IR", "ISO 2022 IR") for number in _REPERTOIRES),
}
"""Defined terms of SpecificCharacterSet (PS3.3 C.12.1.1.2); empty is the default repertoire."""


def check_ae_title(title: str, *, what: str = "AE title") -> str:
    r"""Return a valid AE title, without leading and trailing spaces.

    PS3.5 6.2: at most 16 characters of the default repertoire, without backslash and control characters;
    not only spaces. Lower case is allowed.

    Raise `InputError` if it is not one.

    >>> check_ae_title(" Main_Pacs ")
    'Main_Pacs'
    >>> check_ae_title("ABCDEFGHIJKLMNOPQ")
    Traceback (most recent call last):
    qrkit.errors.InputError: The AE title 'ABCDEFGHIJKLMNOPQ' has 17 characters; at most 16 are allowed.
    """
    stripped = title.strip(" ")
    if not stripped:
        raise InputError(f"The {what} is empty; give 1 to 16 characters.")
    if len(stripped) > 16:
        raise InputError(f"The {what} {shown(title)} has {len(stripped)} characters; at most 16 are allowed.")
    if any(not " " <= character <= "~" or character == "\\" for character in stripped):
        raise InputError(
            f"The {what} {shown(title)} has a character that AE titles cannot have; "
            "use plain letters, digits, - and _."
        )
    return stripped


def node_from_mapping(values: Mapping[str, Any]) -> Node:
    """Make a node from plain values, as TOML, JSON, the command line and the state hold them.

    Timeouts and TLS settings are nested mappings under ``timeouts`` and ``tls``. Keys that no node has are an
    error, not ignored.

    Raise `InputError` if a value is missing, unknown or not valid.
    """
    return changed(None, values)


def changed(node: Node | None, values: Mapping[str, Any]) -> Node:
    """Return `node` with some plain values replaced, or a new node where `node` is None.

    Raise `InputError` if a value is missing, unknown or not valid.
    """
    given = dict(values)
    name = given.get("name", node.name if node else "")
    nested = {key: _typed_table(key, given.pop(key, {}), name) for key in _TABLES}
    _refuse_unknown(given, {item.name for item in fields(Node)} - set(_TABLES), of=f"node {shown(name)}")
    typed = {key: _typed(key, value, name) for key, value in given.items()}
    if node is not None:
        return replace(node, **typed, **{key: replace(getattr(node, key), **told) for key, told in nested.items()})
    missing = [key for key in ("name", "host", "ae_title") if key not in typed]
    if missing:
        raise InputError(f"Node {shown(name)} needs {', '.join(missing)}.")
    return Node(**typed, **{key: _TABLES[key](**told) for key, told in nested.items()})


def node_to_mapping(node: Node) -> dict[str, Any]:
    """Return a node as plain values, which `node_from_mapping` turns back into it."""
    return {key: value.value if isinstance(value, Enum) else value for key, value in asdict(node).items()}


_ENUMS: dict[str, type[Enum]] = {"information_model": InformationModel, "method": Method}
_BOOLS = {"can_find", "can_get", "can_move", "can_store", "enabled", "verify", "check_host_name"}
_NUMBERS = {"pause", *(item.name for item in fields(Timeouts))}
_TABLES: dict[str, type[Any]] = {"timeouts": Timeouts, "tls": Tls}


def check_can_find(node: Node) -> None:
    """Raise `InputError`, with what to change, for a node that is disabled or has queries switched off."""
    if not (node.enabled and node.can_find):
        raise InputError(
            f"Node {node.name} is {'not one to query' if node.enabled else 'disabled'}.",
            advice=_setting(node, "can_find" if node.enabled else "enabled"),
        )


def check_can_retrieve(node: Node, method: Method) -> None:
    """Raise `InputError`, with what to change, for a node that is disabled or has the method switched off."""
    if not node.enabled:
        raise InputError(f"Node {node.name} is disabled.", advice=_setting(node, "enabled"))
    able = {Method.GET: node.can_get, Method.MOVE: node.can_move, Method.AUTO: node.can_get or node.can_move}
    if not able[method]:
        switch = "can_move" if method is Method.MOVE else "can_get"
        refused = "C-GET or C-MOVE" if method is Method.AUTO else f"C-{method.name}"
        raise InputError(f"Node {node.name} is not to be asked by {refused}.", advice=_setting(node, switch))


def _check_hours(node: Node) -> None:
    if node.retrieve_hours:
        parse_hours(node.retrieve_hours)
    if node.time_zone:
        time_zone(node.time_zone)


def _typed_table(table: str, values: object, name: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise InputError(f"The {table} of node {shown(name)} are a table of settings, not {shown(values)}.")
    _refuse_unknown(values, {item.name for item in fields(_TABLES[table])}, of=f"{table} of node {shown(name)}")
    return {key: _typed(key, value, name) for key, value in values.items()}


def _typed(key: str, value: object, name: str) -> Any:  # noqa: ANN401 - as the field is typed
    if key in _ENUMS:
        return _chosen(_ENUMS[key], key, value, name)
    if key in ("port", "associations", "most_rows"):
        number = _number(key, value, name)
        if number != int(number):
            raise InputError(f"The {key} of node {shown(name)} must be a whole number, not {shown(value)}.")
        return int(number)
    if key in _NUMBERS:
        return _number(key, value, name)
    if key in _BOOLS:
        if not isinstance(value, bool):
            raise InputError(f"{key} of node {shown(name)} is true or false, not {shown(value)}.")
        return value
    if not isinstance(value, str):
        raise InputError(f"{key} of node {shown(name)} is a text, not {shown(value)}.")
    return value.strip(" ") if key in ("ae_title", "calling_ae_title", "move_destination", "host") else value


def _chosen(enum: type[Enum], key: str, value: object, name: str) -> Enum:
    if isinstance(value, enum):
        return value
    try:
        return enum(value)
    except ValueError as error:
        choices = ", ".join(str(member.value) for member in enum)
        raise InputError(f"{key} of node {shown(name)} is one of {choices}, not {shown(value)}.") from error


def _not_a_number(key: str, value: object, name: str) -> InputError:
    valid = " from 1 to 65535" if key == "port" else ""
    return InputError(f"{shown(value)} is not a valid {key} of node {shown(name)}: enter a number{valid}.")


def _number(key: str, value: object, name: str) -> float:
    try:
        number = float(str(value))  # of the text: True is no number here
    except ValueError as error:
        raise _not_a_number(key, value, name) from error
    if not math.isfinite(number):
        raise InputError(f"{shown(value)} is not a valid {key} of node {shown(name)}: enter a finite number.")
    return number


def _refuse_unknown(given: Mapping[str, Any], known: set[str], *, of: str) -> None:
    unknown = sorted(map(str, set(given) - known))
    if unknown:
        raise InputError(
            f"{of[:1].upper()}{of[1:]} has no {one_line(', '.join(unknown))}.",
            advice=did_you_mean(unknown[0], sorted(known), otherwise=f"Use {listed(sorted(known), last='or')}."),
        )


def _setting(node: Node, name: str) -> Advice:
    return Advice(action=Action.EDIT_NODE, subject=node.name, settings=((name, True),))
