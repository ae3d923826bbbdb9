"""How an item is asked for: by which method and Identifiers, over which association."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from pydicom.dataset import Dataset

from qrkit import errors
from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.status import MOVE_DESTINATION_UNKNOWN, SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION
from qrkit.find.uid_lists import in_parts
from qrkit.jobs import RetrieveRequest
from qrkit.node import InformationModel, Method, Node
from qrkit.query.request import add_key
from qrkit.retrieve.expected import uid_of
from qrkit.retrieve.item import ActiveItem
from qrkit.stop import Stop
from qrkit.tables import Level

_CONGESTED_FOR = (0.1, 0.3, 1.0)
"""Seconds between tries: a node counts an association until it has seen its end, our last one as well."""


def unique_keys(node: Node, request: RetrieveRequest) -> Dataset:
    """Return an Identifier with the unique keys of a request's patient and study (PS3.4 C.4.2.1.4)."""
    identifier = Dataset()
    if node.information_model is not InformationModel.STUDY_ROOT:
        add_key(identifier, "PatientID", request.patient_id)
    add_key(identifier, "StudyInstanceUID", request.StudyInstanceUID)
    return identifier


def identifiers(
    node: Node, active: ActiveItem, *, by_uid: bool = False, part: Collection[str] = ()
) -> Iterator[Dataset]:
    """Yield the Identifiers that ask for what is missing: as a whole, by series, or by image.

    Parameters
    ----------
    by_uid
        Ask for each image alone, at a node that refuses lists of UIDs.
    part
        Keys of some missing objects; then only these are asked for.
    """
    request = active.item.request
    if active.wants_all and not part:
        identifier = unique_keys(node, request)
        identifier.QueryRetrieveLevel = request.level.value
        if request.level is Level.SERIES:
            add_key(identifier, "SeriesInstanceUID", request.SeriesInstanceUID)
        yield identifier
        return
    again = active.short_series if active.lacking and not part else ()
    missing: dict[str, list[str]] = {}
    for key in part or active.missing:
        missing.setdefault(active.objects.series(key), []).append(uid_of(key))
    for series_instance_uid, uids in missing.items():
        if series_instance_uid in again:
            continue
        for some in in_parts(uids, 1) if by_uid else in_parts(uids):
            identifier = unique_keys(node, request)
            identifier.QueryRetrieveLevel = Level.IMAGE.value
            add_key(identifier, "SeriesInstanceUID", series_instance_uid)
            add_key(identifier, "SOPInstanceUID", "\\".join(some))
            yield identifier
    for series_instance_uid in again:
        identifier = unique_keys(node, request)
        identifier.QueryRetrieveLevel = Level.SERIES.value
        add_key(identifier, "SeriesInstanceUID", series_instance_uid)
        yield identifier


def tries(node: Node, method: Method) -> tuple[Method, Method]:
    """Return the method of the first try and that of the second.

    >>> from dataclasses import replace
    >>> node = Node(name="pacs", host="10.1.2.3", ae_title="PACS")
    >>> [method.value for method in tries(node, Method.AUTO)], [method.value for method in tries(node, Method.MOVE)]
    (['get', 'move'], ['move', 'move'])
    >>> [method.value for method in tries(replace(node, can_get=False), Method.AUTO)]
    ['move', 'move']
    """
    if method is not Method.AUTO:
        return method, method
    able = [each for each, can in ((Method.GET, node.can_get), (Method.MOVE, node.can_move)) if can]
    if not able:
        raise errors.InputError(
            f"Node {node.name} supports neither C-GET nor C-MOVE.", advice="Change the node if that is wrong."
        )
    if node.method in able:
        able.sort(key=lambda each: each is not node.method)
    return able[0], able[-1]


def is_of_method(error: errors.QrkitError, method: Method) -> bool:
    """Whether the node, or we, cannot do a method at all, so that the other one may bring the objects.

    >>> is_of_method(errors.NoContextAccepted(""), Method.GET), is_of_method(errors.PortInUse(""), Method.MOVE)
    (True, True)
    >>> unknown = errors.StatusError("", status=0xA801)
    >>> is_of_method(unknown, Method.MOVE), is_of_method(unknown, Method.GET)
    (True, False)
    """
    if isinstance(error, errors.StatusError):
        is_unknown = method is Method.MOVE and error.status == MOVE_DESTINATION_UNKNOWN
        return is_unknown or error.status in (SOP_CLASS_NOT_SUPPORTED, UNRECOGNISED_OPERATION)
    return isinstance(error, (errors.NoContextAccepted, errors.PortInUse))


def associate_patiently(
    node: Node, proposals: Sequence[Proposal], *, calling_ae_title: str, stop: Stop
) -> Association:
    """Associate, unless `stop` wants the end before the node has answered; ask again where it is congested."""
    for pause in _CONGESTED_FOR:
        with suppress(errors.Congested):
            return associate(node, proposals, calling_ae_title=calling_ae_title, stop=stop)
        stop.wait(pause)
    return associate(node, proposals, calling_ae_title=calling_ae_title, stop=stop)


def is_out_of_reach(error: errors.NodeError) -> bool:
    """Return whether the node accepts no association at all, so that the next item would fail too."""
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


def is_worth_another_try(error: errors.QrkitError | None) -> bool:
    """Return whether the error of a try may have gone by now; a try without an error left something out, too."""
    return error is None or error.transient
