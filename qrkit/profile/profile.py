"""A profile as a value: what a node was seen to do, when, and by what evidence.

A profile is never trusted without evidence: what was not seen is unknown, and of a stale profile everything is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.profile.card import card_html
from qrkit.profile.subjects import MATCHING_KEYS, Extension, Fill, Subject, Verdict
from qrkit.query import Reliance
from qrkit.tables import Level, belongs_to

NO_EVIDENCE = "nothing was seen that tells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A verdict on one subject.

    Attributes
    ----------
    evidence
        One sentence with numbers, without names, patient IDs or other values of patients.
    """

    subject: Subject
    verdict: Verdict = Verdict.UNKNOWN
    evidence: str = NO_EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What comes back for one return key at one level."""

    level: Level
    keyword: str
    fill: Fill = Fill.UNKNOWN
    evidence: str = NO_EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a query has shown of a node by the way.

    Attributes
    ----------
    most_answers
        The most answers that one request got, which was proven whole.
    """

    statements: tuple[Statement, ...] = ()
    most_answers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a node does, as far as a probe has seen it, and since then the answers to queries.

    Attributes
    ----------
    node
        Its name.
    probed
        When, in UTC, ISO 8601; empty: never.
    seen
        When a query has last added to it, likewise.
    requests
        How many C-FIND requests the probe took.
    model
        The information model that was asked under; None: no query was asked.
    models
        Information models that it accepts for C-FIND.
    services
        Those of C-ECHO, C-GET and C-MOVE that it accepts, the latter two under `model`.
    extensions
        What it accepts of SOP Class Extended Negotiation for C-FIND.
    negotiation
        The evidence for these four.
    statements, returned
        Verdicts, and what comes back; what is not among them is unknown.
    cap
        The number of answers at which it probably stops; None: no cap was seen.
    most_answers
        The most answers that one request got, which no cap has cut off; a larger answer is not proven.
    cap_evidence
        The evidence for these two.
    character_sets
        SpecificCharacterSet as answers name it; an empty text stands for answers that name none.
    notes
        What else people should know, such as why the probe ended early.
    stale
        Why it no longer holds; empty: it holds.
    """

    node: str
    probed: str = ""
    seen: str = ""
    requests: int = 0
    model: InformationModel | None = None
    models: tuple[InformationModel, ...] = ()
    services: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    negotiation: str = NO_EVIDENCE
    statements: tuple[Statement, ...] = ()
    returned: tuple[Returned, ...] = ()
    cap: int | None = None
    most_answers: int = 0
    cap_evidence: str = NO_EVIDENCE
    character_sets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stale: str = ""

    @classmethod
    def unknown(cls, node: str) -> Profile:
        """Return the profile of a node that was never probed.

        >>> Profile.unknown("pacs").honours("StudyDate"), Profile.unknown("pacs").cap
        (False, None)
        """
        return cls(node=node)

    @property
    def is_known(self) -> bool:
        """Whether anything was seen of the node, and the profile still holds."""
        return bool(self.probed or self.seen) and not self.stale

    def learnt(self, evidence: Evidence, *, now: str) -> Profile:
        """Return the profile with what a query has shown.

        >>> refused = Statement(subject=Subject.UID_LISTS, verdict=Verdict.REFUSED, evidence="0xA900")
        >>> shown = Evidence(statements=(refused,), most_answers=137)
        >>> profile = Profile.unknown("pacs").learnt(shown, now="2026-01-31T08:00:00+00:00")
        >>> profile.verdict("uid_lists").value, profile.most_answers, profile.verdict("StudyDate").value
        ('refused', 137, 'unknown')
        """
        shown = {one.subject for one in evidence.statements}
        is_more = evidence.most_answers > self.most_answers
        most = f"no cap was seen: a query got {evidence.most_answers} answers, and in smaller parts no more"
        return replace(
            self,
            seen=now,
            statements=(*(one for one in self.statements if one.subject not in shown), *evidence.statements),
            most_answers=evidence.most_answers if is_more else self.most_answers,
            cap_evidence=most if is_more else self.cap_evidence,
        )

    def is_told_by(self, evidence: Evidence) -> bool:
        """Whether a query has shown nothing that the profile does not say already."""
        return evidence.most_answers <= self.most_answers and all(
            self.statement(one.subject).verdict is one.verdict for one in evidence.statements
        )

    def statement(self, subject: Subject | str) -> Statement:
        """Return what the profile says on a subject, even if it is stale.

        Raises
        ------
        InputError
            If there is no such subject.
        """
        wanted = _subject(subject)
        return next((one for one in self.statements if one.subject is wanted), Statement(subject=wanted))

    def verdict(self, subject: Subject | str) -> Verdict:
        """Return the verdict on a subject; of a stale profile it is unknown.

        >>> Profile.unknown("pacs").verdict("wildcards")
        <Verdict.UNKNOWN: 'unknown'>
        """
        said = self.statement(subject).verdict
        return said if self.is_known else Verdict.UNKNOWN

    def honours(self, subject: Subject | str) -> bool:
        """Whether there is evidence that a key or a way of asking works as PS3.4 says.

        >>> seen = Statement(subject=Subject.WILDCARDS, verdict=Verdict.HONOURED, evidence="CT* found 3 of 3")
        >>> profile = Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", statements=(seen,))
        >>> profile.honours("wildcards"), profile.honours("case")
        (True, False)
        """
        return self.verdict(subject) is Verdict.HONOURED

    @property
    def reliance(self) -> Reliance:
        """How far the node may be relied on to match keys.

        >>> seen = Statement(subject=Subject.STUDY_TIME, verdict=Verdict.IGNORED, evidence="04-05 found 9 of 9")
        >>> profile = Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", statements=(seen,))
        >>> sorted(profile.reliance.unmatched)
        ['StudyTime']
        """
        verdicts = {one.value: self.verdict(one) for one in MATCHING_KEYS}
        return Reliance(
            honoured=frozenset(key for key, said in verdicts.items() if said is Verdict.HONOURED),
            unmatched=frozenset(key for key, said in verdicts.items() if said.is_against),
            lists=frozenset({Level.SERIES, Level.IMAGE} if self.honours(Subject.SERIES_OF_STUDIES) else ()),
        )

    @property
    def lists_sr_series(self) -> bool:
        """True if few requests give the SR series of many studies."""
        by_list = self.honours(Subject.SERIES_OF_STUDIES) and self.honours(Subject.MODALITY)
        return by_list or self.honours(Subject.SERIES_BY_DATE_AND_MODALITY)

    @property
    def most_rows(self) -> int:
        """The most rows that one request is known to get uncut; 0: nothing is known.

        >>> Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", cap=500, most_answers=80).most_rows
        499
        """
        return max(self.most_answers, (self.cap or 1) - 1) if self.is_known else 0

    def returns(self, keyword: str, level: Level | None = None) -> Returned:
        """Return what comes back for a key, even if the profile is stale.

        Parameters
        ----------
        level
            Of the query; without it the highest level at which the key can be asked.
        """
        where = level or next(iter(belongs_to(keyword)), Level.STUDY)
        known = (one for one in self.returned if one.keyword == keyword and one.level is where)
        return next(known, Returned(level=where, keyword=keyword))

    def fills(self, keyword: str, level: Level | None = None) -> bool:
        """Whether every answer that was seen had a value for this key; level as in `returns`.

        >>> Profile.unknown("pacs").fills("SOPClassesInStudy")
        False
        """
        return self.is_known and self.returns(keyword, level).fill is Fill.FILLED

    def accepts(self, extension: Extension) -> bool:
        """Whether it accepted an extension of C-FIND when the association was made."""
        return self.is_known and extension in self.extensions

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values; every subject is there, as `unknown` where nothing is known."""
        return {
            "node": self.node,
            "probed": self.probed,
            "seen": self.seen,
            "requests": self.requests,
            "stale": self.stale,
            "model": self.model.value if self.model else None,
            "models": [model.value for model in self.models],
            "services": list(self.services),
            "extensions": [extension.name.lower() for extension in self.extensions],
            "negotiation": self.negotiation,
            "statements": {
                said.subject.value: {"verdict": said.verdict.value, "evidence": said.evidence}
                for said in map(self.statement, Subject)
            },
            "returned": {
                level.value: {
                    one.keyword: {"fill": one.fill.value, "evidence": one.evidence}
                    for one in self.returned
                    if one.level is level
                }
                for level in (Level.STUDY, Level.SERIES, Level.IMAGE)
            },
            "cap": {"likely": self.cap, "most_answers": self.most_answers, "evidence": self.cap_evidence},
            "character_sets": list(self.character_sets),
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        return card_html(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` wrote; subjects that this version does not know are left out.

        Raises
        ------
        InputError
            If the values are not those of a profile.
        """
        try:
            model = values["model"]
            cap = values["cap"]
            return cls(
                node=values["node"],
                probed=values["probed"],
                seen=values.get("seen", ""),
                requests=values["requests"],
                stale=values["stale"],
                model=InformationModel(model) if model else None,
                models=tuple(InformationModel(one) for one in values["models"]),
                services=tuple(values["services"]),
                extensions=tuple(Extension[name.upper()] for name in values["extensions"]),
                negotiation=values["negotiation"],
                statements=_statements(values["statements"]),
                returned=_returned(values["returned"]),
                cap=cap["likely"],
                most_answers=cap["most_answers"],
                cap_evidence=cap["evidence"],
                character_sets=tuple(values["character_sets"]),
                notes=tuple(values["notes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"The kept profile cannot be read: {error!r}.", advice="Probe the node again."
            ) from error


def _subject(subject: Subject | str) -> Subject:
    try:
        return Subject(subject)
    except ValueError as error:
        known = ", ".join(one.value for one in Subject)
        raise InputError(f"A profile says nothing on {subject!r}; it has {known}.") from error


def _statements(values: Mapping[str, Mapping[str, str]]) -> tuple[Statement, ...]:
    known = {subject.value for subject in Subject}
    return tuple(
        Statement(subject=Subject(name), verdict=Verdict(said["verdict"]), evidence=said["evidence"])
        for name, said in values.items()
        if name in known
    )


def _returned(values: Mapping[str, Mapping[str, Mapping[str, str]]]) -> tuple[Returned, ...]:
    return tuple(
        Returned(level=Level(level), keyword=keyword, fill=Fill(said["fill"]), evidence=said["evidence"])
        for level, keys in values.items()
        for keyword, said in keys.items()
    )
