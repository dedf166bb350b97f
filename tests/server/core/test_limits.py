"""server/core/limits.py"""

from __future__ import annotations

from collections import Counter

from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import DataObject, sampled_from
from hypothesis.strategies import data as any_data

from server.core.limits import Connections


def test_the_total_is_a_bound() -> None:
    """One connection more than the total is refused, until another is closed."""
    limits = Connections(total=2, per_address=9, per_account=9)
    assert [limits.open("a"), limits.open("b"), limits.open("c")] == ["", "", "total"]
    assert limits.count == 2
    limits.close("a")
    assert limits.open("c") == ""


def test_an_address_has_its_own_bound() -> None:
    """One address cannot take all connections, and its bound costs nobody else anything."""
    limits = Connections(total=9, per_address=2, per_account=9)
    assert [limits.open("a") for _ in range(3)] == ["", "", "address"]
    assert limits.open("b") == ""
    assert limits.count == 3
    limits.close("a")
    assert limits.open("a") == ""


def test_an_account_has_its_own_bound() -> None:
    """Connections of one account are counted wherever they come from."""
    limits = Connections(total=9, per_address=9, per_account=2)
    assert [limits.sign_in("ann") for _ in range(3)] == ["", "", "account"]
    assert limits.sign_in("bob") == ""
    limits.sign_out("ann")
    assert limits.sign_in("ann") == ""


class Coming(RuleBasedStateMachine):
    """Connections against plain counters: refusals never count, entries of nobody are not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Connections(total=5, per_address=3, per_account=2)
        self.addresses: Counter[str] = Counter()
        self.accounts: Counter[str] = Counter()

    @rule(address=sampled_from("abc"))
    def open(self, address: str) -> None:
        full = self.addresses.total() >= 5
        expected = "total" if full else "address" if self.addresses[address] >= 3 else ""
        assert self.limits.open(address) == expected
        if not expected:
            self.addresses[address] += 1

    @precondition(lambda self: self.addresses.total())
    @rule(data=any_data())
    def close(self, data: DataObject) -> None:
        address = data.draw(sampled_from(sorted(self.addresses.elements())))
        self.limits.close(address)
        self.addresses[address] -= 1

    @rule(account=sampled_from("xyz"))
    def sign_in(self, account: str) -> None:
        expected = "account" if self.accounts[account] >= 2 else ""
        assert self.limits.sign_in(account) == expected
        if not expected:
            self.accounts[account] += 1

    @precondition(lambda self: self.accounts.total())
    @rule(data=any_data())
    def sign_out(self, data: DataObject) -> None:
        account = data.draw(sampled_from(sorted(self.accounts.elements())))
        self.limits.sign_out(account)
        self.accounts[account] -= 1

    @invariant()
    def counts_agree(self) -> None:
        assert self.limits.count == self.addresses.total()
        assert self.limits._addresses == +self.addresses
        assert self.limits._accounts == +self.accounts


TestComing = Coming.TestCase
