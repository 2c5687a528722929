"""After a rebuild, later days and the live stream are as if the corrected bars had always been there."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta

import pytest

from bars.provenance import ATTRIBUTE
from quotes import Quote
from tests.fakes.archived_market import MONDAY, ArchivedMarket, quotes_of, undisturbed
from tests.fakes.backfill_ports import Killed
from tests.support.sizes import sized

DAYS = [MONDAY + timedelta(days=each, hours=14) for each in range(3)]
MINUTES = 40
END = MONDAY + timedelta(days=2, hours=21)
SYMBOLS = ("AAPL", "MSFT")


def quotes() -> list[Quote]:
    """Forty minutes on each of three days."""
    return [each for start in DAYS for symbol in SYMBOLS for each in quotes_of(symbol, start, MINUTES, seed=start.day)]


def fourth_day() -> list[Quote]:
    return [each for symbol in SYMBOLS for each in quotes_of(symbol, DAYS[0] + timedelta(days=3), MINUTES, seed=4)]


def is_late(quote: Quote) -> bool:
    """Whether a quote of Monday arrives only after all three days."""
    minute = (quote.event_time - DAYS[0]) // timedelta(minutes=1)
    return quote.symbol == "AAPL" and minute in range(5, 8)


def disturbed() -> ArchivedMarket:
    """A market whose bars of Monday lack three minutes, and the indicators of all later bars with them."""
    market = undisturbed([each for each in quotes() if not is_late(each)], END)
    market.arrive([each for each in quotes() if is_late(each)], END + timedelta(hours=1))
    return market


def rebuild(market: ArchivedMarket) -> None:
    market.rebuild(arrived_until=END + timedelta(hours=2))


def trade_another_day(market: ArchivedMarket) -> None:
    market.arrive_in_order(fourth_day())
    market.close(END + timedelta(days=1))


def test_the_indicators_of_later_days_are_those_of_an_undisturbed_market() -> None:
    market, expected = disturbed(), undisturbed(quotes(), END)
    before = market.copied_bars()
    rebuild(market)
    assert market.contents() == expected.copied_bars()
    wednesday = {key for key in before if key[1] > "1m#2026-11-25"}
    assert {key for key in wednesday if before[key] != market.world.bar_rows[key]} == {
        key for key in wednesday if key[0] == "AAPL"
    }
    assert not any(ATTRIBUTE in market.world.bar_rows[key] for key in wednesday), "their prices are those of the stream"


def test_the_stream_goes_on_from_the_corrected_bars() -> None:
    market, expected = disturbed(), undisturbed(quotes(), END)
    rebuild(market)
    trade_another_day(market)
    trade_another_day(expected)
    assert market.contents() == expected.copied_bars()


def test_a_rebuild_that_is_killed_at_any_call_and_run_again_ends_with_the_same_bars() -> None:
    start, expected = disturbed(), undisturbed(quotes(), END)
    trade_another_day(expected)
    whole = deepcopy(start)
    rebuild(whole)
    calls = whole.refold_process.calls
    for number in range(1, calls + 1, max(1, calls // sized(6, 30))):
        market = deepcopy(start)
        market.refold_process.kill_after = number
        with pytest.raises(Killed):
            rebuild(market)
        market.refold_process.kill_after = None
        rebuild(market)
        trade_another_day(market)
        assert market.contents() == expected.copied_bars()


def test_a_dry_run_marks_and_computes_nothing() -> None:
    market = disturbed()
    before = dict(market.world.bar_rows)
    states = dict(market.world.states)
    market.rebuild(arrived_until=END + timedelta(hours=2), dry_run=True)
    assert (market.world.bar_rows, market.world.states) == (before, states)
