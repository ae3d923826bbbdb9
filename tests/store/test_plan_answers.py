"""What nodes have answered: kept in files, merged, and never an error where a file is gone."""

from pathlib import Path

import pyarrow as pa

from qrkit.store.plans import MOST_FILES, PlanAnswers
from qrkit.store.state import State


def answers(*uids: str) -> pa.Table:
    return pa.table({"StudyInstanceUID": list(uids)})


def merge(table: pa.Table) -> pa.Table:
    return pa.table({"StudyInstanceUID": list(dict.fromkeys(table["StudyInstanceUID"].to_pylist()))})


def read(known: PlanAnswers, node: str = "pacs", studies: list[str] | None = None) -> list[str]:
    table = known.read(node, studies)
    return [] if table is None else table["StudyInstanceUID"].to_pylist()


def test_answers_are_read_by_node_and_study_in_the_order_in_which_they_came(state: State, tmp_path: Path) -> None:
    known = PlanAnswers(state, tmp_path / "known")
    known.add("pacs", answers("1", "2"), merge)
    known.add("pacs", answers("2", "3"), merge)
    known.add("other", answers("1"), merge)
    assert read(known) == ["1", "2", "2", "3"]
    assert read(known, studies=["2"]) == ["2", "2"]
    assert read(known, "nobody") == []
    known.forget("pacs")
    assert (read(known), read(known, "other")) == ([], ["1"])
    assert len(list(known.folder.iterdir())) == 1


def test_many_files_become_one(state: State, tmp_path: Path) -> None:
    known = PlanAnswers(state, tmp_path / "known")
    for number in range(MOST_FILES + 1):
        known.add("pacs", answers("0", str(number)), merge)
    assert read(known) == [str(number) for number in range(MOST_FILES + 1)]
    assert len(list(known.folder.iterdir())) == 1


def test_a_file_that_is_gone_is_asked_again_and_a_broken_one_put_aside(sqlite_state: State, tmp_path: Path) -> None:
    known = PlanAnswers(sqlite_state, tmp_path / "known")
    known.add("pacs", answers("1"), merge)
    (file,) = known.folder.iterdir()
    file.write_bytes(b"nonsense")
    assert read(known) == []
    (aside,) = known.folder.iterdir()
    assert aside.name.startswith(f"{file.name}.damaged-")
    assert aside.read_bytes() == b"nonsense"
    aside.unlink()
    assert read(known) == []
