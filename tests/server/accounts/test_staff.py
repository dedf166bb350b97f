"""server/accounts/staff.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyotp
import pytest
from sqlalchemy import select

from server.accounts import staff, tables
from server.accounts.book import Accounts
from server.accounts.events import Rung
from server.accounts.sessions import Policy, begin
from server.accounts.staff import Action, Attempt, Member, StaffRole
from server.accounts.vault import Vault
from server.errors import Refusal
from server.settings import Settings
from tests.support.accounts import DAY_MS, START_MS, Clock, book
from tests.support.staff import CHEAP, PASSWORD, enrol

ROOT: Any = {"actor": "operator:root", "role": "operator"}


EVERYDAY = {
    "public.review", "public.classify", "public.file", "public.activate", "queue.decide", "second.decide", "comments.remove",
    "comments.restore", "modes.room", "training.take", "training.change", "shifts.change", "outbox.send", "cases.change",
}  # fmt: skip
"""What changes something and asks for no fresh factor: what is done all day and can be taken back, each with its record. A raid
is met within seconds."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with book(tmp_path, clock) as found:
        yield found


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(Settings(data_dir=tmp_path))


def sign_in(
    accounts: Accounts, vault: Vault, code: str, password: str = PASSWORD, name: str = "ann", **options: Any
) -> Attempt:
    kept = accounts.read_now(lambda connection: staff.password_of(connection, name))
    checked = CHEAP.check(kept, password)
    return accounts.write_now(
        lambda tx: staff.sign_in(tx, name, kept, checked.matches, code, vault, rehashed=checked.rehashed, **options)
    )


def code_of(accounts: Accounts, work: Any) -> str:
    with pytest.raises(Refusal) as refused:
        accounts.write_now(work)
    return refused.value.code.name


