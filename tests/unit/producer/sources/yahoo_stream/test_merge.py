"""The merge of streamed trades and polls: each trade is one quote, whatever the stream does to it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.deduplication import Accepted, SymbolHistory, deduplicate
from producer_service.sources.yahoo_stream.merge import CONTINUES, Merge
from producer_service.sources.yahoo_stream.trades import MarketSession, Trade
from quotes import ROLLING_DAY, Quote
from tests.support.quotes import OPEN
from tests.support.sizes import sized
from yahoo_requests.single_precision import is_same, shortest

SYMBOL = "BRK-A"


def polled(second: float = 0, price: str = "100", volume: int | None = 1_000, **fields: Any) -> Quote:
    """The quote of a poll, as the quote endpoint states it: with whole seconds and an exact price."""
    time = OPEN + timedelta(seconds=int(second))
    values: dict[str, Any] = {"high": Decimal(800_000), "low": Decimal(1), "market_state": "REGULAR", "currency": "USD"}
    return Quote(
        symbol=SYMBOL,
        event_time=time,
        price=Decimal(price),
        source="yahoo",
        ingest_time=OPEN + timedelta(days=3),
        volume=volume,
        **values | fields,
    )


def trade(second: float, price: str = "100", volume: int | None = None, session: MarketSession = "REGULAR") -> Trade:
    """A streamed trade, whose price went through single precision."""
    return Trade(
        symbol=SYMBOL,
        time=OPEN + timedelta(milliseconds=round(1000 * second)),
        price=in_single_precision(price),
        session=session,
        volume=volume,
        received=OPEN + timedelta(days=3),
    )


def in_single_precision(price: str) -> Decimal:
    (single,) = struct.unpack("<f", struct.pack("<f", float(price)))
    return Decimal(shortest(single))


def merge_with(*quotes: Quote, extended_hours: bool = False) -> Merge:
    merge = Merge([SYMBOL], extended_hours=extended_hours)
    merge.polled(quotes)
    return merge


def prices(quotes: Iterable[Quote]) -> list[str]:
    return [str(quote.price) for quote in quotes]


def test_a_streamed_trade_is_a_quote_at_the_second_of_its_time() -> None:
    merge = merge_with(polled(10, exchange="NYQ", previous_close=Decimal(99)))

    (quote,) = merge.streamed([trade(12.345, "101.5", 1_100)]).quotes

    assert (quote.event_time, quote.price, quote.volume) == (OPEN + timedelta(seconds=12), Decimal("101.5"), 1_100)
    assert (quote.exchange, quote.previous_close, quote.source_time) == ("NYQ", Decimal(99), None)


def test_a_streamed_quote_is_what_a_poll_says_so_deduplication_drops_the_poll_after_a_restart() -> None:
    merge = merge_with(polled(10))
    streamed = merge.streamed([trade(12.345, "101.5", 1_100)]).quotes

    before = deduplicate({}, streamed)
    after = deduplicate(
        before.histories, Merge([SYMBOL], extended_hours=False).polled([polled(12, "101.5", 1_100)]).quotes
    )

    assert (len(before.accepted), len(after.accepted), after.suppressed) == (1, 0, 1)


def test_the_same_trade_by_stream_and_by_poll_is_one_quote() -> None:
    merge = merge_with(polled(10))
    assert merge.streamed([trade(12.3, "101.5", 1_100)]).quotes

    assert merge.polled([polled(12, "101.5", 1_100, high=Decimal(900_000))]).quotes == ()


def test_the_same_trade_by_poll_and_then_by_stream_is_one_quote() -> None:
    merge = merge_with(polled(12, "101.5", 1_100))

    assert merge.streamed([trade(12.3, "101.5", 1_100), trade(12.1, "101.4", 1_050)]).quotes == ()
    assert prices(merge.streamed([trade(12.9, "101.6", 1_200)]).quotes) == ["101.6"]


def test_a_poll_corrects_a_price_that_single_precision_cannot_hold() -> None:
    merge = merge_with(polled(10, "740000.00"))
    streamed = merge.streamed([trade(12.3, "740000.05", 1_100)]).quotes

    corrected = merge.polled([polled(12, "740000.05", 1_100)])

    assert prices(streamed) == ["740000.06"]
    assert (prices(corrected.quotes), corrected.corrected) == (["740000.05"], 1)


def test_a_poll_of_an_older_trade_of_the_second_changes_nothing() -> None:
    merge = merge_with(polled(10))
    merge.streamed([trade(12.1, "101", 1_100), trade(12.8, "102", 1_200)])

    assert merge.polled([polled(12, "101", 1_100)]).quotes == ()
    assert merge.polled([polled(11, "101", 1_050)]).quotes == ()
    assert merge.polled([polled(12, "102", 1_200)]).quotes == ()


def test_a_poll_that_says_more_of_the_second_replaces_it() -> None:
    merge = merge_with(polled(10))
    merge.streamed([trade(12.1, "101", 1_100)])

    merged = merge.polled([polled(12, "102", 1_200)])

    assert (prices(merged.quotes), merged.corrected, merged.missed) == (["102"], 1, 0)


def test_a_poll_says_that_the_session_is_over_although_the_last_trade_is_known() -> None:
    merge = merge_with(polled(10))
    merge.streamed([trade(12.1, "101", 1_100)])

    assert len(merge.polled([polled(12, "101", 1_100, market_state="POST")]).quotes) == 1


def test_a_poll_brings_what_the_stream_missed() -> None:
    merge = merge_with(polled(10))
    merge.streamed([trade(12.1, "101", 1_100)])

    merged = merge.polled([polled(15, "105", 1_500)])

    assert (prices(merged.quotes), merged.missed) == (["105"], 1)


def test_duplicates_and_older_messages_are_dropped() -> None:
    merge = merge_with(polled(10))
    second, first = trade(12.8, "102", 1_200), trade(12.1, "101", 1_100)

    assert prices(merge.streamed([second, second, first, trade(11, "99", 1_050)]).quotes) == ["102"]


def test_without_a_volume_the_time_orders_the_trades_of_a_second() -> None:
    merge = merge_with(polled(10, volume=None))

    quotes = merge.streamed([trade(12.1, "101"), trade(12.9, "103"), trade(12.5, "102"), trade(12.95, "103")]).quotes

    assert prices(quotes) == ["101", "103"]
    assert merge.polled([polled(12, "101", None)]).quotes == ()


def test_the_volume_of_24_hours_orders_nothing() -> None:
    merge = merge_with(polled(10, volume=5_000, volume_period=ROLLING_DAY))

    assert prices(merge.streamed([trade(12, "101", 4_000)]).quotes) == ["101"]
    assert merge.polled([polled(12, "101", 3_000, volume_period=ROLLING_DAY)]).quotes == ()


@pytest.mark.parametrize(
    ("first", "case"),
    [
        (polled(10, volume=1_000), "a smaller volume: another day"),
        (polled(12 - CONTINUES.total_seconds() - 1, volume=10), "a long pause"),
    ],
)
def test_a_trade_that_may_belong_to_another_session_is_left_to_a_poll(first: Quote, case: str) -> None:
    merged = merge_with(first).streamed([trade(12, "101", 900)])

    assert (merged.quotes, merged.needs_poll) == ((), True), case


def test_the_first_trade_of_a_symbol_is_left_to_a_poll() -> None:
    assert Merge([SYMBOL], extended_hours=False).streamed([trade(12)]).needs_poll


def test_a_symbol_that_polls_never_bring_asks_for_no_more_of_them() -> None:
    merge = Merge([SYMBOL], extended_hours=False)
    asked = []
    for second in range(12, 40):
        asked.append(merge.streamed([trade(second)]).needs_poll)
        merge.complete(OPEN + timedelta(seconds=second - 10))

    assert asked == [True] + 27 * [False]
    assert merge.is_poll_needed, "so polls come more often, and no poll after another at once"


def test_symbols_that_were_not_asked_for_are_ignored() -> None:
    other = msgspec.structs.replace(trade(12), symbol="MSFT")

    assert not merge_with(polled(10)).streamed([other]).needs_poll


def test_symbols_keep_the_case_in_which_they_are_watched() -> None:
    merge = Merge(["brk-a"], extended_hours=False)
    merge.polled([msgspec.structs.replace(polled(10), symbol="brk-a")])

    assert [quote.symbol for quote in merge.streamed([trade(12)]).quotes] == ["brk-a"]


def test_trades_outside_the_regular_session_count_only_with_extended_hours() -> None:
    before = polled(10, market_state="PRE")

    regular = merge_with(before).streamed([trade(12, "101", session="PRE")])
    extended = merge_with(before, extended_hours=True)

    assert (regular.quotes, regular.needs_poll) == ((), False)
    assert prices(extended.streamed([trade(12, "101", 5, session="PRE")]).quotes) == ["101"]
    assert extended.streamed([trade(13, "101", session="REGULAR")]).needs_poll


def test_the_high_and_the_low_follow_the_trades_and_the_polls() -> None:
    merge = merge_with(polled(10, high=Decimal(105), low=Decimal(95)))

    first = merge.streamed([trade(12, "106", 1_100)]).quotes[0]
    merge.polled([polled(11, "100", 1_050, high=Decimal(105), low=Decimal(90))])
    second = merge.streamed([trade(13, "101", 1_200)]).quotes[0]

    assert [(quote.high, quote.low) for quote in (first, second)] == [
        (Decimal(106), Decimal(95)),
        (Decimal(106), Decimal(90)),
    ]


def test_the_high_and_the_low_of_a_coin_are_those_of_its_new_day() -> None:
    merge = merge_with(polled(10, high=Decimal(150), low=Decimal(50), previous_close=Decimal(90)))
    merge.streamed([trade(12, "103")])

    merge.polled([polled(11, "100", high=Decimal(102), low=Decimal(99), previous_close=Decimal(110))])
    (quote,) = merge.streamed([trade(13, "101")]).quotes

    assert (quote.high, quote.low, quote.previous_close) == (Decimal(103), Decimal(99), Decimal(110))


class Market(msgspec.Struct, frozen=True):
    """The true trades of a symbol, each with its second, exact price and volume of the day."""

    trades: tuple[tuple[float, str, int], ...]

    def trade(self, number: int, *, has_volume: bool) -> Trade:
        second, price, volume = self.trades[number]
        return trade(second, price, volume if has_volume else None)

    def quote(self, number: int, *, has_volume: bool) -> Quote:
        second, price, volume = self.trades[number]
        return polled(second, price, volume if has_volume else None)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    dear = draw(st.booleans())
    cents = st.integers(74_000_000, 74_000_040) if dear else st.integers(9_990, 10_010)
    count = draw(st.integers(1, 14))
    trades, milliseconds, volume = [], 1_000, 1_000
    for _ in range(count):
        milliseconds += draw(st.integers(1, 900))
        volume += draw(st.integers(1, 5))
        trades.append((milliseconds / 1000, f"{draw(cents) / 100:.2f}", volume))
    return Market(tuple(trades))


class Run:
    """What a merge and the deduplication after it make of a market."""

    def __init__(self, market: Market, *, has_volume: bool) -> None:
        self._market = market
        self._has_volume = has_volume
        self._merge = merge_with(polled(0, "100", 1 if has_volume else None))
        self._histories: dict[str, SymbolHistory] = {}
        self.accepted: list[Accepted] = []
        self.late = 0

    def stream(self, number: int) -> None:
        self._take(self._merge.streamed([self._market.trade(number, has_volume=self._has_volume)]).quotes)

    def poll(self, number: int) -> None:
        self._take(self._merge.polled([self._market.quote(number, has_volume=self._has_volume)]).quotes)

    def restart(self) -> None:
        """Go on as a new process does: with the histories of the journal, and after a poll."""
        self._merge = Merge([SYMBOL], extended_hours=False)

    def _take(self, quotes: Sequence[Quote]) -> None:
        found = deduplicate(self._histories, quotes)
        self._histories |= found.histories
        self.accepted += found.accepted
        self.late += found.late


@settings(max_examples=sized(25, 1_500), deadline=None)
@given(market=markets(), data=st.data())
def test_nothing_of_the_polls_is_lost_and_no_revision_is_false(market: Market, data: st.DataObject) -> None:
    run = Run(market, has_volume=True)
    on_the_way: list[int] = []
    polled_to = 0
    for number, (second, exact, volume) in enumerate(market.trades):
        copies = data.draw(st.integers(0, 2), "copies")  # dropped, sent once, or twice
        on_the_way += [number] * copies
        arriving = data.draw(st.permutations(on_the_way), "order") if on_the_way else []
        delayed = data.draw(st.integers(0, len(arriving)), "delayed")
        on_the_way = list(arriving[:delayed])
        for each in arriving[delayed:]:
            run.stream(each)
        match data.draw(st.sampled_from(["nothing", "nothing", "poll", "stale poll", "restart"]), "then"):
            case "poll":
                run.poll(polled_to := number)
                newest = run.accepted[-1].quote
                assert newest.event_time == OPEN + timedelta(seconds=int(second))
                assert (newest.price, newest.volume) == (Decimal(exact), volume)
            case "stale poll":
                run.poll(polled_to := data.draw(st.integers(polled_to, number), "of"))
            case "restart":
                run.restart()
                run.poll(polled_to := number)

    assert run.late == 0
    before: Quote | None = None
    for accepted in run.accepted:
        quote = accepted.quote
        if before is not None and quote.event_time == before.event_time:
            is_another_trade = (quote.volume or 0) > (before.volume or 0)
            is_correction = quote.volume == before.volume and is_same(quote.price, before.price)
            assert is_another_trade or (is_correction and quote.price != before.price)
        else:
            assert before is None or quote.event_time > before.event_time
            assert accepted.revision == 0
        before = quote


@settings(max_examples=sized(20, 1_000), deadline=None)
@given(market=markets(), data=st.data())
def test_without_volumes_the_polls_are_the_truth(market: Market, data: st.DataObject) -> None:
    run = Run(market, has_volume=False)
    for number, (second, exact, _volume) in enumerate(market.trades):
        for _ in range(data.draw(st.integers(0, 2), "copies")):
            run.stream(data.draw(st.integers(max(0, number - 2), number), "which"))
        if data.draw(st.booleans(), "poll"):
            run.poll(number)
            newest = run.accepted[-1].quote.event_time
            assert newest == OPEN + timedelta(seconds=int(second))
            # A price that returns within a second repeats what is known, as it does for a source that is only polled.
            delivered = [each.quote.price for each in run.accepted if each.quote.event_time == newest]
            assert any(is_same(Decimal(exact), price) for price in delivered)
            assert Decimal(exact) in delivered or len(delivered) > 1
    assert run.late == 0
    for before, after in zip(run.accepted, run.accepted[1:], strict=False):
        assert before.quote.event_time < after.quote.event_time or before.quote.price != after.quote.price
