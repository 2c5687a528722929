"""The file of watch groups: what it says, and every mistake of it with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from producer_service import watchlist
from producer_service.errors import ConfigurationError
from producer_service.sources.registry import SOURCES
from producer_service.watch_group import WatchGroup

Read = Callable[[str], tuple[WatchGroup, ...]]
Mistakes = Callable[[str], list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str) -> tuple[WatchGroup, ...]:
        path = tmp_path / "groups.toml"
        path.write_bytes(text.encode())
        return watchlist.read(path, interval_seconds=10, calendar="auto", source="yahoo", sources=SOURCES)

    return read


@pytest.fixture
def mistakes(read: Read, tmp_path: Path) -> Mistakes:
    def mistakes(text: str) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            read(text)
        return [mistake.removeprefix(f"{tmp_path / 'groups.toml'}:") for mistake in caught.value.mistakes]

    return mistakes


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


def test_groups_come_in_their_order_with_what_holds_where_they_say_nothing(read: Read) -> None:
    assert read(GOOD) == (
        WatchGroup(name="us", symbols=("AAPL", "^GSPC"), interval_seconds=10, calendar="auto", source="yahoo"),
        WatchGroup(name="coins", symbols=("BTC-USD",), interval_seconds=2.5, calendar="always", source="synthetic"),
    )


def test_line_ends_of_windows_change_nothing(read: Read, mistakes: Mistakes) -> None:
    assert read(GOOD.replace("\n", "\r\n")) == read(GOOD)
    assert mistakes(GOOD.replace("^GSPC", "G SPC").replace("\n", "\r\n")) == ["7: 'G SPC' is not a symbol"]


def test_every_mistake_is_listed_with_its_line_in_their_order(mistakes: Mistakes) -> None:
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
symbols = ["MSFT", 3]
interval_seconds = 0
source = "bloomberg"
[[group]]
[other]
name = "not of a group"
"""
    assert mistakes(text) == [
        "1: title: unknown; what there can be is group",
        "6: 'B AD' is not a symbol",
        "8: AAPL is in this group twice",
        "10: intervall_seconds: unknown; interval_seconds is meant?",
        "11: calendar 'XNYX' is not a calendar; did you mean XNYS or NYMEX?",
        "14: name 'us' is that of the group in line 2",
        "15: 3 is not a symbol",
        "15: MSFT is in the group 'us' already",
        "16: interval_seconds 0 is not a number from 0.1 to 86400",
        "17: source 'bloomberg' is not one of yahoo, replay, synthetic",
        "18: name is missing",
        "18: symbols is missing",
        "19: other: unknown; what there can be is group",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "1: no group: begin one with [[group]]"),
        ("\n[group]\nname = 'us'", "2: group is not a list of tables: begin each with [[group]]"),
        ("[[group]]\nname = 'us'\nname = 'eu'", "3: Cannot overwrite a value (at end of document)"),
        ("[[group]]\n\nsymbols = [", "3: Invalid value (at end of document)"),
        ("[[group]]\nname = 'a b'\nsymbols = ['A']", "2: name 'a b' is not 1 to 40 letters"),
        ("[[group]]\nname = 'a'\nsymbols = []", "3: symbols is not a list of some"),
        ("[[group]]\nname = 'a'\nsymbols = 'AAPL,MSFT'", "3: symbols is not a list of some"),
        ("[[group]]\nname = 'a'\ninterval_seconds = true\nsymbols = ['A']", "3: interval_seconds True is not a number"),
        ("[[group]]\nname = 'a'\ncalendar = 5\nsymbols = ['A']", "3: calendar 5 is not a name"),
        ("\ngroup = [{name = 'a', symbols = ['A']}, {name = 'a', symbols = ['B']}]", "2: name 'a' is that of"),
    ],
)
def test_one_mistake_is_one_line(mistakes: Mistakes, text: str, mistake: str) -> None:
    [found] = mistakes(text)
    assert found.startswith(mistake)


def test_a_file_that_is_not_utf_8_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "groups.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"groups\.toml: is not UTF-8"):
        watchlist.read(path, interval_seconds=10, calendar="auto", source="yahoo", sources=SOURCES)


def test_a_list_of_ten_thousand_lines_is_read_once(read: Read) -> None:
    symbols = "".join(f'  "S{number}",\n' for number in range(10_000))
    [group] = read(f'[[group]]\nname = "all"\nsymbols = [\n{symbols}]\n')
    assert len(group.symbols) == 10_000
