"""What the tests of the Yahoo source against the local Yahoo share."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

from producer_service.sources.yahoo.source import MAX_BATCH, YahooSource

OPEN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
"""A Monday, half an hour after New York opens."""
SYMBOLS = tuple(f"S{number}" for number in range(2 * MAX_BATCH + 20))
"""The symbols of a poll that needs three requests."""
BATCHES = tuple(SYMBOLS[first : first + MAX_BATCH] for first in range(0, len(SYMBOLS), MAX_BATCH))


class Uptime:
    """A monotonic clock that a test may move forward."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


def skip(source: YahooSource, seconds: float) -> None:
    """Move the monotonic clock of a source forward, for example to the end of a pause."""
    uptime = source._monotonic
    assert isinstance(uptime, Uptime)
    uptime.skipped += seconds


class MakeSource(Protocol):
    """Makes a source with the options of `YahooSource`. The test closes it at its end."""

    def __call__(self, **options: object) -> YahooSource: ...
