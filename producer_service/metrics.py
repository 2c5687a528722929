"""The metrics that the producer exports to Prometheus.

The counters of quotes add up at every instant, so that a loss would show:
fetched = accepted + suppressed + late + rejected, and recovered + accepted = acknowledged + pending + handed over.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import get_args

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from producer_service.freshness import Freshness
from producer_service.outbox_collector import CountingOutbox, OutboxCollector
from producer_service.sources import FailureReason
from producer_service.stream import PutFailure

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BYTES = (1_000, 5_000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000)


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All groups together at one moment."""

    groups: int
    open: int
    """Groups that are polled, as their exchanges are open, or opened or closed so recently that prices may come."""
    trading: int
    """Groups of which an exchange is in its session, by its calendar and without margins."""
    missing: int
    inactive: int
    is_paused: bool
    """Whether the breaker of any source is open."""


class Metrics:
    """Every metric of the producer. Labels have closed sets of values, and no label is a symbol."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.build = Info("stockstream_build", "The versions that run.", registry=registry)
        self.polls = Counter(
            "stockstream_polls",
            "Polls by outcome: complete, partial (a request failed), failed, paused (the source's breaker is open). "
            "Each result of a pushed source counts as a poll.",
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
            "stockstream_source_failures", "Failed requests to the source, by reason.", ["reason"], registry=registry
        )
        self.actions = Counter(
            "stockstream_actions",
            "Corporate actions fetched: accepted, suppressed (sent before) or rejected (of a form that none has).",
            ["outcome"],
            registry=registry,
        )
        self.missing = Gauge(
            "stockstream_missing_symbols",
            "Symbols without a price in the last poll of their group.",
            registry=registry,
        )
        self.inactive = Gauge(
            "stockstream_symbols_set_aside",
            "Symbols that had no price for so long that they are asked for only once a day.",
            registry=registry,
        )
        self.breaker_open = Gauge(
            "stockstream_source_breaker_open",
            "1 while a source gets no requests, as it refused them.",
            registry=registry,
        )
        self.groups = Gauge("stockstream_groups", "Watch groups.", registry=registry)
        self.groups_open = Gauge(
            "stockstream_groups_open",
            "Watch groups whose exchanges are open, margins included.",
            registry=registry,
        )
        self.groups_trading = Gauge(
            "stockstream_groups_trading",
            "Watch groups of which an exchange is in its session, so that new quotes are to be expected.",
            registry=registry,
        )
        self.freshness = Freshness()
        registry.register(self.freshness)
        self.delivery_seconds = Histogram(
            "stockstream_delivery_seconds",
            "From the acceptance of the oldest line of a packet to the packet's acknowledgement.",
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
            "Packets sent, by outcome: acknowledged, or why they are sent again. After timeout, connection and journal "
            "Kinesis may have stored them, so they may arrive twice.",
            ["outcome"],
            registry=registry,
        )
        self.heartbeats = Counter(
            "stockstream_heartbeats", "Rounds of heartbeats. A round is one heartbeat for each lane.", registry=registry
        )
        self.outbox_full_seconds = Counter(
            "stockstream_outbox_full_seconds",
            "Time that polls waited for room in the outbox, added up over the groups.",
            registry=registry,
        )
        self.scheduler_events = Counter(
            "stockstream_scheduler_events",
            "Runs of jobs that went wrong: overlapped, error.",
            ["event"],
            registry=registry,
        )
        self.clock_steps = Counter(
            "stockstream_clock_steps", "Steps of the host's clock by more than a second.", registry=registry
        )
        self.unexpected_errors = Counter(
            "stockstream_unexpected_errors",
            "Exceptions that nobody expected. Three in a row of one activity end the process.",
            registry=registry,
        )
        self.journal_failures = Counter(
            "stockstream_journal_failures",
            "Commits to the journal that failed. Polling waits and tries again every second.",
            registry=registry,
        )
        self.undelivered_states = Counter(
            "stockstream_undelivered_states",
            "States that other producers left, by outcome: restored, refused (unusable, so it was set aside), or left "
            "(for a producer with other lanes or another version; counted at each look).",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("restored", "refused", "left"):
            self.undelivered_states.labels(outcome)
        for outcome in ("complete", "partial", "failed", "paused"):
            self.polls.labels(outcome)
        for reason in get_args(FailureReason):
            self.source_failures.labels(reason)
        for outcome in ("accepted", "suppressed", "rejected"):
            self.actions.labels(outcome)
        for outcome in ("acknowledged", *get_args(PutFailure)):
            self.packets.labels(outcome)
        for event in ("overlapped", "error"):
            self.scheduler_events.labels(event)

    def watch_clock(self, host: Callable[[], float], error: Callable[[], float]) -> None:
        """Export the host's clock, so that Prometheus can compare it with its own, and how wrong Kinesis finds it."""
        Gauge(
            "stockstream_clock_seconds", "The clock of the host, in seconds since the epoch.", registry=self.registry
        ).set_function(host)
        Gauge(
            "stockstream_clock_error_seconds",
            "How far the clock of the host is ahead of the producer's time. It is 0 unless the clock is wrong.",
            registry=self.registry,
        ).set_function(error)

    def watch_calendars(self, known_to: Callable[[], datetime]) -> None:
        """Export the time up to which the hours of all exchanges are known."""
        Gauge(
            "stockstream_calendar_known_to_timestamp_seconds",
            "The time up to which the hours of all exchanges are known. After it they count as open.",
            registry=self.registry,
        ).set_function(lambda: known_to().timestamp())

    def watch_outbox(self, outbox: CountingOutbox, *, limit_bytes: int) -> None:
        """Export the outbox's counts as they are when Prometheus asks."""
        self.registry.register(OutboxCollector(outbox, limit_bytes=limit_bytes))

    def watch_groups(self, summary: Callable[[], GroupSummary]) -> None:
        """Export the summary of the groups as it is when Prometheus asks."""
        self.groups.set_function(lambda: summary().groups)
        self.groups_open.set_function(lambda: summary().open)
        self.groups_trading.set_function(lambda: summary().trading)
        self.missing.set_function(lambda: summary().missing)
        self.inactive.set_function(lambda: summary().inactive)
        self.breaker_open.set_function(lambda: float(summary().is_paused))
