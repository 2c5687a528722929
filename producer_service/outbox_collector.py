"""The outbox's counts as Prometheus metrics. One scrape reads all of them at one instant, so that they add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from producer_service.quote_counts import QuoteCounts

_HELP = {
    "quotes_recovered": "Accepted quotes of an earlier process that this one delivers, from the journal or from S3.",
    "quotes_acknowledged": "Accepted quotes that Kinesis has acknowledged. If this rises more slowly than the accepted "
    "quotes, the delivery falls behind.",
    "quotes_handed_over": "Accepted quotes that this process could not deliver before its stop. They are in S3, for "
    "the next process.",
    "outbox_quotes": "The number of accepted quotes that Kinesis has not acknowledged yet. A rise means that the "
    "delivery falls behind.",
    "outbox_bytes": "Bytes of the lines that Kinesis has not acknowledged yet. At stockstream_outbox_limit_bytes, "
    "polling waits.",
    "outbox_limit_bytes": "Bytes of undelivered lines above which polling waits: PRODUCER_OUTBOX_MAX_BYTES.",
    "outbox_oldest_age_seconds": "Seconds since the acceptance of the oldest quote that Kinesis has not acknowledged; "
    "0 if there is none. A rise means that the delivery stands still.",
    "journal_bytes": "Bytes of the journal, the file that keeps accepted quotes over a crash; 0 if it is in memory.",
}


class CountingOutbox(Protocol):
    """The part of the outbox that the collector reads."""

    def counts(self) -> QuoteCounts:
        """The outcome of every quote up to now."""

    def journal_bytes(self) -> int:
        """The size of the journal on disk."""


class OutboxCollector(Collector):
    """Collects the counts of an outbox."""

    def __init__(self, outbox: CountingOutbox, *, limit_bytes: int) -> None:
        self._outbox = outbox
        self._limit_bytes = limit_bytes

    def collect(self) -> Iterator[Metric]:
        """The metrics of one reading."""
        counts = self._outbox.counts()
        quotes = CounterMetricFamily(
            "stockstream_quotes",
            "Quotes that came from the source, by outcome: accepted for delivery, suppressed (they say what was "
            "accepted before), late (older than the newest accepted quote of their symbol), rejected (not valid). A "
            "rise of rejected means that the source sends prices that cannot be right.",
            labels=["outcome"],
        )
        for outcome in ("accepted", "suppressed", "late", "rejected"):
            quotes.add_metric([outcome], getattr(counts, outcome))
        yield quotes
        for name, count in (
            ("quotes_recovered", counts.recovered),
            ("quotes_acknowledged", counts.acknowledged),
            ("quotes_handed_over", counts.handed_over),
        ):
            yield CounterMetricFamily(f"stockstream_{name}", _HELP[name], value=count)
        for name, value in (
            ("outbox_quotes", counts.pending),
            ("outbox_bytes", counts.bytes),
            ("outbox_limit_bytes", self._limit_bytes),
            ("outbox_oldest_age_seconds", counts.oldest_age_seconds or 0.0),
            ("journal_bytes", self._outbox.journal_bytes()),
        ):
            yield GaugeMetricFamily(f"stockstream_{name}", _HELP[name], value=value)
