"""What a rebuilt day starts from: the bars and quotes before it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace

from quotes import Action, Quote
from tests.fakes.archived_market import CLOSE, MONDAY, ArchivedMarket, quotes_of, undisturbed
from tests.fakes.volume_source import MARKETS, Market, simulate


def test_a_day_starts_from_the_volume_and_the_indicators_of_the_day_before() -> None:
    """The symbol trades round the clock: its volume continues over midnight, and its first bars have all indicators."""
    whole = quotes_of("BTC-USD", MONDAY - timedelta(hours=3), 6 * 60)
    market = undisturbed(whole, MONDAY + timedelta(hours=4))
    expected = market.copied_bars()
    assert "z_score" in expected["BTC-USD", "1m#2026-11-23T00:00:00.000Z"]
    market.delete_bars_since("2026-11-23")
    (rebuilt,) = market.rebuild()
    assert rebuilt.added == 180
    assert market.contents() == expected


def test_a_day_after_a_weekend_starts_from_the_last_quotes_of_friday() -> None:
    friday = quotes_of("AAPL", MONDAY - timedelta(days=3) + timedelta(hours=20), 60)
    last = friday[-1].volume
    assert last is not None
    monday = quotes_of("AAPL", MONDAY + timedelta(hours=14), 30, seed=2, volume=last)
    market = undisturbed(friday + monday, CLOSE)
    expected = market.copied_bars()
    first = expected["AAPL", "1m#2026-11-23T14:00:00.000Z"]
    assert first["volume"] != 0
    first_key = ("AAPL", "1m#2026-11-23T14:00:00.000Z")
    market.world.bar_rows[first_key] = {**first, "volume": Decimal(0), "sma_50": Decimal(1)}
    (rebuilt,) = market.rebuild()
    assert rebuilt.corrected == 1
    assert market.contents() == expected


def test_a_symbol_that_the_processor_had_forgotten_starts_as_it_did_there() -> None:
    """The first live bar does not use the volume of a month before, so the rebuilt bar must not use it either."""
    before = quotes_of("AAPL", MONDAY - timedelta(days=40), 60)
    market = ArchivedMarket()
    market.arrive_in_order(before)
    market.close(MONDAY)
    after = quotes_of("AAPL", MONDAY + timedelta(hours=14), 30, seed=2, volume=10**6)
    market.arrive_in_order(after)
    market.close(CLOSE)
    expected = market.copied_bars()
    assert int(expected["AAPL", "1m#2026-11-23T14:00:00.000Z"]["volume"]) < 1_000
    market.delete_bars_since("2026-11-23")
    (rebuilt,) = market.rebuild()
    assert rebuilt.added == 30
    assert market.contents() == expected


def test_consecutive_days_are_rebuilt_as_in_one_pass() -> None:
    whole = quotes_of("BTC-USD", MONDAY - timedelta(hours=2), 28 * 60, every=60)
    market = undisturbed(whole, MONDAY + timedelta(hours=30))
    expected = market.copied_bars()
    for row in market.world.bar_rows.values():
        row["sma_20"] = Decimal(1)
    for offset in (-1, 0, 1):
        market.rebuild(MONDAY + timedelta(days=offset))
    assert market.contents() == expected


def test_a_symbol_without_earlier_quotes_starts_as_it_did(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    expected = market.copied_bars()
    market.world.bar_rows.clear()
    market.rebuild()
    assert market.contents() == expected


def test_a_split_before_the_day_rescales_the_indicators_as_it_did() -> None:
    sunday = quotes_of("BTC-USD", MONDAY - timedelta(hours=2), 120)
    split = [
        replace(
            quote,
            price=quote.price / 4,
            previous_close=Decimal(str(round(sunday[-1].price / 4, 2))),
        )
        for quote in quotes_of("BTC-USD", MONDAY, 30, seed=2)
    ]
    split = [replace(quote, price=Decimal(str(round(quote.price, 2)))) for quote in split]
    market = undisturbed(sunday + split, CLOSE)
    expected = market.copied_bars()
    assert expected["BTC-USD", "1m#2026-11-23T00:00:00.000Z"]["sma_50"] < 30  # type: ignore[operator]  # a number
    market.delete_bars_since("2026-11-23")
    market.rebuild()
    assert market.contents() == expected


def split(at: datetime, new: int, old: int = 1) -> Action:
    return Action(
        symbol="BTC-USD",
        action="split",
        event_time=at,
        numerator=new,
        denominator=old,
        source="synthetic",
        ingest_time=at,
    )


def in_new_shares(quotes: list[Quote], new: int, old: int) -> list[Quote]:
    """Quotes after a split that the previous close does not show."""
    return [replace(quote, price=Decimal(str(round(quote.price * old / new, 4)))) for quote in quotes]


@pytest.mark.parametrize(
    ("hours", "new", "old"),
    [(-1, 4, 1), (0, 11, 10), (2, 1, 35)],
    ids=["before the day", "at its start", "within the day"],
)
def test_a_declared_split_rescales_the_indicators_as_it_did(hours: int, new: int, old: int) -> None:
    start = MONDAY + timedelta(hours=hours)
    before = quotes_of("BTC-USD", start - timedelta(hours=2), 120)
    after = in_new_shares(quotes_of("BTC-USD", start, 180, seed=2, volume=before[-1].volume or 0), new, old)
    market = ArchivedMarket()
    market.arrive_in_order(before)
    market.arrive([split(start, new, old)], start)
    market.arrive_in_order(after)
    market.close(CLOSE)
    expected = market.copied_bars()
    market.delete_bars_since("2026-11-23")
    market.rebuild()
    rebuilt = market.contents()
    assert rebuilt.keys() == expected.keys()
    for key, row in expected.items():
        for name in ("close", "volume", "sma_50", "ema_26", "rsi_14"):
            assert float(rebuilt[key].get(name, 0)) == pytest.approx(float(row.get(name, 0)), rel=1e-6), (key, name)


def test_a_split_that_was_declared_late_counts_from_its_first_quote_on() -> None:
    before = quotes_of("BTC-USD", MONDAY + timedelta(hours=1), 60)
    after = in_new_shares(quotes_of("BTC-USD", MONDAY + timedelta(hours=2), 120, seed=2), 11, 10)
    late, prompt = ArchivedMarket(), ArchivedMarket()
    for market, place in ((prompt, 0), (late, 200)):
        market.arrive_in_order(before)
        market.arrive_in_order(after[:place])
        market.arrive([split(after[0].event_time, 11, 10)], MONDAY + timedelta(hours=5))
        market.arrive_in_order(after[place:])
        market.close(CLOSE)
    assert late.world.bar_rows != prompt.world.bar_rows
    late.rebuild()
    assert late.contents() == prompt.contents()


@pytest.mark.parametrize("market", MARKETS.values(), ids=MARKETS)
def test_rebuilt_volumes_are_those_of_the_live_bars(market: Market) -> None:
    quotes = simulate(market, Random(3)).quotes
    live = undisturbed(quotes, quotes[-1].event_time + timedelta(hours=1))
    expected = {key: row.get("volume") for key, row in live.world.bar_rows.items()}
    for day in sorted({quote.event_time.date() for quote in quotes}):
        live.rebuild(datetime.combine(day, time(), UTC))
    assert {key: row.get("volume") for key, row in live.world.bar_rows.items()} == expected
