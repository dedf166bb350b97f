"""server/accounts/devices.py"""

from __future__ import annotations

import pytest

from server.accounts import devices
from server.accounts.devices import Devices
from server.accounts.staff import FREE_FAILURES, wait_after


def test_a_client_is_known_by_its_cookie() -> None:
    """For its own name, also after a restart with the same key; not with another key, name or any change."""
    cookie = Devices(b"k" * 32).issue("ann.b")
    again = Devices(b"k" * 32)
    assert again.knows(cookie, "ann.b")
    assert not again.knows(cookie, "bob")
    assert not again.knows(cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), "ann.b")
    assert not Devices(b"x" * 32).knows(cookie, "ann.b")
    assert not any(again.knows(bad, "ann.b") for bad in ("", "ann.b", "..", "ann.b..x"))


def test_a_client_from_which_guesses_fail_is_a_stranger_again() -> None:
    """Who steals a cookie has as many free guesses as a stranger, once."""
    found = Devices(b"k" * 32)
    cookie, other = found.issue("ann"), found.issue("ann")
    for _ in range(FREE_FAILURES):
        assert found.knows(cookie, "ann")
        found.tries(cookie)
    assert not found.knows(cookie, "ann")
    assert found.knows(other, "ann")
    found.succeeded(cookie)
    assert found.knows(cookie, "ann")


def test_a_session_has_a_few_attempts_to_confirm() -> None:
    """Five, counted as they begin; a good one clears the count; another session has its own."""
    found = Devices(b"k" * 32)
    assert [found.confirms("s") for _ in range(FREE_FAILURES + 2)] == [True] * FREE_FAILURES + [False] * 2
    assert found.confirms("t")
    found.confirmed("s")
    assert found.confirms("s")


def test_names_that_do_not_exist_wait_like_others() -> None:
    """So that waiting does not tell who works here."""
    found = Devices(b"k" * 32)
    now = 0
    for failures in range(1, 12):
        assert found.nobody_failed("ghost", now) == 0
        wait = wait_after(failures)
        if wait:
            assert found.nobody_failed("ghost", now + 1) == wait - 1
        now += wait
    assert found.nobody_failed("other", now) == 0


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unused goes first."""
    monkeypatch.setattr(devices, "REMEMBERED", 2)
    found = Devices(b"k" * 32)
    cookies = [found.issue("ann") for _ in range(3)]
    for cookie in cookies:
        for _ in range(FREE_FAILURES):
            found.tries(cookie)
    assert [found.knows(cookie, "ann") for cookie in cookies] == [True, False, False]
    for name in ("a", "b", "c"):
        for _ in range(FREE_FAILURES):
            found.nobody_failed(name, 0)
    assert [found.nobody_failed(name, 1) > 0 for name in ("c", "b", "a")] == [True, True, False]
