"""The corporate actions of the instruments, as a test declares them."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.fakes.yahoo.instruments import Instrument, find

Events = dict[str, Any]
"""The events of a chart: `splits` and `dividends`, each by its date."""


class CorporateActions:
    """Declares events in charts, and applies their splits to prices.

    The events are declared as they are given, whatever their form. A split of positive numbers changes the prices of
    its instrument: from its date on, all of them are lower by the ratio, those of earlier days too, as at Yahoo.
    """

    def __init__(self) -> None:
        self._events: dict[str, Events] = {}

    def declare(self, symbol: str, events: Events) -> None:
        """Declare the events of a symbol, in place of earlier ones."""
        self._events[symbol.upper()] = events

    def clear(self) -> None:
        """Declare nothing."""
        self._events.clear()

    def events(self, symbol: str, names: str) -> Events:
        """What the chart of a symbol declares, of the kinds that `events` of a request names."""
        wanted = {"div": "dividends", "split": "splits", "splits": "splits"}
        kinds = {wanted[name] for name in names.replace("|", ",").split(",") if name in wanted}
        return {kind: declared for kind, declared in self._events.get(symbol.upper(), {}).items() if kind in kinds}

    def instrument(self, symbol: str, now: float) -> Instrument | None:
        """The instrument of a symbol with the level of its prices after its splits up to now."""
        instrument = find(symbol)
        splits = self._events.get(symbol.upper(), {}).get("splits", {})
        if instrument is None or not isinstance(splits, dict):
            return instrument
        price = instrument.base_price
        for split in splits.values():
            match split:
                case {"date": int(date), "numerator": int(new), "denominator": int(old)} if date <= now and new and old:
                    price *= old / new
        return instrument if price == instrument.base_price else msgspec.structs.replace(instrument, base_price=price)
