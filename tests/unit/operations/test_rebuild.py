"""The bars that are rebuilt from the archive are those of an undisturbed market, whatever happened before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from backfill.indicators import refolded
from backfill.rows import PRICES
from bars.provenance import ATTRIBUTE, BACKFILL, REBUILD, STREAM, provenance_of
from operations.errors import WrongUsage
from operations.rebuild import RebuildResult, Span, span_of
from quotes import Quote
from tests.fakes.archived_market import CLOSE, MONDAY, ArchivedMarket, packets, quotes_of, undisturbed
from tests.fakes.pipeline import SETTINGS
from tests.support.sizes import sized


def test_an_undisturbed_day_is_unchanged_and_nothing_is_written(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    before = market.copied_bars()
    assert market.rebuild() == [
        RebuildResult(symbol=symbol, bars=90, added=0, corrected=0, without_quotes=0, expired=0)
        for symbol in ("AAPL", "MSFT")
    ]
    assert market.bars.puts == 0
    assert market.world.bar_rows == before
    assert "z_score" in before["AAPL", "1m#2026-11-23T15:59:00.000Z"]


def test_damaged_and_lost_bars_are_restored_and_a_second_rebuild_changes_nothing(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    expected = market.copied_bars()
    market.world.bar_rows["AAPL", "1m#2026-11-23T14:40:00.000Z"]["high"] = Decimal(1)
    market.world.bar_rows["AAPL", "1m#2026-11-23T14:41:00.000Z"]["sma_5"] = Decimal(1)
    market.world.bar_rows["MSFT", "1m#2026-11-23T14:41:00.000Z"]["volume"] = Decimal(1)
    del market.world.bar_rows["AAPL", "1m#2026-11-23T14:42:00.000Z"]
    aapl, msft = market.rebuild(dry_run=True)
    assert (aapl.corrected, aapl.added, msft.corrected, market.bars.puts) == (2, 1, 1, 0)
    (aapl,) = market.rebuild(symbols=frozenset({"AAPL"}))
    assert (aapl.corrected, aapl.added, market.bars.puts) == (2, 1, 3)
    assert market.world.bar_rows["MSFT", "1m#2026-11-23T14:41:00.000Z"]["volume"] == 1
    market.rebuild()
    assert market.contents() == expected
    assert [(each.corrected, each.added) for each in market.rebuild()] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("seed", range(sized(3, 10)))
def test_after_late_repeated_and_split_packets_the_bars_are_those_of_an_undisturbed_market(
    day: list[Quote], seed: int
) -> None:
    rng = random.Random(seed)
    expected = undisturbed(day, CLOSE).world.bar_rows
    market = ArchivedMarket()
    disturbed = packets(day)
    for _ in range(30):
        disturbed.insert(rng.randrange(len(disturbed)), rng.choice(disturbed))
    for _ in range(10):
        disturbed.append(disturbed.pop(rng.randrange(len(disturbed))))
    arrival = MONDAY + timedelta(hours=16)
    for packet in disturbed:
        arrival += timedelta(seconds=rng.randrange(200))
        market.arrive(packet, arrival, batches=rng.randint(1, 2))
    market.close(arrival)
    assert market.world.bar_rows != expected
    market.rebuild()
    assert market.contents() == expected


def test_of_two_contents_of_one_quote_the_last_arrival_counts_as_in_the_row() -> None:
    quotes = quotes_of("AAPL", MONDAY + timedelta(hours=14), 3)
    market = undisturbed(quotes, CLOSE)
    market.arrive([replace(quotes[1], price=Decimal(500))], CLOSE + timedelta(hours=1))
    market.rebuild()
    assert market.world.bar_rows["AAPL", "1m#2026-11-23T14:00:00.000Z"]["high"] == 500


def test_the_progress_of_each_step_reaches_its_total(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.rebuild()
    objects = sum(key.startswith("raw-data/") for key in market.world.objects)
    assert market.progress.pop("warming up") == market.progress.pop("rebuilding 2026-11-23") == (2, 2)
    assert market.progress.pop("reading the archive") == (objects, objects)


def test_minutes_younger_than_an_hour_are_not_changed(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    now = MONDAY + timedelta(hours=16, minutes=10, seconds=30)
    assert span_of(MONDAY.date(), now) == Span(MONDAY, MONDAY + timedelta(hours=15, minutes=10))
    market.rebuild(now=now)
    assert max(key for _, key in market.contents()) == "1m#2026-11-23T15:09:00.000Z"


def test_a_symbol_whose_quotes_are_all_too_young_is_reported_and_not_changed(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    first = min(quote.event_time for quote in day)
    results = market.rebuild(now=first + timedelta(minutes=30))
    assert {result.symbol for result in results} == {quote.symbol for quote in day}
    assert all(result.is_young and result.bars == 0 for result in results)
    assert market.world.bar_rows == {}


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=1, seconds=59)])
def test_no_minute_of_a_day_that_has_just_begun_is_old_enough(age: timedelta) -> None:
    span = span_of(MONDAY.date(), MONDAY + age)
    assert span.is_empty
    assert not span.is_whole_day


def test_a_day_in_the_future_is_refused() -> None:
    with pytest.raises(WrongUsage, match=r"2026-11-23 is in the future: it is 2026-11-22 23:59 \(UTC\) now"):
        span_of(date(2026, 11, 23), MONDAY - timedelta(minutes=1))


def test_a_stored_bar_without_a_quote_in_the_archive_stays_and_is_reported(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    stray = ("AAPL", "1m#2026-11-23T13:00:00.000Z")
    market.world.bar_rows[stray] = {"symbol": "AAPL", "key": stray[1], "close": Decimal(1)}
    assert market.rebuild()[0].without_quotes == 1
    assert stray in market.world.bar_rows


def test_only_bars_that_a_rebuild_changes_are_of_the_rebuild(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    wrong, lost = (("AAPL", f"1m#2026-11-23T14:4{minute}:00.000Z") for minute in (0, 1))
    market.world.bar_rows[wrong]["close"] = Decimal(1)
    del market.world.bar_rows[lost]
    market.rebuild()
    assert {key for key, row in market.world.bar_rows.items() if provenance_of(row) != STREAM} == {wrong, lost}
    assert {provenance_of(market.world.bar_rows[key]) for key in (wrong, lost)} == {REBUILD}
    market.rebuild()
    assert market.bars.puts == 0


def test_a_rebuild_replaces_backfilled_bars_that_the_archive_has_quotes_of(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    expected = market.copied_bars()
    of_quotes, of_no_quote = (("AAPL", f"1m#2026-11-23T{time}:00.000Z") for time in ("14:40", "16:30"))
    row = market.world.bar_rows[of_quotes]
    backfilled = {**row, "quotes": 0, ATTRIBUTE: BACKFILL, "source": "yahoo", "ingest_time": "2026-11-24T01:10:00.000Z"}
    alone = {**backfilled, "key": of_no_quote[1]}
    market.world.bar_rows |= {of_quotes: backfilled, of_no_quote: alone}
    aapl, _ = market.rebuild()
    assert (aapl.corrected, aapl.without_quotes) == (1, 0)
    assert market.world.bar_rows[of_quotes] == {**expected[of_quotes], ATTRIBUTE: REBUILD}
    stays = market.world.bar_rows[of_no_quote]
    assert {name: stays[name] for name in (*PRICES, ATTRIBUTE)} == {name: alone[name] for name in (*PRICES, ATTRIBUTE)}
    rows = [row for (symbol, _), row in sorted(market.copied_bars().items()) if symbol == "AAPL"]
    assert refolded(rows, MONDAY, []) == []


@pytest.mark.parametrize(
    "gap", [range(10), range(40, 60), range(80, 90), [3, 4, 5, 50, 70]], ids=["first", "middle", "last", "several"]
)
def test_indicators_count_the_bars_that_a_backfill_has_put_between_those_of_quotes(
    day: list[Quote], gap: Sequence[int]
) -> None:
    start = min(quote.event_time for quote in day)
    missing = [start + timedelta(minutes=minute) for minute in gap]
    whole = undisturbed(day, CLOSE).copied_bars()
    market = undisturbed([each for each in day if each.event_time.replace(second=0) not in missing], CLOSE)
    for key in set(whole) - set(market.world.bar_rows):
        market.world.bar_rows[key] = {**whole[key], "quotes": 0, ATTRIBUTE: BACKFILL}
    for symbol in ("AAPL", "MSFT"):
        rows = [market.world.bar_rows[key] for key in sorted(market.world.bar_rows) if key[0] == symbol]
        market.world.bar_rows |= {(symbol, str(row["key"])): row for row in refolded(rows, MONDAY, [])}
    expected = market.copied_bars()
    assert [(each.corrected, each.without_quotes) for each in market.rebuild()] == [(0, 0), (0, 0)]
    changed = ("AAPL", "1m#2026-11-23T15:45:00.000Z")
    market.world.bar_rows[changed] = market.world.bar_rows[changed] | {"sma_50": Decimal(1)}
    market.rebuild()
    assert market.copied_bars() == expected | {changed: expected[changed] | {ATTRIBUTE: REBUILD}}


def test_bars_past_their_time_to_live_are_not_written(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    rebuilt = market.rebuild(now=MONDAY + timedelta(days=400))
    assert [each.expired for each in rebuilt] == [90, 90]
    assert market.world.bar_rows == {}


def test_a_symbol_without_a_quote_is_left_out(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    assert market.rebuild(symbols=frozenset({"NONE"})) == []
    assert market.rebuild(MONDAY + timedelta(days=1)) == []


def test_with_minute_resolution_the_rows_of_the_minutes_are_rebuilt_too(day: list[Quote]) -> None:
    settings = replace(SETTINGS, row_resolution="minute")
    market = undisturbed(day, CLOSE, settings)
    expected = dict(market.world.rows)
    assert len(expected) == 180
    market.world.rows.clear()
    market.rebuild()
    assert market.world.rows == expected
