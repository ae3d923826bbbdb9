"""The errors of qrkit: every failure has its place in this tree, names the node and states what to do next.

::

    QrkitError
    ├── InputError                    the request itself is wrong; nothing was sent
    ├── NotFound                      no such node, query, job or plan in this workspace
    ├── NotAllowed                    the role of the user does not permit it; nothing was done
    ├── NodeError                     something went wrong between us and a node
    │   ├── HostNotFound              the host name does not resolve
    │   ├── ConnectionRefused         nothing listens on that port
    │   ├── ConnectTimeout            no answer to the TCP connection
    │   ├── NetworkUnreachable        no route, or the network is down
    │   ├── TlsFailed                 connected, but not encrypted as the node's settings require
    │   ├── AssociationRejected       A-ASSOCIATE-RJ
    │   │   ├── CallingTitleRejected  the node does not know us
    │   │   ├── CalledTitleRejected   the node has another AE title
    │   │   └── Congested             temporary congestion, or too many associations
    │   ├── NoContextAccepted         associated, but without a required presentation context
    │   ├── AssociationAborted        A-ABORT by the peer
    │   ├── ConnectionLost            the connection ended without A-RELEASE or A-ABORT
    │   ├── NodeTimeout               associated, then silent for longer than allowed
    │   ├── ProtocolError             the peer violated PS3.7 or PS3.8
    │   ├── LimitReached              an answer is longer, or takes longer, than the node's settings allow
    │   └── StatusError               the operation ended with a failure status
    ├── PortInUse                     our own Storage SCP cannot listen
    ├── StoreError                    state, results or files
    │   ├── StateUnavailable          the database cannot be reached or read
    │   ├── DiskFull                  under the floor of free space
    │   ├── StoreInUse                another program has a file of ours open
    │   └── ObjectUnreadable          a received object cannot be kept under its UIDs
    ├── HandlerFailed                 a handler of received series failed
    ├── WorkerError                   the background worker does not start or does not answer
    └── Cancelled                     a user or program cancelled it
"""

from __future__ import annotations

from qrkit.advice import Advice

__all__ = [
    "AssociationAborted",
    "AssociationRejected",
    "CalledTitleRejected",
    "CallingTitleRejected",
    "Cancelled",
    "Congested",
    "ConnectTimeout",
    "ConnectionLost",
    "ConnectionRefused",
    "DiskFull",
    "HandlerFailed",
    "HostNotFound",
    "InputError",
    "LimitReached",
    "NetworkUnreachable",
    "NoContextAccepted",
    "NodeError",
    "NodeTimeout",
    "NotAllowed",
    "NotFound",
    "ObjectUnreadable",
    "PortInUse",
    "ProtocolError",
    "QrkitError",
    "StateUnavailable",
    "StatusError",
    "StoreError",
    "StoreInUse",
    "TlsFailed",
    "WorkerError",
]


class QrkitError(Exception):
    """Base of all errors of qrkit.

    Parameters
    ----------
    message
        What was tried, with which node, and what failed: one sentence.
    advice
        What to do next: one sentence, or an `Advice` that each surface words in its own way; or empty.
    """

    transient = False
    """Whether the same request may succeed later without any change."""

    def __init__(self, message: str, *, advice: str | Advice = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = advice if isinstance(advice, Advice) else Advice(advice)

    @property
    def advice(self) -> str:
        """The next step: a call, or a command on the command line; empty without advice."""
        return str(self.remedy)

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class InputError(QrkitError):
    """The request itself is wrong; nothing was sent or changed."""


class NotFound(QrkitError):
    """No such node, query, job or plan in this workspace."""


class NotAllowed(QrkitError):
    """The role of the user does not permit it; nothing was done."""


class NodeError(QrkitError):
    """An error between us and a node."""


class HostNotFound(NodeError):
    """The node's host name does not resolve."""


class ConnectionRefused(NodeError):
    """The host responds, but nothing listens on that port."""

    transient = True


class ConnectTimeout(NodeError):
    """No answer to the TCP connection within the connect timeout."""

    transient = True


class NetworkUnreachable(NodeError):
    """No route to the host, or the network is down."""

    transient = True


class TlsFailed(NodeError):
    """No encrypted connection: a certificate is not accepted, or one side speaks no TLS."""


class AssociationRejected(NodeError):
    """The node answered A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Parameters
    ----------
    result, source, reason
        The three numbers of the A-ASSOCIATE-RJ PDU.
    """

    def __init__(
        self, message: str, *, advice: str | Advice = "", result: int = 1, source: int = 1, reason: int = 1
    ) -> None:
        super().__init__(message, advice=advice)
        self.result = result
        self.source = source
        self.reason = reason
        self.transient = result == 2


class CallingTitleRejected(AssociationRejected):
    """Calling AE title not recognised: the node does not know us."""


class CalledTitleRejected(AssociationRejected):
    """Called AE title not recognised: the node has another AE title."""


class Congested(AssociationRejected):
    """Temporary congestion or local limit exceeded: too many associations at the node."""


class NoContextAccepted(NodeError):
    """The node accepted the association, but none of the required presentation contexts."""


class AssociationAborted(NodeError):
    """The node sent A-ABORT (PS3.8 9.3.8)."""

    transient = True


class ConnectionLost(NodeError):
    """The connection ended without A-RELEASE or A-ABORT."""

    transient = True


class NodeTimeout(NodeError):
    """The node sent nothing for longer than its timeout."""

    transient = True


class ProtocolError(NodeError):
    """The peer violated PS3.7 or PS3.8."""


class LimitReached(NodeError):
    """An answer has more rows, or takes longer, than the node's settings allow; the rows until then are kept."""


class StatusError(NodeError):
    """A DIMSE operation ended with a failure status.

    Parameters
    ----------
    status
        The 16-bit status (PS3.7 annex C), which prints as ``0xA700``.
    comment
        ErrorComment (0000,0902) of the node, or empty.
    """

    def __init__(
        self, message: str, *, advice: str | Advice = "", status: int, comment: str = "", transient: bool = False
    ) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.comment = comment
        self.transient = transient


class PortInUse(QrkitError):
    """Our own Storage SCP cannot listen on its port."""

    transient = True


class StoreError(QrkitError):
    """State, results or files could not be read or written."""


class StateUnavailable(StoreError):
    """The database of the workspace is unreachable, or is not one of qrkit."""


class DiskFull(StoreError):
    """There is less free space than the workspace keeps in reserve."""

    transient = True


class StoreInUse(StoreError):
    """Another program has locked a file of the workspace."""

    transient = True


class ObjectUnreadable(StoreError):
    """A received object has no valid UIDs to keep it under."""


class HandlerFailed(QrkitError):
    """A handler of received series failed.

    Parameters
    ----------
    transient
        Whether it may work later without any change.
    """

    def __init__(self, message: str, *, advice: str | Advice = "", transient: bool = True) -> None:
        super().__init__(message, advice=advice)
        self.transient = transient


class WorkerError(QrkitError):
    """The background worker does not start, or does not answer."""


class Cancelled(QrkitError):
    """A user or program cancelled the work."""
