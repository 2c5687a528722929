from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from producer_service.sources.yahoo.inactive_symbols import InactiveSymbols

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SYMBOLS = ("AAPL", "DEAD", "MSFT")


def miss(tracker: InactiveSymbols, times: int, day: int) -> None:
    for number in range(times):
        tracker.record(["DEAD"], ["AAPL", "MSFT"], NOW + day * DAY + timedelta(seconds=10 * number))


def dead() -> InactiveSymbols:
    tracker = InactiveSymbols(min_misses=4, min_days=3)
    miss(tracker, 2, day=0)
    miss(tracker, 1, day=1)
    miss(tracker, 1, day=2)
    return tracker


def test_a_symbol_missed_often_enough_on_enough_days_becomes_inactive() -> None:
    tracker = dead()

    assert tracker.inactive(SYMBOLS) == ("DEAD",)
    assert tracker.to_request(SYMBOLS, NOW + 2 * DAY + timedelta(hours=1)) == ("AAPL", "MSFT")


def test_many_misses_on_one_day_or_few_on_many_days_are_not_enough() -> None:
    of_one_day, few = InactiveSymbols(min_misses=4, min_days=3), InactiveSymbols(min_misses=4, min_days=3)
    miss(of_one_day, 1000, day=0)
    for day in range(3):
        miss(few, 1, day)

    for tracker in (of_one_day, few):
        assert tracker.inactive(SYMBOLS) == ()
        assert tracker.to_request(SYMBOLS, NOW + 2 * DAY) == SYMBOLS


def test_a_price_in_between_resets_the_count() -> None:
    tracker = InactiveSymbols(min_misses=4, min_days=3)
    miss(tracker, 2, day=0)
    miss(tracker, 1, day=1)
    tracker.record([], ["DEAD"], NOW + DAY)
    miss(tracker, 1, day=2)

    assert tracker.inactive(SYMBOLS) == ()


def test_an_inactive_symbol_is_retried_once_a_day_until_it_has_a_price() -> None:
    tracker = dead()
    retried = []
    for hour in range(1, 24 * 5):
        now = NOW + 2 * DAY + timedelta(hours=hour)
        if "DEAD" in tracker.to_request(SYMBOLS, now):
            retried.append(hour)
            tracker.record(["DEAD"], [], now)
            assert tracker.inactive(SYMBOLS) == ("DEAD",)
    assert retried == [24, 48, 72, 96]

    tracker.record([], ["DEAD"], NOW + 8 * DAY)

    assert tracker.inactive(SYMBOLS) == ()
    assert tracker.to_request(SYMBOLS, NOW + 8 * DAY) == SYMBOLS


def test_a_failed_retry_is_repeated_in_the_next_poll() -> None:
    tracker = dead()
    tracker.record([], ["AAPL"], NOW + 3 * DAY)  # the batch of DEAD failed

    assert "DEAD" in tracker.to_request(SYMBOLS, NOW + 3 * DAY + timedelta(seconds=10))


def test_misses_before_and_after_midnight_are_of_one_day() -> None:
    tracker = InactiveSymbols(min_misses=3, min_days=2)
    for hours in (8, 9, 10):
        tracker.record(["DEAD"], [], NOW + timedelta(hours=hours))

    assert tracker.inactive(SYMBOLS) == ()


@given(
    st.lists(
        st.tuples(st.timedeltas(timedelta(0), 2 * DAY), st.dictionaries(st.sampled_from(SYMBOLS), st.booleans())),
        max_size=50,
    )
)
def test_no_symbol_is_lost_whatever_the_responses(polls: list[tuple[timedelta, dict[str, bool]]]) -> None:
    """Each symbol is requested or inactive. An inactive one was missing last time, and is retried within a day."""
    tracker, now = InactiveSymbols(min_misses=3, min_days=2), NOW
    last: dict[str, bool] = {}
    for passed, responses in polls:
        now += passed
        requested = tracker.to_request(SYMBOLS, now)
        received = {symbol: has_price for symbol, has_price in responses.items() if symbol in requested}
        tracker.record(
            [symbol for symbol, has_price in received.items() if not has_price],
            [symbol for symbol, has_price in received.items() if has_price],
            now,
        )
        last |= received
        inactive = tracker.inactive(SYMBOLS)
        assert {*tracker.to_request(SYMBOLS, now), *inactive} == {*SYMBOLS}
        assert not any(last[symbol] for symbol in inactive)
        assert tracker.to_request(SYMBOLS, now + DAY) == SYMBOLS
