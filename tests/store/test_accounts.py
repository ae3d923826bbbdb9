import hashlib
from base64 import b64encode

import pytest
import sqlalchemy as sa

from qrkit.access import Role
from qrkit.errors import InputError, NotFound
from qrkit.store.accounts import AccountTable, hash_password, is_password
from qrkit.store.audit import AuditTable
from qrkit.store.migrations import MIGRATIONS, migrate
from qrkit.store.schema import accounts, schema_version
from qrkit.store.state import State

_PASSWORD = "correct horse"


@pytest.fixture
def table(state: State) -> AccountTable:
    made = AccountTable(state)
    made.add("ann", _PASSWORD, Role.OPERATOR, by="root")
    return made


@pytest.mark.slow
def test_only_the_right_password_of_the_right_name_opens(table: AccountTable) -> None:
    account = table.check("ann", _PASSWORD)
    assert account is not None
    assert (account.name, account.role) == ("ann", Role.OPERATOR)
    assert table.check("ann", "wrong password") is None
    assert table.check("bob", _PASSWORD) is None
    assert table.check("ann", "") is None


def test_a_password_is_nowhere_as_it_was_typed(table: AccountTable, state: State) -> None:
    assert _stored(state).startswith("$argon2id$")
    assert _PASSWORD not in _stored(state)
    table.set_password("ann", "another horse", by="root")
    assert _PASSWORD not in str(AuditTable(state).list())
    assert "another horse" not in str(AuditTable(state).list())


_OLD = "scrypt$32768$8$1$QUFBQUFBQUFBQUFBQUFBQQ==$"
"""A hash as earlier versions stored it, without its last part."""


def _old_hash(password: str) -> str:
    made = hashlib.scrypt(password.encode(), salt=b"A" * 16, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
    return _OLD + b64encode(made).decode()


@pytest.mark.slow
def test_a_hash_of_an_earlier_version_is_accepted_and_renewed_at_login(table: AccountTable, state: State) -> None:
    with state.transaction() as connection:
        connection.execute(accounts.update().values(password=_old_hash(_PASSWORD)))
        before = connection.scalar(sa.select(accounts.c.changed))
    assert table.check("ann", "wrong password") is None
    assert _stored(state).startswith("scrypt$")
    assert table.check("ann", _PASSWORD) is not None
    assert _stored(state).startswith("$argon2id$")
    assert table.check("ann", _PASSWORD) is not None
    with state.reading() as connection:
        assert connection.scalar(sa.select(accounts.c.changed)) == before  # sessions of the user stay


def test_a_hash_that_cannot_be_read_opens_nothing(table: AccountTable, state: State) -> None:
    with state.transaction() as connection:
        connection.execute(accounts.update().values(password="$argon2id$broken"))
    assert table.check("ann", _PASSWORD) is None


def _stored(state: State) -> str:
    with state.reading() as connection:
        return str(connection.scalar(sa.select(accounts.c.password)))


def test_the_same_password_is_never_kept_the_same_way() -> None:
    assert hash_password(_PASSWORD) != hash_password(_PASSWORD)


def test_a_letter_may_be_typed_as_one_character_or_two() -> None:
    assert is_password("Gro\u0308\u00dfe zwo\u0308lf", hash_password("Gr\u00f6\u00dfe zw\u00f6lf"))


@pytest.mark.slow
def test_what_an_administrator_changes_holds_and_is_written_down(table: AccountTable, state: State) -> None:
    table.set_password("ann", "another horse", by="root")
    table.set_role("ann", Role.VIEWER, by="root")
    account = table.check("ann", "another horse")
    assert account is not None
    assert account.role is Role.VIEWER
    table.remove("ann", by="root")
    assert table.list() == ()
    told = [(row.who, row.action, row.subject) for row in AuditTable(state).list()]
    assert told == [
        ("root", "user removed", "ann"),
        ("root", "user role changed", "ann"),
        ("root", "user password changed", "ann"),
        ("root", "user added", "ann"),
    ]


@pytest.mark.parametrize("name", ["", "a b", "ann\n", "-ann", "a" * 65, "änn", "<b>"])
def test_a_name_that_does_not_fit_a_header_is_refused(table: AccountTable, name: str) -> None:
    with pytest.raises(InputError, match="is not a valid user name"):
        table.add(name, _PASSWORD, Role.VIEWER, by="root")


def test_a_name_is_taken_once_and_a_password_is_long_enough(table: AccountTable) -> None:
    with pytest.raises(InputError, match="already a user 'ann'"):
        table.add("ann", _PASSWORD, Role.VIEWER, by="root")
    with pytest.raises(InputError, match="at least 8"):
        table.add("bob", "short", Role.VIEWER, by="root")


def test_who_is_not_there_cannot_be_changed(table: AccountTable) -> None:
    with pytest.raises(NotFound, match="There is no user 'bob'"):
        table.remove("bob", by="root")
    with pytest.raises(NotFound, match="There is no user 'bob'"):
        table.set_role("bob", Role.VIEWER, by="root")
    with pytest.raises(NotFound, match="There is no user 'bob'"):
        table.set_password("bob", _PASSWORD, by="root")


def test_a_state_of_before_there_were_accounts_gets_them(state: State) -> None:
    with state.transaction() as connection:
        connection.execute(sa.text("DROP TABLE accounts"))
        number = next(one.number for one in MIGRATIONS if "accounts" in one.name)
        # Those that came later change other tables, which are as they should be already.
        upto = [one for one in MIGRATIONS if one.number <= number]
        connection.execute(schema_version.delete().where(schema_version.c.number >= number))
        migrate(connection, now="later", migrations=upto)
    table = AccountTable(state)
    table.add("ann", _PASSWORD, Role.VIEWER, by="root")
    assert [account.name for account in table.list()] == ["ann"]
