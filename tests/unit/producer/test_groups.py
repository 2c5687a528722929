"""Watch groups that change while the producer runs: nothing is lost, and each lane states what it knows."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from producer_service import polling
from producer_service.sources import FetchResult
from producer_service.sources.yahoo.inactive_symbols import InactiveSymbols
from quotes import Quote, lane_of
from tests.fakes.changing_groups import ChangingGroups
from tests.fakes.producer_bench import LANES, FakeSource, group
from tests.fakes.pushed_source import OPEN_END, FakePushedSource
from tests.support.quotes import OPEN, make_quote
from tests.support.sizes import sized
from tests.support.waiting import wait_until

IN_0, ALSO_IN_0 = [f"S{number}" for number in range(20) if lane_of(f"S{number}", LANES) == 0][:2]
IN_1 = next(f"S{number}" for number in range(20) if lane_of(f"S{number}", LANES) == 1)


class Market(FakeSource):
    """It has a new price of every symbol, and is complete up to each fetch, unless it fails."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, ...]] = []
        self.forgotten: list[str] = []
        self.fails = False

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        self.asked.append(tuple(symbols))
        self.during()
        if self.fails:
            return FetchResult()
        second = (now - OPEN).total_seconds()
        return FetchResult(quotes=tuple(make_quote(symbol, second) for symbol in symbols), complete_to=now)

    def forget(self, symbols: Sequence[str]) -> None:
        self.forgotten += sorted(symbols)


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def changing(market: Market, tmp_path: Path) -> Iterator[ChangingGroups]:
    made = ChangingGroups({"yahoo": market}, tmp_path)
    yield made
    made.close()


def quoted(changing: ChangingGroups) -> list[str]:
    return [line.symbol for line in changing.sent() if isinstance(line, Quote)]


def test_an_added_symbol_is_polled_and_the_other_groups_go_on_untouched(
    changing: ChangingGroups, market: Market
) -> None:
    changing.watch(group("a", [IN_0]), group("b", [IN_1]))
    before = dict(changing.loops.running)
    changing.watch(group("a", [IN_0, ALSO_IN_0]), group("b", [IN_1]))
    assert changing.loops.running["b"] is before["b"]
    assert changing.loops.running["a"] is not before["a"]
    changing.poll()
    assert sorted(market.asked) == sorted([(IN_0, ALSO_IN_0), (IN_1,)])
    assert sorted(quoted(changing)) == sorted([IN_0, ALSO_IN_0, IN_1])


def test_a_lane_waits_for_the_first_poll_of_an_added_symbol_and_never_goes_back(
    changing: ChangingGroups, market: Market
) -> None:
    changing.watch(group("a", [IN_0]), group("b", [IN_1]))
    changing.poll()
    assert changing.complete_to() == {0: 1, 1: 1}
    changing.watch(group("a", [IN_0]), group("b", [IN_1]), group("new", [ALSO_IN_0]))
    changing.poll("a", "b")
    assert changing.complete_to() == {0: 1, 1: pytest.approx(2, abs=0.01)}
    market.fails = True
    changing.poll("new")
    assert changing.complete_to()[0] == 1
    market.fails = False
    changing.poll()
    assert changing.complete_to()[0] == pytest.approx(4, abs=0.01)


def test_a_removed_symbol_does_not_hold_its_lane_back(changing: ChangingGroups, market: Market) -> None:
    changing.watch(group("a", [IN_0]), group("dead", [ALSO_IN_0]))
    changing.poll("a")
    assert changing.complete_to()[0] is None
    changing.watch(group("a", [IN_0]))
    assert changing.complete_to()[0] == 1
    assert list(changing.loops.running) == ["a"]
    assert market.forgotten == [ALSO_IN_0]


def test_fewer_symbols_keep_what_is_known_of_the_group(changing: ChangingGroups) -> None:
    changing.watch(group("a", [IN_0, ALSO_IN_0]))
    changing.poll()
    changing.watch(group("a", [IN_0], interval_seconds=3))
    assert changing.complete_to()[0] == 1
    [state] = changing.groups.states
    assert state.poll_status.polled_at is not None


def test_a_symbol_that_returns_is_not_stored_twice(changing: ChangingGroups) -> None:
    same = FetchResult(quotes=(make_quote(IN_0),), complete_to=OPEN)
    source = FakeSource()
    source.answer = lambda _symbols, _now: same
    changing.sources["yahoo"] = source
    changing.watch(group("a", [IN_0, IN_1]))
    changing.poll()
    changing.watch(group("a", [IN_1]))
    changing.watch(group("a", [IN_1, IN_0]))
    changing.poll()
    assert quoted(changing) == [IN_0]


