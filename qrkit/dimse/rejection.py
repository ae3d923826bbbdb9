"""A-ASSOCIATE-RJ: which of the reasons of PS3.8 9.3.4 it is, and what to do about it."""

from __future__ import annotations

from qrkit import errors
from qrkit.node import Node

_ACSE = {1: "no reason given", 2: "protocol version not supported"}
_USER = {
    1: "no reason given",
    2: "application context name not supported",
    3: "calling AE title not recognised",
    7: "called AE title not recognised",
}
_PRESENTATION = {1: "temporary congestion", 2: "local limit exceeded"}
_REASONS = {1: _USER, 2: _ACSE, 3: _PRESENTATION}


def rejection_error(
    result: int, source: int, reason: int, *, peer: str, node: Node, calling: str
) -> errors.AssociationRejected:
    """Return the error for an A-ASSOCIATE-RJ, by its result, source and reason."""
    said = _REASONS.get(source, {}).get(reason, f"source {source}, reason {reason}")
    kind, advice = _kind(source, reason, node=node, calling=calling)
    if result == 2 and kind is errors.AssociationRejected:
        advice = "The rejection is transient: try again in a minute."
    lasting = "for now" if result == 2 else "permanently"
    return kind(
        f"{peer} rejected the association {lasting}: {said}.",
        advice=advice,
        result=result,
        source=source,
        reason=reason,
    )


def _kind(source: int, reason: int, *, node: Node, calling: str) -> tuple[type[errors.AssociationRejected], str]:
    if (source, reason) == (1, 3):
        return errors.CallingTitleRejected, (
            f"Ask the PACS team to enter our AE title {calling} with this machine's address, "
            "or give the node the calling AE title that it knows."
        )
    if (source, reason) == (1, 7):
        return errors.CalledTitleRejected, (
            f"Check the AE title {node.ae_title} of node {node.name}, upper and lower case included."
        )
    if source == 3:
        return errors.Congested, (
            "Try again in a minute; if it happens often, lower the number of associations for this node."
        )
    return errors.AssociationRejected, (
        f"Ask the PACS team whether it allows our AE title {calling} from this machine."
    )
