from collections.abc import Sequence

import pyarrow as pa
import pytest

from qrkit.errors import StatusError
from qrkit.find.uid_lists import UidLists
from qrkit.find.windows import Failure, failure_of
from qrkit.profile import Verdict
from qrkit.query import Request
from qrkit.tables import Level

_UIDS = ("1.1", "1.2", "1.3")


def request(*uids: str) -> Request:
    return Request(level=Level.STUDY, keys=(("StudyInstanceUID", "\\".join(uids)),))


class FirstOnly:
    """A node that has all studies but matches the first UID of a list only, or refuses some UIDs."""

    def __init__(self, *, refused: Sequence[str] = ()) -> None:
        self.refused = refused
        self.asked: list[str] = []

    def __call__(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        self.asked += [one.value("StudyInstanceUID") for one in requests]
        return [self._answer(one.value("StudyInstanceUID")) for one in requests]

    def _answer(self, asked: str) -> pa.Table | Failure:
        if asked in self.refused:
            return failure_of(StatusError("refused", status=0xC001))
        first = [uid for uid in asked.split("\\")[:1] if uid in _UIDS]
        return pa.table({"StudyInstanceUID": pa.array(first, pa.string())})


def test_a_list_of_which_a_part_is_matched_is_asked_on_uid_by_uid() -> None:
    node = FirstOnly()
    lists = UidLists(node, lambda _: Verdict.UNKNOWN)
    (answer,) = lists.try_ask([request(*_UIDS)])
    assert isinstance(answer, pa.Table)
    assert answer["StudyInstanceUID"].to_pylist() == list(_UIDS)
    assert node.asked == ["1.1\\1.2\\1.3", "1.2", "1.2", "1.3"]
    assert "only a part of a list" in lists.told


def test_a_node_that_is_known_to_honour_lists_is_believed() -> None:
    node = FirstOnly()
    lists = UidLists(node, lambda _: Verdict.HONOURED)
    (answer,) = lists.try_ask([request("1.1", "9.9")])
    assert isinstance(answer, pa.Table)
    assert (answer.num_rows, node.asked, lists.told) == (1, ["1.1\\9.9"], "")


@pytest.mark.parametrize("refused", [_UIDS[1:2], ("1.1\\1.2\\1.3", "1.3")])
def test_one_uid_that_is_refused_is_no_answer_to_the_list(refused: tuple[str, ...]) -> None:
    verdict = Verdict.UNKNOWN if len(refused) > 1 else Verdict.REFUSED
    lists = UidLists(FirstOnly(refused=refused), lambda _: verdict)
    (answer,) = lists.try_ask([request(*_UIDS)])
    assert isinstance(answer, Failure)


def test_requests_without_a_list_go_as_they_are() -> None:
    node = FirstOnly()
    answers = UidLists(node, lambda _: Verdict.REFUSED).try_ask(
        [request("1.1"), request("1.2", "1.3"), request("1.3")]
    )
    assert [answer.num_rows for answer in answers if isinstance(answer, pa.Table)] == [1, 2, 1]
