from pathlib import Path

import pytest

from qrkit.retrieve.stored import StoredInstances
from qrkit.store.files import FileStore
from qrkit.store.instances import InstanceTable, index_row
from qrkit.store.state import State
from tests.store.objects import a_dataset, an_arrival, encoded

UID, PLACE = "1.2.3.1", "1.2/1.2.3"


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
