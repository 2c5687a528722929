"""The outbox's counts as Prometheus metrics. One scrape reads all of them at one instant, so that they add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from producer_service.quote_counts import QuoteCounts


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
            "Quotes fetched: accepted, suppressed (a repeat), late (older than the newest accepted) or rejected.",
            labels=["outcome"],
        )
        for outcome in ("accepted", "suppressed", "late", "rejected"):
            quotes.add_metric([outcome], getattr(counts, outcome))
        yield quotes
        for name, text, count in (
            ("recovered", "Accepted quotes found in the journal at the start, or left in S3.", counts.recovered),
            ("acknowledged", "Accepted quotes that Kinesis has acknowledged.", counts.acknowledged),
            ("handed_over", "Accepted quotes left in S3 for the next producer.", counts.handed_over),
        ):
            yield CounterMetricFamily(f"stockstream_quotes_{name}", text, value=count)
        age = counts.oldest_age_seconds or 0.0
        for name, text, value in (
            ("outbox_quotes", "Accepted quotes not yet acknowledged.", counts.pending),
            ("outbox_bytes", "Their bytes, including the heartbeats and actions between them.", counts.bytes),
            ("outbox_limit_bytes", "Undelivered bytes beyond which polling waits.", self._limit_bytes),
            ("outbox_oldest_age_seconds", "How long the oldest of them has been pending.", age),
            ("journal_bytes", "Size of the journal on disk.", self._outbox.journal_bytes()),
        ):
            yield GaugeMetricFamily(f"stockstream_{name}", text, value=value)
