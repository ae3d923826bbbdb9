"""The query of a dose plan: groups, options and the query for its studies, and the Modality codes to ask for.

A PACS may honour ModalitiesInStudy, ignore it, or not return it. `ask_codes` does no I/O: it yields a code, and is
sent the result of a STUDY query with this code.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from qrkit.advice import Action, Advice
from qrkit.dose.groups import GROUPS, SR
from qrkit.errors import InputError
from qrkit.profile import Verdict
from qrkit.query import ARGUMENTS, Query, build_query, check_names, is_given, terms
from qrkit.words import one_line

ModalitiesByStudy = Mapping[str, frozenset[str]]
"""ModalitiesInStudy by StudyInstanceUID; empty if it is not returned."""

OPTIONS = ("toshiba", "empty_sr")
"""Optional rules, which are off by default."""

_NOT_OF_A_PLAN = ("level", "modalities", "series_uid", "sop_uid", "return_keys")
SWITCHES = ("sr_only", *OPTIONS, "refetch", "whole_archive")
PLAN_ARGUMENTS = ("dose", *SWITCHES, *ARGUMENTS)
"""The arguments of `build_dose_query`, besides `today` and DICOM keywords."""


def codes_of(groups: Sequence[str], *, sr_only: bool) -> tuple[str, ...]:
    """Return the codes to ask for, in their order.

    >>> codes_of(("DX", "CT"), sr_only=False)
    ('CT', 'DX', 'CR', 'PX', 'DR', 'IO', 'RG')
    """
    return (SR,) if sr_only else tuple(code for group in GROUPS if group in groups for code in GROUPS[group])


ANY_CODE = ""
"""Asks for the studies of all codes, to find out a node that matches none of them."""


def ask_codes(
    codes: Sequence[str], known: Verdict = Verdict.UNKNOWN, *, may_ask_all: bool = False
) -> Generator[str, ModalitiesByStudy, Verdict]:
    """Yield each code to ask for, and return how the node treats the key.

    A node that ignores the key returns the same studies for every code, so one code is enough. One result never
    proves that, since any archive may have an odd or blank row. If the first result with studies looks like it, the
    next result decides: the same studies again.

    A node without ModalitiesInStudy may return nothing for any code, such as one that matches Modality at STUDY
    level. If there are no studies at all and `may_ask_all`, `ANY_CODE` decides: HONOURED if its studies have other
    modalities.

    The node's profile may know that in advance.
    """
    has_found, known = yield from _ask_each(codes, known)
    if has_found or not may_ask_all or known is not Verdict.UNKNOWN:
        return known
    every = yield ANY_CODE
    is_ignored = any(not modalities or not modalities.isdisjoint(codes) for modalities in every.values())
    return Verdict.IGNORED if is_ignored else Verdict.HONOURED


def _ask_each(codes: Sequence[str], known: Verdict) -> Generator[str, ModalitiesByStudy, tuple[bool, Verdict]]:
    """Yield the codes, and return whether there were studies and how the node treats the key."""
    suspected: ModalitiesByStudy | None = None
    has_found = False
    for code in codes:
        found = yield code
        has_found = has_found or bool(found)
        if known is Verdict.HONOURED:
            continue
        if known is Verdict.IGNORED:
            break
        if suspected is not None:
            known = Verdict.IGNORED if found.keys() == suspected.keys() else Verdict.HONOURED
            if known is Verdict.IGNORED:
                break
        elif found:
            suspected = found if _looks_ignored(found, code) else None
            known = known if suspected is not None else Verdict.HONOURED
    return has_found, known


def _looks_ignored(found: ModalitiesByStudy, code: str) -> bool:
    """Return whether a study has none of the equivalent codes, or no study has modalities.

    The codes of one group are equivalent: a CR study in the result for DX shows that the key is honoured.
    """
    synonyms = next((set(group) for group in GROUPS.values() if code in group), {code})
    known = [modalities for modalities in found.values() if modalities]
    return not known or any(synonyms.isdisjoint(modalities) for modalities in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseQuery:
    """The request for a plan."""

    groups: tuple[str, ...] = ()  # any of CT, MG, FL, DX, NM; none with `sr_only`
    sr_only: bool = False  # only studies that contain nothing but structured reports
    toshiba: bool = False  # retrieve one image per series of a CT study without any other dose object
    empty_sr: bool = False  # retrieve SR series in which the node lists no objects
    refetch: bool = False  # retrieve stored objects again
    query: Query  # the studies: dates, matching keys, filters of descriptions and stations

    @property
    def options(self) -> frozenset[str]:
        """The optional rules that are on."""
        return frozenset(name for name in OPTIONS if getattr(self, name))

    @property
    def codes(self) -> tuple[str, ...]:
        """The Modality codes to ask for, in their order."""
        return codes_of(self.groups, sr_only=self.sr_only)

    def to_json(self) -> dict[str, Any]:
        """Return the request as plain values."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "query"}
        return values | {"groups": list(self.groups), "query": self.query.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DoseQuery:
        """Return the request that `to_json` wrote; raise `InputError` if the values are not valid."""
        try:
            return cls(**{**values, "groups": tuple(values["groups"]), "query": Query.from_json(values["query"])})
        except (TypeError, KeyError) as error:
            raise InputError(f"The stored plan cannot be read: {error}.") from error


def build_dose_query(*, today: date, dose: object = (), whole_archive: bool = False, **given: object) -> DoseQuery:
    """Return the request from user input; None counts as not given.

    The arguments are `PLAN_ARGUMENTS`: `dose`, which is a list or one text with commas, `whole_archive` to allow a
    plan without a date range, the other switches, and the study arguments of `qrkit.query.build_query`. Raise
    `InputError` if an argument is unknown or not valid, or the date is missing.

    >>> asked = build_dose_query(today=date(2026, 2, 1), dose="mg, ct", date="2026-01-05", toshiba=True)
    >>> asked.groups, asked.codes, sorted(asked.options)
    (('CT', 'MG'), ('CT', 'MG'), ['toshiba'])
    >>> build_dose_query(today=date(2026, 2, 1), dose="CT")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    qrkit.errors.InputError: A plan without a date range covers the whole archive. Add a date, or allow that: ...
    """
    switches = {name: bool(given.pop(name, False)) for name in ("sr_only", *OPTIONS, "refetch")}
    wrong = next((name for name in _NOT_OF_A_PLAN if is_given(given.get(name))), None)
    if wrong is not None:
        raise InputError(f"{wrong} is not an argument of a plan.", advice="Select studies by dose group.")
    check_names(given, PLAN_ARGUMENTS)
    groups = _groups(dose, sr_only=switches["sr_only"])
    if given.get("station_level") is None:
        given["station_level"] = "series"
    query = build_query(today=today, **given)
    if not query.is_narrow and not whole_archive:
        raise InputError(
            "A plan without a date range covers the whole archive.",
            advice=Advice("Add a date, or allow that", Action.ALLOW_WHOLE_ARCHIVE),
        )
    return DoseQuery(groups=groups, query=query, **switches)


def _groups(dose: object, *, sr_only: bool) -> tuple[str, ...]:
    named = {term.upper() for term in terms(() if dose is None else dose, "dose")}
    unknown = sorted(named - set(GROUPS))
    if unknown:
        raise InputError(
            f"There is no dose group {one_line(', '.join(unknown))}.", advice=f"Use {', '.join(GROUPS)}."
        )
    if named and sr_only:
        raise InputError("A plan cannot have both dose groups and SR only.", advice="Make two plans.")
    if not named and not sr_only:
        raise InputError(
            "The plan has no dose group.",
            advice=Advice(f"Give some of {', '.join(GROUPS)}, or select SR only", Action.SELECT_REPORTS),
        )
    return tuple(group for group in GROUPS if group in named)
