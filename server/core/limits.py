"""Counts of connections, so that one address or one account cannot take them all."""

from __future__ import annotations

from typing import Literal

Refused = Literal["", "total", "address", "account"]


class Connections:
    """Live connections in total, per address and per account.

    Bound: an entry per address and account with at least one connection, so at most twice ``total`` entries.
    Overflow action: the connection is refused (``too_many_connections``); nobody is thrown out for a newcomer.
    """

    __slots__ = ("_accounts", "_addresses", "_per_account", "_per_address", "_total", "count")

    def __init__(self, total: int, per_address: int, per_account: int) -> None:
        self._total = total
        self._per_address = per_address
        self._per_account = per_account
        self._addresses: dict[str, int] = {}
        self._accounts: dict[str, int] = {}
        self.count = 0

    def open(self, address: str) -> Refused:
        """Count a connection from ``address``; returns which bound refuses it, or an empty string."""
        if self.count >= self._total:
            return "total"
        if self._addresses.get(address, 0) >= self._per_address:
            return "address"
        self.count += 1
        self._addresses[address] = self._addresses.get(address, 0) + 1
        return ""

    def close(self, address: str) -> None:
        """The connection that :meth:`open` counted is gone."""
        self.count -= 1
        _decrease(self._addresses, address)

    def sign_in(self, account: str) -> Refused:
        """Count a connection of ``account``; returns ``account`` when it has too many."""
        if self._accounts.get(account, 0) >= self._per_account:
            return "account"
        self._accounts[account] = self._accounts.get(account, 0) + 1
        return ""

    def sign_out(self, account: str) -> None:
        """The connection that :meth:`sign_in` counted is gone, or speaks for another account now."""
        _decrease(self._accounts, account)


def _decrease(counts: dict[str, int], key: str) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
