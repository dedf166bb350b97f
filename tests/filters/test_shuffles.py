"""Tests of filters.shuffles."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from filters.language import surprise
from filters.shuffles import LEAST_BITS, odd_orders, price, telling_pairs


def test_price() -> None:
    """An order costs the choice among all orders, in eighths of a bit."""
    assert [price(size) for size in (2, 3, 4)] == [8, 21, 37]


def test_only_odd_orders_count() -> None:
    """An order that leaves words whole explains nothing, and the term's own order is none."""
    orders = odd_orders("东北人", 60)
    assert "北东人" in orders
    assert "东北人" not in orders
    assert all(surprise(order) >= 8 * LEAST_BITS + price(3) + 60 for order in orders)
    assert odd_orders("东北人", 1_000) == []


@given(st.lists(st.text(st.sampled_from("东北人犯罪分子"), min_size=2, max_size=4), max_size=12))
def test_every_order_is_told(orders: list[str]) -> None:
    """Of the pairs chosen every order has at least one."""
    chosen = telling_pairs(orders)
    assert all(chosen & set(map("".join, pairwise(order))) for order in orders)


def test_rare_pairs_are_preferred() -> None:
    """Where one pair would do as well as another, the one that ordinary text seldom has is taken."""
    assert telling_pairs(["中国犯"]) == {"国犯"}
