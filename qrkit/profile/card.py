"""A profile as a card that people read: what is said on it, in order, whether on a terminal or in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from qrkit.advice import Action, Advice, Surface
from qrkit.profile.subjects import Subject
from qrkit.tables import Level

if TYPE_CHECKING:
    from qrkit.profile.profile import Profile

LABELS = {
    Subject.STUDY_DATE: "StudyDate",
    Subject.STUDY_TIME: "StudyTime, a range",
    Subject.MODALITIES_IN_STUDY: "ModalitiesInStudy",
    Subject.STUDY_DESCRIPTION: "StudyDescription",
    Subject.WILDCARDS: "* in StudyDescription",
    Subject.CASE: "case in StudyDescription",
    Subject.UID_LISTS: "lists of StudyInstanceUIDs",
    Subject.MODALITY: "Modality of series",
    Subject.INSTANCE_NUMBER: "InstanceNumber of images",
    Subject.SERIES_OF_STUDIES: "series of several studies",
    Subject.SERIES_WITHOUT_STUDY: "series without StudyInstanceUID",
    Subject.SERIES_BY_DATE_AND_MODALITY: "series by StudyDate and Modality",
    Subject.IMAGES_WITHOUT_SERIES: "images without the UIDs above",
    Subject.IMAGES_BY_DATE_AND_CLASS: "images by StudyDate and SOPClassUID",
    Subject.CANCEL: "C-CANCEL",
    Subject.CHARACTER_SET: "SpecificCharacterSet",
}
"""How people are told what a verdict is about."""

_MATCHING = (
    Subject.STUDY_DATE,
    Subject.STUDY_TIME,
    Subject.MODALITIES_IN_STUDY,
    Subject.STUDY_DESCRIPTION,
    Subject.WILDCARDS,
    Subject.CASE,
    Subject.UID_LISTS,
    Subject.MODALITY,
    Subject.INSTANCE_NUMBER,
)
_RELATIONAL = (
    Subject.SERIES_OF_STUDIES,
    Subject.SERIES_WITHOUT_STUDY,
    Subject.SERIES_BY_DATE_AND_MODALITY,
    Subject.IMAGES_WITHOUT_SERIES,
    Subject.IMAGES_BY_DATE_AND_CLASS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a card: what it is about, what is said of it, and why."""

    about: str
    said: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a card under a heading."""

    heading: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card says.

    Attributes
    ----------
    title
        The node, when it was probed, and by how many requests.
    warnings
        Why it no longer holds, and what else people should know.
    """

    title: str
    warnings: tuple[Advice, ...]
    sections: tuple[Section, ...]


def card(profile: Profile) -> Card:
    """Return the card of a profile."""
    if not profile.probed:
        return _unprobed(profile)
    when = _local(profile.probed)
    under = f" under {profile.model.value}" if profile.model else ""
    return Card(
        title=f"{profile.node}, probed {when} by {profile.requests} C-FIND requests{under}",
        warnings=(*_stale(profile), *map(Advice, profile.notes)),
        sections=(
            Section(heading="Services", lines=_services(profile)),
            Section(heading="Matching", lines=_verdicts(profile, _MATCHING)),
            Section(heading="Relational queries", lines=_verdicts(profile, _RELATIONAL)),
            Section(heading="What comes back", lines=_returned(profile)),
            Section(heading="Limits", lines=_limits(profile)),
        ),
    )


def _unprobed(profile: Profile) -> Card:
    """Return the card of a node of which nothing but queries has told."""
    title = f"{profile.node} was never probed"
    if not profile.seen:
        return Card(title=title, warnings=(), sections=())
    said = [one.subject for one in profile.statements]
    lines = (*_limits(profile)[:1], *_verdicts(profile, [one for one in LABELS if one in said]))
    seen = Section(heading=f"Seen by queries, last {_local(profile.seen)}", lines=lines)
    return Card(title=title, warnings=_stale(profile), sections=(seen,))


def _stale(profile: Profile) -> tuple[Advice, ...]:
    if not profile.stale:
        return ()
    return (Advice(f"Stale, since {profile.stale}. Probe the node again", Action.PROBE_NODE, profile.node),)


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def card_html(profile: Profile, surface: Surface = Surface.NOTEBOOK) -> str:
    """Return the card as HTML, with everything in it escaped."""
    said = card(profile)
    parts = [f"<div><strong>{escape(said.title)}</strong>"]
    parts += [f"<p>⚠ {escape(warning.on(surface))}</p>" for warning in said.warnings]
    parts.append("<table>")
    for section in said.sections:
        parts.append(f'<tr><th colspan="3" style="text-align:left">{escape(section.heading)}</th></tr>')
        parts += [
            "<tr>" + "".join(f'<td style="text-align:left">{escape(text)}</td>' for text in _cells(line)) + "</tr>"
            for line in section.lines
        ]
    return "".join((*parts, "</table></div>"))


def _cells(line: Line) -> tuple[str, str, str]:
    return line.about, line.said, line.evidence


def _services(profile: Profile) -> tuple[Line, ...]:
    models = ", ".join(model.value for model in profile.models)
    extensions = ", ".join(extension.value for extension in profile.extensions)
    return (
        Line(about="C-FIND under", said=models or "no information model"),
        Line(about="also", said=", ".join(profile.services) or "none of C-ECHO, C-GET, C-MOVE"),
        Line(about="extended negotiation", said=extensions or "none"),
    )


def _verdicts(profile: Profile, subjects: Sequence[Subject]) -> tuple[Line, ...]:
    return tuple(
        Line(about=LABELS[subject], said=said.verdict.value, evidence=said.evidence)
        for subject in subjects
        for said in (profile.statement(subject),)
    )


def _returned(profile: Profile) -> tuple[Line, ...]:
    """Return one line for each level and kind of filling: the keys are many."""
    lines = []
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        found = [one for one in profile.returned if one.level is level]
        for fill in dict.fromkeys(one.fill for one in found):
            keywords = ", ".join(one.keyword for one in found if one.fill is fill)
            lines.append(Line(about=f"{level.value}, {fill.value}", said=keywords))
    return tuple(lines)


def _limits(profile: Profile) -> tuple[Line, ...]:
    cap = f"stops at {profile.cap} answers" if profile.cap is not None else "not seen"
    names = ", ".join(name or "none named" for name in profile.character_sets)
    return (
        Line(about="cap", said=cap, evidence=profile.cap_evidence),
        *_verdicts(profile, (Subject.CANCEL, Subject.CHARACTER_SET)),
        Line(about="character sets", said=names or "no answers"),
    )
