"""What a plan is asked for, as a value: groups and options, and the query for its studies.

Which Modality codes are asked for, when a PACS may honour ModalitiesInStudy, ignore it, or not return it.

`ask_codes` does no I/O: it yields a code, and is sent the whole answer to a STUDY query with it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from qrkit.dose.groups import GROUPS, SR
from qrkit.errors import InputError
from qrkit.profile import Verdict
from qrkit.query import Query, build_query, is_given, is_single_value, terms

ModalitiesByStudy = Mapping[str, frozenset[str]]
"""ModalitiesInStudy by StudyInstanceUID; empty where it is not returned."""


def codes_of(groups: Sequence[str], *, sr_only: bool) -> tuple[str, ...]:
    """Return the codes to be asked for, in their order.

    >>> codes_of(("DX", "CT"), sr_only=False)
    ('CT', 'DX', 'CR', 'PX')
    """
    return (SR,) if sr_only else tuple(code for group in GROUPS if group in groups for code in GROUPS[group])


def ask_codes(codes: Sequence[str], known: Verdict = Verdict.UNKNOWN) -> Generator[str, ModalitiesByStudy, Verdict]:
    """Yield each code to ask for, and return what the node does with the key.

    A node that ignores the key answers every code with the same studies, whatever their modalities, so the remaining
    codes need not be asked. One answer never proves that: an odd or blank row may be in any archive. Where the first
    answer that has studies looks so, the next query tells: the same studies again.

    Parameters
    ----------
    known
        What the node's profile says.
    """
    suspected: ModalitiesByStudy | None = None
    for code in codes:
        found = yield code
        if known is Verdict.HONOURED:
            continue
        if known is Verdict.IGNORED:
            return known
        if suspected is not None:
            if found.keys() == suspected.keys():
                return Verdict.IGNORED
            known = Verdict.HONOURED
        elif found:
            if _looks_ignored(found, code):
                suspected = found
            else:
                known = Verdict.HONOURED
    return known


def _looks_ignored(found: ModalitiesByStudy, code: str) -> bool:
    """Whether some studies have none of the codes that count as this one, or none tells its modalities.

    The codes of one group are synonyms: where DX is asked and CR answered, the key is honoured.
    """
    synonyms = next((set(group) for group in GROUPS.values() if code in group), {code})
    told = [modalities for modalities in found.values() if modalities]
    return not told or any(synonyms.isdisjoint(modalities) for modalities in told)


OPTIONS = ("toshiba", "empty_sr")
"""Rules that are off unless they are asked for."""

_NOT_OF_A_PLAN = ("level", "modalities", "series_uid", "sop_uid", "return_keys")
_NARROW = ("StudyInstanceUID", "AccessionNumber", "PatientID", "StudyDate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseQuery:
    """What a plan is asked for.

    Attributes
    ----------
    groups
        Any of CT, MG, FL, DX, NM; none with `sr_only`.
    sr_only
        Only studies of nothing but structured reports.
    toshiba
        Take one image of each series of a CT study where nothing else tells the dose.
    empty_sr
        Take SR series in which the node lists no objects.
    refetch
        Fetch also what is here already.
    query
        Which studies: dates, matching keys, filters of descriptions and stations.
    """

    groups: tuple[str, ...] = ()
    sr_only: bool = False
    toshiba: bool = False
    empty_sr: bool = False
    refetch: bool = False
    query: Query

    @property
    def options(self) -> frozenset[str]:
        """The rules that are asked for."""
        return frozenset(name for name in OPTIONS if getattr(self, name))

    @property
    def codes(self) -> tuple[str, ...]:
        """The Modality codes to be asked for, in their order."""
        return codes_of(self.groups, sr_only=self.sr_only)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "query"}
        return values | {"groups": list(self.groups), "query": self.query.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DoseQuery:
        """Return what `to_json` wrote.

        Raises
        ------
        InputError
            If the values are not those of a plan.
        """
        try:
            return cls(**{**values, "groups": tuple(values["groups"]), "query": Query.from_json(values["query"])})
        except (TypeError, KeyError) as error:
            raise InputError(f"The kept plan cannot be read: {error}.") from error


def build_dose_query(*, today: date, dose: object = (), whole_archive: bool = False, **given: object) -> DoseQuery:
    """Return what is meant by what people give; None and an empty text are as good as not given.

    Parameters
    ----------
    today
        What ``today`` and an open end mean.
    dose
        Groups, as a list or as one text parted by commas.
    whole_archive
        That no date is given on purpose.
    **given
        ``sr_only``, ``toshiba``, ``empty_sr``, ``refetch``, and what `qrkit.query.build_query` takes of studies.

    Raises
    ------
    InputError
        If something given is unknown or not valid, or there is no date.

    >>> asked = build_dose_query(today=date(2026, 2, 1), dose="mg, ct", date="2026-01-05", toshiba=True)
    >>> asked.groups, asked.codes, sorted(asked.options)
    (('CT', 'MG'), ('CT', 'MG'), ['toshiba'])
    >>> build_dose_query(today=date(2026, 2, 1), dose="CT")
    Traceback (most recent call last):
    qrkit.errors.InputError: Without a date it is the whole archive. Give a date, or whole_archive (--whole-archive).
    """
    switches = {name: bool(given.pop(name, False)) for name in ("sr_only", *OPTIONS, "refetch")}
    wrong = next((name for name in _NOT_OF_A_PLAN if is_given(given.get(name))), None)
    if wrong is not None:
        raise InputError(f"A plan chooses studies, so it takes no {wrong}.", advice="Its modalities are its groups.")
    groups = _groups(dose, sr_only=switches["sr_only"])
    given.setdefault("station_level", "series")
    query = build_query(today=today, **given)
    is_dated = query.dates is not None or any(
        keyword in _NARROW and all(is_single_value(keyword, single) for single in value.split("\\"))
        for keyword, value in query.keys
    )
    if not is_dated and not whole_archive:
        raise InputError(
            "Without a date it is the whole archive.",
            advice="Give a date, or whole_archive (--whole-archive).",
        )
    return DoseQuery(groups=groups, query=query, **switches)


def _groups(dose: object, *, sr_only: bool) -> tuple[str, ...]:
    named = {term.upper() for term in terms(dose or (), "dose")}
    unknown = sorted(named - set(GROUPS))
    if unknown:
        raise InputError(f"There is no group {', '.join(unknown)}; there are {', '.join(GROUPS)}.")
    if named and sr_only:
        raise InputError("A plan is for groups or for studies of SR only, not for both; make two plans.")
    if not named and not sr_only:
        raise InputError(
            f"Say what the plan is for: some of {', '.join(GROUPS)}, or studies of SR only.",
            advice="Give dose (--dose CT,MG) or sr_only (--sr-only).",
        )
    return tuple(group for group in GROUPS if group in named)
