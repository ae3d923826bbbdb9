import pytest

from qrkit.access import Access, Role
from qrkit.errors import InputError, NotAllowed


def test_each_role_may_do_what_those_before_it_may() -> None:
    viewer, operator, administrator = Role
    assert administrator.covers(viewer)
    assert operator.covers(operator)
    assert not viewer.covers(operator)
    assert not operator.covers(administrator)


def test_what_a_role_does_not_cover_is_refused_in_one_sentence() -> None:
    access = Access(user="ann", role_now=lambda: Role.VIEWER)
    access.require(Role.VIEWER, "see")
    with pytest.raises(NotAllowed, match="ann may not retrieve: that needs the role operator, and theirs is viewer"):
        access.require(Role.OPERATOR, "retrieve")


def test_a_role_is_asked_for_each_time() -> None:
    roles = [Role.VIEWER, Role.OPERATOR]
    access = Access(user="ann", role_now=roles.pop)
    access.require(Role.OPERATOR, "retrieve")
    with pytest.raises(NotAllowed):
        access.require(Role.OPERATOR, "retrieve")


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(InputError, match="'root' is not a role"):
        Role.parse("root")
