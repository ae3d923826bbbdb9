"""What is asked: from what people give to the Identifiers that are sent, without any I/O."""

from __future__ import annotations

from qrkit.query.build import ARGUMENTS, build_query, modality_codes, terms
from qrkit.query.drill import Drill, Drilled, drill
from qrkit.query.filtered import FilterReport, Reliance, Select, Selected, Where
from qrkit.query.locally import Judge, local_judge
from qrkit.query.matching import is_single_value, matching_value
from qrkit.query.request import Request, answer_keywords, identifier
from qrkit.query.union import conform, union
from qrkit.query.value import Filters, Query
from qrkit.query.when import Dates, Times, parse_date, parse_time
from qrkit.query.words import as_call, as_command, in_words

__all__ = [
    "ARGUMENTS",
    "Dates",
    "Drill",
    "Drilled",
    "FilterReport",
    "Filters",
    "Judge",
    "Query",
    "Reliance",
    "Request",
    "Select",
    "Selected",
    "Times",
    "Where",
    "answer_keywords",
    "as_call",
    "as_command",
    "build_query",
    "conform",
    "drill",
    "identifier",
    "in_words",
    "is_single_value",
    "local_judge",
    "matching_value",
    "modality_codes",
    "parse_date",
    "parse_time",
    "terms",
    "union",
]
