"""Queries as values: from the arguments of people to the Identifiers that are sent, without any I/O."""

from __future__ import annotations

from qrkit.query.coverage import Coverage, FilterReport, Load, Where
from qrkit.query.dates import Dates, DayLike, DaysLike, TimeLike, Times, parse_date, parse_time
from qrkit.query.filters import Reliance, Select, Selected
from qrkit.query.local_matching import local_judge
from qrkit.query.matches import Judge, Match
from qrkit.query.matching import is_single_value, matching_value
from qrkit.query.parse import (
    ARGUMENTS,
    TextList,
    build_query,
    check_names,
    is_given,
    modality_codes,
    terms,
    unknown_codes,
)
from qrkit.query.query import Filters, Query, as_call, as_command, in_words
from qrkit.query.request import Request, answer_keywords, identifier

__all__ = [
    "ARGUMENTS",
    "Coverage",
    "Dates",
    "DayLike",
    "DaysLike",
    "FilterReport",
    "Filters",
    "Judge",
    "Load",
    "Match",
    "Query",
    "Reliance",
    "Request",
    "Select",
    "Selected",
    "TextList",
    "TimeLike",
    "Times",
    "Where",
    "answer_keywords",
    "as_call",
    "as_command",
    "build_query",
    "check_names",
    "identifier",
    "in_words",
    "is_given",
    "is_single_value",
    "local_judge",
    "matching_value",
    "modality_codes",
    "parse_date",
    "parse_time",
    "terms",
    "unknown_codes",
]
