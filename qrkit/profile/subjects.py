"""What can be said of a node, in the words of a profile: subjects, verdicts, and what its answers bring back."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """What a node does with a key or a way of asking.

    HONOURED
        As PS3.4 says; it may be relied on.
    IGNORED
        It answers as if it had not been asked so: what comes back has to be filtered here.
    REFUSED
        It answers with an error, or without things that match: it must not be asked so.
    UNKNOWN
        There is no evidence: the careful way is the only one.
    """

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def is_against(self) -> bool:
        """Whether there is evidence that it does not work.

        >>> [one.value for one in Verdict if one.is_against]
        ['ignored', 'refused']
        """
        return self in (Verdict.IGNORED, Verdict.REFUSED)


class Fill(Enum):
    """What comes back for a return key: FILLED in all answers, PARTLY in some, EMPTY in all, or NOT_RETURNED."""

    FILLED = "filled"
    PARTLY = "partly filled"
    EMPTY = "empty"
    NOT_RETURNED = "not returned"
    UNKNOWN = "unknown"


class Extension(Enum):
    """What SOP Class Extended Negotiation offers for C-FIND, in the order of its bytes (PS3.4 C.5.1.1.1)."""

    RELATIONAL = "relational queries"
    COMBINED_DATETIME = "combined date-time matching"
    FUZZY = "fuzzy semantic matching of person names"
    TIMEZONE = "timezone query adjustment"


class Subject(Enum):
    """What a verdict is about.

    STUDY_DATE, STUDY_TIME, MODALITIES_IN_STUDY, STUDY_DESCRIPTION
        Matching keys at STUDY level; StudyTime as a range within one day.
    WILDCARDS
        ``*`` in StudyDescription; ignored: it is taken for an ordinary letter.
    CASE
        Whether upper and lower case are told apart in StudyDescription; ignored: they are not.
    MODALITY
        At SERIES level, within studies given by UID.
    INSTANCE_NUMBER
        At IMAGE level, within one series.
    UID_LISTS
        Several StudyInstanceUIDs at STUDY level (PS3.4 C.2.2.2.2).
    SERIES_OF_STUDIES
        Several StudyInstanceUIDs at SERIES level: the series of all of them in one request.
    SERIES_WITHOUT_STUDY, IMAGES_WITHOUT_SERIES
        Relational queries (PS3.4 C.4.1.2.2): no Unique Keys of the levels above; ignored: what comes back is not what
        the hierarchical way gives.
    SERIES_BY_DATE_AND_MODALITY, IMAGES_BY_DATE_AND_CLASS
        Whether the other keys of such queries, StudyDate with Modality or SOPClassUID, are matched too.
    CANCEL
        C-CANCEL during C-FIND.
    CHARACTER_SET
        Whether text is in the SpecificCharacterSet that the answers name.
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


MATCHING_KEYS = (
    Subject.STUDY_DATE,
    Subject.STUDY_TIME,
    Subject.MODALITIES_IN_STUDY,
    Subject.STUDY_DESCRIPTION,
    Subject.MODALITY,
    Subject.INSTANCE_NUMBER,
)
"""Subjects that are matching keys; their values are keywords."""
