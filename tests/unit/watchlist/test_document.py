"""The file of watch groups, and each of its mistakes with its group and key."""

from __future__ import annotations

import pytest

from producer_service.sources.registry import SOURCES as REGISTRY
from producer_service.sources.synthetic import SYMBOLS
from watchlist import SOURCES, InvalidWatchlist, WatchGroup, parse, written


def read(text: str) -> tuple[WatchGroup, ...]:
    return parse(text.encode())


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidWatchlist) as caught:
        read(text)
    return caught.value.mistakes


GOOD = """
# Two groups.
[[group]]
name = "us"
symbols = [
    "AAPL", # the first
    '^GSPC',
]

[[group]]
name = "coins"
symbols = ["BTC-USD"]
interval_seconds = 2.5
calendar = "always"
source = "synthetic"
"""


def test_groups_keep_their_order_and_take_defaults() -> None:
    assert read(GOOD) == (
        WatchGroup(name="us", symbols=("AAPL", "^GSPC"), interval_seconds=10, calendar="auto", source="yahoo"),
        WatchGroup(name="coins", symbols=("BTC-USD",), interval_seconds=2.5, calendar="always", source="synthetic"),
    )


def test_windows_line_ends_change_nothing() -> None:
    assert read(GOOD.replace("\n", "\r\n")) == read(GOOD)
    assert mistakes(GOOD.replace("^GSPC", "G SPC").replace("\n", "\r\n")) == [
        "group 1 (us): symbols: 'G SPC' is not a symbol"
    ]


def test_every_mistake_is_listed_with_its_group_and_key() -> None:
    text = """title = "mine"
[[group]]
name = "us"
symbols = [
  "AAPL",
  "B AD", # ] "NOT A SYMBOL"
  "MSFT",
  "AAPL",
]
intervall_seconds = 3
calendar = "XNYX"

[[group]]
name = "us"
symbols = ["MSFT", "GOOG"]
interval_seconds = 0
source = "bloomberg"
[[group]]
[other]
name = "not of a group"
"""
    assert mistakes(text) == [
        "title: unknown; the only key is group",
        "other: unknown; the only key is group",
        "group 1 (us): symbols: 'B AD' is not a symbol",
        "group 1 (us): symbols: AAPL is in this group twice",
        "group 1 (us): intervall_seconds: unknown; did you mean interval_seconds?",
        "group 1 (us): calendar: 'XNYX': is not a calendar; did you mean XNYS or NYMEX?",
        "group 2 (us): name: group 1 (us) has the same name",
        "group 2 (us): symbols: MSFT is in group 1 (us) already",
        "group 2 (us): interval_seconds: 0: expected `float` >= 0.1",
        "group 2 (us): source: 'bloomberg': is not a source; the sources are yahoo, yahoo_stream, replay, synthetic",
        "group 3: name: missing",
        "group 3: symbols: missing",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "there is no group; begin one with [[group]]"),
        ("\n[group]\nname = 'us'", "group: is not a list of tables; begin each group with [[group]]"),
        ("groups = 1\n[[group]]\nname = 'a'\nsymbols = ['A']", "groups: unknown; did you mean group?"),
        ("[[group]]\nname = 'us'\nname = 'eu'", "is not TOML: Cannot overwrite a value"),
        ("[[group]]\nname = 'us'\nsymbols = [1 2]", "is not TOML: Unclosed array (at line 3, column 14)"),
        ("[[group]]\nname = 'a b'\nsymbols = ['A']", "group 1 (a b): name: 'a b': a name has 1 to 40 letters"),
        ("[[group]]\nname = 'a\\n'\nsymbols = ['A']", "group 1 (a\\n): name: 'a\\\\n': a name has 1 to 40 letters"),
        ("[[group]]\nname = 3\nsymbols = ['A']", "group 1: name: 3: a name has 1 to 40 letters"),
        ("[[group]]\nname = 'a'\nsymbols = []", "group 1 (a): symbols: []: expected `array` of length >= 1"),
        ("[[group]]\nname = 'a'\nsymbols = 'A'", "group 1 (a): symbols: 'A': expected `array`, got `str`"),
        (
            "[[group]]\nname = 'a'\nsymbols = ['A', 3]",
            "group 1 (a): symbols: ['A', 3]: expected `str`, got `int` - at `$[1]`",
        ),
        (
            "[[group]]\nname = 'a'\ninterval_seconds = true\nsymbols = ['A']",
            "group 1 (a): interval_seconds: True: expected `float`, got `bool`",
        ),
        (
            "[[group]]\nname = 'a'\ncalendar = 5\nsymbols = ['A']",
            "group 1 (a): calendar: 5: expected `str`, got `int`",
        ),
        (
            "[[group]]\nname = 'a'\nsource = 'yaho'\nsymbols = ['A']",
            "group 1 (a): source: 'yaho': is not a source; did you mean yahoo?",
        ),
        (
            "\ngroup = [{name = 'a', symbols = ['A']}, {name = 'a', symbols = ['B']}]",
            "group 2 (a): name: group 1 (a) has the same name",
        ),
    ],
)
def test_one_mistake_is_one_line(text: str, mistake: str) -> None:
    [found] = mistakes(text)
    assert found.startswith(mistake)


def test_a_file_that_is_not_utf_8_is_reported() -> None:
    with pytest.raises(InvalidWatchlist, match="is not UTF-8"):
        parse(b"\xff")


def test_a_file_in_utf_16_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidWatchlist, match="is not UTF-8 but UTF-16; save it as UTF-8"):
        parse(GOOD.encode("utf-16"))


def test_a_new_watchlist_has_one_group_with_the_symbols_in_their_order() -> None:
    [group] = parse(written(SYMBOLS))
    assert (group.name, group.symbols) == ("default", SYMBOLS)


def test_the_sources_that_a_watchlist_may_name_are_those_that_the_producer_has() -> None:
    assert sorted(SOURCES) == sorted(REGISTRY)
