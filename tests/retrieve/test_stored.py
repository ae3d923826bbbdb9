from pathlib import Path

import pytest

from qrkit.retrieve.stored import ObjectPlace, StoredInstances
from qrkit.store.files import FileStore
from qrkit.store.instances import InstanceAlias, InstanceTable, index_row
from qrkit.store.state import State
from tests.store.objects import a_dataset, an_arrival, encoded

UID = "1.2.3.1"
PLACE = ObjectPlace(UID, "1.2", "1.2.3")


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_object_that_was_cut_is_put_aside_and_not_held_so_that_it_is_fetched_again(
    tmp_path: Path, *, is_listed: bool
) -> None:
    content = memoryview(encoded(a_dataset(UID, pixels=bytes(5000))))
    with State.open(tmp_path) as state:
        files, table = FileStore(tmp_path / "files", free_space_floor=0), InstanceTable(state)
        incoming = files.begin(an_arrival(UID))
        incoming.write(content)
        stored = incoming.commit()
        if is_listed:
            table.add_many([index_row(stored)])
        held = StoredInstances(table, tmp_path / "files")
        assert held.of({UID: PLACE}, source="pacs") == {UID}
        stored.path.write_bytes(stored.path.read_bytes()[:3000])
        if not is_listed:
            with state.transaction() as connection:
                connection.exec_driver_sql("DELETE FROM instances")
        assert held.of({UID: PLACE}, source="pacs") == set()
        assert [path.name.partition("-")[0] for path in stored.path.parent.iterdir()] == [f"{UID}.dcm.damaged"]
        again = files.begin(an_arrival(UID))
        again.write(content)
        assert again.commit().path == stored.path


def test_an_object_of_another_study_or_series_is_not_held_unless_it_was_requested_by_these_uids(
    tmp_path: Path,
) -> None:
    with State.open(tmp_path) as state:
        files, table = FileStore(tmp_path / "files", free_space_floor=0), InstanceTable(state)
        incoming = files.begin(an_arrival(UID))
        incoming.write(memoryview(encoded(a_dataset(UID))))
        stored = incoming.commit()
        table.add_many([index_row(stored)])
        held = StoredInstances(table, tmp_path / "files")
        places = [("1.2", "1.2.3"), ("1.2", ""), ("1.02", "1.2.03"), ("1.2", "1.2.4"), ("1.9", "1.2.3"), ("1.9", "")]
        found = [held.of({UID: ObjectPlace(UID, *place)}, source="pacs") == {UID} for place in places]
        assert found == [True] * 3 + [False] * 3
        alias = InstanceAlias(
            SOPInstanceUID=UID, path=stored.relative, StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1"
        )
        table.add_many([index_row(stored)], [alias])
        assert (
            held.of({UID: ObjectPlace(UID, "1.9", "1.9.1")}, source="pacs")
            == held.of({UID: PLACE}, source="pacs")
            == {UID}
        )
        assert held.of({UID: ObjectPlace(UID, "1.9", "1.9.2")}, source="pacs") == set()
