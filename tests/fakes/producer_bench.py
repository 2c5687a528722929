"""Pollers with all parts around them, while the test controls the source, the clock and the hours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from producer_service.accepted_log import AcceptedLog
from producer_service.group_state import GroupState
from producer_service.health import Health
from producer_service.heartbeats import Heartbeats
from producer_service.hours import EARLIEST, LATEST, Session
from producer_service.intake import Intake
from producer_service.journal import Journal
from producer_service.market_hours import OPEN_ALWAYS, Calendar, MarketHours
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.polling import Poller, SharedSource
from producer_service.sources import FetchResult, SourceTraits
from producer_service.status import Status
from producer_service.supervisor import Supervisor
from quotes import Line, decode
from tests.support.quotes import OPEN
from watchlist.groups import WatchGroup

LANES = 2

LIVE = SourceTraits(is_live=True)
RECORDED = SourceTraits(is_live=False)


class FakeSource:
    """Returns the next of its results for each fetch, or what its `answer` returns."""

    symbols = ("AAPL", "MSFT")

    def __init__(self, *results: FetchResult, traits: SourceTraits = LIVE) -> None:
        self.traits = traits
        self.results = list(results)
        self.during: Callable[[], None] = lambda: None
        self.answer: Callable[[Sequence[str], datetime], FetchResult] = lambda _symbols, _now: self.results.pop(0)
        self.is_closed = False

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        self.during()
        return self.answer(symbols, now)

    def close(self) -> None:
        self.is_closed = True


def group(
    name: str = "us",
    symbols: Sequence[str] = FakeSource.symbols,
    *,
    calendar: str = "always",
    source: str = "yahoo",
    interval_seconds: float = 10,
) -> WatchGroup:
    return WatchGroup(
        name=name, symbols=tuple(symbols), interval_seconds=interval_seconds, calendar=calendar, source=source
    )


def calendar(name: str, *sessions: tuple[datetime, datetime]) -> Calendar:
    return Calendar(name, "UTC", tuple(Session(*session) for session in sessions), EARLIEST, LATEST)


class Bench:
    """One poller for each group, over one source."""

    def __init__(
        self,
        source: FakeSource,
        path: Path,
        *groups: WatchGroup,
        max_bytes: int = 2**20,
        calendars: Mapping[str, Calendar] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.now = OPEN
        self.beats = 0
        self.stopping = threading.Event()
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.health = Health(lambda: float(self.beats))
        self.supervisor = Supervisor(self.health, self.metrics.unexpected_errors.inc)
        self.accepted_log_path = path / "accepted_log.jsonl"
        self._accepted_log = AcceptedLog(self.accepted_log_path)
        self.outbox = Outbox(
            journal or Journal(None, LANES),
            lanes=LANES,
            max_bytes=max_bytes,
            linger_seconds=0,
            clock=lambda: 0.0,
            monotonic=lambda: 0.0,
            jitter=lambda: 0.0,
        )
        known = {"always": OPEN_ALWAYS, **(calendars or {})}
        self.market_hours = MarketHours(known, lambda name, _now: known[name], OPEN)
        self.states = [
            GroupState(each, source.traits, self.market_hours, before_open=timedelta(), after_close=timedelta())
            for each in groups or [group()]
        ]
        self.intake = Intake(
            self.outbox,
            self._accepted_log,
            Heartbeats(self.states, LANES),
            self.metrics,
            now=lambda: self.now,
            stopping=self.stopping,
            health=self.health,
            supervisor=self.supervisor,
        )
        shared = SharedSource(source, self.metrics, now=lambda: self.now, stopping=self.stopping)
        self.pollers = [
            Poller(state, shared, self.intake, now=lambda: self.now, stopping=self.stopping, beat=self.beat)
            for state in self.states
        ]
        self.poller = self.pollers[0]
        self.status = Status(lambda: self.states, self.outbox, {"wire": "1"}, now=lambda: self.now)
        self.metrics.watch_groups(self.status.summary)
        self.metrics.watch_outbox(self.outbox, limit_bytes=max_bytes)

    def close(self) -> None:
        self._accepted_log.close()
        self.outbox.close()

    def beat(self) -> None:
        self.beats += 1

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"stockstream_{name}", labels) or 0.0

    def sent(self) -> list[Line]:
        """Everything that is pending. It is taken from the outbox and acknowledged."""
        lines: list[Line] = []
        while packets := self.outbox.take(0):
            lines += [good.line for packet in packets for good in decode(packet.data).good]
            self.outbox.settle(packets, [True] * len(packets))
        return lines
