"""The producer's clock is right, or as right as it can be, whatever the clock of the host does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from producer_service.clock import STEP_SECONDS, TOLERANCE_SECONDS, UNCONFIRMED_SECONDS
from producer_service.clock_watch import ClockWatch
from producer_service.metrics import Metrics
from tests.support.clocks import Host
from tests.support.quotes import OPEN
from tests.support.sizes import sized

HOUR, MONTHS = 3600.0, 90 * 86_400.0
STEPS = (2.0, -2.0, 60.0, -60.0, HOUR, -HOUR, MONTHS, -MONTHS)


def test_it_is_the_clock_of_the_host_in_whole_milliseconds() -> None:
    host = Host(OPEN + timedelta(microseconds=1_234_567))
    assert host.clock.now() == OPEN + timedelta(milliseconds=1234)


def test_it_follows_a_clock_that_is_slowly_corrected() -> None:
    host = Host(error=1.5)
    for _ in range(15):
        host.run(1)
        host.step(-0.1)
        host.clock.now()
    assert abs(host.wrong_by()) < 0.002
    assert host.clock.steps() == []


@pytest.mark.parametrize("step", STEPS)
def test_a_step_changes_nothing_and_is_reported_once(step: float) -> None:
    host = Host()
    host.ask_service()
    host.step(step)
    host.run(6)
    assert abs(host.wrong_by()) < 0.002
    assert host.clock.steps() == [pytest.approx(step)]
    assert host.clock.error() == pytest.approx(step)
    host.step(-step)
    assert host.clock.steps() == [pytest.approx(-step)]
    assert host.clock.error() == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_step_to_the_truth_is_followed_once_the_service_confirms_it(step: float) -> None:
    host = Host(error=-step)
    host.step(step)
    host.run(6)
    host.ask_service()
    assert abs(host.wrong_by()) < 0.002
    assert host.clock.error() == 0


@pytest.mark.parametrize("error", [error for error in STEPS if abs(error) > TOLERANCE_SECONDS])
@pytest.mark.parametrize("took", [0.0, 8.0])
def test_a_clock_that_is_wrong_from_the_start_is_corrected_by_the_first_answer(error: float, took: float) -> None:
    host = Host(OPEN + timedelta(milliseconds=700), error=error)
    host.ask_service(took=took)
    assert -1 - took <= host.wrong_by() <= 0
    host.ask_service(took=0.2)
    before = host.clock.time()
    for _ in range(100):  # later answers do not move it again
        host.run(7.3)
        host.ask_service(took=0.2)
    assert host.clock.time() - before == pytest.approx(100 * 7.5)


def test_an_answer_that_takes_long_does_not_make_a_right_clock_wrong() -> None:
    host = Host()
    for took in (0.0, 3.0, 10.0, 30.0):
        host.ask_service(took=took)
        assert abs(host.wrong_by()) < 0.002


def test_without_any_service_a_step_counts_after_a_while() -> None:
    host = Host(error=-HOUR)
    host.clock.now()
    host.step(HOUR)
    host.run(0.5)
    assert host.wrong_by() == pytest.approx(-HOUR, abs=0.002)
    host.run(UNCONFIRMED_SECONDS)
    assert host.wrong_by() == pytest.approx(0, abs=0.002)


def test_ages_are_measured_without_steps_and_corrections() -> None:
    host = Host(error=MONTHS)
    before = host.clock.steady()
    host.run(5)
    host.ask_service()
    host.step(-2 * MONTHS)
    host.run(5)
    assert host.clock.steady() - before == pytest.approx(10)


def test_a_step_is_logged_and_counted_in_both_directions_and_a_wrong_clock_is_told_once() -> None:
    host, registry, jumps = Host(), CollectorRegistry(), list[None]()
    watch = ClockWatch(host.clock, Metrics(registry), lambda: jumps.append(None))
    host.ask_service()
    with capture_logs() as logs:
        for step in (HOUR, 0.0, -HOUR, 0.0):
            host.step(step)
            host.run(1)
            host.ask_service()
            watch.look()
    assert [(line["event"], line.get("seconds")) for line in logs] == [
        ("clock_stepped", HOUR),
        ("clock_wrong", None),
        ("clock_stepped", -HOUR),
        ("clock_right", None),
    ]
    assert registry.get_sample_value("stockstream_clock_steps_total") == 2
    assert jumps == []  # the producer's own time did not change


def test_the_calendars_are_loaded_again_when_the_producers_time_changes_by_hours() -> None:
    host, jumps = Host(error=MONTHS), list[None]()
    watch = ClockWatch(host.clock, Metrics(CollectorRegistry()), lambda: jumps.append(None))
    host.ask_service()
    watch.look()
    watch.look()
    assert len(jumps) == 1


moments = st.lists(
    st.tuples(st.floats(0.1, 600), st.sampled_from((0.0, 0.0, 0.3, *STEPS)) | st.floats(-1e7, 1e7), st.booleans()),
    max_size=30,
)


@settings(max_examples=sized(20, 400))
@given(st.floats(-1e7, 1e7), moments)
def test_once_the_service_has_answered_the_time_is_right_whatever_the_host_does(
    error: float, moments: list[tuple[float, float, bool]]
) -> None:
    host = Host(error=error)
    host.ask_service(took=0.1)
    for seconds, step, is_answered in moments:
        host.step(step)
        host.run(seconds)
        if is_answered:
            host.ask_service(took=0.1)
        else:
            host.clock.now()  # every second in the daemon
        # Steps of less than a second pass unnoticed, so several together may exceed the tolerance until an answer.
        unnoticed = sum(abs(each) for _, each, _ in moments if abs(each) <= STEP_SECONDS)
        assert abs(host.wrong_by()) <= TOLERANCE_SECONDS + 1.2 + unnoticed
        if is_answered:
            assert abs(host.wrong_by()) <= TOLERANCE_SECONDS + 1.2
