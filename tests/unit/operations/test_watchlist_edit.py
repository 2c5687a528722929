"""Editing a watchlist: comments and order stay, and nothing is written that the producer would refuse."""

from __future__ import annotations

import pytest

from operations import watchlist_edit
from operations.errors import WrongUsage
from watchlist import InvalidWatchlist, parse

TEXT = """# The desk's symbols.
[[group]]
name = "us"
symbols = [
    "AAPL", # the first
    # indices
    "^GSPC",
]

[[group]]
name = "coins" # all week
symbols = ["BTC-USD", "ETH-USD"]
interval_seconds = 30
"""


def added(*symbols: str, group: str | None = None, is_new: bool = False, text: str = TEXT) -> str:
    return watchlist_edit.added(text.encode(), symbols, group, is_new=is_new).decode()


def removed(*symbols: str) -> str:
    return watchlist_edit.removed(TEXT.encode(), symbols).decode()


def test_a_symbol_is_added_at_the_end_of_its_group_and_everything_else_stays() -> None:
    assert added("NVDA", group="us") == TEXT.replace('    "^GSPC",\n', '    "^GSPC",\n    "NVDA",\n')
    assert added("SOL-USD", group="coins") == TEXT.replace('"ETH-USD"]', '"ETH-USD", "SOL-USD"]')


def test_a_symbol_that_is_there_changes_nothing() -> None:
    assert added("AAPL", group="us") == TEXT


def test_a_new_group_is_added_at_the_end() -> None:
    text = added("VOD.L", "HSBA.L", group="london", is_new=True)
    assert text.startswith(TEXT)
    assert [(each.name, each.symbols) for each in parse(text.encode())][-1] == ("london", ("VOD.L", "HSBA.L"))


def test_the_only_group_needs_no_name() -> None:
    only = TEXT.partition('[[group]]\nname = "coins"')[0]
    assert [each.symbols for each in parse(added("NVDA", text=only).encode())] == [("AAPL", "^GSPC", "NVDA")]


def test_a_removed_symbol_takes_only_its_own_line() -> None:
    assert removed("^GSPC", "BTC-USD") == TEXT.replace('    "^GSPC",\n', "").replace('"BTC-USD", ', "")


def test_a_group_without_symbols_is_removed() -> None:
    assert [each.name for each in parse(removed("BTC-USD", "ETH-USD").encode())] == ["us"]


@pytest.mark.parametrize(
    ("symbols", "group", "is_new", "message"),
    [
        (("NVDA",), None, False, "there are several groups; name one with --group: us, coins"),
        (("NVDA",), "coin", False, "there is no group 'coin'; did you mean coins\\?; --new-group makes one"),
        (("AAPL",), "coins", False, "AAPL is in group us: a symbol is in one group only, so remove it there first"),
        (("BRK B",), "us", False, r"'BRK B' \(did you mean BRK-B\?\) is not a symbol"),
        (("NVDA",), "us", True, "there is a group us already; add to it with --group us"),
    ],
)
def test_what_cannot_be_added_is_refused(symbols: tuple[str, ...], group: str, *, is_new: bool, message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        added(*symbols, group=group, is_new=is_new)


def test_what_cannot_be_removed_is_refused() -> None:
    with pytest.raises(WrongUsage, match=r"AALP is in no group \(did you mean AAPL\?\)"):
        removed("AALP")
    with pytest.raises(WrongUsage, match="the watchlist would be empty"):
        removed("AAPL", "^GSPC", "BTC-USD", "ETH-USD")


def test_a_watchlist_with_mistakes_is_not_edited() -> None:
    with pytest.raises(InvalidWatchlist):
        added("NVDA", group="us", text=TEXT + "title = 3\n")


def test_names_that_yahoo_writes_in_another_way_are_asked_about() -> None:
    groups = parse(TEXT.encode() + b'[[group]]\nname = "old"\nsymbols = ["brk.a"]\nsource = "replay"\n')
    assert list(watchlist_edit.hints(groups, ["AAPL", "brk.b", "brk.a"])) == ["brk.b: did you mean BRK-B?"]
