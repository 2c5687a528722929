"""The price table: what a unit of each thing costs, where the price was read, and how reliable it is."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

PATH = Path(__file__).with_name("prices.toml")


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list price of one thing."""

    usd: float
    """Dollars for one unit."""
    unit: str
    mark: Literal["V", "S", "M"]
    """How reliable it is. V: verified in AWS's own data or pages. S: from a secondary page. M: from memory."""
    source: str


class Prices(msgspec.Struct, frozen=True):
    """The prices of one region on one day."""

    region: str
    read: date
    """The day on which the prices were noted."""
    prices: dict[str, Price]

    def usd(self, name: str) -> float:
        """The dollars for one unit of a thing. Raises KeyError if it has no price."""
        return self.prices[name].usd


def read(path: Path = PATH) -> Prices:
    """Read a price table, by default the one of this package. Raises msgspec.ValidationError if it is not valid."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    region, day = table.pop("region"), table.pop("read")
    return Prices(region, day, msgspec.convert(table, dict[str, Price]))
