"""A profile as a card: its lines in their order, for a terminal and for a notebook."""

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
"""The label of each subject."""

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
class CardLine:
    """One line of a card: a label, its text, and the evidence."""

    about: str
    text: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSection:
    """A section of a card."""

    heading: str
    lines: tuple[CardLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The content of a card.

    Attributes
    ----------
    title
        The node, and the time and number of requests of the probe.
    warnings
        Why the profile is stale, and other remarks.
    """

    title: str
    warnings: tuple[Advice, ...]
    sections: tuple[CardSection, ...]


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
            CardSection(heading="Services", lines=_services(profile)),
            CardSection(heading="Matching", lines=_verdicts(profile, _MATCHING)),
            CardSection(heading="Relational queries", lines=_verdicts(profile, _RELATIONAL)),
            CardSection(heading="Returned keys", lines=_returned(profile)),
            CardSection(heading="Limits", lines=_limits(profile)),
        ),
    )


def _unprobed(profile: Profile) -> Card:
    """Return the card of a node that was never probed: the results of queries only."""
    title = f"{profile.node} was never probed"
    if not profile.seen:
        return Card(title=title, warnings=(), sections=())
    known = [statement.subject for statement in profile.statements]
    lines = (*_limits(profile)[:1], *_verdicts(profile, [subject for subject in LABELS if subject in known]))
    seen = CardSection(heading=f"Seen by queries, last {_local(profile.seen)}", lines=lines)
    return Card(title=title, warnings=_stale(profile), sections=(seen,))


def _stale(profile: Profile) -> tuple[Advice, ...]:
    if not profile.stale:
        return ()
    return (Advice(f"Stale, since {profile.stale}. Probe the node again", Action.PROBE_NODE, profile.node),)


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def card_html(profile: Profile, surface: Surface = Surface.NOTEBOOK) -> str:
    """Return the card as HTML, with all values escaped."""
    content = card(profile)
    parts = [f"<div><strong>{escape(content.title)}</strong>"]
    parts += [f"<p>⚠ {escape(warning.on(surface))}</p>" for warning in content.warnings]
    parts.append("<table>")
    for section in content.sections:
        parts.append(f'<tr><th colspan="3" style="text-align:left">{escape(section.heading)}</th></tr>')
        parts += [
            "<tr>" + "".join(f'<td style="text-align:left">{escape(text)}</td>' for text in _cells(line)) + "</tr>"
            for line in section.lines
        ]
    return "".join((*parts, "</table></div>"))


def _cells(line: CardLine) -> tuple[str, str, str]:
    return line.about, line.text, line.evidence


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


def _returned(profile: Profile) -> tuple[CardLine, ...]:
    """Return one line for each level and fill, since there are many keys."""
    lines = []
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        found = [returned for returned in profile.returned if returned.level is level]
        for fill in dict.fromkeys(returned.fill for returned in found):
            keywords = ", ".join(returned.keyword for returned in found if returned.fill is fill)
            lines.append(CardLine(about=f"{level.value}, {fill.value}", text=keywords))
    return tuple(lines)


def _limits(profile: Profile) -> tuple[CardLine, ...]:
    cap = f"stops at {profile.cap} responses" if profile.cap is not None else "not seen"
    names = ", ".join(name or "none named" for name in profile.character_sets)
    return (
        CardLine(about="cap", text=cap, evidence=profile.cap_evidence),
        *_verdicts(profile, (Subject.CANCEL, Subject.CHARACTER_SET)),
        CardLine(about="character sets", text=names or "no responses"),
    )
