"""The schedule: APScheduler runs the jobs at intervals of monotonic time, and runs that go wrong are counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from producer_service.metrics import Metrics

JITTER_SHARE = 0.1
"""The jitter of an interval, as a share of it. Pollers that start together drift apart, so a source sees no spikes."""

MAX_POLL_THREADS = 32
"""The most polls at the same time. Most of them wait for a source that they share."""

_POLLS = "polls"
_WATCHLIST = "watchlist"
_EVENTS = {EVENT_JOB_MAX_INSTANCES: "overlapped", EVENT_JOB_ERROR: "error"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


class MonotonicZone(tzinfo):
    """A time zone in which the current time is a monotonic clock.

    APScheduler 3 asks for the time by `datetime.now(timezone)`, which leaves the answer to the zone. In UTC, polls
    would wait for hours after the clock of the host was set back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    def fromutc(self, _time: datetime, /) -> datetime:
        """The current time of the monotonic clock, whatever the time of the host's clock is."""
        return (_EPOCH + timedelta(seconds=self._monotonic())).replace(tzinfo=self)

    def utcoffset(self, _time: datetime | None, /) -> timedelta:
        """Zero, so that these times compare with times in UTC."""
        return timedelta()

    def dst(self, _time: datetime | None, /) -> timedelta:
        """There is no daylight saving time."""
        return timedelta()

    def tzname(self, _time: datetime | None, /) -> str:
        """The name."""
        return "monotonic"


class _Interval(IntervalTrigger):  # type: ignore[misc] # APScheduler has no types
    """An interval whose runs are due at times of the monotonic zone.

    The trigger itself computes in UTC, because it makes datetimes of numbers, which the zone would take for the current
    time. The scheduler converts the time of the next run to its zone, and a time of another zone would become the
    current time: the scheduler would never wait.
    """

    def __init__(self, seconds: float, zone: MonotonicZone) -> None:
        super().__init__(seconds=seconds, jitter=seconds * JITTER_SHARE, timezone=UTC)
        self._zone = zone

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next run, as APScheduler's triggers state it."""
        found: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        return found and found.replace(tzinfo=self._zone)


class Schedule:
    """Runs jobs at intervals, whatever the clock of the host does. A job never overlaps itself.

    Several runs that were due become one. A run that must wait for a thread starts late; it is not left out, because a
    late poll may bring quotes that no other poll brings. Polls have threads of their own, so heartbeats go out even if
    all polls wait for a source or for room in the outbox.
    """

    def __init__(
        self, metrics: Metrics, *, threads: int = MAX_POLL_THREADS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics = metrics
        self._zone = MonotonicZone(monotonic)
        self._numbers = count()
        self._scheduler = BackgroundScheduler(
            timezone=self._zone,
            executors={
                "default": ThreadPoolExecutor(2),
                _POLLS: ThreadPoolExecutor(threads),
                _WATCHLIST: ThreadPoolExecutor(1),
            },
            # The grace time is measured with the clock of the host, so there is none.
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._count, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)

    def poll(self, seconds: float, name: str, job: Callable[[], object]) -> str:
        """Run a poll every `seconds`, the first time at once. Returns what `end` takes."""
        # A poll of the same name may still run that has been ended, and must not hold this one back.
        return self._add(seconds, f"{name} #{next(self._numbers)}", job, _POLLS, first_after_seconds=0)

    def end(self, job: str) -> None:
        """Start no more runs of a poll. A run under way ends by itself."""
        with suppress(JobLookupError):  # the schedule has stopped
            self._scheduler.remove_job(job)

    def watch(self, seconds: float, name: str, job: Callable[[], object]) -> None:
        """Run a job every `seconds` that may wait for polls, on a thread of its own."""
        self._add(seconds, name, job, _WATCHLIST, first_after_seconds=seconds)

    def every(self, seconds: float, name: str, job: Callable[[], object]) -> None:
        """Run another job every `seconds`, the first time after that many seconds."""
        self._add(seconds, name, job, "default", first_after_seconds=seconds)

    def start(self) -> None:
        """Start running the jobs."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more runs. Runs under way end by themselves."""
        self._scheduler.shutdown(wait=False)

    def _add(
        self, seconds: float, name: str, job: Callable[[], object], executor: str, *, first_after_seconds: float
    ) -> str:
        self._scheduler.add_job(
            job,
            _Interval(seconds, self._zone),
            id=name,
            name=name,
            executor=executor,
            next_run_time=self._now() + timedelta(seconds=first_after_seconds),
        )
        return name

    def _now(self) -> datetime:
        return datetime.now(self._zone)

    def _count(self, event: JobExecutionEvent) -> None:
        name = _EVENTS[event.code]
        self._metrics.scheduler_events.labels(name).inc()
        if name == "error":
            log.error("job_failed", job=event.job_id, exc_info=event.exception)