def now_code(app: pyotp.TOTP, clock: Clock) -> str:
    return app.at(clock.now_ms // 1000)


def test_a_member_signs_in_with_password_and_code(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """Both are needed; the sign-in is recorded."""
    app = enrol(accounts, vault, "ann", "reviewer", "senior")
    attempt = sign_in(accounts, vault, now_code(app, clock))
    assert attempt.member is not None
    assert attempt.member.holder == "staff:ann"
    assert attempt.member.roles == ("reviewer", "senior")
    actions = accounts.read_now(lambda c: list(c.execute(select(tables.access_log.c.action)).scalars()))
    assert actions == ["staff.add", "staff.enrol", "staff.sign_in"]


def test_a_code_counts_once(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """The same code, and an older one, is refused after it was used; the next one is taken. Clocks may differ by half a minute."""
    app = enrol(accounts, vault, "ann", "admin")
    code = now_code(app, clock)
    assert sign_in(accounts, vault, code).member is not None
    assert sign_in(accounts, vault, code).refusal == "login_failed"
    assert sign_in(accounts, vault, app.at(clock.now_ms // 1000 - 30)).refusal == "login_failed"
    assert sign_in(accounts, vault, app.at(clock.now_ms // 1000 + 30)).member is not None
    assert sign_in(accounts, vault, app.at(clock.now_ms // 1000 + 90)).refusal == "login_failed"


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "１２３４５６", "0000000"])
def test_what_is_no_code_is_refused(accounts: Accounts, vault: Vault, clock: Clock, code: str) -> None:
    """Whatever is typed, the answer is the same."""
    enrol(accounts, vault, "ann", "admin")
    assert sign_in(accounts, vault, code) == Attempt(None, "login_failed")


def test_unknown_names_wrong_passwords_and_wrong_codes_are_answered_alike(
    accounts: Accounts, vault: Vault, clock: Clock
) -> None:
    """The answer does not tell who works here, nor which of the two was wrong."""
    app = enrol(accounts, vault, "ann", "admin")
    failed = Attempt(None, "login_failed")
    assert sign_in(accounts, vault, "000000", name="bob") == failed
    assert sign_in(accounts, vault, now_code(app, clock), "wrong password!") == failed
    assert sign_in(accounts, vault, "000000" if now_code(app, clock) != "000000" else "111111") == failed
    assert sign_in(accounts, vault, now_code(app, clock)).member is not None


def test_who_fails_often_waits_but_never_longer_than_a_quarter_of_an_hour(
    accounts: Accounts, vault: Vault, clock: Clock
) -> None:
    """Five attempts are free; then each failure doubles the wait. Attempts while waiting do not make it longer."""
    app = enrol(accounts, vault, "ann", "admin")
    waits = []
    for _ in range(12):
        assert sign_in(accounts, vault, "000000", "wrong").refusal == "login_failed"
        found = accounts.read_now(lambda c: staff.find(c, "ann"))
        assert found is not None
        waits.append(max(0, found.locked_until_ms - clock.now_ms))
        if waits[-1]:
            assert sign_in(accounts, vault, now_code(app, clock)) == Attempt(None, "too_many_attempts", waits[-1])
            clock.forward(ms=waits[-1])
    assert waits == [1000 * seconds for seconds in (0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900)]
    assert sign_in(accounts, vault, now_code(app, clock)).member is not None
    assert staff.wait_after(10**6) == staff.LONGEST_WAIT_MS


def test_a_stranger_cannot_lock_out_who_has_signed_in_before(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """From a client that is known, signing in works while strangers have to wait; failing there makes nobody wait."""
    app = enrol(accounts, vault, "ann", "admin")
    for _ in range(8):
        sign_in(accounts, vault, "000000", "wrong")
    assert sign_in(accounts, vault, now_code(app, clock)).refusal == "too_many_attempts"
    assert sign_in(accounts, vault, "000000", "wrong", known=True) == Attempt(None, "login_failed")
    assert sign_in(accounts, vault, now_code(app, clock), known=True).member is not None
    assert sign_in(accounts, vault, "000000", "wrong").refusal == "too_many_attempts", (
        "strangers do not learn that somebody came"
    )


def test_a_password_that_was_changed_meanwhile_does_not_sign_in(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """Between the checking of the hash and the transaction another one may have been set."""
    app = enrol(accounts, vault, "ann", "admin")
    kept = accounts.read_now(lambda connection: staff.password_of(connection, "ann"))
    accounts.write_now(lambda tx: staff.change_password(tx, "ann", CHEAP.keep("another long password", "ann")))
    attempt = accounts.write_now(lambda tx: staff.sign_in(tx, "ann", kept, True, now_code(app, clock), vault))
    assert attempt.refusal == "login_failed"


def test_a_password_is_kept_anew_when_its_costs_change(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """What the check says is to be kept from now on is kept at the next sign-in."""
    app = enrol(accounts, vault, "ann", "admin")
    kept = accounts.read_now(lambda connection: staff.password_of(connection, "ann"))
    accounts.write_now(lambda tx: staff.sign_in(tx, "ann", kept, True, now_code(app, clock), vault, rehashed="$new"))
    assert accounts.read_now(lambda connection: staff.password_of(connection, "ann")) == "$new"


def test_a_fresh_code_confirms_who_is_there(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """A code that was used for signing in does not confirm. Strangers who fail to sign in keep nobody from confirming, and
    failing to confirm keeps nobody from signing in."""
    app = enrol(accounts, vault, "ann", "admin")
    code = now_code(app, clock)
    assert sign_in(accounts, vault, code).member is not None

    def confirm(given: str) -> Attempt:
        return accounts.write_now(lambda tx: staff.confirm(tx, "ann", given, vault))

    assert confirm(code).refusal == "code_wrong"
    clock.forward(seconds=30)
    assert confirm(now_code(app, clock)).member is not None
    for _ in range(8):
        assert confirm("000000").refusal == "code_wrong"
    clock.forward(seconds=30)
    assert sign_in(accounts, vault, now_code(app, clock)).member is not None
    for _ in range(8):
        sign_in(accounts, vault, "000000", "wrong")
    clock.forward(seconds=30)
    assert confirm(now_code(app, clock)).member is not None


def test_the_enrolment_is_good_once_and_for_a_day(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """The secret opens the enrolment until it is used, for 24 hours; a wrong code leaves it open; nobody signs in before."""
    secret = accounts.write_now(lambda tx: staff.add(tx, "ann", ("admin",), vault, **ROOT))

    def uri(given: str) -> str:
        return accounts.read_now(lambda c: staff.enrolment_uri(c, "ann", given, vault, "Site", clock.now_ms))

    assert uri(secret).startswith("otpauth://totp/Site:ann?secret=")
    with pytest.raises(Refusal):
        uri("x")
    assert sign_in(accounts, vault, "000000", "") == Attempt(None, "login_failed")
    wrong = lambda tx: staff.enrol(tx, "ann", secret, "$kept", "000000", vault)  # noqa: E731
    assert code_of(accounts, wrong) == "code_wrong"
    clock.forward(days=1)
    with pytest.raises(Refusal):
        uri(secret)
    again = accounts.write_now(lambda tx: staff.enrol_again(tx, "ann", vault, **ROOT))
    app = pyotp.parse_uri(uri(again))
    assert isinstance(app, pyotp.TOTP)
    member = accounts.write_now(lambda tx: staff.enrol(tx, "ann", again, "$kept", now_code(app, clock), vault))
    assert member.enrolled
    with pytest.raises(Refusal):
        uri(again)


def test_the_secret_of_the_codes_is_in_the_database_as_ciphertext_only(
    accounts: Accounts, vault: Vault, tmp_path: Path
) -> None:
    """Nor does the secret of the enrolment stand there."""
    secret = accounts.write_now(lambda tx: staff.add(tx, "ann", ("admin",), vault, **ROOT))
    app = pyotp.parse_uri(accounts.read_now(lambda c: staff.enrolment_uri(c, "ann", secret, vault, "Site", START_MS)))
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.db*"))
    assert app.secret.encode() not in stored
    assert secret.encode() not in stored


def test_enrolling_again_forgets_everything(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """Password, sessions and the old codes are gone at once."""
    app = enrol(accounts, vault, "ann", "admin")
    accounts.write_now(lambda tx: begin(tx, "staff:ann", Policy(idle_ms=1000, absolute_ms=1000, most=5)))
    accounts.write_now(lambda tx: staff.enrol_again(tx, "ann", vault, **ROOT))
    assert sign_in(accounts, vault, now_code(app, clock)).refusal == "login_failed"
    assert accounts.read_now(lambda c: c.execute(select(tables.sessions.c.id)).first()) is None


def test_a_disabled_member_is_out_at_once(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """Sessions end, nothing signs in, no action is allowed; it can be undone."""
    enrol(accounts, vault, "root", "admin")
    app = enrol(accounts, vault, "ann", "reviewer")
    accounts.write_now(lambda tx: begin(tx, "staff:ann", Policy(idle_ms=1000, absolute_ms=1000, most=5)))
    accounts.write_now(lambda tx: staff.disable(tx, "ann", **ROOT))
    assert accounts.read_now(lambda c: c.execute(select(tables.sessions.c.id)).first()) is None
    assert sign_in(accounts, vault, now_code(app, clock)).refusal == "login_failed"
    assert accounts.write_now(lambda tx: staff.confirm(tx, "ann", now_code(app, clock), vault)).refusal == "code_wrong"
    found = accounts.read_now(lambda c: staff.find(c, "ann"))
    assert found is not None
    with pytest.raises(Refusal, match="forbidden"):
        staff.authorise(found, "accounts.view", clock.now_ms, clock.now_ms)
    accounts.write_now(lambda tx: staff.enable(tx, "ann", **ROOT))
    assert sign_in(accounts, vault, now_code(app, clock)).member is not None


def test_nobody_changes_their_own_rights_and_an_admin_stays(accounts: Accounts, vault: Vault) -> None:
    """The last admin cannot be disabled or made something else; roles are those of the table."""
    enrol(accounts, vault, "root", "admin")
    own = {"actor": "staff:root", "role": "admin"}
    assert code_of(accounts, lambda tx: staff.set_roles(tx, "root", ("reviewer",), **own)) == "second_person_required"
    assert code_of(accounts, lambda tx: staff.disable(tx, "root", **own)) == "second_person_required"
    assert code_of(accounts, lambda tx: staff.set_roles(tx, "root", ("reviewer",), **ROOT)) == "bad_step"
    assert code_of(accounts, lambda tx: staff.disable(tx, "root", **ROOT)) == "bad_step"
    enrol(accounts, vault, "ann", "admin")
    accounts.write_now(lambda tx: staff.set_roles(tx, "root", ("inspector", "inspector"), **ROOT))
    assert [(each.name, each.roles) for each in accounts.read_now(staff.listed)] == [
        ("ann", ("admin",)), ("root", ("inspector",)),
    ]  # fmt: skip
    assert code_of(accounts, lambda tx: staff.set_roles(tx, "nobody", ("admin",), **ROOT)) == "account_not_found"
    assert code_of(accounts, lambda tx: staff.set_roles(tx, "root", ("king",), **ROOT)) == "bad_message"
    assert code_of(accounts, lambda tx: staff.set_roles(tx, "root", (), **ROOT)) == "bad_message"


@pytest.mark.parametrize("name", ["", "a", "Ann", "ann bee", "-ann", "a" * 33, "安"])
def test_bad_names_are_refused(accounts: Accounts, vault: Vault, name: str) -> None:
    """A name is short, of small letters, digits and . _ -."""
    assert code_of(accounts, lambda tx: staff.add(tx, name, ("admin",), vault, **ROOT)) == "bad_message"


def test_a_name_is_given_once(accounts: Accounts, vault: Vault) -> None:
    """There are no two members of one name."""
    enrol(accounts, vault, "ann", "admin")
    assert code_of(accounts, lambda tx: staff.add(tx, "ann", ("admin",), vault, **ROOT)) == "bad_message"


def member(*roles: StaffRole) -> Member:
    return Member(name="ann", roles=roles, enrolled=True, created_ms=1, disabled_ms=0, locked_until_ms=0)


def test_what_no_role_allows_is_refused() -> None:
    """Deny by default: each action for each role, as the table says, and as which role."""
    for action in get_args(Action):
        for role in get_args(StaffRole):
            found = member(role)
            if action in staff.ROLES[role]:
                assert staff.authorise(found, action, START_MS, START_MS) == role
            else:
                with pytest.raises(Refusal, match="forbidden"):
                    staff.authorise(found, action, START_MS, START_MS)
    assert member("reviewer", "senior").role_for("measures.take") == "senior"


def test_duty_p3_the_inspector_reads_only() -> None:
    """Every action of the inspector is one of looking; none needs more than being signed in."""
    assert all(action.endswith(".view") for action in staff.ROLES["inspector"])
    assert not staff.ROLES["inspector"] & staff.STEP_UP


def test_sensitive_actions_ask_for_a_factor_of_the_last_five_minutes() -> None:
    """Before, it is good; at five minutes, or if it was never given, it is not."""
    senior = member("senior")
    assert staff.authorise(senior, "measures.lift", START_MS, START_MS - staff.STEP_UP_MS + 1) == "senior"
    for stepped_up_ms in (0, START_MS - staff.STEP_UP_MS, START_MS + 1):
        with pytest.raises(Refusal, match="step_up_required"):
            staff.authorise(senior, "measures.lift", START_MS, stepped_up_ms)
    assert staff.authorise(senior, "accounts.view", START_MS, 0) == "senior"
    writes = {action for allowed in staff.ROLES.values() for action in allowed if not action.endswith(".view")}
    assert writes - staff.STEP_UP == EVERYDAY


def test_each_rung_has_its_action() -> None:
    """No measure can be taken without one."""
    assert set(staff.RUNG_ACTIONS) == set(get_args(Rung))


def test_old_enrolments_end_with_a_new_one(accounts: Accounts, vault: Vault, clock: Clock) -> None:
    """A second link makes the first one worthless."""
    first = accounts.write_now(lambda tx: staff.add(tx, "ann", ("admin",), vault, **ROOT))
    accounts.write_now(lambda tx: staff.enrol_again(tx, "ann", vault, **ROOT))
    with pytest.raises(Refusal):
        accounts.read_now(lambda c: staff.enrolment_uri(c, "ann", first, vault, "Site", clock.now_ms))
    assert DAY_MS == staff.ENROLMENT_MS
