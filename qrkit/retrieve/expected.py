"""The objects that an item expects by name: the keys by which they are counted, and the series of each.

The key of an object is its SOP Instance UID. PACS exist that hold one SOP Instance UID in several series of a study;
these are several objects, and the key of each has its SeriesInstanceUID as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from qrkit.find.object_list import ListedObject
from qrkit.find.parents import canonical

_IN = " in "


def uid_of(key: str) -> str:
    """Return the SOP Instance UID of a key.

    >>> uid_of("1.2.3"), uid_of("1.2.3 in 1.9")
    ('1.2.3', '1.2.3')
    """
    return key.partition(_IN)[0]


class ExpectedObjects:
    """The objects that a node lists, by key; `series` is the series of the others.

    >>> listed = [ListedObject(SeriesInstanceUID=series, SOPInstanceUID="1.1") for series in ("2.1", "2.2")]
    >>> expected = ExpectedObjects(listed)
    >>> sorted(expected.keys(["1.1", "1.2"])), expected.key("1.1", "2.02")
    (['1.1 in 2.1', '1.1 in 2.2', '1.2'], '1.1 in 2.2')
    """

    def __init__(self, listed: Sequence[ListedObject] = (), series: str = "") -> None:
        by_uid: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for item in listed:
            by_uid[item.SOPInstanceUID].setdefault(canonical(item.SeriesInstanceUID), item.SeriesInstanceUID)
        self._default = series
        self._several = {
            uid: {place: f"{uid}{_IN}{name}" for place, name in names.items()}
            for uid, names in by_uid.items()
            if len(names) > 1
        }
        self._series = {
            self._several.get(uid, {}).get(place, uid): name
            for uid, names in by_uid.items()
            for place, name in names.items()
        }

    def keys(self, uids: Iterable[str]) -> frozenset[str]:
        """Return the keys of all that is listed, and of some more SOP Instances."""
        return frozenset(self._series).union(uid for uid in uids if uid not in self._several)

    def keys_of(self, sop_instance_uid: str) -> tuple[str, ...]:
        """Return the keys of the objects with one SOP Instance UID, whether they are listed or not."""
        return tuple(self._several.get(sop_instance_uid, {}).values()) or (sop_instance_uid,)

    def key(self, sop_instance_uid: str, series_instance_uid: str) -> str:
        """Return the key of an object of some series."""
        several = self._several.get(sop_instance_uid)
        return several.get(canonical(series_instance_uid), sop_instance_uid) if several else sop_instance_uid

    def series(self, key: str) -> str:
        """Return the SeriesInstanceUID of an object, as listed, or else that of the request."""
        return self._series.get(key, self._default)
