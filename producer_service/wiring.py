"""The composition root: the one place that knows every part of a producer."""

from __future__ import annotations

import platform
import random
import threading
import time
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from uuid import uuid4

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from producer_service.accepted_log import AcceptedLog
from producer_service.clock import Clock
from producer_service.group_state import GroupState
from producer_service.handover import Handover
from producer_service.health import Health
from producer_service.heartbeats import Heartbeats
from producer_service.intake import Intake
from producer_service.journal import Journal
from producer_service.kinesis import KinesisStream
from producer_service.listener import Listener
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.plan import Plan
from producer_service.polling import Poller, SharedSource
from producer_service.s3_handover_store import MAX_STATE_BYTES, S3HandoverStore
from producer_service.sender import Sender
from producer_service.settings import Settings
from producer_service.sources import PolledSource, PushedSource
from producer_service.status import Status
from producer_service.stream import Stream
from producer_service.supervisor import Supervisor
from quotes import VERSION as WIRE_VERSION


def poll_loop(group: str) -> str:
    """The name of a group's polls, for the health check and the schedule."""
    return f"poll {group}"


def listen_loop(source: str) -> str:
    """The name of a pushed source's listener, for the health check."""
    return f"listen {source}"


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
    """The parts of a producer, wired. They are closed at the end of the `with`. Raises `JournalError`."""

    def __init__(self, settings: Settings, plan: Plan, stream: Stream, clock: Clock | None = None) -> None:
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
        self.groups = group_states(settings, plan)
        self.intake = Intake(
            self.outbox,
            self.accepted_log,
            Heartbeats(self.groups, settings.lanes),
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
        self._polled: list[SharedSource] = []
        self.pollers: list[Poller] = []
        self.listeners: list[Listener] = []
        for name, source in plan.sources.items():
            states = [state for state in self.groups if state.group.source == name]
            if isinstance(source, PushedSource):
                self.listeners.append(self._listener(name, source, states))
            else:
                self.pollers += self._pollers(source, states)
        build = _build()
        self.status = Status(self.groups, self.outbox, build, now=clock.now)
        self.metrics.build.info(build)
        self.metrics.watch_outbox(self.outbox, limit_bytes=settings.outbox_max_bytes)
        self.metrics.watch_groups(self.status.summary)
        self.metrics.watch_clock(time.time, clock.error)
        self.metrics.watch_calendars(self.market_hours.known_to)

    def __enter__(self) -> None:
        pass

    def close_sources(self) -> None:
        """End the fetches under way, start no more, and stop listening."""
        for closeable in [*(source.close for source in self._polled), *(each.stop for each in self.listeners)]:
            with self.supervisor.step("closing the sources"):
                closeable()

    def __exit__(self, *_: object) -> None:
        self.close_sources()
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

    def _new_key(self) -> str:
        """A unique key that sorts by the time at which it was made."""
        return f"{int(self.clock.time() * 1000):013d}-{uuid4().hex}"

    def _pollers(self, source: PolledSource, states: list[GroupState]) -> list[Poller]:
        shared = SharedSource(source, self.metrics, now=self.clock.now, stopping=self.stopping)
        self._polled.append(shared)
        return [
            Poller(
                state,
                shared,
                self.intake,
                now=self.clock.now,
                beat=partial(self.health.beat, poll_loop(state.group.name)),
            )
            for state in states
        ]

    def _listener(self, name: str, source: PushedSource, states: list[GroupState]) -> Listener:
        return Listener(
            name,
            source,
            states,
            self.intake,
            now=self.clock.now,
            stopping=self.stopping,
            beat=partial(self.health.beat, listen_loop(name)),
            jitter=random.random,
            supervisor=self.supervisor,
        )


def group_states(settings: Settings, plan: Plan) -> list[GroupState]:
    """The states of the groups at the start, with the margins of the settings."""
    return [
        GroupState(
            group,
            plan.sources[group.source].traits,
            plan.market_hours,
            before_open=timedelta(seconds=settings.before_open_seconds),
            after_close=timedelta(seconds=settings.after_close_seconds),
        )
        for group in plan.groups
    ]


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
