from qrkit.store.audit import AuditTable
from qrkit.store.state import State


def test_the_newest_row_comes_first(state: State) -> None:
    table = AuditTable(state)
    table.write("ann", "report made", "weekly", {"rows": 3})
    table.write("bob", "login", "dashboard")
    newest, oldest = table.list()
    assert (newest.who, newest.action, newest.details) == ("bob", "login", {})
    assert (oldest.subject, oldest.details) == ("weekly", {"rows": 3})
    assert newest.happened > oldest.happened


def test_rows_of_one_subject_can_be_asked_for(state: State) -> None:
    table = AuditTable(state)
    for subject in ("a", "b", "a"):
        table.write("ann", "login", subject)
    assert [row.subject for row in table.list(subject="a")] == ["a", "a"]
    assert len(table.list(limit=2)) == 2
