"""The statements of a profile, subject by subject with the evidence, and the card that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape

from qrkit.advice import Advice, Surface
from qrkit.errors import InputError
from qrkit.tables import Level

NO_EVIDENCE = "no evidence"


class Verdict(Enum):
    """How a node treats a key or a form of query.

    HONOURED
        As PS3.4 requires; queries rely on it.
    IGNORED
        It answers as if the key was absent: results are filtered locally.
    REFUSED
        It returns an error, or omits matches: queries do not use it.
    UNKNOWN
        No evidence: queries do not rely on it.
    """

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def is_against(self) -> bool:
        """True if there is evidence that it does not work.

        >>> [verdict.value for verdict in Verdict if verdict.is_against]
        ['ignored', 'refused']
        """
        return self in (Verdict.IGNORED, Verdict.REFUSED)


class Fill(Enum):
    """How a return key is filled: FILLED in all responses, PARTLY in some, EMPTY in all, or NOT_RETURNED.

    A REFUSED key is not requested, since with it the node returns an error instead of responses.
    """

    FILLED = "filled"
    PARTLY = "partly filled"
    EMPTY = "empty"
    NOT_RETURNED = "not returned"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Extension(Enum):
    """The parts of SOP Class Extended Negotiation for C-FIND, in the order of its bytes (PS3.4 C.5.1.1.1)."""

    RELATIONAL = "relational queries"
    COMBINED_DATETIME = "combined date-time matching"
    FUZZY = "fuzzy semantic matching of person names"
    TIMEZONE = "timezone query adjustment"


class Subject(Enum):
    """The subjects of a profile.

    STUDY_DATE, STUDY_TIME, MODALITIES_IN_STUDY, STUDY_DESCRIPTION
        Matching keys at STUDY level; StudyTime as a range within one day.
    WILDCARDS
        ``*`` in StudyDescription; ignored: it counts as an ordinary letter.
    CASE
        Whether case matters in StudyDescription; ignored: it does not.
    MODALITY
        At SERIES level, within studies given by UID.
    INSTANCE_NUMBER
        At IMAGE level, within one series.
    UID_LISTS
        Several StudyInstanceUIDs at STUDY level (PS3.4 C.2.2.2.2).
    SERIES_OF_STUDIES
        Several StudyInstanceUIDs at SERIES level: one request for the series of several studies.
    SERIES_WITHOUT_STUDY, IMAGES_WITHOUT_SERIES
        Relational queries (PS3.4 C.4.1.2.2) without the Unique Keys above; ignored: the result differs from the
        hierarchy.
    SERIES_BY_DATE_AND_MODALITY, IMAGES_BY_DATE_AND_CLASS
        Whether such queries match StudyDate with Modality or SOPClassUID.
    CANCEL
        C-CANCEL during C-FIND.
    CHARACTER_SET
        Whether text is in the SpecificCharacterSet of its response.
    SOP_CLASSES_IN_STUDY
        Whether SOPClassesInStudy names all classes of a study; ignored: it does not.
    """

    STUDY_DATE = "StudyDate"
    STUDY_TIME = "StudyTime"
    MODALITIES_IN_STUDY = "ModalitiesInStudy"
    STUDY_DESCRIPTION = "StudyDescription"
    WILDCARDS = "wildcards"
    CASE = "case"
    MODALITY = "Modality"
    INSTANCE_NUMBER = "InstanceNumber"
    UID_LISTS = "uid_lists"
    SERIES_OF_STUDIES = "series_of_studies"
    SERIES_WITHOUT_STUDY = "series_without_study"
    SERIES_BY_DATE_AND_MODALITY = "series_by_date_and_modality"
    IMAGES_WITHOUT_SERIES = "images_without_series"
    IMAGES_BY_DATE_AND_CLASS = "images_by_date_and_class"
    CANCEL = "cancel"
    CHARACTER_SET = "SpecificCharacterSet"
    SOP_CLASSES_IN_STUDY = "SOPClassesInStudy"


MATCHING_KEYS = (
    Subject.STUDY_DATE,
    Subject.STUDY_TIME,
    Subject.MODALITIES_IN_STUDY,
    Subject.STUDY_DESCRIPTION,
    Subject.MODALITY,
    Subject.INSTANCE_NUMBER,
)
"""Subjects that are matching keys; their values are keywords."""

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
    Subject.SOP_CLASSES_IN_STUDY: "SOPClassesInStudy, all classes",
}
"""The label of each subject."""

MATCHING_SUBJECTS = (
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
RELATIONAL_SUBJECTS = (
    Subject.SERIES_OF_STUDIES,
    Subject.SERIES_WITHOUT_STUDY,
    Subject.SERIES_BY_DATE_AND_MODALITY,
    Subject.IMAGES_WITHOUT_SERIES,
    Subject.IMAGES_BY_DATE_AND_CLASS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The result on one subject."""

    subject: Subject
    verdict: Verdict = Verdict.UNKNOWN
    evidence: str = NO_EVIDENCE  # one sentence with numbers, without names, patient IDs or other values of patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The returned values of one key at one level."""

    level: Level
    keyword: str
    fill: Fill = Fill.UNKNOWN
    evidence: str = NO_EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHabits:
    """The habits of a node that an association depends on."""

    relational: bool = False  # it accepts relational queries (PS3.4 C.5.1.1.1)
    one_request: bool = False  # it answers one request in each association


