"""What the producer exports to Prometheus.

The registry is an argument. Counters tell the truth about loss:
fetched = accepted + suppressed + late + rejected, and recovered + accepted = acknowledged + pending.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from producer_service.outbox import Level

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BYTES = (1_000, 5_000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000)


class Metrics:
    """Every metric of the producer, each with a closed set of labels and none of them a symbol."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.build = Info("stockstream_build", "What runs.", registry=registry)
        self.polls = Counter(
            "stockstream_polls",
            "Polls by outcome: complete, partial (a request failed), failed.",
            ["outcome"],
            registry=registry,
        )
        self.poll_seconds = Histogram(
            "stockstream_poll_seconds",
            "How long the source took to answer a poll.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.source_failures = Counter(
            "stockstream_source_failures", "Requests that the source failed, by reason.", ["reason"], registry=registry
        )
        self.missing = Gauge(
            "stockstream_missing_symbols",
            "Symbols without a price in the last poll that asked for them.",
            registry=registry,
        )
        self.quotes = Counter(
            "stockstream_quotes",
            "Quotes fetched: accepted, suppressed (a repeat), late (older than the newest accepted) or rejected.",
            ["outcome"],
            registry=registry,
        )
        self.recovered = Counter(
            "stockstream_quotes_recovered", "Accepted quotes found in the journal at the start.", registry=registry
        )
        self.acknowledged = Counter(
            "stockstream_quotes_acknowledged", "Accepted quotes that Kinesis has acknowledged.", registry=registry
        )
        self.delivery_seconds = Histogram(
            "stockstream_delivery_seconds",
            "From a packet's oldest acceptance to its acknowledgement.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.put_seconds = Histogram(
            "stockstream_put_seconds", "How long PutRecords requests took.", buckets=_SECONDS, registry=registry
        )
        self.put_bytes = Histogram(
            "stockstream_put_bytes", "How large PutRecords requests were.", buckets=_BYTES, registry=registry
        )
        self.packets = Counter(
            "stockstream_packets",
            "Packets put, by outcome: acknowledged, or why they are sent again.",
            ["outcome"],
            registry=registry,
        )
        self.heartbeats = Counter(
            "stockstream_heartbeats", "Rounds of heartbeats, one to each lane.", registry=registry
        )
        self.outbox_full_seconds = Counter(
            "stockstream_outbox_full_seconds", "Time that polling waited for room in the outbox.", registry=registry
        )
        self.scheduler_events = Counter(
            "stockstream_scheduler_events",
            "Runs of jobs that went wrong: missed, overlapped, error.",
            ["event"],
            registry=registry,
        )
        for outcome in ("complete", "partial", "failed"):
            self.polls.labels(outcome)
        for outcome in ("accepted", "suppressed", "late", "rejected"):
            self.quotes.labels(outcome)
        for reason in ("rate_limited", "unauthorized", "server_error", "malformed", "timeout", "connection"):
            self.source_failures.labels(reason)
        for outcome in ("acknowledged", "throttled", "internal", "timeout", "connection", "refused"):
            self.packets.labels(outcome)
        for event in ("missed", "overlapped", "error"):
            self.scheduler_events.labels(event)

    def watch_clock(self, clock: Callable[[], float]) -> None:
        """Export the clock, for Prometheus to hold against its own."""
        Gauge(
            "stockstream_clock_seconds", "The producer's clock, in seconds since the epoch.", registry=self.registry
        ).set_function(clock)

    def watch_outbox(self, level: Callable[[], Level], clock: Callable[[], float], *, limit_bytes: int) -> None:
        """Export how full the outbox is, as it is when Prometheus asks."""

        def age() -> float:
            oldest = level().oldest_accepted_at
            return 0.0 if oldest is None else max(0.0, clock() - oldest)

        for name, text, read in (
            ("quotes", "Accepted quotes not yet acknowledged.", lambda: level().quotes),
            ("bytes", "Their bytes, with the heartbeats between them.", lambda: level().bytes),
            ("limit_bytes", "Undelivered bytes beyond which polling waits.", lambda: limit_bytes),
            ("oldest_age_seconds", "How long the oldest of them has been pending.", age),
        ):
            Gauge(f"stockstream_outbox_{name}", text, registry=self.registry).set_function(read)
