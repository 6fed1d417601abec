"""Prices, cart and tokens."""

import unittest
from datetime import UTC, datetime, timedelta

from shop.cart import Cart
from shop.prices import split
from shop.tokens import expired


class ShopTest(unittest.TestCase):
    """What the shop promises."""

    def test_the_parts_add_up(self) -> None:
        """No cent is lost."""
        assert split(1000, [1, 1, 1]) == [334, 333, 333]

    def test_a_discount_is_shared_by_price(self) -> None:
        """The dearer item gets more of it."""
        cart = Cart()
        cart.add("lamp", 3000)
        cart.add("bulb", 1000)
        assert cart.discount(400) == {"lamp": 300, "bulb": 100}

    def test_a_token_lasts_an_hour(self) -> None:
        """And a minute and a half more, for clocks that differ."""
        now = datetime(2026, 1, 1, tzinfo=UTC)
        assert not expired(now - timedelta(minutes=59), now)
        assert expired(now - timedelta(minutes=62), now)
