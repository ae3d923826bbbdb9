"""A profile as a value: the supported services and keys of a node, with the time and the evidence.

Everything without evidence is unknown, and everything in a stale profile is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from qrkit.advice import Action, Advice
from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.profile.subjects import (
    LABELS,
    MATCHING_KEYS,
    MATCHING_SUBJECTS,
    NO_EVIDENCE,
    RELATIONAL_SUBJECTS,
    Card,
    CardLine,
    CardSection,
    Evidence,
    Extension,
    Fill,
    NodeHabits,
    Returned,
    Statement,
    Subject,
    Verdict,
    parse_subject,
    returned_from,
    returned_lines,
    statements_from,
)
from qrkit.query import Reliance
from qrkit.tables import Level, belongs_to


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The behaviour of a node, as a probe and later queries show it.

    Attributes
    ----------
    node
        Name of the node.
    probed
        Time of the probe, UTC, ISO 8601; empty: never.
    seen
        Time of the last evidence from a query, in the same form.
    requests
        Number of C-FIND requests in the probe.
    model
        Information model of the probe; None: the probe asked no question.
    models
        Accepted information models for C-FIND.
    services
        Accepted services of C-ECHO, C-GET and C-MOVE, the latter two under `model`.
    extensions
        Accepted parts of SOP Class Extended Negotiation for C-FIND.
    negotiation
        The evidence for these four.
    statements, returned
        The results on subjects, and the returned keys; everything else is unknown.
    cap
        Number of responses at which the node probably stops; None: no cap was seen.
    most_answers
        Largest number of responses to one request without a cap; a larger result is not proven complete.
    cap_evidence
        The evidence for these two.
    one_request
        The evidence that the node answers one request in each association; empty: it was not seen.
    character_sets
        Values of SpecificCharacterSet in responses; an empty text for responses without it.
    notes
        Other remarks, such as why the probe ended early.
    stale
        Why the profile is no longer valid; empty: it is valid.
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
    one_request: str = ""
    character_sets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stale: str = ""

    @classmethod
    def unknown(cls, node: str) -> Profile:
        """Return the profile of a node without a probe.

        >>> Profile.unknown("pacs").honours("StudyDate"), Profile.unknown("pacs").cap
        (False, None)
        """
        return cls(node=node)

    @property
    def is_known(self) -> bool:
        """True if there is evidence on the node, and the profile is valid."""
        return bool(self.probed or self.seen) and not self.stale

    def learnt(self, evidence: Evidence, *, now: str) -> Profile:
        """Return the profile with the evidence of a query.

        >>> refused = Statement(subject=Subject.UID_LISTS, verdict=Verdict.REFUSED, evidence="0xA900")
        >>> shown = Evidence(statements=(refused,), most_answers=137)
        >>> profile = Profile.unknown("pacs").learnt(shown, now="2026-01-31T08:00:00+00:00")
        >>> profile.verdict("uid_lists").value, profile.most_answers, profile.verdict("StudyDate").value
        ('refused', 137, 'unknown')
        """
        shown = {statement.subject for statement in evidence.statements}
        others = (statement for statement in self.statements if statement.subject not in shown)
        keys = {(one.level, one.keyword) for one in evidence.returned}
        returned = (one for one in self.returned if (one.level, one.keyword) not in keys)
        is_more = evidence.most_answers > self.most_answers
        most = f"no cap was seen: a query got {evidence.most_answers} responses, and no more in smaller parts"
        return replace(
            self,
            seen=now,
            statements=(*others, *evidence.statements),
            returned=(*returned, *evidence.returned),
            most_answers=evidence.most_answers if is_more else self.most_answers,
            cap_evidence=most if is_more else self.cap_evidence,
            one_request=evidence.one_request or self.one_request,
        )

    def is_told_by(self, evidence: Evidence) -> bool:
        """Return whether the profile contains the evidence of a query already."""
        is_told = evidence.most_answers <= self.most_answers and (bool(self.one_request) or not evidence.one_request)
        is_told &= all(self.returns(one.keyword, one.level).fill is one.fill for one in evidence.returned)
        return is_told and all(
            self.statement(statement.subject).verdict is statement.verdict for statement in evidence.statements
        )

    def statement(self, subject: Subject | str) -> Statement:
        """Return the result on a subject with its evidence, even if the profile is stale.

        Raises
        ------
        InputError
            If the subject is unknown.
        """
        wanted = parse_subject(subject)
        return next(
            (statement for statement in self.statements if statement.subject is wanted), Statement(subject=wanted)
        )

    def verdict(self, subject: Subject | str) -> Verdict:
        """Return the result on a subject; unknown if the profile is stale.

        >>> Profile.unknown("pacs").verdict("wildcards")
        <Verdict.UNKNOWN: 'unknown'>
        """
        result = self.statement(subject).verdict
        return result if self.is_known else Verdict.UNKNOWN

    def honours(self, subject: Subject | str) -> bool:
        """Return whether there is evidence that a key or a form of query works as PS3.4 requires.

        >>> seen = Statement(subject=Subject.WILDCARDS, verdict=Verdict.HONOURED, evidence="CT* found 3 of 3")
        >>> profile = Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", statements=(seen,))
        >>> profile.honours("wildcards"), profile.honours("case")
        (True, False)
        """
        return self.verdict(subject) is Verdict.HONOURED

    @property
    def reliance(self) -> Reliance:
        """The matching keys that the node honours, and those that it does not match.

        >>> seen = Statement(subject=Subject.STUDY_TIME, verdict=Verdict.IGNORED, evidence="04-05 found 9 of 9")
        >>> profile = Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", statements=(seen,))
        >>> sorted(profile.reliance.unmatched)
        ['StudyTime']
        """
        results = {key.value: self.verdict(key) for key in MATCHING_KEYS}
        return Reliance(
            honoured=frozenset(key for key, result in results.items() if result is Verdict.HONOURED),
            unmatched=frozenset(key for key, result in results.items() if result.is_against),
            lists=frozenset({Level.SERIES, Level.IMAGE} if self.honours(Subject.SERIES_OF_STUDIES) else ()),
        )

    @property
    def habits(self) -> NodeHabits:
        """The habits of the node that an association depends on; relational queries are not among them."""
        return NodeHabits(one_request=self.is_known and bool(self.one_request))

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
        """Return the returned values of a key, even if the profile is stale.

        Parameters
        ----------
        level
            Level of the query; without it the highest level of the key.
        """
        where = level or next(iter(belongs_to(keyword)), Level.STUDY)
        known = (returned for returned in self.returned if returned.keyword == keyword and returned.level is where)
        return next(known, Returned(level=where, keyword=keyword))

    def fills(self, keyword: str, level: Level | None = None) -> bool:
        """Return whether all responses had a value for a key; level as in `returns`.

        >>> Profile.unknown("pacs").fills("SOPClassesInStudy")
        False
        """
        return self.is_known and self.returns(keyword, level).fill is Fill.FILLED

    @property
    def refused_keys(self) -> dict[Level, dict[str, str]]:
        """The return keys that the node refuses, by level, each with the evidence."""
        refused = [one for one in self.returned if one.fill is Fill.REFUSED] if self.is_known else []
        return {
            level: {one.keyword: one.evidence for one in refused if one.level is level}
            for level in dict.fromkeys(one.level for one in refused)
        }

    def accepts(self, extension: Extension) -> bool:
        """Return whether the node accepted an extension of C-FIND."""
        return self.is_known and extension in self.extensions

    def to_json(self) -> dict[str, Any]:
        """Return the profile as plain values, with all subjects."""
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
                statement.subject.value: {"verdict": statement.verdict.value, "evidence": statement.evidence}
                for statement in map(self.statement, Subject)
            },
            "returned": {
                level.value: {
                    returned.keyword: {"fill": returned.fill.value, "evidence": returned.evidence}
                    for returned in self.returned
                    if returned.level is level
                }
                for level in Level
                if level is not Level.PATIENT or any(one.level is level for one in self.returned)
            },
            "cap": {"likely": self.cap, "most_answers": self.most_answers, "evidence": self.cap_evidence},
            "one_request": self.one_request,
            "character_sets": list(self.character_sets),
            "notes": list(self.notes),
        }

    def card(self) -> Card:
        """Return the card of the profile."""
        if not self.probed:
            return _unprobed(self)
        when = _local(self.probed)
        under = f" under {self.model.value}" if self.model else ""
        return Card(
            title=f"{self.node}, probed {when} by {self.requests} C-FIND requests{under}",
            warnings=(*_stale(self), *map(Advice, self.notes)),
            sections=(
                CardSection(heading="Services", lines=_services(self)),
                CardSection(heading="Matching", lines=_verdicts(self, MATCHING_SUBJECTS)),
                CardSection(heading="Relational queries", lines=_verdicts(self, RELATIONAL_SUBJECTS)),
                CardSection(heading="Returned keys", lines=returned_lines(self.returned)),
                CardSection(heading="Limits", lines=_limits(self)),
            ),
        )

    def _repr_html_(self) -> str:
        return self.card().html()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Profile:
        """Return the profile that `to_json` wrote, without subjects that are unknown in this version.

        Raises
        ------
        InputError
            If the values are not valid.
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
                models=tuple(InformationModel(name) for name in values["models"]),
                services=tuple(values["services"]),
                extensions=tuple(Extension[name.upper()] for name in values["extensions"]),
                negotiation=values["negotiation"],
                statements=statements_from(values["statements"]),
                returned=returned_from(values["returned"]),
                cap=cap["likely"],
                most_answers=cap["most_answers"],
                cap_evidence=cap["evidence"],
                one_request=values.get("one_request", ""),
                character_sets=tuple(values["character_sets"]),
                notes=tuple(values["notes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"The stored profile cannot be read: {error!r}.", advice="Probe the node again."
            ) from error


def _unprobed(profile: Profile) -> Card:
    """Return the card of a node that was never probed: the results of queries only."""
    title = f"{profile.node} was never probed"
    if not profile.seen:
        return Card(title=title, warnings=(), sections=())
    known = [statement.subject for statement in profile.statements]
    lines = (
        *_limits(profile)[: 2 if profile.one_request else 1],
        *returned_lines(profile.returned),
        *_verdicts(profile, [subject for subject in LABELS if subject in known]),
    )
    seen = CardSection(heading=f"Seen by queries, last {_local(profile.seen)}", lines=lines)
    return Card(title=title, warnings=_stale(profile), sections=(seen,))


def _stale(profile: Profile) -> tuple[Advice, ...]:
    if not profile.stale:
        return ()
    return (Advice(f"Stale, since {profile.stale}. Probe the node again", Action.PROBE_NODE, profile.node),)


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def _services(profile: Profile) -> tuple[CardLine, ...]:
    models = ", ".join(model.value for model in profile.models)
    extensions = ", ".join(extension.value for extension in profile.extensions)
    return (
        CardLine(about="C-FIND under", text=models or "no information model"),
        CardLine(about="other services", text=", ".join(profile.services) or "none of C-ECHO, C-GET, C-MOVE"),
        CardLine(about="extended negotiation", text=extensions or "none"),
    )


def _verdicts(profile: Profile, subjects: Sequence[Subject]) -> tuple[CardLine, ...]:
    return tuple(
        CardLine(about=LABELS[subject], text=statement.verdict.value, evidence=statement.evidence)
        for subject in subjects
        for statement in (profile.statement(subject),)
    )


def _limits(profile: Profile) -> tuple[CardLine, ...]:
    cap = f"stops at {profile.cap} responses" if profile.cap is not None else "not seen"
    each = (CardLine(about="associations", text="one request each", evidence=profile.one_request),)
    names = ", ".join(name or "none named" for name in profile.character_sets)
    return (
        CardLine(about="cap", text=cap, evidence=profile.cap_evidence),
        *(each if profile.one_request else ()),
        *_verdicts(profile, (Subject.CANCEL, Subject.CHARACTER_SET, Subject.SOP_CLASSES_IN_STUDY)),
        CardLine(about="character sets", text=names or "no responses"),
    )
