"""The freshness of quotes: how old they are when Kinesis acknowledges them, as a Prometheus histogram."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BOUNDS_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Freshness(Collector):
    """Counts every quote, the quotes of one request at a time. Thread-safe.

    The histogram of prometheus_client takes one value per call, for ten times the CPU.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = [0] * len(BOUNDS_SECONDS)  # cumulative, as in Prometheus
        self._count = 0
        self._sum = 0.0

    def add(self, available_at: Iterable[float], now: float) -> None:
        """Count the quotes of a request that was acknowledged now. See `Row.available_at`."""
        times = sorted(available_at)
        count = len(times)
        within = [count - bisect_left(times, now - bound) for bound in BOUNDS_SECONDS]
        # A clock behind the exchange's makes an age negative. The sum of a request does not fall because of that.
        seconds = max(0.0, count * now - sum(times))
        with self._lock:
            self._within = [before + more for before, more in zip(self._within, within, strict=True)]
            self._count += count
            self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        """The histogram as it is now."""
        with self._lock:
            buckets = [(str(bound), float(within)) for bound, within in zip(BOUNDS_SECONDS, self._within, strict=True)]
            count, total = self._count, self._sum
        yield HistogramMetricFamily(
            "stockstream_freshness_seconds",
            "Seconds from the exchange's time of a quote to its acknowledgement by Kinesis, less the delay that the "
            "source declares. A rise means that prices arrive later. Quotes of replays and of earlier processes are "
            "not counted. A start outside trading hours adds the last quote of each symbol, however old it is.",
            buckets=[*buckets, ("+Inf", float(count))],
            sum_value=total,
        )
