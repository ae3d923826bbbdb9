"""Wrong input: one line on stderr that says what to do, and the exit status that says whose fault it is."""

import pytest

from tests.cli.commands import Here

WRONG = {
    "find pacs --date 2026-02-31": "Enter 2026-01-31, today, yesterday, last 7 days",
    "find pacs --time-from 2560 --date 2026-01-01": "Enter 8:30, 0830 or 083000",
    "find pacs --level frame": "use patient, study, series or image",
    "find pacs --key Banana=1": "Enter a keyword of PS3.6",
    "find pacs --key nothing": "--key takes Keyword=value",
    "find pacs --study-uid abc": "digits and dots",
    "find pacs --study-uid= --date today": "--study-uid is empty",
    "find pacs --date=": "--date is empty",
    "find pacs --station-level moon": "study or series, not 'moon'",
    "find pacs --format xml": "'xml' is not one of 'table', 'json', 'csv', 'parquet'. See: ",
    "find": "Missing argument 'node'",
    "nodes add x --host h --ae-title X --character-set ISO_IR_3": "such as ISO_IR 192",
    "nodes add x --host h --port 70000 --ae-title X": "70000 is not a valid port of node 'x': enter a number from 1",
    "nodes add x --host h --ae-title X --pause -1": "cannot be negative",
    "nodes add x --host h --ae-title X --retrieve-hours 25:00-26:00": "25:00",
    "nodes add x --host h --ae-title THISISLONGERTHANSIXTEEN": "at most 16",
    "nodes import /nowhere.toml": "cannot be read",
    "plan pacs --dose BANANA --date today": "Use CT, MG, FL, DX, NM",
    "plan pacs": "CT, MG, FL, DX, NM, or select SR only: --sr-only.",
    "plan pacs --dose CT": "covers the whole archive. Add a date, or allow that: --whole-archive.",
    "--workspace= jobs list": "--workspace is empty. Give a folder, or leave it out.",
    "jobs list --workspace=": "--workspace is empty",
    "repair --workspace=": "--workspace is empty",
    "find pacs --study-uid 1.2..3": "not '1.2..3'",
    "find pacs --key StudyDate=20260230": "is not a day that exists",
    "find pacs --date today --time-from 23:00 --time-until 01:00": "over midnight",
    "find pacs --key StudyTime=2200-0600": "For hours over midnight, query 2200-",
    "plan pacs --dose CT --date today --time-from 23:00 --time-until 01:00": "over midnight",
    "plan pacs --dose CT --date today --key StudyTime=2200-0600": "For hours over midnight, query 2200-",
    "schedule add a pacs --every daily --date yesterday --time-from 23 --time-until 1 --no-retrieve": "midnight",
    "nodes add ../x --host h --ae-title X": "'../x' is not a valid node name. Use letters",
    "retrieve pacs": "--plan, --study, --series or --from-query",
    "retrieve store --study 1.2.3": "not to be asked by C-GET or C-MOVE",
    "retrieve store --study 1.2.3 --method move": "nodes edit store --can-move",
    "retrieve off --study 1.2.3": "nodes edit off --enabled",
    "retrieve pacs --study 1.2.3 store": "unexpected extra argument",
    "jobs list --limit 0": "greater than or equal to 1",
    "instances list --study abc": "--study needs a UID",
    "serve --idle-exit -1": "greater than or equal to 0",
    "report banana x": "Use query, plan, job or compare",
    "sql SELEC": "syntax error",
    "dashboard --port 99999": "equal to 65535",
    "nodes ad x": "'ad' is not a command of qrkit nodes. Did you mean add?",
    "find pacs --formatt json": "--formatt is not an option of qrkit find. Did you mean --format?",
    "users role ann administratr": "'administratr' is not a role. Did you mean administrator?",
}


@pytest.mark.slow
def test_wrong_input_is_one_line_and_status_2(here: Here) -> None:
    here.workspace.nodes.add("pacs", host="127.0.0.1", port=9, ae_title="PACS")
    here.workspace.nodes.add("store", host="127.0.0.1", ae_title="STORE", can_get=False, can_move=False)
    here.workspace.nodes.add("off", host="127.0.0.1", ae_title="OFF", enabled=False)
    for words, told in WRONG.items():
        ran = here(*words.split())
        assert (ran.status, ran.out) == (2, ""), (words, ran)
        assert told in ran.err, (words, ran.err)
        assert ran.err.count("\n") == 1, (words, ran.err)


def test_an_empty_list_filters_nothing(hospital_here: Here) -> None:
    ran = hospital_here("find", "pacs", "--description-include", "", "--station-exclude=", "--format", "json")
    assert ran.json == hospital_here("find", "pacs", "--format", "json").json


@pytest.mark.parametrize(
    "words", ["find no", "echo no", "jobs show no", "queries show no", "users remove no", "schedule pause no"]
)
def test_what_is_not_there_is_one_line_and_status_1(here: Here, words: str) -> None:
    ran = here(*words.split())
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1), ran
    assert "There is no" in ran.err
