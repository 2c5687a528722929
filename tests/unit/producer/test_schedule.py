"""The schedule: what a job that waits or fails does to the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from producer_service.metrics import Metrics
from producer_service.schedule import Schedule

PATIENCE_SECONDS = 10.0


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    schedule = Schedule(Metrics(CollectorRegistry()), polls=1)
    yield schedule
    schedule.stop()


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
