"""What a retrieve should bring: the SOP Instances behind a request, listed by C-FIND before anything is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from qrkit.dimse.association import Association
from qrkit.dimse.find import find
from qrkit.jobs import RetrieveRequest
from qrkit.node import InformationModel, Node
from qrkit.stop import rest
from qrkit.uids import is_valid_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedObject:
    """One SOP Instance that a node says it has; the SOP Class UID is empty where it does not say."""

    SeriesInstanceUID: str
    SOPInstanceUID: str
    SOPClassUID: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a node says it has.

    Attributes
    ----------
    silent_series
        How many series it names without any object in them, or without a UID to ask by.
    """

    objects: tuple[ExpectedObject, ...] = ()
    silent_series: int = 0


def list_objects(
    association: Association, node: Node, request: RetrieveRequest, *, should_stop: Callable[[], bool]
) -> Listing:
    """List the objects of a study, series or images at a node, one IMAGE query per series.

    Raises
    ------
    StatusError
        If the node refuses.
    NodeError
        If the association breaks.
    Cancelled
        If `should_stop` said so.
    """
    asker = _Asker(association, node, request, should_stop)
    if request.level == "STUDY":
        named = [row["SeriesInstanceUID"] or "" for row in asker.rows("SERIES", {}, ("SeriesInstanceUID",))]
    else:
        named = [request.SeriesInstanceUID]
    by_series = {uid: tuple(asker.objects(uid)) if uid else () for uid in named}
    objects = {item.SOPInstanceUID: item for items in by_series.values() for item in items}
    if request.level == "IMAGE":
        return Listing(objects=tuple(_wanted(objects, request)))
    silent = sum(1 for items in by_series.values() if not items)
    return Listing(objects=tuple(objects.values()), silent_series=silent)


class _Asker:
    def __init__(
        self, association: Association, node: Node, request: RetrieveRequest, should_stop: Callable[[], bool]
    ) -> None:
        self._association = association
        self._node = node
        self._request = request
        self._should_stop = should_stop

    def objects(self, series_instance_uid: str) -> Iterator[ExpectedObject]:
        keys = {"SeriesInstanceUID": series_instance_uid}
        for row in self.rows("IMAGE", keys, ("SOPInstanceUID", "SOPClassUID")):
            if row["SOPInstanceUID"] and is_valid_uid(row["SOPInstanceUID"]):
                yield ExpectedObject(
                    SeriesInstanceUID=series_instance_uid,
                    SOPInstanceUID=row["SOPInstanceUID"],
                    SOPClassUID=row["SOPClassUID"] or "",
                )

    def rows(self, level: str, keys: Mapping[str, str], wanted: Sequence[str]) -> list[dict[str, Any]]:
        identifier = unique_keys(self._node, self._request)
        identifier.QueryRetrieveLevel = level
        for keyword in wanted:
            setattr(identifier, keyword, "")
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        rest(self._node.pause, self._should_stop)
        answers = find(self._association, identifier, wanted, node=self._node, should_stop=self._should_stop)
        return [row for batch in answers for row in batch.to_pylist()]


def unique_keys(node: Node, request: RetrieveRequest) -> Dataset:
    """Return an Identifier with the unique keys of a request's patient and study (PS3.4 C.4.2.1.4)."""
    identifier = Dataset()
    if node.information_model is not InformationModel.STUDY_ROOT:
        identifier.PatientID = request.patient_id
    identifier.StudyInstanceUID = request.StudyInstanceUID
    return identifier


def _wanted(objects: Mapping[str, ExpectedObject], request: RetrieveRequest) -> Iterator[ExpectedObject]:
    for uid in request.sop_instance_uids:
        unlisted = ExpectedObject(SeriesInstanceUID=request.SeriesInstanceUID, SOPInstanceUID=uid)
        yield objects.get(uid, unlisted)
