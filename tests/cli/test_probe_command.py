import csv
import io

import pytest
from rich.console import Console

from qrkit.cli.nodes import print_card
from qrkit.profile import Profile, Statement, Subject, Verdict
from qrkit.simulator import Quirks
from tests.cli.commands import Here
from tests.workspace.opened import Linked


@pytest.mark.slow
def test_a_probe_prints_its_card_and_is_kept(hospital_here: Here, linked: Linked) -> None:
    assert hospital_here("nodes", "show", "pacs").json["profile"] is None
    probed = hospital_here("probe", "pacs")
    assert "ModalitiesInStudy" in probed.out
    assert "Relational queries" in probed.out
    kept = hospital_here("nodes", "show", "pacs").json
    assert kept["profile"]["node"] == "pacs"
    assert kept["port"] == linked.pacs.port
    hospital_here("nodes", "edit", "pacs", "--calling-ae-title", "OTHER")
    assert hospital_here("nodes", "show", "pacs").json["profile"]["stale"] == "the node's calling_ae_title changed"


@pytest.mark.slow
def test_json_and_csv_have_every_statement_with_its_evidence(hospital_here: Here, linked: Linked) -> None:
    values = hospital_here("probe", "pacs", "--format", "json").json
    assert {"node", "probed", "requests", "stale", "statements", "returned", "cap", "notes"} <= values.keys()
    assert values["requests"] <= 12
    assert values["statements"]["ModalitiesInStudy"].keys() == {"verdict", "evidence"}
    linked.pacs.quirks = Quirks(refuse_uid_lists=True)
    rows = list(csv.DictReader(io.StringIO(hospital_here("probe", "pacs", "--format", "csv").out)))
    assert {row["about"]: row["said"] for row in rows}["uid_lists"] in ("refused", "unknown")


def test_a_probe_that_sees_nothing_is_status_3_and_an_unknown_node_status_1(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(find_status=0xC001)
    probed = hospital_here("probe", "pacs")
    assert probed.status == 3
    assert "0xC001" in probed.out
    lost = hospital_here("probe", "lost")
    assert (lost.status, lost.out) == (1, "")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_loses_no_word_of_the_card(width: int) -> None:
    evidence = "of 312 studies that came all were of the days asked for, and as many of other days stayed away"
    said = Statement(subject=Subject.STUDY_DATE, verdict=Verdict.HONOURED, evidence=evidence)
    printed = io.StringIO()
    print_card(
        Profile(node="pacs", probed="2026-01-31T08:00:00+00:00", statements=(said,)),
        Console(file=printed, width=width),
    )
    words = printed.getvalue().split()
    assert set(evidence.split()) <= set(words)
    assert not any(word.endswith("\N{HORIZONTAL ELLIPSIS}") for word in words)
