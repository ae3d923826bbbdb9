"""The treemap of study descriptions, with all spellings of a description in one box."""

from __future__ import annotations

import textwrap

import pandas as pd
import plotly.graph_objects as go

from qrkit.report.charts.style import COLOURS, INK, UNKNOWN, laid_out, names_of, need, plain
from qrkit.words import counted, modality_label

_DESCRIPTIONS = 30
"""Boxes in a modality; a thousand boxes of one study each would be useless."""

_LINE = 16
"""Letters in a line of a box."""

_WHITE_ON = {"#0072B2", "#777777"}
"""Colours dark enough for white text; on the others black has more contrast."""


def descriptions_treemap(studies: pd.DataFrame) -> go.Figure:
    """Return a treemap of modalities with their StudyDescriptions, sized by number of studies.

    Parameters
    ----------
    studies
        One row per study, with ModalitiesInStudy and StudyDescription. Descriptions that differ only in case and
        spaces share a box, in the most frequent spelling; so do those beyond the 30 most frequent of a modality.

    Raises
    ------
    InputError
        If one of the two columns is missing.
    """
    need(studies, "ModalitiesInStudy", "StudyDescription", give="the result of a STUDY query")
    boxes = _boxes(studies)
    kinds = list(boxes[boxes["parent"] == ""]["id"])
    colours = {kind: COLOURS[place % len(COLOURS)] for place, kind in enumerate(kinds)}
    fills = [colours[row.parent or row.id] for row in boxes.itertuples()]
    tree = go.Treemap(
        ids=boxes["id"],
        labels=[plain(name) for name in boxes["name"]],
        parents=boxes["parent"],
        values=boxes["studies"],
        branchvalues="total",
        marker={"colors": fills, "line": {"color": "#ffffff", "width": 1}},
        textfont={"color": ["#ffffff" if fill in _WHITE_ON else INK for fill in fills]},
        text=[_in_lines(name) for name in boxes["name"]],
        texttemplate="%{text}<br>%{value}",
        hovertemplate="%{label}: %{value} studies, %{percentParent} of %{parent}<extra></extra>",
        pathbar={"visible": True},
        tiling={"pad": 1},
    )
    kind_count = counted(len(kinds), "modality", plural="modalities")
    title = f"{counted(len(studies), 'study')} by description, {kind_count}"
    return laid_out(go.Figure(tree if len(boxes) else []), title, height=520)


def _in_lines(name: str) -> str:
    """Return a description broken between its words, so that it stays readable in a narrow box."""
    return "<br>".join(map(plain, textwrap.wrap(name, _LINE, break_long_words=False)))


def _boxes(studies: pd.DataFrame) -> pd.DataFrame:
    """Return one row per box: id, name, parent, studies; modalities first, the most frequent on top."""
    written = names_of(studies["StudyDescription"])
    rows = pd.DataFrame(
        {"kind": studies["ModalitiesInStudy"].map(modality_label), "key": written.str.casefold(), "name": written}
    )
    names = rows.groupby("key")["name"].agg(lambda spellings: spellings.value_counts().index[0])
    names = names.replace(UNKNOWN, "no description")
    found: list[tuple[str, str, str, int]] = []
    for kind, count in rows["kind"].value_counts().to_dict().items():
        found.append((str(kind), str(kind), "", int(count)))
        each = rows[rows["kind"] == kind]["key"].value_counts()
        shown = each if len(each) <= _DESCRIPTIONS else each.head(_DESCRIPTIONS - 1)
        found += [(f"{kind}/{key}", str(names[str(key)]), str(kind), int(number)) for key, number in shown.items()]
        if len(shown) < len(each):
            rest = int(each.sum() - shown.sum())
            found.append((f"{kind}//others", f"{len(each) - len(shown)} others", str(kind), rest))
    boxes = pd.DataFrame(found, columns=["id", "name", "parent", "studies"])
    return boxes.sort_values("parent", key=lambda parents: parents != "", kind="stable")
