"""The history of queries: answers again, by page, asked again, compared; and all of it by SQL."""

from typing import Any

import pandas as pd
import pytest

from qrkit.errors import InputError, NotFound
from qrkit.node import Node
from qrkit.profile import Profile
from qrkit.simulator import Quirks
from qrkit.store.nodes import ProfileTable
from qrkit.workspace import Workspace
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import Linked, OpenWorkspace

DAY = "2026-06-30"
TABLES = {
    *("patients", "studies", "series", "images"),
    *("patient_answers", "study_answers", "series_answers", "image_answers"),
    *("instances", "queries", "jobs", "job_items", "nodes", "audit", "workers"),
}


def found(linked: Linked, **what: Any) -> pd.DataFrame:  # noqa: ANN401 - any argument of find
    return linked.workspace.find("pacs", **{"date": DAY, **what})


def id_of(frame: pd.DataFrame) -> str:
    return str(frame.attrs["qrkit"]["query_id"])


@pytest.mark.slow
@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_an_answer_is_read_again_by_its_id_as_it_first_was(
    linked: Linked, open_workspace: OpenWorkspace, level: str
) -> None:
    first = found(linked, level=level, return_keys=["PatientAge"] if level != "PATIENT" else [])
    for workspace in (linked.workspace, open_workspace()):
        again = workspace.queries[id_of(first)]
        pd.testing.assert_frame_equal(again, first)
        assert again.attrs == first.attrs


@pytest.mark.slow
def test_an_answer_is_read_page_by_page(linked: Linked) -> None:
    first = linked.workspace.find("pacs", date_until=DAY)
    pages = [linked.workspace.queries.read_page(id_of(first), offset=start, limit=50) for start in (0, 50, 100, 150)]
    assert [len(page) for page in pages] == [50, 50, 20, 0]
    pd.testing.assert_frame_equal(pd.concat(pages, ignore_index=True), first)


@pytest.mark.slow
def test_an_empty_answer_is_a_table_with_its_columns(linked: Linked) -> None:
    first = found(linked, patient_id="NOBODY")
    assert len(first) == 0
    pd.testing.assert_frame_equal(linked.workspace.queries[id_of(first)], first)
    assert found(linked).dtypes.to_dict() == first.dtypes.to_dict()


@pytest.mark.slow
def test_the_history_says_who_asked_when_what_how_long_and_how_many(linked: Linked) -> None:
    first = found(linked, modalities=["CT", "MR"], patient_id="Q1*")
    found(linked, level="SERIES")
    listed = linked.workspace.queries.list()
    assert listed["level"].tolist() == ["SERIES", "STUDY"]
    row = listed.iloc[1]
    assert (row["query_id"], row["node"], row["user"]) == (id_of(first), "pacs", linked.workspace.user)
    assert (row["state"], row["row_count"], row["complete"]) == ("done", len(first), True)
    assert row["seconds"] > 0
    assert row["asked"] == f"CT or MR studies of {DAY}, PatientID Q1*"
    assert linked.workspace.queries.show(id_of(first)).request["modalities"] == ["CT", "MR"]


def test_an_unknown_query_is_not_found(workspace: Workspace) -> None:
    for action in (
        workspace.queries.show,
        workspace.queries.read,
        workspace.queries.rerun,
        workspace.queries.read_page,
    ):
        with pytest.raises(NotFound, match="nonsense"):
            action("nonsense")


