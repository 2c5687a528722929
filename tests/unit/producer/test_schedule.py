"""The schedule: a job that waits or fails does not affect the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from producer_service.metrics import Metrics
from producer_service.schedule import Schedule
from tests.support.waiting import wait_until

PATIENCE_SECONDS = 10.0


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def schedule(registry: CollectorRegistry) -> Iterator[Schedule]:
    schedule = Schedule(Metrics(registry), polls=1)
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


def test_a_run_that_would_be_later_than_its_interval_is_counted_and_left_out(
    schedule: Schedule, registry: CollectorRegistry
) -> None:
    hold, ran = threading.Event(), threading.Event()
    schedule.poll(
        3600, "slow", lambda: hold.wait(1.2)
    )  # keeps the only thread of polls for longer than the other may wait
    schedule.poll(1, "late", ran.set)
    schedule.start()
    wait_until_counted(registry, "missed")
    assert not ran.is_set()


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
