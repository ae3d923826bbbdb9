import pytest

from qrkit.receipt import ByteSigns


@pytest.fixture
def signs() -> list[str]:
    return []


def test_bytes_give_a_sign_at_most_once_in_a_while(signs: list[str]) -> None:
    counted = ByteSigns(lambda: signs.append("sign"), every=3600)
    for _ in range(5):
        counted.count(100_000)
    assert signs == ["sign"]


def test_bytes_give_a_sign_for_each_kilobyte_where_no_time_is_set(signs: list[str]) -> None:
    counted = ByteSigns(lambda: signs.append("sign"), every=0)
    for _ in range(4096):
        counted.count(1)
    assert len(signs) == 4


def test_a_few_bytes_give_none(signs: list[str]) -> None:
    ByteSigns(lambda: signs.append("sign"), every=0).count(1000)
    assert signs == []