def test_the_answer_of_a_failed_query_is_not_an_empty_table(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(find_status=0xC001)
    with pytest.raises(Exception, match="0xC001"):
        found(linked)
    failed = linked.workspace.queries.list()["query_id"].iloc[0]
    with pytest.raises(NotFound):
        linked.workspace.queries.read(failed)


@pytest.mark.slow
def test_rerun_asks_the_same_again_as_a_new_query(linked: Linked) -> None:
    first = found(linked, level="SERIES", modalities="CT", description_exclude="imported", PatientSex="F")
    again = linked.workspace.queries.rerun(id_of(first))
    assert id_of(again) != id_of(first)
    pd.testing.assert_frame_equal(again, first)
    asked = linked.pacs.requests
    assert [(one.level, one.keywords) for one in asked[: len(asked) // 2]] == [
        (one.level, one.keywords) for one in asked[len(asked) // 2 :]
    ]


@pytest.mark.slow
def test_diff_tells_what_came_what_went_and_what_changed(linked: Linked) -> None:
    before = found(linked)
    linked.pacs.quirks = Quirks(blank_keys=("StudyDescription",))
    after = found(linked, modalities="CT")
    change = linked.workspace.queries.diff(id_of(before), id_of(after)).set_index("StudyInstanceUID")
    gone = set(before["StudyInstanceUID"]) - set(after["StudyInstanceUID"])
    assert gone
    assert set(change.index[change["change"] == "removed"]) == gone
    changed = change[change["change"] == "changed"]
    assert len(changed) > 0
    assert set(changed["columns"]) == {"StudyDescription"}
    added = linked.workspace.queries.diff(id_of(after), id_of(before))
    assert set(added.loc[added["change"] == "added", "StudyInstanceUID"]) == gone


@pytest.mark.slow
def test_diff_of_the_same_answers_is_empty_and_of_different_levels_an_error(linked: Linked) -> None:
    first, again, series = found(linked), found(linked), found(linked, level="SERIES")
    assert len(linked.workspace.queries.diff(id_of(first), id_of(again))) == 0
    with pytest.raises(InputError, match="different levels"):
        linked.workspace.queries.diff(id_of(first), id_of(series))


@pytest.mark.slow
def test_all_tables_are_there_before_anything_was_asked(workspace: Workspace) -> None:
    with workspace.duckdb() as connection:
        assert {name for (name,) in connection.execute("SHOW TABLES").fetchall()} >= TABLES
        for name in TABLES:
            assert connection.sql(f"SELECT * FROM {name}").to_arrow_table().num_rows == 0  # noqa: S608 - a constant
    assert workspace.sql("select Modality, count(*) from series group by all").empty


@pytest.mark.slow
def test_sql_sees_the_newest_row_of_each_key_and_every_answer(linked: Linked) -> None:
    first = found(linked)
    found(linked)
    counts = linked.workspace.sql(
        "SELECT (SELECT count(*) FROM studies) AS newest, (SELECT count(*) FROM study_answers) AS every"
    )
    assert counts.iloc[0].tolist() == [len(first), 2 * len(first)]
    assert set(linked.workspace.sql("SELECT DISTINCT node FROM studies")["node"]) == {"pacs"}


@pytest.mark.slow
def test_sql_takes_parameters_and_its_errors_are_duckdbs_own_words(linked: Linked) -> None:
    first = found(linked)
    uid = first["StudyInstanceUID"].iloc[0]
    for text, params in (("= ?", [uid]), ("= $uid", {"uid": uid})):
        row = linked.workspace.sql(f"SELECT PatientID FROM studies WHERE StudyInstanceUID {text}", params)  # noqa: S608
        assert row["PatientID"].tolist() == [first["PatientID"].iloc[0]]
    with pytest.raises(InputError, match="StudyDat"):
        linked.workspace.sql("SELECT StudyDat FROM studies")
    with pytest.raises(InputError, match="reads"):
        linked.workspace.sql("CREATE TABLE mine AS SELECT 1")


@pytest.mark.slow
def test_duckdb_gives_a_connection_on_the_same_tables(linked: Linked) -> None:
    first = found(linked)
    ProfileTable(linked.workspace._state).add(Profile.unknown("pacs"), "ann")  # as queries keep what they have seen
    assert linked.workspace.sql("SELECT node, probed FROM profiles").isna().sum().tolist() == [0, 1]
    with linked.workspace.duckdb() as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchall() == [(len(first),)]
        connection.execute("CREATE TABLE mine AS SELECT StudyInstanceUID FROM studies")
        assert connection.sql("SELECT * FROM mine").to_arrow_table().num_rows == len(first)


@pytest.mark.slow
def test_many_answers_are_settled_without_anybody_noticing(linked: Linked) -> None:
    frames = [found(linked) for _ in range(25)]
    total = sum(map(len, frames))
    counted = linked.workspace.sql("SELECT count(*) AS n FROM study_answers")["n"].tolist()
    assert counted == [total]
    pd.testing.assert_frame_equal(linked.workspace.queries[id_of(frames[0])], frames[0])


def test_the_history_shows_in_a_notebook_as_a_table_without_markup_of_others(workspace: Workspace) -> None:
    # a name that older versions accepted
    workspace._services.nodes.add(Node(name="<b>bold</b>", host=LOOPBACK, port=free_port(), ae_title="X"), "ann")
    page = workspace._repr_html_() + workspace.queries._repr_html_() + workspace.jobs._repr_html_()
    assert "<table" in page
    assert "<b>bold" not in page
