"""Where a node sends objects by C-MOVE, in the words by which its PACS team has to enter it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from qrkit import errors
from qrkit.advice import Advice
from qrkit.dimse.status import (
    CANCELLED,
    DATA_SET_MISMATCH,
    MOVE_DESTINATION_UNKNOWN,
    NOT_AUTHORISED,
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNISED_OPERATION,
)
from qrkit.words import counted

_REFUSED = {
    DATA_SET_MISMATCH,
    NOT_AUTHORISED,
    SOP_CLASS_NOT_SUPPORTED,
    MOVE_DESTINATION_UNKNOWN,
    UNRECOGNISED_OPERATION,
    CANCELLED,
}
"""Statuses of a request that the node does not try to perform; each has its own advice."""

_ANY_ADDRESS = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTarget:
    """A Storage SCP that receives by C-MOVE: ours, or that of a store node."""

    ae_title: str
    address: str
    """Where the node reaches it; empty where this is not known."""
    port: int
    store_node: str = ""
    """Name of the store node; empty: it is ours."""

    @property
    def described(self) -> str:
        """Its AE title, address and port.

        >>> MoveTarget(ae_title="QRKIT", address="10.1.2.9", port=11112).described
        'our AE title QRKIT with the address 10.1.2.9 and port 11112'
        >>> MoveTarget(ae_title="DOSE", address="10.1.2.5", port=104, store_node="dose").described
        'the AE title DOSE of dose with the address 10.1.2.5 and port 104'
        """
        whose = f"the AE title {self.ae_title} of {self.store_node}"
        title = whose if self.store_node else f"our AE title {self.ae_title}"
        address = f"the address {self.address}" if self.address else "this machine's address"
        return f"{title} with {address}" + (f" and port {self.port}" if self.port else "")


def our_target(ae_title: str, host: str, port: int) -> MoveTarget:
    """Return our Storage SCP as a node knows it; `host` is where it listens, which may be every address.

    >>> our_target("QRKIT", "0.0.0.0", 11112).described
    "our AE title QRKIT with this machine's address and port 11112"
    """
    return MoveTarget(ae_title=ae_title, address="" if host in _ANY_ADDRESS else host, port=port)


@contextmanager
def naming(target: MoveTarget, own_address: str) -> Iterator[None]:
    """Have the error of a node that does not know its destination name what the PACS team has to enter.

    `own_address` is ours at the association with the node, where the target has none of its own.
    """
    try:
        yield
    except errors.StatusError as error:
        if error.status == MOVE_DESTINATION_UNKNOWN:
            entry = replace(target, address=target.address or own_address).described
            error.remedy = Advice(f"Ask the PACS team to enter {entry} as a destination of C-MOVE.")
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """A C-MOVE of which no object has arrived at our Storage SCP.

    Attributes
    ----------
    node
        Name of the node.
    target
        Our Storage SCP.
    connections
        How many connections of all peers it has accepted meanwhile.
    """

    node: str
    target: MoveTarget
    connections: int

    @property
    def message(self) -> str:
        """The observation of our Storage SCP."""
        if not self.connections:
            return "No object arrived by C-MOVE: our Storage SCP saw no connection."
        return (
            "No object arrived by C-MOVE, although our Storage SCP saw "
            f"{counted(self.connections, 'connection')} in that time."
        )

    @property
    def advice(self) -> str:
        """The next step, with our values."""
        return (
            f"Check with the PACS team that {self.node} can reach us: it has to send to {self.target.described}, "
            "and no firewall may block that port."
        )


def may_be_unreached(error: errors.QrkitError | None) -> bool:
    """Return whether a C-MOVE that ended so, without an object, may have failed to reach us.

    >>> may_be_unreached(errors.StatusError("A702", status=0xA702)), may_be_unreached(None)
    (True, True)
    >>> may_be_unreached(errors.StatusError("A900", status=0xA900)), may_be_unreached(errors.InputError("no"))
    (False, False)
    """
    if isinstance(error, errors.StatusError):
        return error.status not in _REFUSED
    ends = (errors.NodeTimeout, errors.AssociationAborted, errors.ConnectionLost)
    return error is None or isinstance(error, ends)
