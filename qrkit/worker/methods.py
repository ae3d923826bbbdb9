"""By which method an item is tried first and second, and which errors make any further try useless."""

from __future__ import annotations

from qrkit import errors
from qrkit.node import Method, Node


def tries(node: Node, method: Method) -> tuple[Method, Method]:
    """Return the method of the first try and that of the second.

    >>> from dataclasses import replace
    >>> node = Node(name="pacs", host="10.1.2.3", ae_title="PACS")
    >>> [one.value for one in tries(node, Method.AUTO)], [one.value for one in tries(node, Method.MOVE)]
    (['get', 'move'], ['move', 'move'])
    >>> [one.value for one in tries(replace(node, can_get=False), Method.AUTO)]
    ['move', 'move']
    """
    if method is not Method.AUTO:
        return method, method
    able = [one for one, can in ((Method.GET, node.can_get), (Method.MOVE, node.can_move)) if can]
    if not able:
        raise errors.InputError(
            f"Node {node.name} can neither C-GET nor C-MOVE.", advice="Change the node, if that is not so."
        )
    if node.method in able:
        able.sort(key=lambda one: one is not node.method)
    return able[0], able[-1]


def is_out_of_reach(error: errors.NodeError) -> bool:
    """Whether the node cannot be associated with at all, so that asking for the next item is no use."""
    return isinstance(
        error,
        (
            errors.HostNotFound,
            errors.ConnectionRefused,
            errors.ConnectTimeout,
            errors.NetworkUnreachable,
            errors.TlsFailed,
            errors.AssociationRejected,
        ),
    )
