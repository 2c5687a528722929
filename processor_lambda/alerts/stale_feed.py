"""`stale_feed`: a symbol of an open market has no new quote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from indicators import significant
from lane_state import Alert, SymbolState
from processor_lambda.alerts.rule import AlertRule, NotNegative, Positive
from processor_lambda.alerts.signals import Signal, one_sided
from quotes import to_iso

_MINUTE_MS = 60_000
_DAY_MINUTES = 24 * 60


class StaleSymbol(NamedTuple):
    """A symbol that has been silent for too long."""

    symbol: str
    minutes: float
    """How long it has been silent."""
    limit: float
    """The number of minutes that were allowed."""


class StaleFeed(AlertRule, frozen=True, kw_only=True, tag="stale_feed"):
    """A symbol of an open market has no new quote for `minutes`, and for `intervals` times its longest usual interval.

    Evaluated at heartbeats. The cooldown is the lane's, because an outage reaches every symbol at a different time.
    """

    minutes: Positive = 15.0
    intervals: NotNegative = 4.0

    def signal(self, state: SymbolState, clock: datetime) -> Signal:
        """The minutes of silence, less the delay that the source declares. 0 in a closed market.

        It is 0 too once a symbol has been stale for a day. It was announced by then, and is probably no longer watched:
        nothing tells the processor that, and no later rule should announce it again.
        """
        limit = max(self.minutes, self.intervals * state.interval_ms / _MINUTE_MS)
        silence = (clock - state.silent_since) / timedelta(minutes=1) - state.delay_minutes if state.is_open else 0.0
        return Signal(silence if silence <= limit + _DAY_MINUTES else 0.0, one_sided(limit, self.rearm))

    def alert(self, lane: str, stale: Sequence[StaleSymbol], clock: datetime) -> Alert:
        """One alert for all stale symbols of a lane at a heartbeat. Its `minutes` are those of the shortest silence."""
        shortest = min(stale, key=lambda each: each.minutes)
        minutes = math.floor(shortest.minutes)
        values = {
            "minutes": significant(minutes),
            "threshold": significant(shortest.limit),
            "count": Decimal(len(stale)),
        }
        if len(stale) == 1:
            subject = f"{shortest.symbol} has had no new price for {minutes} minutes"
            return self.build(shortest.symbol, to_iso(clock), subject, values)
        symbols = tuple(sorted(each.symbol for each in stale))
        subject = f"{len(stale)} symbols have had no new price for {minutes} minutes: {', '.join(symbols)}"
        return self.build(lane, to_iso(clock), subject, values, symbols=symbols)