def test_a_symbol_that_moves_keeps_its_order_though_a_poll_is_under_way(
    changing: ChangingGroups, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "WAIT_SECONDS", 0.01)
    fetching, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        fetching.set()
        go_on.wait(10)

    changing.watch(group("a", [IN_0, IN_1]), group("b", [ALSO_IN_0]))
    market.during = hold
    poll = threading.Thread(target=changing.poll, args=("a",))
    poll.start()
    fetching.wait(10)
    move = threading.Thread(target=changing.watch, args=(group("a", [IN_1]), group("b", [ALSO_IN_0, IN_0])))
    move.start()
    wait_until(lambda: not changing.loops.running, "both groups have ended")
    wait_until(lambda: changing.loops.expected == {"a"}, "the idle group is released, and the poll must advance")
    assert move.is_alive()  # it waits for the poll
    go_on.set()
    poll.join(10)
    move.join(10)
    changing.poll("b")
    quotes = [line for line in changing.sent() if isinstance(line, Quote) and line.symbol == IN_0]
    assert [quote.event_time for quote in quotes] == sorted(quote.event_time for quote in quotes)
    assert len(quotes) == 2
    assert changing.loops.expected == {"a", "b"}


def test_a_change_does_not_wait_for_ever_when_the_producer_stops(
    changing: ChangingGroups, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "WAIT_SECONDS", 0.01)
    fetching, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        fetching.set()
        go_on.wait(10)

    market.during = hold
    changing.watch(group("a", [IN_0]))
    poll = threading.Thread(target=changing.poll)
    poll.start()
    fetching.wait(10)
    changing.stopping.set()
    changing.watch(group("b", [IN_1]))
    go_on.set()
    poll.join(10)
    assert [state.group.name for state in changing.groups.states] == ["a"]


def test_a_pushed_source_is_opened_anew_for_its_symbols(changing: ChangingGroups) -> None:
    first, second = FakePushedSource([OPEN_END]), FakePushedSource([OPEN_END])
    changing.sources["push"] = first
    ended: list[None] = []
    changing.watch(group("a", [IN_0], source="push"))
    [listener] = changing.groups.listeners
    listener.start(lambda: ended.append(None))
    assert first.is_quiet.wait(10)
    changing.sources["push"] = second
    changing.watch(group("a", [IN_0, IN_1], source="push"))
    assert first.is_closed
    assert not ended  # the source did not end by itself
    [listener] = changing.groups.listeners
    listener.start(lambda: None)
    assert second.is_quiet.wait(10)
    changing.stopping.set()
    listener.stop()


def test_a_symbol_that_was_removed_for_want_of_a_price_is_asked_for_when_it_is_back() -> None:
    inactive = InactiveSymbols(min_misses=1, min_days=1)
    inactive.record(["DEAD"], [], OPEN)
    assert inactive.inactive(["DEAD"]) == ("DEAD",)
    inactive.forget(["DEAD"])
    assert inactive.to_request(["DEAD"], OPEN) == ("DEAD",)


def test_whatever_changes_a_lane_claims_no_more_than_was_polled_and_is_held_back_by_nothing_else(
    market: Market, tmp_path: Path
) -> None:
    """Random watchlists and polls. A lane is complete to what it was when a symbol came, or to the symbol's polls."""
    chance = random.Random(9)
    names, pool = "abc", [f"S{number}" for number in range(10)]
    for run in range(sized(3, 25)):
        changing = ChangingGroups({"yahoo": market}, tmp_path / str(run))
        claimed: dict[int, float] = dict.fromkeys(range(LANES), 0.0)
        known: dict[str, float] = {}  # up to which second each watched symbol is complete
        for _ in range(40):
            if chance.random() < 0.3:
                symbols = chance.sample(pool, chance.randint(1, len(pool)))
                parts = [(name, symbols[number :: len(names)]) for number, name in enumerate(names)]
                changing.watch(*(group(name, part) for name, part in parts if part))
                known = {symbol: known.get(symbol, claimed[lane_of(symbol, LANES)]) for symbol in symbols}
            market.fails, market.asked = chance.random() < 0.2, []
            changing.poll(*chance.sample(names, chance.randint(1, len(names))))
            second = (changing.now - OPEN).total_seconds()
            if not market.fails:
                known |= {symbol: second for asked in market.asked for symbol in asked}
            for lane, to in changing.complete_to().items():
                own = [known[symbol] for symbol in known if lane_of(symbol, LANES) == lane]
                if to is not None:  # a lane without symbols follows all groups
                    assert not own or to <= max(claimed[lane], min(own)) + 0.05
                    assert to >= claimed[lane]
                    claimed[lane] = to
        market.fails = False
        changing.poll()
        if changing.groups.states:
            ends = changing.complete_to()
            assert min(to for to in ends.values() if to is not None) >= (changing.now - OPEN).total_seconds() - 1
            assert None not in ends.values()
        changing.close()
