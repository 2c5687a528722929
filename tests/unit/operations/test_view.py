"""Bytes of unknown origin on a terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rich.console import Console

from operations.quarantine import Refusal, harmless
from operations.queue_snapshot import Sweep
from operations.replay import contents_of
from operations.view import SHOWN_BYTES, age_of, contents_shown, description_of, json_of, refusals_of, table_of
from quotes import encode
from tests.fakes.pipeline import make_quote
from tests.unit.operations.conftest import NOW, Quarantined
from tests.unit.operations.test_replay import AAPL


def shown(quarantined: Quarantined, content: bytes) -> list[str]:
    quarantined.arrive(content, AAPL)
    with Sweep(quarantined.queue, 10) as sweep:
        (entry,) = sweep.entries
    return list(contents_shown(list(contents_of(entry, quarantined.objects))))


def test_printable_bytes_are_text(quarantined: Quarantined) -> None:
    assert shown(quarantined, '{"price":"1 €"}'.encode())[2:] == ['  {"price":"1 €"}']


def test_other_bytes_are_hexadecimal(quarantined: Quarantined) -> None:
    assert shown(quarantined, b"rubbish\xff")[2:] == [
        "  000000  72 75 62 62 69 73 68 ff                          rubbish."
    ]


def test_bytes_that_move_a_terminals_cursor_are_hexadecimal(quarantined: Quarantined) -> None:
    assert shown(quarantined, b"\x1b[31mred")[2:] == [
        "  000000  1b 5b 33 31 6d 72 65 64                          .[31mred"
    ]


def test_a_long_line_is_cut_also_in_the_midst_of_a_character_and_says_so(quarantined: Quarantined) -> None:
    content = ("x" * (SHOWN_BYTES - 1) + "€" * 10).encode()
    lines = shown(quarantined, content)
    assert lines[2] == "  " + "x" * (SHOWN_BYTES - 1)
    assert lines[3] == "  … and 29 bytes more (--raw has all)"


def test_many_lines_are_cut_and_say_so(quarantined: Quarantined) -> None:
    assert shown(quarantined, b"rubbish\n" * 25)[-1] == "\n… and 5 lines more (--raw has all)"


def test_control_characters_in_a_reason_are_written_out() -> None:
    assert harmless("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"


def test_a_table_a_description_and_json_say_where_a_line_came_from(quarantined: Quarantined) -> None:
    quarantined.arrive(encode([make_quote("MSFT")]), AAPL)
    with Sweep(quarantined.queue, 10) as sweep:
        (entry,) = sweep.entries
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table_of([entry], NOW))
    assert entry.handle in captured.get()
    assert "2 h" in captured.get()
    description = "\n".join(description_of(entry, NOW))
    assert "shardId-000000000000, partition key lane-" in description
    assert ", line 1" in description
    assert '"sequence_number":"4959' in json_of(entry)


def test_refusals_name_the_line_and_are_cut(quarantined: Quarantined) -> None:
    quarantined.arrive(b"rubbish", AAPL)
    with Sweep(quarantined.queue, 10) as sweep:
        (entry,) = sweep.entries
    told = list(refusals_of({entry.id: [Refusal(number, "bad\n") for number in range(1, 26)]}, [entry]))
    assert told[0] == f"{entry.handle} line 1 stays: bad\\n"
    assert told[-1] == f"{entry.handle} and 5 more of its lines"


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=3), "3 d"),
    ],
)
def test_an_age_is_told_in_one_unit(age: timedelta, text: str) -> None:
    assert age_of(age) == text
