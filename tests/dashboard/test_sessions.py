import pytest

from qrkit.access import Role
from qrkit.dashboard.identity import Attempts, Sessions, Visitor
from qrkit.dashboard.kernels import KernelOwners
from qrkit.dashboard.options import ServeOptions
from qrkit.errors import InputError

_ANN = Visitor(name="ann", role=Role.OPERATOR)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_by_logging_out_by_time_or_with_the_account() -> None:
    clock = _Clock()
    sessions = Sessions(longest=60, clock=clock)
    first, second = sessions.begin(_ANN), sessions.begin(_ANN)
    assert first != second
    assert sessions.visitor(first) == _ANN
    assert sessions.visitor("") is None
    sessions.end(first)
    assert sessions.visitor(first) is None
    assert sessions.names() == {"ann"}
    sessions.end_of("ann")
    assert sessions.visitor(second) is None
    third = sessions.begin(_ANN)
    clock.now = 61
    assert sessions.visitor(third) is None
    assert sessions.names() == frozenset()


def test_a_link_lets_in_once() -> None:
    sessions = Sessions(longest=60)
    link = sessions.link_for(_ANN)
    assert sessions.follow("guessed") is None
    assert sessions.follow(link) == _ANN
    assert sessions.follow(link) is None


def test_too_many_wrong_passwords_have_to_wait() -> None:
    clock = _Clock()
    attempts = Attempts(most=2, within=10, clock=clock)
    attempts.failed("ann")
    assert attempts.may_try("ann")
    attempts.failed("ann")
    assert not attempts.may_try("ann")
    assert attempts.may_try("bob")
    clock.now = 11
    assert attempts.may_try("ann")
    attempts.failed("ann")
    attempts.succeeded("ann")
    attempts.failed("ann")
    assert attempts.may_try("ann")


def test_a_kernel_stays_whose_it_was_first() -> None:
    owners = KernelOwners(2)
    owners.assign("k1", "ann")
    owners.assign("k1", "eve")
    owners.assign("k2", "bob")
    assert owners.owner("k1") == "ann"
    assert owners.is_full
    assert owners.without({"ann"}) == ("k2",)
    owners.keep({"k2"})
    assert owners.owner("k1") is None
    assert not owners.is_full


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_tls(host: str) -> None:
    assert ServeOptions(host=host).warning == ""


def test_clear_text_to_other_machines_is_warned_of() -> None:
    assert "unencrypted" in ServeOptions(host="0.0.0.0").warning
    assert ServeOptions(host="0.0.0.0", certificate="c.pem", key="k.pem").warning == ""


def test_half_of_a_setting_is_refused() -> None:
    for wrong in ({"certificate": "c.pem"}, {"proxy_header": "X-Forwarded-User"}, {"seats": 0}):
        with pytest.raises(InputError):
            ServeOptions(**wrong)
