"""The vault: encryption per person, erasure, rotation, marks and claims."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Executable, Table, insert, select, update

from server.accounts import tables
from server.accounts.book import Accounts, Transaction
from server.accounts.vault import Vault, normal, scrub
from server.accounts.vault_keys import VaultError, VaultKeys
from server.errors import ConfigError, Refusal
from server.settings import Settings
from tests.support.accounts import Clock, add_person, book
from tests.support.vaults import vault

FIXTURES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PHONE = "+8613912345678"
ID_NUMBER = "11010519491231002X"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    with book(tmp_path, Clock()) as found:
        add_person(found, "a-1")
        add_person(found, "a-2")
        yield found


def _read(accounts: Accounts, keeper: Vault, account: str, field: str) -> str | None:
    return accounts.read_now(lambda connection: keeper.read(connection, account, field))


def _item(accounts: Accounts, account: str = "a-1", field: str = "phone") -> bytes:
    at = (tables.vault_items.c.account == account, tables.vault_items.c.field == field)
    query = select(tables.vault_items.c.data).where(*at)
    data: bytes = accounts.read_now(lambda connection: connection.execute(query).scalar_one())
    return data


def _spoil(accounts: Accounts, data: bytes, account: str = "a-1", field: str = "phone") -> None:
    at = (tables.vault_items.c.account == account, tables.vault_items.c.field == field)
    _execute(accounts, update(tables.vault_items).where(*at).values(data=data))


@FIXTURES
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_is_put_is_read(accounts: Accounts, value: str) -> None:
    """Any text comes back as it was, and is nowhere in the row; an account has one key."""
    keeper = vault()

    def work(tx: Transaction) -> None:
        keeper.destroy(tx, "a-1")
        keeper.put(tx, "a-1", "real_name", value)
        keeper.put(tx, "a-1", "phone", PHONE)
        assert keeper.read(tx.sql, "a-1", "real_name") == value
        assert keeper.read(tx.sql, "a-1", "phone") == PHONE

    accounts.write_now(work)
    assert len(value) < 4 or value.encode() not in _item(accounts, field="real_name")


def test_a_field_is_replaced_removed_and_listed(accounts: Accounts) -> None:
    """A later value takes an earlier one's place; a removed field is not kept; others have nothing of it."""
    keeper = vault()
    for value in ("one", "two"):
        _put(accounts, keeper, "a-1", real_name=value)
    assert _read(accounts, keeper, "a-1", "real_name") == "two"
    assert accounts.read_now(lambda connection: keeper.fields(connection, "a-1")) == ["real_name"]
    assert _read(accounts, keeper, "a-2", "real_name") is None
    accounts.write_now(lambda tx: keeper.remove(tx, "a-1", "real_name"))
    assert _read(accounts, keeper, "a-1", "real_name") is None
    with pytest.raises(ValueError, match="field"):
        accounts.write_now(lambda tx: keeper.put(tx, "a-1", "Real name", "x"))


def test_the_same_value_never_looks_the_same(accounts: Accounts) -> None:
    """Two people with the same number have ciphertexts without anything in common, and so has one person twice."""
    keeper = vault()
    _put(accounts, keeper, "a-1", phone=PHONE)
    _put(accounts, keeper, "a-2", phone=PHONE)
    first, second = _item(accounts), _item(accounts, "a-2")
    _put(accounts, keeper, "a-1", phone=PHONE)
    assert len({first, second, _item(accounts)}) == 3


def test_each_flipped_bit_of_a_ciphertext_is_refused(accounts: Accounts) -> None:
    """Nonce, text and tag: whichever byte is changed, and however it is cut short, the item is refused."""
    keeper = vault()
    _put(accounts, keeper, "a-1", phone=PHONE)

    def spoil(tx: Transaction, table: Table, column: str, what: str) -> None:
        good = tx.sql.execute(select(table.c[column])).scalar_one()
        flipped = [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(len(good))]
        for data in [*flipped, *(good[:length] for length in (0, 5, 12, 20, len(good) - 1))]:
            tx.sql.execute(update(table).values({column: data}))
            with pytest.raises(VaultError, match=what):
                keeper.read(tx.sql, "a-1", "phone")
        tx.sql.execute(update(table).values({column: good}))
        assert keeper.read(tx.sql, "a-1", "phone") == PHONE

    accounts.write_now(lambda tx: spoil(tx, tables.vault_items, "data", "an item"))
    accounts.write_now(lambda tx: spoil(tx, tables.vault_keys, "wrapped", "a key"))


