"""What differs between two watchlists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.producer_bench import group
from watchlist import WatchGroup, changes


def test_the_same_groups_in_another_order_are_no_change() -> None:
    us, coins = group("us"), group("coins", ["BTC-USD"])
    assert not changes([us, coins], [coins, us])


def test_groups_and_symbols_that_come_go_and_change_are_named() -> None:
    before = [group("us", ["AAPL", "MSFT"]), group("old", ["IBM"])]
    after = [group("us", ["MSFT", "NVDA", "IBM"], interval_seconds=5), group("coins", ["BTC-USD"])]
    found = changes(before, after)
    assert (found.added_symbols, found.removed_symbols) == (("NVDA", "BTC-USD"), ("AAPL",))
    assert found.lines() == [
        "group coins: new, with BTC-USD",
        "group old: removed, with IBM",
        "group us: added NVDA, IBM",
        "group us: removed AAPL",
        "group us: interval_seconds 10 -> 5",
    ]


def test_long_lists_are_cut() -> None:
    [line] = changes([], [group("big", [f"S{number}" for number in range(5000)])]).lines()
    assert line.endswith("S18, S19 and 4,980 more")
    assert len(line) < 200


names = st.sampled_from(["a", "b", "c"])
groups_of_symbols = st.dictionaries(names, st.sets(st.sampled_from([f"S{n}" for n in range(8)]), min_size=1))


def as_groups(symbols: dict[str, set[str]]) -> list[WatchGroup]:
    taken: set[str] = set()
    made = []
    for name, own in symbols.items():
        if left := sorted(own - taken):
            made.append(group(name, left))
            taken |= own
    return made


@given(groups_of_symbols, groups_of_symbols)
def test_the_change_leads_from_the_one_to_the_other(one: dict[str, set[str]], other: dict[str, set[str]]) -> None:
    before, after = as_groups(one), as_groups(other)
    found = changes(before, after)
    old = {each.name: each for each in before}
    for gone in found.removed:
        del old[gone.name]
    old |= {each.name: each for each in found.added} | {new.name: new for _, new in found.changed}
    assert old == {each.name: each for each in after}
    had = {symbol for each in before for symbol in each.symbols}
    has = {symbol for each in after for symbol in each.symbols}
    assert (had | set(found.added_symbols)) - set(found.removed_symbols) == has
    assert bool(found) == (sorted(map(str, before)) != sorted(map(str, after)))
