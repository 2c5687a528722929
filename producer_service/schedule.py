"""The schedule: APScheduler runs the jobs at intervals, and runs that go wrong are counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from producer_service.metrics import Metrics

JITTER_SHARE = 0.1
"""The jitter of an interval, as a share of it. Pollers that start together drift apart, so a source sees no spikes."""

MAX_POLL_THREADS = 32
"""The most polls at the same time. Most of them wait for a source that they share."""

_POLLS = "polls"
_EVENTS = {EVENT_JOB_MISSED: "missed", EVENT_JOB_MAX_INSTANCES: "overlapped", EVENT_JOB_ERROR: "error"}

log = structlog.get_logger(__name__)


class Schedule:
    """Runs jobs at intervals. A job never overlaps itself, and several missed runs become one.

    Polls have threads of their own, so heartbeats go out even if all polls wait for a source or for room in the outbox.
    """

    def __init__(self, metrics: Metrics, *, polls: int) -> None:
        self._metrics = metrics
        threads = max(1, min(polls, MAX_POLL_THREADS))
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                "default": ThreadPoolExecutor(2),
                _POLLS: ThreadPoolExecutor(threads),
            },
            job_defaults={"max_instances": 1, "coalesce": True},
        )
        self._scheduler.add_listener(self._count, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)

    def poll(self, seconds: float, name: str, job: Callable[[], object]) -> None:
        """Run a poll every `seconds`, the first time at once."""
        self._add(seconds, name, job, _POLLS, first_after_seconds=0)

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
    ) -> None:
        self._scheduler.add_job(
            job,
            IntervalTrigger(seconds=seconds, jitter=seconds * JITTER_SHARE, timezone=UTC),
            id=name,
            name=name,
            executor=executor,
            next_run_time=datetime.now(UTC) + timedelta(seconds=first_after_seconds),
            misfire_grace_time=max(1, int(seconds)),
        )

    def _count(self, event: JobExecutionEvent) -> None:
        name = _EVENTS[event.code]
        self._metrics.scheduler_events.labels(name).inc()
        if name == "error":
            log.error("job_failed", job=event.job_id, exc_info=event.exception)
