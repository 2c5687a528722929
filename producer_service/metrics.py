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
from producer_service.pushed_metrics import PushedMetrics
from producer_service.stream import PutFailure
from yahoo_requests.errors import FailureReason

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
    has_gap: bool = False
    """Whether pushed quotes of any group may be missing."""


class Metrics:
    """Every metric of the producer. Labels have closed sets of values, and no label is a symbol."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.build = Info(
            "stockstream_build",
            "The versions of Python, of the libraries that decide prices and hours, and of the line format. Always 1.",
            registry=registry,
        )
        self.polls = Counter(
            "stockstream_polls",
            "Polls of the source of prices, by outcome: complete, partial (some requests failed), failed (all failed), "
            "paused (nothing was requested, because the source refused requests before). Each delivery of a source "
            "that pushes counts as a poll. A rise of failed or paused means that prices are missing.",
            ["outcome"],
            registry=registry,
        )
        self.poll_seconds = Histogram(
            "stockstream_poll_seconds",
            "Seconds that a poll of the source of prices took. A rise means that the source answers more slowly.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.source_failures = Counter(
            "stockstream_source_failures",
            "Requests to the source of prices that brought nothing, by reason. A rise of rate_limited means that it "
            "refuses requests, and of connection or timeout that it cannot be reached.",
            ["reason"],
            registry=registry,
        )
        self.actions = Counter(
            "stockstream_actions",
            "Splits and dividends that the source declared, by outcome: accepted for delivery, suppressed (sent "
            "before), rejected (not a valid split or dividend). A rise of rejected means that some are not stored.",
            ["outcome"],
            registry=registry,
        )
        self.dropped_fields = Counter(
            "stockstream_dropped_fields",
            "Optional values of quotes, such as the day's high, that no quote can hold: not a number, too large, or "
            "with too many places. The quotes are stored without them. A rise means that the source sends bad values.",
            registry=registry,
        )
        self.pushed = PushedMetrics(registry)
        self.missing = Gauge(
            "stockstream_missing_symbols",
            "The number of symbols without a price in the last poll. A rise means delisted or misspelled symbols, or a "
            "source that leaves some out; /status names them.",
            registry=registry,
        )
        self.inactive = Gauge(
            "stockstream_symbols_set_aside",
            "The number of symbols that had no price for days, so that the producer asks for them only once a day. A "
            "rise means that symbols are delisted or misspelled; /status names them.",
            registry=registry,
        )
        self.breaker_open = Gauge(
            "stockstream_source_breaker_open",
            "1 while the producer sends a source no requests, because it refused them or failed several times; "
            "otherwise 0. While it is 1, no new prices come.",
            registry=registry,
        )
        self.groups = Gauge(
            "stockstream_groups",
            "The number of watch groups: sets of symbols that are polled together.",
            registry=registry,
        )
        self.groups_open = Gauge(
            "stockstream_groups_open",
            "The number of watch groups that are polled now: an exchange of their symbols is open, opens soon, or "
            "closed so recently that last prices may come.",
            registry=registry,
        )
        self.groups_trading = Gauge(
            "stockstream_groups_trading",
            "The number of watch groups of which an exchange is in its session now. While it is above 0, new prices "
            "are to be expected.",
            registry=registry,
        )
        self.freshness = Freshness()
        registry.register(self.freshness)
        self.delivery_seconds = Histogram(
            "stockstream_delivery_seconds",
            "Seconds from accepting a quote to its acknowledgement by Kinesis, measured for the oldest quote of each "
            "Kinesis record. A rise means that the delivery falls behind.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.put_seconds = Histogram(
            "stockstream_put_seconds",
            "Seconds that a PutRecords request to Kinesis took. A rise means that Kinesis or the network is slow.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.put_bytes = Histogram(
            "stockstream_put_bytes",
            "Bytes of the records in a PutRecords request to Kinesis. A rise means that more quotes travel together.",
            buckets=_BYTES,
            registry=registry,
        )
        self.packets = Counter(
            "stockstream_packets",
            "Kinesis records sent, by outcome: acknowledged, or why they are sent again. A rise of throttled means "
            "that the stream needs more shards. After timeout, connection or journal Kinesis may have stored them, so "
            "they may arrive twice, which changes nothing downstream.",
            ["outcome"],
            registry=registry,
        )
        self.heartbeats = Counter(
            "stockstream_heartbeats",
            "Rounds of heartbeats. In each round, every lane (a group of symbols that stay in order) gets a line that "
            "says how far it is complete. It rises all the time; if it stops, bars stay open.",
            registry=registry,
        )
        self.outbox_full_seconds = Counter(
            "stockstream_outbox_full_seconds",
            "Seconds that polls waited because too many quotes wait for delivery, added up over the watch groups. A "
            "rise means that prices of that time are missed.",
            registry=registry,
        )
        self.scheduler_events = Counter(
            "stockstream_scheduler_events",
            "Scheduled polls and heartbeats that went wrong: overlapped (left out, because the one before still ran) "
            "or error. A rise of overlapped means that the interval is too short for the source.",
            ["event"],
            registry=registry,
        )
        self.clock_steps = Counter(
            "stockstream_clock_steps",
            "How often the clock of the producer's host was set by more than a second. A rise means that its time "
            "service does not work well.",
            registry=registry,
        )
        self.unexpected_errors = Counter(
            "stockstream_unexpected_errors",
            "Errors inside the producer that no code expects. Three in a row of one activity end the process, so that "
            "a new one takes over. A rise means a fault of the producer; its log has the traceback.",
            registry=registry,
        )
        self.journal_failures = Counter(
            "stockstream_journal_failures",
            "Failed writes to the journal, the file that keeps accepted quotes over a crash. Polling waits and tries "
            "again every second. A rise means that the disk is full or fails, and that prices are missed.",
            registry=registry,
        )
        self.undelivered_states = Counter(
            "stockstream_undelivered_states",
            "What stopped producers left undelivered in S3, by outcome: restored for delivery, refused (unusable, so "
            "it was set aside), left (for a producer with other lanes or another version; counted at each look). A "
            "rise of refused or left means that accepted quotes are not delivered.",
            ["outcome"],
            registry=registry,
        )
        self.watchlist_unusable = Gauge(
            "stockstream_watchlist_unusable",
            "1 while the watchlist cannot be used, by reason: unavailable (it cannot be read), invalid (it has "
            "mistakes). The producer goes on with the groups of the last good one; /status names what is wrong.",
            ["reason"],
            registry=registry,
        )
        self.watchlist_changes = Counter(
            "stockstream_watchlist_changes",
            "How often the producer has taken over another watchlist, the first one included if it is in S3. It rises "
            "within a minute after somebody has changed the symbols.",
            registry=registry,
        )
        self.session_write_failures = Counter(
            "stockstream_session_write_failures",
            "Failed attempts to write the exchanges' sessions to the table of calendars. Each is tried again after "
            "seconds. A steady rise means that the query API will lack the sessions of coming days; quotes flow on.",
            registry=registry,
        )
        for reason in ("unavailable", "invalid"):
            self.watchlist_unusable.labels(reason)
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
            "stockstream_clock_seconds",
            "The clock of the producer's host, in seconds since 1970. It should equal the clock of Prometheus.",
            registry=self.registry,
        ).set_function(host)
        Gauge(
            "stockstream_clock_error_seconds",
            "Seconds by which the clock of the producer's host is ahead of the time that Kinesis states. It is 0 "
            "unless the clock is wrong. Quotes bear the time of Kinesis then.",
            registry=self.registry,
        ).set_function(error)

    def watch_calendars(self, known_to: Callable[[], datetime]) -> None:
        """Export the time up to which the hours of all exchanges are known."""
        Gauge(
            "stockstream_calendar_known_to_timestamp_seconds",
            "The time up to which the opening hours of all exchanges are known, in seconds since 1970. After it an "
            "exchange counts as open all the time. A newer release of exchange_calendars knows more.",
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
        self.pushed.gap_open.set_function(lambda: float(summary().has_gap))
