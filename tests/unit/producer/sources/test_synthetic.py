from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_service.errors import ConfigurationError
from producer_service.sources import FetchResult
from producer_service.sources.synthetic import SYMBOLS, SyntheticSource
from quotes import MAX_CLOCK_SKEW, Quote, whole_milliseconds

NOW = datetime(2026, 11, 23, 2, 0, 0, 123456, tzinfo=UTC)


def run(source: SyntheticSource, symbols: tuple[str, ...], seconds: int, every: float = 1) -> list[FetchResult]:
    return [source.fetch(symbols, NOW + timedelta(seconds=step * every)) for step in range(int(seconds / every) + 1)]


def of(symbol: str, results: list[FetchResult]) -> list[Quote]:
    return [quote for result in results for quote in result.quotes if quote.symbol == symbol]


def test_a_quote_has_every_field() -> None:
    result = SyntheticSource().fetch(["AAPL"], NOW)

    (quote,) = result.quotes
    assert quote.event_time == quote.ingest_time == result.complete_to == NOW.replace(microsecond=123000)
    assert (quote.source, quote.currency, quote.exchange) == ("synthetic", "USD", "NMS")
    assert (quote.market_state, quote.delay_minutes, quote.volume, quote.revision) == ("REGULAR", 0, 0, 0)
    assert quote.open == quote.high == quote.low == quote.price != quote.previous_close
    assert result == FetchResult(quotes=(quote,), complete_to=quote.event_time)


def test_the_same_seed_is_the_same_market() -> None:
    assert run(SyntheticSource(seed=7), SYMBOLS, 60) == run(SyntheticSource(seed=7), SYMBOLS, 60)
    assert run(SyntheticSource(seed=7), SYMBOLS, 1) != run(SyntheticSource(seed=8), SYMBOLS, 1)


def test_a_symbol_does_not_depend_on_others() -> None:
    alone = run(SyntheticSource(), ("KO",), 300)

    assert of("KO", run(SyntheticSource(), SYMBOLS, 300)) == of("KO", alone)


def test_any_symbol_is_simulated_and_an_invalid_one_is_rejected() -> None:
    result = SyntheticSource().fetch(["^GSPC", "no symbol", "EURUSD=X"], NOW)

    assert [quote.symbol for quote in result.quotes] == ["^GSPC", "EURUSD=X"]
    assert [rejected.symbol for rejected in result.rejected] == ["no symbol"]


@pytest.mark.parametrize(
    ("symbol", "usual", "tick", "currency", "exchange"),
    [
        ("AAPL", 230, "0.01", "USD", "NMS"),
        ("JPM", 260, "0.01", "USD", "NYQ"),
        ("SPY", 595, "0.01", "USD", "PCX"),
        ("^GSPC", 6000, "0.01", "USD", "SNP"),
        ("EURUSD=X", "1.08", "0.0001", "USD", "CCY"),
        ("USDJPY=X", 150, "0.01", "JPY", "CCY"),
        ("JPY=X", 150, "0.01", "JPY", "CCY"),
        ("BTC-USD", 90_000, "0.01", "USD", "CCC"),
        ("DOGE-EUR", "0.31", "0.0001", "EUR", "CCC"),
        ("GC=F", 2_700, "0.01", "USD", "NYM"),
        ("VOD.L", 72, "0.01", "GBp", "LSE"),
        ("7203.T", 2_800, "1", "JPY", "JPX"),
        ("aapl", 230, "0.01", "USD", "NMS"),
    ],
)
def test_a_known_symbol_has_a_plausible_price_on_its_exchange(
    symbol: str, usual: float | str, tick: str, currency: str, exchange: str
) -> None:
    for seed in range(20):
        (quote,) = SyntheticSource(seed=seed).fetch([symbol], NOW).quotes
        assert abs(quote.price / Decimal(usual) - 1) < Decimal("0.1")
        assert quote.price % Decimal(tick) == 0
        assert (quote.currency, quote.exchange) == (currency, exchange)


@pytest.mark.parametrize(
    ("symbol", "least", "most"),
    [
        ("NOSUCH", 20, 250),
        ("XYZ-B", 20, 250),
        ("^NOSUCH", 1_000, 15_000),
        ("NOSUCH-USD", 1, 20),
        ("NOSUCH.DE", 20, 250),
        ("9999.T", 800, 8_000),
        ("ABCXYZ=X", 1, 1),
        ("ZZ=F", 90, 1_000),
        ("NOSUCH.XYZ", 20, 250),
    ],
)
def test_an_unknown_symbol_has_a_price_of_its_kind(symbol: str, least: float, most: float) -> None:
    (quote,) = SyntheticSource().fetch([symbol], NOW).quotes
    assert least * 0.9 < quote.price < most * 1.1


