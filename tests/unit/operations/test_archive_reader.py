"""Which objects of the archive are read, in which order, and what happens to those that cannot be."""

from __future__ import annotations

import gzip
import tracemalloc
from datetime import timedelta

import pytest
from msgspec.structs import replace

from operations import archive_reader
from operations.archive_reader import QuoteFilter, find_objects, in_stream_order, read_quotes
from operations.errors import Unreadable
from quotes import Quote, encode, encode_line
from tests.fakes.archived_market import (
    BUCKET,
    CLOSE,
    LATER,
    MONDAY,
    ArchivedMarket,
    lane_key,
    packets,
    quotes_of,
    undisturbed,
)
from tests.fakes.operations_ports import MemoryObjectStore
from tests.support.sizes import sized


def test_quotes_that_arrived_days_later_count_on_request(day: list[Quote]) -> None:
    expected = undisturbed(day, CLOSE).world.bar_rows
    market = ArchivedMarket()
    lost, rest = packets(day)[40:50], packets(day)[:40] + packets(day)[50:]
    for packet in rest:
        market.arrive(packet, packet[-1].event_time + timedelta(seconds=1))
    market.close(CLOSE)
    redriven = MONDAY + timedelta(days=5, hours=3)
    for packet in lost:
        market.arrive(packet, redriven)
    market.rebuild()
    assert market.world.bar_rows != expected
    market.rebuild(arrived_until=redriven)
    assert market.contents() == expected


def test_a_batch_of_a_backlog_is_found_under_an_hour_of_the_day_before() -> None:
    quotes = quotes_of("BTC-USD", MONDAY - timedelta(hours=10), 11 * 60, every=60)
    expected = undisturbed(quotes, CLOSE).world.bar_rows
    market = ArchivedMarket()
    market.process(
        [
            market.record(encode(packet), lane_key(packet[0]), packet[-1].event_time + timedelta(seconds=1))
            for packet in packets(quotes)
        ]
    )
    market.close(CLOSE)
    assert next(iter(market.world.objects))[:30] == "raw-data/dt=2026-11-22/hour=14"
    market.delete_bars_since("2026-11-23")
    market.rebuild()
    assert market.contents() == expected


def test_a_damaged_object_stops_the_rebuild_before_anything_is_written(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    key = next(iter(market.world.objects))
    market.world.objects[key] = market.world.objects[key][:-20]
    with pytest.raises(Unreadable, match=f"s3://{BUCKET}/{key} is damaged"):
        market.rebuild()
    assert market.world.bar_rows == {}


def test_a_foreign_object_stops_the_rebuild_and_a_folder_does_not(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.objects["raw-data/dt=2026-11-23/hour=14/"] = b""
    market.rebuild()
    market.world.objects["raw-data/dt=2026-11-23/hour=14/notes.txt"] = b""
    with pytest.raises(Unreadable, match=r"notes.txt is not an object that the processor archived"):
        market.rebuild()


def test_objects_are_in_the_order_in_which_they_end_on_the_stream() -> None:
    store = MemoryObjectStore()
    for name in ("15/a-2-100", "14/a-1-2", "14/a-1-100", "15/a-3-99", "14/b-1-9"):
        store.objects[f"s3://b/raw-data/dt=2026-11-23/hour={name}.jsonl.gz"] = b""
    first, last = MONDAY + timedelta(hours=14, minutes=59), MONDAY + timedelta(hours=15)
    names = [address.rpartition("/")[2] for address in in_stream_order(find_objects(store, "b", first, last) * 2)]
    assert names == ["a-1-2.jsonl.gz", "b-1-9.jsonl.gz", "a-3-99.jsonl.gz", "a-1-100.jsonl.gz", "a-2-100.jsonl.gz"]


def test_a_line_of_another_encoder_is_decoded_to_find_its_symbol() -> None:
    quote = quotes_of("AAPL", MONDAY, 1)[0]
    line = encode_line(quote)
    escaped = line.replace(b'"AAPL"', b'"\\u0041APL"')
    spaced = line.replace(b'"symbol":', b'"symbol": ')
    other = encode_line(replace(quote, symbol="MSFT"))
    body = gzip.compress(b"".join([escaped, other, spaced, b'{"kind":"quarantined"}\n', line, b"\n"]))
    store = MemoryObjectStore()
    store.objects["s3://b/k"] = body
    wanted = QuoteFilter(symbols=frozenset({"AAPL"}), before=LATER)
    (found,) = read_quotes(store, ["s3://b/k"], wanted)
    assert [each.symbol for each in found] == ["AAPL"] * 3


@pytest.mark.parametrize(
    ("unit", "problem"),
    [
        (b"\n", "it holds more than 1 MiB, so nothing was rebuilt"),
        (encode_line(quotes_of("AAPL", MONDAY, 1)[0]), "holds more quotes than one batch can, so nothing was rebuilt"),
    ],
    ids=["empty lines", "good lines"],
)
def test_an_object_that_holds_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, unit: bytes, problem: str) -> None:
    monkeypatch.setattr(archive_reader, "MAX_CONTENT", 2**20)
    monkeypatch.setattr(archive_reader, "MAX_QUOTES_SIZE", 2**19)
    body = gzip.compress(unit * (2**21 // len(unit)))
    with pytest.raises(Unreadable, match=problem):
        QuoteFilter(symbols=None, before=LATER).quotes_in(body, "s3://b/k")


def test_a_gzip_bomb_takes_little_memory() -> None:
    body = gzip.compress(b"\0" * sized(24, 256) * 2**20)
    tracemalloc.start()
    with pytest.raises(Unreadable, match="line 1 is longer than 16 MiB, so nothing was rebuilt"):
        QuoteFilter(symbols=None, before=LATER).quotes_in(body, "s3://b/k")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20
