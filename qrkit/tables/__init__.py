"""The columns of every table of answers: what each level asks for, how it is typed, how it becomes a DataFrame.

Columns are named by DICOM keyword. Columns of ours have lower-case names: `warnings`, `query_id`, `node`, `asked_at`.
"""

from __future__ import annotations

from qrkit.tables.frame import (
    WARNINGS,
    Records,
    arrow_type,
    dates_as_text,
    reasons_of,
    schema,
    schemas,
    to_frame,
    to_plain_frame,
    warnings_of,
    with_warnings,
)
from qrkit.tables.keywords import canonical_keyword, keyword_tag, keyword_vm, keyword_vr
from qrkit.tables.levels import (
    Level,
    belongs_to,
    inherited_columns,
    levels_of,
    return_keys,
    table_columns,
    unique_key,
    unique_keys_above,
)
from qrkit.tables.modalities import (
    DEFINED_MODALITIES,
    Modalities,
    modality_label,
    modality_labels,
    read_modalities,
)

__all__ = [
    "DEFINED_MODALITIES",
    "WARNINGS",
    "Level",
    "Modalities",
    "Records",
    "arrow_type",
    "belongs_to",
    "canonical_keyword",
    "dates_as_text",
    "inherited_columns",
    "keyword_tag",
    "keyword_vm",
    "keyword_vr",
    "levels_of",
    "modality_label",
    "modality_labels",
    "read_modalities",
    "reasons_of",
    "return_keys",
    "schema",
    "schemas",
    "table_columns",
    "to_frame",
    "to_plain_frame",
    "unique_key",
    "unique_keys_above",
    "warnings_of",
    "with_warnings",
]