def test_ciphertexts_cannot_change_places(accounts: Accounts) -> None:
    """An item under another field, or another account, or with another account's key, is refused."""
    keeper = vault()

    _put(accounts, keeper, "a-1", phone="phone", real_name="real_name")
    _put(accounts, keeper, "a-2", phone="other")
    _spoil(accounts, _item(accounts, field="real_name"))
    with pytest.raises(VaultError, match="item"):
        _read(accounts, keeper, "a-1", "phone")
    _spoil(accounts, _item(accounts, "a-1", "real_name"), "a-2", "phone")
    with pytest.raises(VaultError, match="item"):
        _read(accounts, keeper, "a-2", "phone")
    mine = accounts.read_now(
        lambda connection: connection.execute(
            select(tables.vault_keys.c.wrapped).where(tables.vault_keys.c.account == "a-1")
        ).scalar_one()
    )
    _execute(accounts, update(tables.vault_keys).values(wrapped=mine))
    with pytest.raises(VaultError, match="key"):
        _read(accounts, keeper, "a-2", "phone")


def test_erasure_leaves_nothing_to_decrypt(accounts: Accounts, tmp_path: Path) -> None:
    """After erasure neither item nor wrapped key is in the file or its log, and an item put back is not readable."""
    keeper = vault()
    _put(accounts, keeper, "a-1", phone=PHONE)
    _put(accounts, keeper, "a-2", phone=PHONE)
    data = _item(accounts)
    wrapped = accounts.read_now(
        lambda connection: connection.execute(
            select(tables.vault_keys.c.wrapped).where(tables.vault_keys.c.account == "a-1")
        ).scalar_one()
    )

    def on_disk() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert wrapped in on_disk()
    accounts.write_now(lambda tx: keeper.destroy(tx, "a-1"))
    assert accounts.read_now(scrub)
    assert wrapped not in on_disk()
    assert data not in on_disk()
    assert _read(accounts, keeper, "a-1", "phone") is None
    assert _read(accounts, keeper, "a-2", "phone") == PHONE
    row = {"account": "a-1", "field": "phone", "data": data, "at_ms": 1}
    _execute(accounts, insert(tables.vault_items).values(**row))
    with pytest.raises(VaultError, match="destroyed"):
        _read(accounts, keeper, "a-1", "phone")


def test_scrubbing_says_when_a_reader_is_in_the_way(accounts: Accounts) -> None:
    """A long reading keeps old pages; the answer says so, and the next attempt succeeds."""
    keeper = vault()

    def reading(connection: Connection) -> bool:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM ledger").all()
        try:
            _put(accounts, keeper, "a-1", phone=PHONE)
            return accounts.read_now(scrub)
        finally:
            connection.exec_driver_sql("ROLLBACK")

    assert accounts.read_now(reading) is False
    assert accounts.read_now(scrub) is True


def test_rotation_goes_in_batches_and_can_be_resumed(tmp_path: Path, accounts: Accounts) -> None:
    """Keys are wrapped anew batch by batch, items read on all the way, and the old key is then needed by nobody."""
    keeper = Vault.open(Settings(data_dir=tmp_path / "keys"))
    for number in range(5):
        add_person(accounts, f"b-{number}")
        _put(accounts, keeper, f"b-{number}", phone=f"+861380000000{number}")
    _execute(accounts, insert(tables.staff).values(name="an", totp=keeper.seal("totp:an", b"secret"), created_ms=1))
    _execute(accounts, insert(tables.staff).values(name="bo", totp=b"", created_ms=1))
    first = keeper.keys.kek
    assert accounts.read_now(keeper.unused) == ([], [])
    keeper.keys.add_kek()
    assert accounts.write_now(lambda tx: keeper.rotate(tx, 2)) == 3
    assert accounts.read_now(keeper.unused) == ([], [])
    restarted = Vault.open(Settings(data_dir=tmp_path / "keys"))
    assert [_read(accounts, restarted, f"b-{number}", "phone") for number in range(5)] == [
        f"+861380000000{number}" for number in range(5)
    ]
    assert accounts.write_now(lambda tx: restarted.rotate(tx, 2)) == 1
    assert accounts.write_now(lambda tx: restarted.rotate(tx, 2)) == 0
    assert accounts.write_now(lambda tx: restarted.rotate(tx)) == 0
    assert accounts.read_now(restarted.unused) == ([first], [])
    restarted.keys.drop([first])
    accounts.read_now(restarted.check)
    assert _read(accounts, restarted, "b-4", "phone") == "+8613800000004"
    sealed = accounts.read_now(lambda connection: connection.execute(select(tables.staff.c.totp)).scalars().all())
    assert sealed[0] is not None
    assert restarted.unseal("totp:an", sealed[0]) == b"secret"


