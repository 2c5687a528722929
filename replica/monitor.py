"""Counts what the running pipeline stores. The event-source runner feeds it, the view and the summary read it."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from processor_lambda.rows import change_percent_of
from quotes import Quote, decode, short_price
from replica.event_source import InvocationReport

MILLISECOND = timedelta(milliseconds=1)
RATE_SECONDS = 5.0
"""The displayed rate is an average over this many seconds."""


class Price(msgspec.Struct, frozen=True):
    """The last stored price of a symbol, as it is shown."""

    symbol: str
    text: str
    change_text: str
    """The change from the previous close, such as `+1.20 %`. Empty if it is unknown."""


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time from receipt to row goes: the median of each part, in seconds.

    Medians of parts do not add up to the median of the whole.
    """

    producer: float
    """From the receipt of a quote to its arrival in the stream."""
    event_source: float
    """From there to the invocation of the function."""
    function: float
    """From there to the end of the invocation."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the pipeline at one instant."""

    stored: int
    batches: int
    failed_batches: int
    quotes_per_second: float
    p50: float | None
    """The median latency in seconds: from the producer's receipt of a quote to the end of its storing invocation."""
    p99: float | None
    """The 99th percentile of the latency, in seconds."""
    p99_9: float | None = None
    """The 99.9th percentile of the latency, in seconds."""
    breakdown: Breakdown | None = None
    """The median of each part of the latency."""
    prices: tuple[Price, ...] = ()
    """The last prices, sorted by symbol."""
    delay_minutes: int = 0
    """The longest delay that one of these prices declares."""


NOTHING = Snapshot(stored=0, batches=0, failed_batches=0, quotes_per_second=0.0, p50=None, p99=None)
"""The figures before the first invocation."""


class Monitor:
    """Counts invocations and stored quotes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stored = 0
        # By whole milliseconds, so that their size does not grow with the run.
        self._latencies: Counter[int] = Counter()
        self._parts: dict[str, Counter[int]] = {part: Counter() for part in Breakdown.__struct_fields__}
        self._batches = 0
        self._failed = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._last: dict[str, Quote] = {}

    def on_batch(self, report: InvocationReport) -> None:
        """Note the result of an invocation. The records that it finished are stored."""
        quotes = [
            (record.approximate_arrival_timestamp, good.line)
            for record in report.records[: report.finished]
            for good in decode(record.data).good
            if isinstance(good.line, Quote)
        ]
        function = (report.finished_at - report.started_at) // MILLISECOND
        with self._lock:
            self._batches += 1
            self._failed += report.result != "success"
            self._recent.append((time.monotonic(), len(quotes)))
            for arrived_at, quote in quotes:
                self._stored += 1
                self._latencies[(report.finished_at - quote.ingest_time) // MILLISECOND] += 1
                self._parts["producer"][(arrived_at - quote.ingest_time) // MILLISECOND] += 1
                self._parts["event_source"][(report.started_at - arrived_at) // MILLISECOND] += 1
                self._parts["function"][function] += 1
                self._last[quote.symbol] = quote

    def snapshot(self) -> Snapshot:
        """The figures so far, with the last price of each symbol."""
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0][0] < now - RATE_SECONDS:
                self._recent.popleft()
            figures = Snapshot(
                stored=self._stored,
                batches=self._batches,
                failed_batches=self._failed,
                quotes_per_second=sum(count for _, count in self._recent) / RATE_SECONDS,
                p50=percentile(self._latencies, 50),
                p99=percentile(self._latencies, 99),
                p99_9=percentile(self._latencies, 99.9),
                breakdown=self._breakdown(),
            )
            last = sorted(self._last.items())
        return replace(
            figures,
            prices=tuple(price_of(quote) for _, quote in last),
            delay_minutes=max((quote.delay_minutes or 0 for _, quote in last), default=0),
        )

    def _breakdown(self) -> Breakdown | None:
        medians = {part: percentile(counted, 50) for part, counted in self._parts.items()}
        known = {part: median for part, median in medians.items() if median is not None}
        return Breakdown(**known) if len(known) == len(medians) else None


def price_of(quote: Quote) -> Price:
    """The price of a quote as it is shown."""
    change = change_percent_of(quote)
    return Price(
        quote.symbol,
        short_price(quote.price, quote.open, quote.high, quote.low, quote.previous_close),
        "" if change is None else f"{change:+.2f} %" if round(change, 2) else "0.00 %",
    )


def percentile(milliseconds: Counter[int], percent: float) -> float | None:
    """The nearest-rank percentile of counted milliseconds, in seconds; None if the counter is empty."""
    rank = math.ceil(round(milliseconds.total() * percent / 100, 6))  # without the error of a float such as 99.9
    for value in sorted(milliseconds):
        rank -= milliseconds[value]
        if rank <= 0:
            return value / 1000
    return None
