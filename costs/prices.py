"""The price table: what AWS asks for a unit of each thing, when that was noted down, and how sure it is."""

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
    unit: str
    mark: Literal["V", "S", "M"]
    """V: read in AWS's own data; S: on a secondary page; M: from memory."""
    source: str


class Prices(msgspec.Struct, frozen=True):
    """The table. All of one region and one day."""

    region: str
    read: date
    prices: dict[str, Price]

    def usd(self, name: str) -> float:
        """The dollars of one unit. KeyError for a thing that has no price."""
        return self.prices[name].usd


def read(path: Path = PATH) -> Prices:
    """The table of the repository. Raises msgspec.ValidationError where it is not as it should be."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    region, day = table.pop("region"), table.pop("read")
    return Prices(region, day, msgspec.convert(table, dict[str, Price]))
