"""The Identifiers by which an item is asked for: as a whole, or what is missing of it by image."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from qrkit.node import Node
from qrkit.worker.expected import unique_keys
from qrkit.worker.work import Work

UIDS_AT_ONCE = 100
"""SOP Instance UIDs in one IMAGE level request, so that its Identifier stays small."""


def identifiers(node: Node, work: Work) -> Iterator[Dataset]:
    """Give the Identifiers that ask for what is missing: as a whole where nothing is there, else by image."""
    request = work.active.item.request
    if request.level == "IMAGE" or (work.active.stored and work.is_told):
        yield from _by_image(node, work)
        return
    identifier = unique_keys(node, request)
    identifier.QueryRetrieveLevel = request.level
    if request.level == "SERIES":
        identifier.SeriesInstanceUID = request.SeriesInstanceUID
    yield identifier


def _by_image(node: Node, work: Work) -> Iterator[Dataset]:
    request = work.active.item.request
    series_of = {item.SOPInstanceUID: item.SeriesInstanceUID for item in work.objects}
    groups: dict[str, list[str]] = {}
    for uid in work.active.missing:
        groups.setdefault(series_of.get(uid, request.SeriesInstanceUID), []).append(uid)
    for series_instance_uid, uids in groups.items():
        for start in range(0, len(uids), UIDS_AT_ONCE):
            identifier = unique_keys(node, request)
            identifier.QueryRetrieveLevel = "IMAGE"
            identifier.SeriesInstanceUID = series_instance_uid
            identifier.SOPInstanceUID = uids[start : start + UIDS_AT_ONCE]
            yield identifier
