"""Which Modality codes and SOP Classes carry dose: groups and kinds, as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from types import MappingProxyType

from qrkit import uids

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CT": ("CT",),
        "MG": ("MG",),
        "FL": ("RF", "XA"),
        "DX": ("DX", "CR", "PX"),
        "NM": ("NM", "PT"),
    }
)
"""The Modality codes of each group, in the order in which they are asked for."""

PRECEDENCE = ("MG", "DX", "FL", "CT", "NM")
"""The first of these is the group of a study that fits several."""

SR_GROUP = "SR"
"""The group of studies that hold nothing but structured reports."""

SR = "SR"
BESIDE_SR = frozenset({"KO", "PR"})
"""Modalities that do not count against a study of nothing but SR: they refer to objects, and hold none themselves."""

NO_IMAGES = frozenset({SR, *BESIDE_SR})
"""Modalities of series without images."""

RDSR, ESR, RRDSR, PET, NM, CAPTURE = "RDSR", "ESR", "RRDSR", "PET", "NM", "SC"
UNKNOWN_SR = "unknown-SR"
"""An SR series in which the node lists no objects, so that nobody knows what it is."""

DOSE_CLASSES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        RDSR: frozenset(
            {uids.XRAY_RADIATION_DOSE_SR, uids.ENHANCED_XRAY_RADIATION_DOSE_SR, uids.PATIENT_RADIATION_DOSE_SR}
        ),
        ESR: frozenset({uids.ENHANCED_SR}),
        RRDSR: frozenset({uids.RADIOPHARMACEUTICAL_RADIATION_DOSE_SR}),
        PET: frozenset({uids.PET_IMAGE}),
        NM: frozenset({uids.NUCLEAR_MEDICINE_IMAGE}),
        CAPTURE: frozenset({uids.SECONDARY_CAPTURE_IMAGE}),
    }
)
"""The SOP Classes of each kind of dose object; a site may add to them."""

SR_KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "MG": (RDSR,),
        "DX": (RDSR,),
        "FL": (RDSR, ESR),
        "CT": (RDSR, ESR),
        "NM": (RRDSR,),
        SR_GROUP: (RDSR, ESR),
    }
)
"""Which kinds of structured reports count in each group, the winning one first."""


def dose_class_uids(classes: Mapping[str, Collection[str]]) -> str:
    r"""Return the SOP Classes of structured reports that carry dose, as a list in a matching value has them.

    >>> dose_class_uids({**DOSE_CLASSES, RDSR: {"1.9"}, ESR: {"1.10"}, RRDSR: {"1.9"}})
    '1.10\\1.9'
    """
    kinds = {kind for kinds in SR_KINDS.values() for kind in kinds}
    return "\\".join(sorted({uid for kind in kinds for uid in classes[kind]}))


def group_of(modalities: Collection[str], requested: Collection[str]) -> str:
    """Return the requested group that a study belongs to; empty if it has none of their codes.

    Codes are compared as set members: OCT is not CT.

    >>> group_of({"CT", "PT", "SR"}, ("CT", "NM")), group_of({"OCT"}, ("CT",)), group_of({"PX"}, ("CT", "DX"))
    ('CT', '', 'DX')
    """
    fitting = (one for one in PRECEDENCE if one in requested and not _disjoint(one, modalities))
    return next(fitting, "")


@lru_cache(maxsize=10_000)
def groups_of(modalities: frozenset[str], requested: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups that a study is judged under: one, or CT and NM for a PET/CT or SPECT/CT.

    >>> groups_of(frozenset({"CT", "PT", "SR"}), ("CT", "NM")), groups_of(frozenset({"CT", "PT"}), ("CT", "MG"))
    (('CT', 'NM'), ('CT',))
    >>> groups_of(frozenset({"MR"}), ("CT", "NM"))
    ()
    """
    first = group_of(modalities, requested)
    if first == "CT" and "NM" in requested and not _disjoint("NM", modalities):
        return ("CT", "NM")
    return (first,) if first else ()


def _disjoint(group: str, modalities: Collection[str]) -> bool:
    return not any(code in modalities for code in GROUPS[group])
