"""C-ECHO to several nodes at once, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd

from qrkit.dimse.echo import echo
from qrkit.errors import QrkitError
from qrkit.node import Node

_AT_ONCE = 16

COLUMNS = ["node", "ok", "association_ms", "round_trip_ms", "error_kind", "error", "advice"]


def echo_nodes(nodes: Sequence[Node], *, calling_ae_title: str) -> pd.DataFrame:
    """Echo all nodes at once, one association each.

    Returns
    -------
    DataFrame
        One row per node: `ok`, the times in milliseconds, and the kind, sentence and advice of an error.
    """
    if not nodes:
        return pd.DataFrame(columns=COLUMNS)
    with ThreadPoolExecutor(min(_AT_ONCE, len(nodes)), thread_name_prefix="echo") as pool:
        rows = list(pool.map(lambda node: _row(node, calling_ae_title), nodes))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(node: Node, calling_ae_title: str) -> dict[str, Any]:
    try:
        answer = echo(node, calling_ae_title=calling_ae_title)
    except QrkitError as error:
        return {
            "node": node.name,
            "ok": False,
            "error_kind": type(error).__name__,
            "error": error.message,
            "advice": error.advice,
        }
    return {
        "node": node.name,
        "ok": True,
        "association_ms": round(answer.association * 1000, 2),
        "round_trip_ms": round(answer.round_trip * 1000, 2),
        "error_kind": "",
        "error": "",
        "advice": "",
    }
