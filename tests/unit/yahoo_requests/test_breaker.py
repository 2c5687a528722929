from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yahoo_requests.breaker import JITTER, Breaker, BreakerPolicy, PollOutcome

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def after(*outcomes: PollOutcome, now: datetime = NOW) -> Breaker:
    breaker = Breaker()
    for outcome in outcomes:
        breaker = breaker.after(outcome, now, 0)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "opens"),
    [
        ([], False),
        (["answered"], False),
        (["rate_limited"], True),
        (["unauthorized"], False),
        (["unauthorized", "unauthorized"], True),
        (["unauthorized", "answered", "unauthorized"], False),
        (["unauthorized", "failed", "unauthorized"], True),  # three failed polls
        (["failed", "failed"], False),
        (["failed", "failed", "failed"], True),
        (["failed", "failed", "answered", "failed"], False),
    ],
)
def test_opens_on_a_refusal_and_on_failures_in_a_row(outcomes: list[PollOutcome], opens: bool) -> None:  # noqa: FBT001
    assert after(*outcomes).permits(NOW) == ("none" if opens else "all")


def test_permits_one_probe_after_the_pause() -> None:
    breaker = after("rate_limited")

    assert breaker.paused_until == NOW + MINUTE
    assert breaker.permits(NOW + MINUTE - timedelta(milliseconds=1)) == "none"
    assert breaker.permits(NOW + MINUTE) == "probe"
    assert breaker.permits(NOW + timedelta(days=400)) == "probe"


@pytest.mark.parametrize("failure", ["rate_limited", "unauthorized", "failed"])
def test_a_failed_probe_doubles_the_pause_up_to_the_longest(failure: PollOutcome) -> None:
    breaker, now, pauses = Breaker(), NOW, []
    for outcome in ("rate_limited", *[failure] * 7):
        breaker = breaker.after(outcome, now, 0)
        assert breaker.paused_until is not None
        pauses.append((breaker.paused_until - now) / MINUTE)
        now = breaker.paused_until

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_answered_probe_closes_it_and_resets_the_pause() -> None:
    assert after("rate_limited", "rate_limited", "answered") == Breaker()


outcomes_at = st.lists(
    st.tuples(
        st.sampled_from(["answered", "rate_limited", "unauthorized", "failed"]),
        st.timedeltas(timedelta(0), timedelta(hours=3)),
        st.floats(0, 1),
    ),
    max_size=60,
)


@given(outcomes_at)
def test_pauses_are_bounded_and_end_in_a_probe_whatever_happens(
    history: list[tuple[PollOutcome, timedelta, float]],
) -> None:
    """Polls whenever it is permitted, lets time pass, and checks each pause when it starts."""
    policy = BreakerPolicy()
    breaker, now, previous = Breaker(policy=policy), NOW, timedelta(0)
    for outcome, passed, jitter in history:
        now += passed
        if breaker.permits(now) == "none":
            assert breaker.paused_until is not None
            assert now < breaker.paused_until
            now = breaker.paused_until
            assert breaker.permits(now) == "probe"
        breaker = breaker.after(outcome, now, jitter)
        if outcome == "answered":
            assert breaker.permits(now) == "all"
            previous = timedelta(0)
        elif breaker.paused_until is not None:
            assert breaker.permits(now) == "none"
            pause = breaker.paused_until - now
            assert policy.first_pause <= pause <= policy.longest_pause * (1 + JITTER)
            assert pause >= min(previous * 2 / (1 + JITTER), policy.longest_pause)
            previous = pause