def test_the_volume_of_a_session_is_about_that_of_a_day() -> None:
    *_, apple = of("AAPL", run(SyntheticSource(session_seconds=100), ("AAPL",), 99))
    *_, euro = of("EURUSD=X", run(SyntheticSource(session_seconds=100), ("EURUSD=X",), 99))
    assert 25_000_000 < (apple.volume or 0) < 75_000_000
    assert euro.volume == 0


def test_prices_stay_plausible_for_days() -> None:
    symbols = ("AAPL", "^GSPC", "EURUSD=X", "BTC-USD")
    results = run(SyntheticSource(), symbols, 5 * 86_400, every=200)
    for symbol, usual in zip(symbols, ("230", "6000", "1.08", "90000"), strict=True):
        assert all(0.7 < quote.price / Decimal(usual) < 1.4 for quote in of(symbol, results))


def test_a_currency_moves_less_than_a_share() -> None:
    def reach(symbol: str) -> Decimal:
        prices = [quote.price for quote in of(symbol, run(SyntheticSource(), (symbol,), 900))]
        return max(prices) / min(prices) - 1

    assert reach("EURUSD=X") < reach("^GSPC") < reach("AAPL")
    assert reach("EURUSD=X") < Decimal("0.03")


@given(st.lists(st.floats(-5, 1000), min_size=1, max_size=30), st.integers(0, 5), st.integers(1, 2000))
def test_a_day_adds_up_whenever_it_is_fetched(steps: list[float], seed: int, session_seconds: int) -> None:
    source = SyntheticSource(seed=seed, session_seconds=session_seconds)
    now, start, last = NOW, None, None
    latest = now
    for step in steps:
        # A step back by more than this sets the market back too, which is another test's.
        now = max(now + timedelta(seconds=step), latest - MAX_CLOCK_SKEW)
        latest = max(latest, now)
        (quote,) = source.fetch(["AAPL"], now).quotes
        start = start or quote.event_time
        assert quote.open is not None
        assert quote.high is not None
        assert quote.low is not None
        assert quote.previous_close is not None
        assert quote.volume is not None
        assert 0 < quote.low <= min(quote.open, quote.price) <= max(quote.open, quote.price) <= quote.high
        assert quote.price % Decimal("0.01") == 0
        if last is not None and quote is not last:
            assert last.event_time < quote.event_time == whole_milliseconds(now)
            session = timedelta(seconds=session_seconds)
            if (last.event_time - start) // session == (quote.event_time - start) // session:
                assert (quote.open, quote.previous_close) == (last.open, last.previous_close)
                assert quote.volume >= (last.volume or 0)
                assert quote.high >= (last.high or 0)
                assert quote.low <= (last.low or 0)
            else:
                assert quote.previous_close == last.price
                assert quote.volume == 0
                assert quote.open == quote.high == quote.low == quote.price
        last = quote


def test_a_session_ends_with_its_length() -> None:
    quotes = of("SPY", run(SyntheticSource(session_seconds=60), ("SPY",), 180))

    assert [quote.event_time - quotes[0].event_time for quote in quotes if quote.volume == 0] == [
        timedelta(minutes=minute) for minute in range(4)
    ]


def test_a_demo_of_twenty_seconds_has_a_few_jumps() -> None:
    """Some symbols move more than 5 % from the previous close with the default seed, whatever the interval."""
    for every in (0.5, 1, 2):
        results = run(SyntheticSource(), SYMBOLS, 20, every)
        far = {quote.symbol for result in results for quote in result.quotes if _is_far(quote)}
        assert 2 <= len(far) <= 6


def test_jumps_are_rare_and_come_back() -> None:
    results = run(SyntheticSource(), SYMBOLS, 1800)

    crossings = 0
    for symbol in SYMBOLS:
        far = [_is_far(quote) for quote in of(symbol, results)]
        crossings += sum(not before and after for before, after in pairwise(far))
    assert 0.5 <= crossings / len(SYMBOLS) / 3 <= 4  # about two a symbol and session


def test_a_silent_symbol_delivers_its_last_quote_again() -> None:
    quotes = of("AAPL", run(SyntheticSource(), ("AAPL",), 600))

    again = [before is after for before, after in pairwise(quotes)]
    assert 0.01 < sum(again) / len(again) < 0.2


def test_a_session_has_a_length() -> None:
    with pytest.raises(ConfigurationError):
        SyntheticSource(session_seconds=0)


def _is_far(quote: Quote) -> bool:
    assert quote.previous_close is not None
    return abs(quote.price / quote.previous_close - 1) > Decimal("0.05")
