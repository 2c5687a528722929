"""The composition root: the one place that knows every part of a producer."""

from __future__ import annotations

import platform
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from producer_service import calendars
from producer_service.accepted_log import AcceptedLog
from producer_service.clock import Clock
from producer_service.dynamodb_calendars import DynamoDbCalendars
from producer_service.group_state import GroupState
from producer_service.groups import Groups, NoLoops
from producer_service.handover import Handover
from producer_service.health import Health
from producer_service.heartbeats import Heartbeats
from producer_service.intake import Intake
from producer_service.journal import Journal
from producer_service.kinesis import KinesisStream
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.plan import Plan
from producer_service.s3_handover_store import MAX_STATE_BYTES, S3HandoverStore
from producer_service.s3_watchlist import S3Watchlist
from producer_service.sender import Sender
from producer_service.session_writer import SessionWriter
from producer_service.settings import Settings, is_object
from producer_service.status import Status
from producer_service.stream import Stream
from producer_service.supervisor import Supervisor
from producer_service.watchlist_file import FileWatchlist, LastGood
from producer_service.watchlist_store import WatchlistStore
from producer_service.watchlist_watch import WatchlistWatch
from quotes import VERSION as WIRE_VERSION
from watchlist import WatchGroup


def make_stream(settings: Settings, clock: Clock) -> Stream:
    """The stream that the settings name. Its answers tell the clock the time.

    Raises `ConfigurationError` if the AWS settings are wrong.
    """
    return KinesisStream(
        settings.stream_name,
        settings.requests_in_flight,
        read_timeout_seconds=settings.kinesis_timeout_seconds,
        clock=clock,
    )


class Producer:
    """The parts of a producer, wired. They are closed at the end of the `with`. Raises `JournalError`.

    With `replan`, it works by each new watchlist: see `WatchlistWatch`.
    """

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        stream: Stream,
        clock: Clock | None = None,
        *,
        replan: Callable[[bytes, Plan], Plan] | None = None,
    ) -> None:
        clock = clock or Clock()
        self.settings = settings
        self.stream = stream
        self.clock = clock
        self.market_hours = plan.market_hours
        self.stopping = threading.Event()
        self.health = Health(time.monotonic)
        self.metrics = _metrics()
        self.supervisor = Supervisor(self.health, self.metrics.unexpected_errors.inc)
        self.outbox = Outbox(
            Journal(settings.journal_dir, settings.lanes),
            lanes=settings.lanes,
            max_bytes=settings.outbox_max_bytes,
            linger_seconds=settings.linger_seconds,
            clock=clock.steady,
            monotonic=time.monotonic,
            jitter=random.random,
        )
        self.accepted_log = AcceptedLog(settings.accepted_log_path)
        self.outbox.export_log_entries(self.accepted_log.write)
        self.intake = Intake(
            self.outbox,
            self.accepted_log,
            Heartbeats((), settings.lanes),
            self.metrics,
            now=clock.now,
            stopping=self.stopping,
            health=self.health,
            supervisor=self.supervisor,
        )
        self.handover = self._handover()
        self.sender = Sender(
            self.outbox,
            self.stream,
            self.metrics,
            self.health,
            threads=settings.requests_in_flight,
            clock=clock.time,
            supervisor=self.supervisor,
        )
        self.groups = Groups(
            self.intake,
            self.metrics,
            self.health,
            self.supervisor,
            now=clock.now,
            stopping=self.stopping,
            make_state=partial(group_state, settings),
        )
        self.groups.change(plan, NoLoops())
        self.sessions = self._sessions()
        self.watch = self._watch(plan, replan)
        build = _build()
        self.status = Status(
            lambda: self.groups.states,
            self.outbox,
            build,
            now=clock.now,
            watchlist=lambda: None if self.watch is None else self.watch.status(),
        )
        self.metrics.build.info(build)
        self.metrics.watch_outbox(self.outbox, limit_bytes=settings.outbox_max_bytes)
        self.metrics.watch_groups(self.status.summary)
        self.metrics.watch_clock(time.time, clock.error)
        self.metrics.watch_calendars(self.market_hours.known_to)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.groups.close()
        self.accepted_log.close()
        self.outbox.close()

    def _handover(self) -> Handover | None:
        bucket = self.settings.handover_bucket
        if bucket is None:
            return None
        max_bytes = max(MAX_STATE_BYTES, 2 * self.settings.outbox_max_bytes)
        store = S3HandoverStore(bucket, self.settings.stream_name, max_bytes=max_bytes, clock=self.clock)
        return Handover(
            store, self.outbox, self.intake.restore, self._new_key, metrics=self.metrics, health=self.health
        )

    def _sessions(self) -> SessionWriter | None:
        table = self.settings.calendars_table
        if table is None:
            return None
        return SessionWriter(
            DynamoDbCalendars(table, self.clock),
            calendars.load_years,
            lambda: self.groups.states,
            self.metrics,
            now=self.clock.now,
            monotonic=time.monotonic,
        )

    def _new_key(self) -> str:
        """A unique key that sorts by the time at which it was made."""
        return f"{int(self.clock.time() * 1000):013d}-{uuid4().hex}"

    def _watch(self, plan: Plan, replan: Callable[[bytes, Plan], Plan] | None) -> WatchlistWatch | None:
        location, journal = self.settings.watchlist, self.settings.journal_dir
        if location is None or replan is None:
            return None
        return WatchlistWatch(
            watchlist_store(location, self.clock),
            replan,
            plan,
            self.groups,
            last_good=LastGood(journal) if is_object(location) and journal is not None else None,
            health=self.health,
            metrics=self.metrics,
            now=self.clock.now,
            monotonic=time.monotonic,
        )


def group_state(settings: Settings, group: WatchGroup, plan: Plan) -> GroupState:
    """The state of a group at the start, with the margins of the settings."""
    return GroupState(
        group,
        plan.sources[group.source].traits,
        plan.market_hours,
        before_open=timedelta(seconds=settings.before_open_seconds),
        after_close=timedelta(seconds=settings.after_close_seconds),
    )


def watchlist_store(location: str, clock: Clock) -> WatchlistStore:
    """The watchlist at a path or an address. Raises `ConfigurationError` if the AWS settings are wrong."""
    return S3Watchlist(location, clock) if is_object(location) else FileWatchlist(Path(location))


def _metrics() -> Metrics:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return Metrics(registry)


def _build() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "yfinance": version("yfinance"),
        "exchange_calendars": version("exchange_calendars"),
        "wire": str(WIRE_VERSION),
    }
