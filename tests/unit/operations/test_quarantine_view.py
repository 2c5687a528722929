"""Bytes of unknown origin are shown without harm to the terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rich.console import Console

from operations.quarantine import Refusal
from operations.quarantine_view import (
    MAX_BYTES,
    age_text,
    describe_contents,
    describe_refusals,
    description_of,
    json_of,
    table_of,
)
from operations.replay import contents_of
from quotes import encode
from tests.fakes.filled_quarantine import AAPL, NOW, FilledQuarantine
from tests.fakes.pipeline import make_quote


def shown(quarantine: FilledQuarantine, content: bytes) -> list[str]:
    quarantine.arrive(content, AAPL)
    (entry,) = quarantine.entries()
    return list(describe_contents(list(contents_of(entry, quarantine.store))))


def test_printable_bytes_are_shown_as_text(quarantine: FilledQuarantine) -> None:
    assert shown(quarantine, '{"price":"1 €"}'.encode())[2:] == ['  {"price":"1 €"}']


def test_other_bytes_are_shown_in_hexadecimal(quarantine: FilledQuarantine) -> None:
    assert shown(quarantine, b"rubbish\xff")[2:] == [
        "  000000  72 75 62 62 69 73 68 ff                          rubbish."
    ]


def test_bytes_that_control_a_terminal_are_shown_in_hexadecimal(quarantine: FilledQuarantine) -> None:
    assert shown(quarantine, b"\x1b[31mred")[2:] == [
        "  000000  1b 5b 33 31 6d 72 65 64                          .[31mred"
    ]


def test_a_long_line_is_cut_even_inside_a_character(quarantine: FilledQuarantine) -> None:
    content = ("x" * (MAX_BYTES - 1) + "€" * 10).encode()
    lines = shown(quarantine, content)
    assert lines[2] == "  " + "x" * (MAX_BYTES - 1)
    assert lines[3] == "  … and 29 more bytes (--raw prints all)"


def test_only_the_first_of_many_lines_are_shown(quarantine: FilledQuarantine) -> None:
    assert shown(quarantine, b"rubbish\n" * 25)[-1] == "… and 5 more lines (--raw prints all)"


def test_a_table_a_description_and_json_say_where_a_line_came_from(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(encode([make_quote("MSFT")]), AAPL)
    (entry,) = quarantine.entries()
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table_of([entry], NOW))
    assert entry.handle in captured.get()
    assert "2 h" in captured.get()
    description = "\n".join(description_of(entry, NOW))
    assert "shardId-000000000000, partition key lane-" in description
    assert ", line 1" in description
    assert '"sequence_number":"4959' in json_of(entry)


def test_only_the_first_of_many_refusals_are_shown_each_with_its_line(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(b"rubbish", AAPL)
    (entry,) = quarantine.entries()
    lines = list(describe_refusals({entry.id: [Refusal(number, "bad") for number in range(1, 26)]}, [entry]))
    assert lines[0] == f"{entry.handle} line 1 stays: bad"
    assert lines[-1] == f"{entry.handle} and 5 more of its lines stay"


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3), "3 d"),
    ],
)
def test_an_age_has_one_unit(age: timedelta, text: str) -> None:
    assert age_text(age) == text
