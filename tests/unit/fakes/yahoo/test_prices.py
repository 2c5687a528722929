from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.yahoo.instruments import Instrument, find
from tests.fakes.yahoo.prices import DAY, Prices, float32
from tests.fakes.yahoo.sessions import last_session, session_before
from tests.fakes.yahoo.tapes import Bar, Tapes

NOON = int(datetime(2026, 11, 23, 17, 0, tzinfo=UTC).timestamp())


def instrument(symbol: str) -> Instrument:
    found = find(symbol)
    assert found is not None
    return found


def tapes(seed: int = 1) -> Tapes:
    return Tapes(Prices(seed))


def test_the_same_seed_gives_the_same_prices_in_any_order_of_requests() -> None:
    times = [NOON + 7 * step for step in range(100)]

    one, other = (Prices(1).path(instrument("AAPL")) for _ in range(2))
    forward = [one.at(time) for time in times]
    backward = [other.at(time) for time in reversed(times)]

    assert forward == backward[::-1]
    assert len({*forward}) > 10


def test_seeds_and_symbols_have_prices_of_their_own() -> None:
    prices = {Prices(seed).path(instrument(symbol)).at(NOON) for seed in (1, 2) for symbol in ("S1", "S2")}

    assert len(prices) == 4


@pytest.mark.parametrize("symbol", ["AAPL", "ZRC-USD", "AUDNZD=X", "SI=F", "^VIX", "UGA", "VOD.L"])
def test_a_day_is_consistent(symbol: str) -> None:
    """The day's figures fit together at each time, and they fit the bars of the minutes."""
    some, market = instrument(symbol), tapes()
    session = last_session(some.market, NOON)
    days = [market.today(some, time)[1] for time in range(session.start, session.end, 1_000)]

    for day in days:
        assert day.low <= min(day.open, day.price) <= max(day.open, day.price) <= day.high
    for before, after in pairwise(days):
        assert before.open == after.open
        assert before.high <= after.high
        assert before.low >= after.low
        assert before.volume <= after.volume
    whole = market.tape(some, session).statistics(session.end + DAY)
    bars = [bar for bar in market.tape(some, session).bars(session.end + DAY) if isinstance(bar, Bar)]
    assert (bars[0].open, bars[-1].close) == (whole.open, whole.price)
    assert (max(bar.high for bar in bars), min(bar.low for bar in bars)) == (whole.high, whole.low)
    assert sum(bar.volume for bar in bars) == whole.volume
    assert (whole.volume > 0) == (some.daily_volume > 0)


def test_the_previous_close_is_the_last_price_of_the_previous_session() -> None:
    apple, market = instrument("AAPL"), tapes()
    session = last_session(apple.market, NOON)
    before = session_before(apple.market, session.day)

    assert market.previous_close(apple, session) == market.tape(apple, before).statistics(NOON).price
    assert market.closes(apple, session, 3)[0] == market.previous_close(apple, session)


def test_an_illiquid_symbol_has_minutes_without_a_trade() -> None:
    some, market = instrument("UGA"), tapes()
    session = last_session(some.market, NOON)

    bars = list(market.tape(some, session).bars(session.end))

    assert [isinstance(bar, Bar) for bar in bars[:5]] == [True, False, False, False, True]
    assert bars[1] == session.start + 60


@given(st.floats(1e-6, 1e9))
def test_float32_is_the_shortest_decimal_of_the_same_32_bit_float(value: float) -> None:
    short = float32(value)

    assert float32(short) == short
    assert abs(short - value) <= value * 1e-6
    assert len(f"{short:g}".replace(".", "")) <= 12


def test_float32_prints_as_yahoo_does() -> None:
    assert float32(269.7 - 269.0) == 0.7
    assert float32(1.04898770) == 1.0489877
    assert float32(110429.4218) == 110429.42
