from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import exchange_calendars
import pytest

from tests.fakes.yahoo.instruments import DELISTED, find
from tests.fakes.yahoo.markets import Market
from tests.fakes.yahoo.sessions import last_session, market_state, session_on, trading_period


def market(symbol: str) -> Market:
    found = find(symbol)
    assert found is not None
    return found.market


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("symbol", "time", "state"),
    [
        ("AAPL", "2026-11-23T08:59", "PREPRE"),
        ("AAPL", "2026-11-23T09:00", "PRE"),
        ("AAPL", "2026-11-23T14:30", "REGULAR"),
        ("AAPL", "2026-11-23T20:59", "REGULAR"),
        ("AAPL", "2026-11-23T21:00", "POST"),
        ("AAPL", "2026-11-24T01:00", "POSTPOST"),
        ("AAPL", "2026-11-22T15:00", "CLOSED"),
        ("AAPL", "2026-07-06T13:30", "REGULAR"),  # an hour earlier in summer
        ("VOD.L", "2026-11-23T07:59", "PREPRE"),
        ("VOD.L", "2026-11-23T08:00", "REGULAR"),
        ("VOD.L", "2026-11-23T16:30", "POSTPOST"),
        ("7203.T", "2026-11-23T00:00", "REGULAR"),
        ("BTC-USD", "2026-11-22T03:00", "REGULAR"),
        ("EURUSD=X", "2026-11-23T03:00", "REGULAR"),
        ("EURUSD=X", "2026-11-22T03:00", "CLOSED"),
    ],
)
def test_the_state_of_a_market(symbol: str, time: str, state: str) -> None:
    assert market_state(market(symbol), epoch(time)) == state


@pytest.mark.parametrize("symbol", ["AAPL", "^GSPC"])
def test_new_york_has_the_holidays_and_half_days_of_the_calendar_that_the_product_uses(symbol: str) -> None:
    calendar = exchange_calendars.get_calendar("XNYS", start="2026-01-01", end="2027-06-30")
    days = (date(2026, 1, 1) + timedelta(days=each) for each in range(546))
    found = [session for session in (session_on(market(symbol), day) for day in days) if session is not None]
    expected = [
        (int(opens.timestamp()), int(closes.timestamp()))
        for opens, closes in calendar.schedule.iloc[:, [0, 3]].itertuples(index=False)
    ]
    assert [(each.start, each.end) for each in found] == expected
    assert all(each.pre_start <= each.start < each.end <= each.post_end for each in found)


def test_before_the_open_the_last_session_is_that_of_the_last_trading_day() -> None:
    monday = epoch("2026-11-23T14:00")

    session = last_session(market("AAPL"), monday)

    assert (session.start, session.end) == (epoch("2026-11-20T14:30"), epoch("2026-11-20T21:00"))
    assert (session.pre_start, session.post_end) == (epoch("2026-11-20T09:00"), epoch("2026-11-21T01:00"))
    assert trading_period(market("AAPL"), monday).start == epoch("2026-11-23T14:30")


def test_a_coin_trades_all_day() -> None:
    session = last_session(market("BTC-USD"), epoch("2026-11-22T23:59"))

    assert (session.start, session.end) == (epoch("2026-11-22T00:00"), epoch("2026-11-23T00:00"))


@pytest.mark.parametrize(
    ("symbol", "type_", "currency"),
    [
        ("aapl", "EQUITY", "USD"),
        ("BRK-B", "EQUITY", "USD"),
        ("S147", "EQUITY", "USD"),
        ("SPY", "ETF", "USD"),
        ("VOD.L", "EQUITY", "GBp"),
        ("005930.KS", "EQUITY", "KRW"),
        ("^GSPC", "INDEX", "USD"),
        ("ETH-EUR", "CRYPTOCURRENCY", "EUR"),
        ("EURUSD=X", "CURRENCY", "USD"),
        ("JPY=X", "CURRENCY", "JPY"),
        ("GC=F", "FUTURE", "USD"),
    ],
)
def test_any_symbol_of_a_usual_form_exists(symbol: str, type_: str, currency: str) -> None:
    found = find(symbol)

    assert found is not None
    assert (found.symbol, found.type, found.currency) == (symbol.upper(), type_, currency)


@pytest.mark.parametrize("symbol", [*DELISTED, "NONEXIST", "AAPL.QQ", "", "A B", "$SPX", "AAPL220121C00025000"])
def test_other_symbols_have_no_price(symbol: str) -> None:
    assert find(symbol) is None
