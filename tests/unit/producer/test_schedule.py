"""The schedule: a job that waits or fails does not affect the others."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import apscheduler.executors.base
import apscheduler.schedulers.base
import apscheduler.triggers.interval
import pytest
from prometheus_client import CollectorRegistry

from producer_service.metrics import Metrics
from producer_service.schedule import Schedule
from tests.support.waiting import wait_until

PATIENCE_SECONDS = 10.0
DAY = timedelta(days=1)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def schedule(registry: CollectorRegistry) -> Iterator[Schedule]:
    schedule = Schedule(Metrics(registry), threads=1)
    yield schedule
    schedule.stop()


def wait_until_counted(registry: CollectorRegistry, event: str) -> None:
    wait_until(
        lambda: registry.get_sample_value("stockstream_scheduler_events_total", {"event": event}),
        f"{event} is counted",
        seconds=PATIENCE_SECONDS,
    )


def test_a_poll_runs_at_once_and_another_job_after_its_interval(schedule: Schedule) -> None:
    polled, beat = threading.Event(), threading.Event()
    schedule.poll(3600, "poll", polled.set)
    schedule.every(3600, "heartbeat", beat.set)
    schedule.start()
    assert polled.wait(PATIENCE_SECONDS)
    assert not beat.is_set()


def test_heartbeats_go_out_while_every_poll_waits(schedule: Schedule) -> None:
    waiting, release, beat = threading.Event(), threading.Event(), threading.Event()

    def poll() -> None:
        waiting.set()
        release.wait(PATIENCE_SECONDS)

    def heartbeat() -> None:
        if waiting.is_set():
            beat.set()

    schedule.poll(3600, "poll", poll)
    schedule.every(0.01, "heartbeat", heartbeat)
    schedule.start()
    try:
        assert beat.wait(PATIENCE_SECONDS)
        assert not release.is_set()
    finally:
        release.set()


def test_a_poll_that_is_still_under_way_when_the_next_is_due_is_counted_and_not_run_twice(
    schedule: Schedule, registry: CollectorRegistry
) -> None:
    release, runs = threading.Event(), list[None]()

    def poll() -> None:
        runs.append(None)
        release.wait(PATIENCE_SECONDS)

    schedule.poll(0.02, "poll", poll)
    schedule.start()
    try:
        wait_until_counted(registry, "overlapped")
        assert len(runs) == 1
    finally:
        release.set()


def test_a_run_that_waits_for_a_thread_for_longer_than_its_interval_still_runs(
    schedule: Schedule, registry: CollectorRegistry
) -> None:
    hold, ran = threading.Event(), threading.Event()
    schedule.poll(3600, "slow", lambda: hold.wait(PATIENCE_SECONDS))  # keeps the only thread of polls
    schedule.poll(0.02, "late", ran.set)
    schedule.start()
    wait_until_counted(registry, "overlapped")
    assert not ran.is_set()
    hold.set()
    assert ran.wait(PATIENCE_SECONDS)


def test_the_schedule_waits_between_the_runs_of_its_jobs(registry: CollectorRegistry) -> None:
    looks, runs, done = list[float](), list[int](), threading.Event()

    def monotonic() -> float:
        looks.append(time.monotonic())
        return looks[-1]

    def poll() -> None:
        runs.append(len(looks))
        if len(runs) == 5:
            done.set()

    schedule = Schedule(Metrics(registry), threads=1, monotonic=monotonic)
    schedule.every(3600, "heartbeat", lambda: None)
    schedule.poll(0.05, "poll", poll)
    schedule.start()
    try:
        assert done.wait(PATIENCE_SECONDS)
        assert runs[4] - runs[0] < 4 * 20  # it looks at the clock a few times for each run
    finally:
        schedule.stop()


class SteppedClock(datetime):
    """A clock of the host that is set to other times while jobs run."""

    steps = itertools.cycle([timedelta(), timedelta(hours=1), -timedelta(hours=1), DAY * 90, -DAY * 90])

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        host = datetime.now(UTC) + next(cls.steps)
        return host.astimezone(tz) if tz is None else tz.fromutc(host.replace(tzinfo=tz))


def test_intervals_do_not_depend_on_the_clock_of_the_host(
    schedule: Schedule, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (apscheduler.schedulers.base, apscheduler.executors.base, apscheduler.triggers.interval):
        monkeypatch.setattr(module, "datetime", SteppedClock)
    runs, done = list[float](), threading.Event()

    def poll() -> None:
        runs.append(time.monotonic())
        if len(runs) == 10:
            done.set()

    schedule.poll(0.05, "poll", poll)
    schedule.start()
    assert done.wait(PATIENCE_SECONDS)
    assert runs[9] - runs[0] > 0.2  # after a step forward, no runs make up for those of the time between
    assert registry.get_sample_value("stockstream_scheduler_events_total", {"event": "error"}) == 0


def test_a_job_that_breaks_is_counted_and_runs_again(schedule: Schedule, registry: CollectorRegistry) -> None:
    again = threading.Event()

    def poll() -> None:
        if registry.get_sample_value("stockstream_scheduler_events_total", {"event": "error"}):
            again.set()
            return
        msg = "injected failure"
        raise RuntimeError(msg)

    schedule.poll(0.02, "poll", poll)
    schedule.start()
    assert again.wait(PATIENCE_SECONDS)