def test_commands_renew_and_drop_keys_beside_a_server(tmp_path: Path, accounts: Accounts) -> None:
    """After renewing and dropping, the server goes on reading and writing, and a backup of before cannot be read."""
    server, command = (Vault.open(Settings(data_dir=tmp_path / "keys")) for _ in range(2))
    for account in ("a-1", "a-2"):
        _put(accounts, server, account, phone=PHONE)
    before = accounts.read_now(lambda connection: connection.execute(select(tables.vault_keys)).mappings().all())
    old = server.keys.kek
    command.keys.add_kek()
    assert accounts.write_now(lambda tx: command.rotate(tx)) == 0
    add_person(accounts, "a-3")
    _put(accounts, server, "a-3", phone=PHONE)
    assert accounts.read_now(command.drop_unused) == ([old], [])
    assert accounts.read_now(command.drop_unused) == ([], [])
    restarted = Vault.open(Settings(data_dir=tmp_path / "keys"))
    accounts.read_now(restarted.check)
    for keeper in (server, restarted):
        assert [_read(accounts, keeper, account, "phone") for account in ("a-1", "a-2", "a-3")] == [PHONE] * 3
    _execute(accounts, update(tables.vault_keys).where(tables.vault_keys.c.account == "a-1").values(**before[0]))
    with pytest.raises(VaultError, match=old):
        _read(accounts, restarted, "a-1", "phone")


def test_the_wrong_keys_stop_the_start(accounts: Accounts) -> None:
    """With keys that the database was not written with, the check fails and names what is missing."""
    keeper = vault()
    _put(accounts, keeper, "a-1", phone=PHONE)
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "phone", PHONE))
    accounts.read_now(keeper.check)
    with pytest.raises(ConfigError, match=keeper.keys.kek) as caught:
        accounts.read_now(vault().check)
    assert str(keeper.keys.pepper) in str(caught.value)


def test_sealed_texts_are_bound_to_their_purpose() -> None:
    """A sealed text opens under its own purpose alone, and not when any byte of it was changed."""
    keeper = vault()
    blob = keeper.seal("one", b"data")
    assert keeper.unseal("one", blob) == b"data"
    assert keeper.seal("one", b"data") != blob
    with pytest.raises(VaultError):
        keeper.unseal("other", blob)
    for index in range(len(blob)):
        spoilt = bytearray(blob)
        spoilt[index] ^= 0x80
        with pytest.raises(VaultError):
            keeper.unseal("one", bytes(spoilt))
    for length in (0, 1, 8, 20, 25):
        with pytest.raises(VaultError):
            keeper.unseal("one", blob[:length])


def test_a_mark_is_a_keyed_hmac() -> None:
    """The mark is HMAC-SHA256 over kind and value under the pepper: the same for the same, other for everything else."""
    keeper = vault()
    mark, pepper = keeper.mark("phone", PHONE)
    assert mark == hmac.digest(keeper.keys.pepper_bytes(pepper), f"phone\0{PHONE}".encode(), "sha256").hex()
    assert keeper.mark("phone", PHONE) == (mark, pepper)
    assert vault().mark("phone", PHONE)[0] != mark
    assert keeper.mark("oidc", PHONE)[0] != mark
    assert keeper.mark("person", "11010519491231002x")[0] == keeper.mark("person", " 110105 19491231 002Ｘ ")[0]
    with pytest.raises(ValueError, match="phone number") as caught:
        keeper.mark("phone", "13912345678")
    assert "139" not in str(caught.value)
    assert normal("oidc", "Case matters ") == "Case matters "


