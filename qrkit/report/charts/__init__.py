"""Charts by plotly: each function takes a table and returns a figure; nothing is loaded from the network.

No chart depends on colour alone: bars have patterns, tiles and boxes have text and numbers.
"""

from __future__ import annotations

from qrkit.report.charts.days import studies_per_day
from qrkit.report.charts.descriptions import descriptions_treemap
from qrkit.report.charts.hours import hours_of_day
from qrkit.report.charts.rate import retrieve_rate
from qrkit.report.charts.steps import filter_steps, funnel
from qrkit.report.charts.style import write_chart
from qrkit.words import modality_label

__all__ = [
    "descriptions_treemap",
    "filter_steps",
    "funnel",
    "hours_of_day",
    "modality_label",
    "retrieve_rate",
    "studies_per_day",
    "write_chart",
]
