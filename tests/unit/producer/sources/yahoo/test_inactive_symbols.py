from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from producer_service.sources.yahoo.inactive_symbols import Absences

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SYMBOLS = ("AAPL", "DEAD", "MSFT")


def miss(absences: Absences, times: int, day: int) -> None:
    for number in range(times):
        absences.note(["DEAD"], ["AAPL", "MSFT"], NOW + day * DAY + timedelta(seconds=10 * number))


def dead() -> Absences:
    absences = Absences(misses=4, days=3)
    miss(absences, 2, day=0)
    miss(absences, 1, day=1)
    miss(absences, 1, day=2)
    return absences


def test_a_symbol_missed_often_enough_on_enough_days_is_set_aside() -> None:
    absences = dead()

    assert absences.set_aside(SYMBOLS) == ("DEAD",)
    assert absences.due(SYMBOLS, NOW + 2 * DAY + timedelta(hours=1)) == ("AAPL", "MSFT")


def test_many_misses_of_one_day_are_not_enough_nor_few_of_many_days() -> None:
    of_one_day, few = Absences(misses=4, days=3), Absences(misses=4, days=3)
    miss(of_one_day, 1000, day=0)
    for day in range(3):
        miss(few, 1, day)

    for absences in (of_one_day, few):
        assert absences.set_aside(SYMBOLS) == ()
        assert absences.due(SYMBOLS, NOW + 2 * DAY) == SYMBOLS


def test_one_price_in_between_begins_the_count_anew() -> None:
    absences = Absences(misses=4, days=3)
    miss(absences, 2, day=0)
    miss(absences, 1, day=1)
    absences.note([], ["DEAD"], NOW + DAY)
    miss(absences, 1, day=2)

    assert absences.set_aside(SYMBOLS) == ()


def test_it_is_tried_once_a_day_until_it_has_a_price() -> None:
    absences = dead()
    tried = []
    for hour in range(1, 24 * 5):
        now = NOW + 2 * DAY + timedelta(hours=hour)
        if "DEAD" in absences.due(SYMBOLS, now):
            tried.append(hour)
            absences.note(["DEAD"], [], now)
            assert absences.set_aside(SYMBOLS) == ("DEAD",)
    assert tried == [24, 48, 72, 96]

    absences.note([], ["DEAD"], NOW + 8 * DAY)

    assert absences.set_aside(SYMBOLS) == ()
    assert absences.due(SYMBOLS, NOW + 8 * DAY) == SYMBOLS


def test_a_try_that_was_not_answered_is_tried_again_in_the_next_poll() -> None:
    absences = dead()
    absences.note([], ["AAPL"], NOW + 3 * DAY)  # the batch of DEAD failed

    assert "DEAD" in absences.due(SYMBOLS, NOW + 3 * DAY + timedelta(seconds=10))


def test_a_clock_set_back_does_not_put_the_try_off() -> None:
    assert "DEAD" in dead().due(SYMBOLS, NOW - 300 * DAY)


@given(
    st.lists(
        st.tuples(st.timedeltas(timedelta(0), 2 * DAY), st.dictionaries(st.sampled_from(SYMBOLS), st.booleans())),
        max_size=50,
    )
)
def test_no_symbol_is_lost_whatever_the_answers(polls: list[tuple[timedelta, dict[str, bool]]]) -> None:
    """Each is asked for or set aside; who is set aside was missing in its last answer, and is due within a day."""
    absences, now = Absences(misses=3, days=2), NOW
    last: dict[str, bool] = {}
    for passed, answers in polls:
        now += passed
        due = absences.due(SYMBOLS, now)
        answered = {symbol: has_price for symbol, has_price in answers.items() if symbol in due}
        absences.note(
            [symbol for symbol, has_price in answered.items() if not has_price],
            [symbol for symbol, has_price in answered.items() if has_price],
            now,
        )
        last |= answered
        aside = absences.set_aside(SYMBOLS)
        assert {*absences.due(SYMBOLS, now), *aside} == {*SYMBOLS}
        assert not any(last[symbol] for symbol in aside)
        assert absences.due(SYMBOLS, now + DAY) == SYMBOLS
