"""What models cost: `prices.toml` in the config directory, by the model's name.

    currency = "USD"

    [models."claude-sonnet-4-5*"]
    in = 3.00
    out = 15.00
    cached = 0.30

Prices are for a million tokens. A model that no entry fits counts tokens only.
"""

from __future__ import annotations

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pktui.errors import SettingsError

if TYPE_CHECKING:
    from pktui.settings import Paths

_MILLION: Final = Decimal(1_000_000)
_MOST: Final = _MILLION


class Used(Protocol):
    """Tokens of one model."""

    @property
    def model(self) -> str:
        """The model."""

    @property
    def tokens_in(self) -> int:
        """Tokens that went in, not from a cache."""

    @property
    def tokens_out(self) -> int:
        """Tokens that came out."""

    @property
    def cached(self) -> int:
        """Tokens that were read from a cache."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price of a million tokens of each kind."""

    tokens_in: Decimal = msgspec.field(name="in")
    tokens_out: Decimal = msgspec.field(name="out")
    cached: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse what no budget could be judged by; raises `ValueError`."""
        for price in (self.tokens_in, self.tokens_out, self.cached):
            if not (price.is_finite() and 0 <= price <= _MOST):
                raise ValueError(f"a price is a number from 0 to {_MOST:,}, not {price}")


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every price by the model's name, or a pattern with stars; the longest that fits counts."""

    currency: str = "USD"
    models: dict[str, Price] = {}

    def cost(self, used: Used) -> Decimal | None:
        """Return what tokens cost, None where the model's price is not known."""
        fitting = [name for name in self.models if fnmatchcase(used.model, name)]
        if not fitting:
            return None
        price = self.models[max(fitting, key=len)]
        tokens = (
            used.tokens_in * price.tokens_in
            + used.tokens_out * price.tokens_out
            + used.cached * price.cached
        )
        return tokens / _MILLION


def load_prices(paths: Paths) -> Prices:
    """Read `prices.toml`; without one no model has a price. Raises `SettingsError`."""
    file = paths.config_dir / "prices.toml"
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return Prices()
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror or error}", "Check its owner and mode"
        ) from error
    import tomllib

    try:
        table = tomllib.loads(raw.decode("utf-8-sig"), parse_float=Decimal)
        return msgspec.convert(table, Prices)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{file}: {error}", "See config/prices.toml for its form") from error