NO_HABITS = NodeHabits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence of a query on its node."""

    statements: tuple[Statement, ...] = ()
    returned: tuple[Returned, ...] = ()  # return keys that the node refuses
    most_answers: int = 0  # largest number of responses to one request whose result was proven complete
    one_request: str = ""  # what showed that it answers one request in each association; empty: nothing did


def parse_subject(subject: Subject | str) -> Subject:
    """Return the subject of that name; raise `InputError` if there is none."""
    try:
        return Subject(subject)
    except ValueError as error:
        known = ", ".join(member.value for member in Subject)
        raise InputError(f"{subject!r} is not a subject of a profile.", advice=f"Use {known}.") from error


def statements_from(values: Mapping[str, Mapping[str, str]]) -> tuple[Statement, ...]:
    """Return the statements of a stored profile, without subjects that are unknown in this version."""
    known = {subject.value for subject in Subject}
    return tuple(
        Statement(subject=Subject(name), verdict=Verdict(entry["verdict"]), evidence=entry["evidence"])
        for name, entry in values.items()
        if name in known
    )


def returned_from(values: Mapping[str, Mapping[str, Mapping[str, str]]]) -> tuple[Returned, ...]:
    """Return the returned keys of a stored profile."""
    return tuple(
        Returned(level=Level(level), keyword=keyword, fill=Fill(entry["fill"]), evidence=entry["evidence"])
        for level, keys in values.items()
        for keyword, entry in keys.items()
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


def returned_lines(keys: Sequence[Returned]) -> tuple[CardLine, ...]:
    """Return one line for each level and fill, since there are many keys."""
    lines = []
    for level in Level:
        found = [returned for returned in keys if returned.level is level]
        for fill in dict.fromkeys(returned.fill for returned in found):
            keywords = ", ".join(returned.keyword for returned in found if returned.fill is fill)
            lines.append(CardLine(about=f"{level.value}, {fill.value}", text=keywords))
    return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The content of a card."""

    title: str  # the node, and the time and number of requests of the probe
    warnings: tuple[Advice, ...]  # why the profile is stale, and other remarks
    sections: tuple[CardSection, ...]

    def html(self, surface: Surface = Surface.NOTEBOOK) -> str:
        """Return the card as HTML, with all values escaped."""
        parts = [f"<div><strong>{escape(self.title)}</strong>"]
        parts += [f"<p>⚠ {escape(warning.on(surface))}</p>" for warning in self.warnings]
        parts.append("<table>")
        for section in self.sections:
            parts.append(f'<tr><th colspan="3" style="text-align:left">{escape(section.heading)}</th></tr>')
            for line in section.lines:
                cells = map(escape, (line.about, line.text, line.evidence))
                parts.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
        return "".join((*parts, "</table></div>"))
