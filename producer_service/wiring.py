"""The composition root: the one place that knows every part of a producer."""

from __future__ import annotations

import platform
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import NamedTuple
from uuid import uuid4

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from producer_service import calendars
from producer_service.accepted_log import AcceptedLog
from producer_service.calendars import MarketHours
from producer_service.errors import ConfigurationError
from producer_service.group_state import GroupState, calendars_of_group
from producer_service.handover import Handover
from producer_service.health import Health
from producer_service.heartbeats import Heartbeats
from producer_service.intake import Intake
from producer_service.journal import Journal
from producer_service.kinesis import KinesisStream
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.polling import Feed, Poller
from producer_service.s3_handover_store import S3HandoverStore
from producer_service.sender import Sender
from producer_service.settings import Configuration, Settings, check_lanes
from producer_service.sources import Source
from producer_service.status import Status
from producer_service.stream import Stream
from producer_service.watchlist import SourceKind, WatchGroup
from quotes import VERSION as WIRE_VERSION
from quotes import whole_milliseconds

EXTENDED_BEFORE = timedelta(hours=5, minutes=30)
EXTENDED_AFTER = timedelta(hours=4)
"""Trading before and after the regular session in New York, 4:00 to 20:00, which has the longest of it."""

DEFAULT_GROUP = "default"

MakeSource = Callable[[Settings], Source]


def now() -> datetime:
    """The time, in UTC and whole milliseconds."""
    return whole_milliseconds(datetime.now(UTC))


def loop_of(group: str) -> str:
    """The name of a group's polls among the loops that health states, and the jobs of the schedule."""
    return f"poll {group}"


def make_stream(settings: Settings) -> Stream:
    """The stream that the settings name. Raises `ConfigurationError` if the AWS settings are wrong."""
    return KinesisStream(
        settings.stream_name,
        settings.requests_in_flight,
        read_timeout_seconds=settings.kinesis_timeout_seconds,
    )


class Plan(NamedTuple):
    """What is polled: the groups, one source for each kind that they name, and the calendars that they go by."""

    groups: tuple[WatchGroup, ...]
    sources: dict[SourceKind, Source]
    market: MarketHours


def plan(config: Configuration, make_source: MakeSource) -> Plan:
    """Make the sources, and complete the groups by them. Raises `ConfigurationError`."""
    settings = config.settings
    groups = config.groups or (
        WatchGroup(
            name=DEFAULT_GROUP,
            symbols=settings.symbols,
            interval_seconds=settings.poll_interval_seconds,
            calendar=settings.calendar,
            source=settings.source,
        ),
    )
    sources: dict[SourceKind, Source] = {}
    for kind in dict.fromkeys(group.source for group in groups):
        symbols = tuple(symbol for group in groups if group.source == kind for symbol in group.symbols)
        # A source is made from the settings as if there were no other.
        sources[kind] = make_source(settings.model_copy(update={"source": kind, "symbols": symbols}))
    groups = tuple(
        msgspec.structs.replace(group, symbols=group.symbols or tuple(sources[group.source].symbols))
        for group in groups
    )
    if mistakes := check_lanes(tuple(symbol for group in groups for symbol in group.symbols), settings.lanes):
        raise ConfigurationError(mistakes)
    names = [name for group in groups for name in calendars_of_group(group)]
    return Plan(groups, sources, MarketHours(names, calendars.load, now()))


class Producer:
    """A producer's parts, wired; closed at the end of the `with`. Raises `ConfigurationError` and `JournalError`."""

    def __init__(self, config: Configuration, make_source: MakeSource) -> None:
        settings = config.settings
        self.settings = settings
        self.stopping = threading.Event()
        self.health = Health(time.monotonic)
        self.metrics = _metrics()
        self.stream = make_stream(settings)
        groups, sources, self.market = plan(config, make_source)
        self.outbox = Outbox(
            Journal(settings.journal_dir, settings.lanes),
            lanes=settings.lanes,
            max_bytes=settings.outbox_max_bytes,
            linger_seconds=settings.linger_seconds,
            clock=time.time,
            monotonic=time.monotonic,
            jitter=random.random,
        )
        self.accepted_log = AcceptedLog(settings.accepted_log_path)
        states = [self._state(group) for group in groups]
        self.intake = Intake(self.outbox, self.accepted_log, Heartbeats(states, settings.lanes), self.metrics, now=now)
        self.handover = self._handover()
        self._feeds = {
            kind: Feed(source, self.metrics, now=now, stopping=self.stopping) for kind, source in sources.items()
        }
        self.pollers = tuple(self._poller(state) for state in states)
        self.sender = Sender(
            self.outbox, self.stream, self.metrics, self.health, threads=settings.requests_in_flight, clock=time.time
        )
        build = _build()
        self.status = Status(self.pollers, self.outbox, build, now=now)
        self.metrics.build.info(build)
        self.metrics.watch_outbox(self.outbox, time.time, limit_bytes=settings.outbox_max_bytes)
        self.metrics.watch_groups(self.status.tally)
        self.metrics.watch_clock(time.time)
        self.metrics.watch_calendars(self.market.known_to)

    def __enter__(self) -> None:
        pass

    def close_sources(self) -> None:
        """End the fetches under way, and fetch no more."""
        for feed in self._feeds.values():
            feed.close()

    def __exit__(self, *_: object) -> None:
        self.close_sources()
        self.accepted_log.close()
        self.outbox.close()

    def _handover(self) -> Handover | None:
        bucket = self.settings.handover_bucket
        if bucket is None:
            return None
        store = S3HandoverStore(bucket, self.settings.stream_name)
        return Handover(store, self.outbox, self.intake.restore, _new_key)

    def _state(self, group: WatchGroup) -> GroupState:
        before = timedelta(seconds=self.settings.before_open_seconds)
        after = timedelta(seconds=self.settings.after_close_seconds)
        if group.source == "yahoo" and self.settings.yahoo_extended_hours:
            before, after = max(before, EXTENDED_BEFORE), max(after, EXTENDED_AFTER)
        return GroupState(group, self.market, before_open=before, after_close=after)

    def _poller(self, state: GroupState) -> Poller:
        loop = loop_of(state.group.name)
        return Poller(
            state,
            self._feeds[state.group.source],
            self.intake,
            self.outbox,
            self.metrics,
            now=now,
            stopping=self.stopping,
            advance=lambda: self.health.beat(loop),
        )


def _metrics() -> Metrics:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return Metrics(registry)


def _new_key() -> str:
    """A unique key that sorts by the time at which it was made."""
    return f"{time.time_ns() // 10**6:013d}-{uuid4().hex}"


def _build() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "yfinance": version("yfinance"),
        "exchange_calendars": version("exchange_calendars"),
        "wire": str(WIRE_VERSION),
    }
