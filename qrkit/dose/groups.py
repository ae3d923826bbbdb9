"""Dose groups, as data: their Modality codes, and the SOP Classes of their dose objects."""

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
        "DX": ("DX", "CR", "PX", "DR", "IO", "RG"),
        "NM": ("NM", "PT"),
    }
)
"""The Modality codes of each group, in the order of their queries."""

PRECEDENCE = ("MG", "DX", "FL", "CT", "NM")
"""A study that fits several groups is judged in each of them, in this order."""

X_RAY_GROUPS = ("MG", "DX", "FL", "CT")
"""The groups whose dose is in an X-Ray Radiation Dose SR."""

SR_GROUP = "SR"
"""The group of studies that contain only structured reports."""

SR = "SR"
MAY_BE_REPORTS = frozenset({SR, "OT", "DOC", ""})
"""Modalities with which nodes return series of reports."""

BESIDE_SR = frozenset({"KO", "PR"})
"""Modalities that a study of only SR may contain: they refer to objects and contain none."""

ANYTHING = frozenset({"OT", "DOC"})
"""Codes of Modality of series that may contain anything, reports too."""

NO_IMAGES = frozenset({SR, *BESIDE_SR})
"""Modalities of series without images."""

RDSR, ESR, RRDSR, PET, NM, CAPTURE = "RDSR", "ESR", "RRDSR", "PET", "NM", "SC"
UNKNOWN_SR = "unknown-SR"
"""An SR series of unknown type, because the node lists none of its objects."""

UNKNOWN_CLASS = "unknown class"
"""An SR series of unknown type, because the node returns no SOP Class of its objects."""

DOSE_CLASSES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        RDSR: frozenset(
            {uids.XRAY_RADIATION_DOSE_SR, uids.ENHANCED_XRAY_RADIATION_DOSE_SR, uids.PATIENT_RADIATION_DOSE_SR}
        ),
        ESR: frozenset({uids.ENHANCED_SR}),
        RRDSR: frozenset({uids.RADIOPHARMACEUTICAL_RADIATION_DOSE_SR}),
        PET: frozenset({uids.PET_IMAGE, uids.ENHANCED_PET_IMAGE, uids.LEGACY_CONVERTED_ENHANCED_PET_IMAGE}),
        NM: frozenset({uids.NUCLEAR_MEDICINE_IMAGE}),
        CAPTURE: frozenset({uids.SECONDARY_CAPTURE_IMAGE, *uids.MULTI_FRAME_SECONDARY_CAPTURE_IMAGES}),
    }
)
"""The SOP Classes of each type of dose object; a site may add more."""

SR_KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "MG": (RDSR,),
        "DX": (RDSR,),
        "FL": (RDSR, ESR),
        "CT": (RDSR, ESR),
        "NM": (RRDSR,),
        SR_GROUP: (RDSR, ESR, RRDSR),
    }
)
"""The types of structured reports of each group, the preferred one first."""


def dose_class_uids(classes: Mapping[str, Collection[str]]) -> str:
    r"""Return the SOP Classes of structured dose reports as one matching value.

    >>> dose_class_uids({**DOSE_CLASSES, RDSR: {"1.9"}, ESR: {"1.10"}, RRDSR: {"1.9"}})
    '1.10\\1.9'
    """
    kinds = {kind for kinds in SR_KINDS.values() for kind in kinds}
    return "\\".join(sorted({uid for kind in kinds for uid in classes[kind]}))


def group_of(modalities: Collection[str], requested: Collection[str]) -> str:
    """Return the first requested group of a study; empty if the study has none of their codes.

    Codes are compared as set members: OCT is not CT.

    >>> group_of({"CT", "PT", "SR"}, ("CT", "NM")), group_of({"OCT"}, ("CT",)), group_of({"PX"}, ("CT", "DX"))
    ('CT', '', 'DX')
    """
    fitting = (group for group in PRECEDENCE if group in requested and not _disjoint(group, modalities))
    return next(fitting, "")


@lru_cache(maxsize=10_000)
def groups_of(modalities: frozenset[str], requested: tuple[str, ...]) -> tuple[str, ...]:
    """Return all requested groups of a study; each makes one item of the plan.

    >>> groups_of(frozenset({"CT", "PT", "SR"}), ("CT", "NM")), groups_of(frozenset({"CT", "DX", "MG"}), ("CT", "MG"))
    (('CT', 'NM'), ('MG', 'CT'))
    >>> groups_of(frozenset({"MR"}), ("CT", "NM"))
    ()
    """
    return tuple(group for group in PRECEDENCE if group in requested and not _disjoint(group, modalities))


def belongs(modality: str, group: str, groups: Collection[str]) -> bool:
    """Return whether a series belongs to the item of a group, if a study is judged in several `groups`.

    Reports and what may contain some belong to all items, and what belongs to no group to those of X-rays.

    >>> [belongs(modality, "CT", ("DX", "CT")) for modality in ("CT", "DX", "SR", "US")]
    [True, False, True, True]
    >>> [belongs(modality, "NM", ("CT", "NM")) for modality in ("CT", "PT", "SR", "US")]
    [False, True, True, False]
    """
    if modality in GROUPS[group]:
        return True
    if any(modality in GROUPS[other] for other in groups):
        return False
    return group in X_RAY_GROUPS or modality in MAY_BE_REPORTS


@lru_cache(maxsize=10_000)
def has_other_x_rays(modalities: frozenset[str], group: str) -> bool:
    """Return whether a study has X-rays of another group, so that its report may be of that one.

    >>> has_other_x_rays(frozenset({"DX", "CR", "SR"}), "DX"), has_other_x_rays(frozenset({"MG", "CT"}), "MG")
    (False, True)
    """
    return any(other != group and not _disjoint(other, modalities) for other in X_RAY_GROUPS)


def _disjoint(group: str, modalities: Collection[str]) -> bool:
    return not any(code in modalities for code in GROUPS[group])