def test_one_person_has_one_account(accounts: Accounts) -> None:
    """What one account has claimed no other can; claiming again changes nothing."""
    keeper = vault()
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "person", ID_NUMBER))
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "person", ID_NUMBER.lower()))
    assert accounts.read_now(lambda connection: keeper.holder(connection, "person", ID_NUMBER)) == "a-1"
    with pytest.raises(Refusal) as caught:
        accounts.write_now(lambda tx: keeper.claim(tx, "a-2", "person", ID_NUMBER))
    assert caught.value.code.name == "identity_taken"
    assert caught.value.detail == ""
    accounts.write_now(lambda tx: keeper.release(tx, "a-1"))
    accounts.write_now(lambda tx: keeper.claim(tx, "a-2", "person", ID_NUMBER))
    with pytest.raises(ValueError, match="kind"):
        accounts.write_now(lambda tx: keeper.claim(tx, "a-2", "shoe", "42"))


def test_claims_hold_under_any_pepper(tmp_path: Path, accounts: Accounts) -> None:
    """A new pepper frees nobody: claims and blacklist of older ones go on to refuse; claiming again moves to the newest."""
    keeper = Vault(VaultKeys.open(Settings(data_dir=tmp_path / "keys")))
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "phone", PHONE))
    _blacklist(accounts, keeper, "person", ID_NUMBER)
    first = keeper.keys.pepper
    keeper.keys.add_pepper()
    for kind, value, code in (("phone", PHONE, "identity_taken"), ("person", ID_NUMBER, "blacklisted")):
        with pytest.raises(Refusal) as caught:
            accounts.write_now(lambda tx, kind=kind, value=value: keeper.claim(tx, "a-2", kind, value))  # type: ignore[misc]
        assert caught.value.code.name == code
    assert accounts.read_now(keeper.unused) == ([], [])
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "phone", PHONE))
    row = accounts.read_now(lambda connection: connection.execute(select(tables.claims)).mappings().one())
    assert (row["account"], row["pepper"]) == ("a-1", keeper.keys.pepper)
    _execute(accounts, tables.blacklist.delete())
    assert accounts.read_now(keeper.unused) == ([], [first])


def test_the_blacklist_refuses_until_it_expires(tmp_path: Path) -> None:
    """A blacklisted value cannot be claimed by anybody before its time is over, even by the account that has it."""
    keeper, clock = vault(), Clock()
    with book(tmp_path, clock) as accounts:
        add_person(accounts)
        _blacklist(accounts, keeper, "phone", PHONE, until_ms=clock.now_ms + 1000)
        clock.forward(ms=999)
        with pytest.raises(Refusal) as caught:
            accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "phone", PHONE))
        assert caught.value.code.name == "blacklisted"
        clock.forward(ms=1)
        accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "phone", PHONE))


def test_nothing_in_plain_on_disk(accounts: Accounts, tmp_path: Path) -> None:
    """Marked values are in no file of the database, its log included, in no encoding that a search would find."""
    keeper = Vault.open(Settings(data_dir=tmp_path / "keys"))
    marked = ["王小麻子", PHONE, ID_NUMBER, "issuer|subject-7f3a"]
    assert _read(accounts, keeper, "a-1", "phone") is None  # a connection that stays open, so that the log stays too
    _put(accounts, keeper, "a-1", **dict(zip(("real_name", "phone", "id_number", "oidc_subject"), marked, strict=True)))
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "phone", PHONE))
    accounts.write_now(lambda tx: keeper.claim(tx, "a-1", "person", ID_NUMBER))
    files = {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert {"accounts.db", "accounts.db-wal", "vault.keys"} <= set(files)
    for name, content in files.items():
        for value in marked:
            for form in (value.encode(), value.encode("utf-16-le"), value.encode("gb18030"), value.encode().hex().encode()):
                assert form not in content, name


def _put(accounts: Accounts, keeper: Vault, account: str, **fields: str) -> None:
    def work(tx: Transaction) -> None:
        for field, value in fields.items():
            keeper.put(tx, account, field, value)

    accounts.write_now(work)


def _execute(accounts: Accounts, statement: Executable) -> None:
    def work(tx: Transaction) -> None:
        tx.sql.execute(statement)

    accounts.write_now(work)


def _blacklist(accounts: Accounts, keeper: Vault, kind: str, value: str, until_ms: int = 0) -> None:
    mark, pepper = keeper.mark(kind, value)
    row = {"kind": kind, "value": mark, "pepper": pepper, "measure": "m-1", "since_ms": 1, "until_ms": until_ms}
    _execute(accounts, insert(tables.blacklist).values(**row))
