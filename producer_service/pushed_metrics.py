"""The metrics of a source that pushes its prices."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from producer_service.sources import ConnectionReport, GapReason

_LAG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1_800)


class PushedMetrics:
    """They count what the reports of the connection say. See `Metrics`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "stockstream_pushed_messages",
            "Messages of a source that pushes its prices, by outcome: read, or garbage (no price can be made of them). "
            "If read stops while an exchange is open, the connection has stalled. A rise of garbage means that the "
            "source has changed its messages.",
            ["outcome"],
            registry=registry,
        )
        self.gaps = Counter(
            "stockstream_pushed_gaps",
            "Times in which pushed prices may be missing, by reason: disconnected, refused (the source refused the "
            "connection), stalled (it was open and brought nothing). A poll fills each gap with the newest prices.",
            ["reason"],
            registry=registry,
        )
        self.gap_open = Gauge(
            "stockstream_pushed_gap_open",
            "1 while pushed prices may be missing, because the connection is lost or no poll has filled the gap yet; "
            "otherwise 0, and outside of the hours of polls. While it is 1, polls bring what the stream may miss.",
            registry=registry,
        )
        self.reconnects = Counter(
            "stockstream_pushed_reconnects",
            "Connections to a source that pushes its prices, without the first one. A rise means that it ends them.",
            registry=registry,
        )
        self.differences = Counter(
            "stockstream_pushed_differences",
            "Quotes that polls brought beside the pushed ones, by kind: missed (newer than what was pushed), corrected "
            "(they replace a pushed quote). A steady rise of missed means that the source does not push every price.",
            ["kind"],
            registry=registry,
        )
        self.lag = Histogram(
            "stockstream_pushed_lag_seconds",
            "Seconds from the exchange's time of a pushed price to its receipt. Delayed exchanges show their delay.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        for outcome in ("read", "garbage"):
            self.messages.labels(outcome)
        for reason in get_args(GapReason):
            self.gaps.labels(reason)
        for kind in ("missed", "corrected"):
            self.differences.labels(kind)

    def count(self, report: ConnectionReport) -> None:
        """Count what happened since the last report."""
        self.messages.labels("garbage").inc(report.garbage)
        self.messages.labels("read").inc(report.messages - report.garbage)
        self.reconnects.inc(report.reconnects)
        self.differences.labels("missed").inc(report.missed)
        self.differences.labels("corrected").inc(report.corrected)
        for reason in report.gaps:
            self.gaps.labels(reason).inc()
        for lag in report.lags:
            self.lag.observe(max(0.0, lag))  # a clock behind the exchange's makes it negative
