"""Hostile lines among good ones: none fails a batch, none is lost, and none affects a good line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from processor_lambda.rows import timestamp_of
from processor_lambda.settings import Resolution
from producer_service.sources.yahoo.parsing import parse
from quotes import Quote, encode_line, lane_of, partition_key
from tests.fakes.pipeline import LANES, OPEN, SETTINGS, Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import World
from tests.support.sizes import sized

RECORDS = sized(20, 100)
"""The records of a run, in batches of ten."""
LINES = 100
"""The hostile lines of a record."""
GOOD_SHARE = 0.05
"""The probability of a good line after each hostile one."""
FULL = replace(
    make_quote(price="171.62", volume=12_345_678, previous_close="170.1"),
    currency="USD",
    exchange="NMS",
    market_state="REGULAR",
    delay_minutes=0,
)
VALUES = [
    b"1e999999",
    b"-1e-999999",
    b"9" * 5_000,
    b"0." + b"9" * 5_000,
    b"NaN",
    b"-Infinity",
    b"-0",
    b"9223372036854775808",
    b"null",
    b"true",
    b'"171.62"',
    b'"\\ud800"',
    b'"\xff\xfe"',
    b'"\\u0000"',
    b'"' + b"x" * 3_000 + b'"',
    b'"2199-12-31T23:59:59.999Z"',
    b'"0000-00-00T00:00:00Z"',
    b"[" * 2_000,
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 300 + b"1" + b"}" * 300,
]
"""Values that replace the value of a field."""


def flipped(line: bytes, rng: Random) -> bytes:
    mutated = bytearray(line)
    for _ in range(rng.randint(1, 4)):
        mutated[rng.randrange(len(mutated))] = rng.randrange(256)
    return bytes(mutated)


def cut(line: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.choices(range(len(line) + 1), k=2))
    return line[:start] + line[end:]


def doubled(line: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.choices(range(len(line) + 1), k=2))
    return line[:end] + line[start:end] * rng.randint(1, 3) + line[end:]


def with_another_value(line: bytes, rng: Random) -> bytes:
    fields = line[1:-1].split(b",")
    place = rng.randrange(len(fields))
    name = fields[place].partition(b":")[0]
    fields[place] = name + b":" + rng.choice(VALUES)
    return b"{" + b",".join(fields) + b"}"


def shuffled(line: bytes, rng: Random) -> bytes:
    fields = line[1:-1].split(b",")
    return b"{" + b",".join(rng.choices(fields, k=len(fields))) + b"}"


def noise(line: bytes, rng: Random) -> bytes:
    return rng.randbytes(rng.randrange(len(line)))


def lines_of(body: bytes) -> list[bytes]:
    return gzip.decompress(body).removesuffix(b"\n").split(b"\n")


HOSTILE: list[Callable[[bytes, Random], bytes]] = [flipped, cut, doubled, with_another_value, shuffled, noise]


def assert_harmless(originals: Sequence[Quote], rng: Random, resolution: Resolution) -> None:
    """Process packets of mutated lines of some quotes, with good lines among them."""
    by_lane: dict[str, list[Quote]] = {}
    for quote in originals:
        by_lane.setdefault(partition_key(lane_of(quote.symbol, LANES), LANES), []).append(quote)
    heartbeats = [encode_line(each)[:-1] for each in make_heartbeats(30)]
    lines = {key: [*(encode_line(quote)[:-1] for quote in quotes), *heartbeats] for key, quotes in by_lane.items()}
    shard, world = Shard(), World()
    good: list[Quote] = []
    for _ in range(RECORDS):
        key = rng.choice(list(by_lane))
        packet: list[bytes] = []
        for _ in range(LINES):
            packet.append(rng.choice(HOSTILE)(rng.choice(lines[key]), rng).replace(b"\n", b" "))
            if rng.random() < GOOD_SHARE:
                moved = timedelta(milliseconds=30_000 + len(good))
                quote = rng.choice(by_lane[key])
                good.append(replace(quote, event_time=quote.event_time + moved, ingest_time=quote.ingest_time + moved))
                packet.append(encode_line(good[-1])[:-1])
        shard.put(b"\n".join(packet) + b"\n", key)
    processor = make_processor(world, settings=replace(SETTINGS, row_resolution=resolution))
    for start in range(0, RECORDS, 10):
        processor.process(shard.records[start : start + 10])

    archived = [line for key, body in world.objects.items() if key.startswith("raw") for line in lines_of(body)]
    assert len(archived) == RECORDS * LINES + len(good)
    assert {encode_line(quote)[:-1] for quote in good} <= set(archived)
    refused = sum(line.startswith(b'{"kind":"quarantined"') for line in archived)
    assert refused == sum(message.lines for message in world.messages) > RECORDS * LINES * 0.9
    if resolution == "every":
        for quote in good:
            assert world.rows[quote.symbol, timestamp_of(quote)]["price"] == quote.price


@pytest.mark.parametrize("resolution", ["every", "minute"])
@pytest.mark.parametrize("seed", range(5))
def test_no_hostile_line_fails_a_batch_or_is_lost_or_affects_a_good_line(seed: int, resolution: Resolution) -> None:
    originals = [
        make_quote(),
        *(replace(FULL, symbol=symbol) for symbol in ("AAPL", "MSFT", "BTC-USD", "^GSPC", "BRK-B")),
    ]
    assert_harmless(originals, Random(f"{seed}{resolution}"), resolution)


@pytest.mark.parametrize("resolution", ["every", "minute"])
def test_a_mutated_line_of_a_recorded_quote_is_harmless_too(recordings: Path, resolution: Resolution) -> None:
    originals = recorded_quotes(recordings)
    assert len({quote.symbol for quote in originals}) > 5
    assert_harmless(originals, Random(resolution), resolution)


def recorded_quotes(recordings: Path) -> list[Quote]:
    """Quotes that Yahoo once sent, received at the time of the test."""
    found: dict[str, Quote] = {}
    for file in sorted(recordings.glob("yahoo/**/*.json")):
        recorded = json.loads(file.read_bytes())
        document = recorded.get("response", recorded).get("bodyJson", recorded)
        symbols = [row["symbol"] for row in document.get("quoteResponse", {}).get("result", [])]
        for quote in parse(json.dumps(document).encode(), symbols, OPEN).quotes if symbols else ():
            found[quote.symbol] = replace(quote, ingest_time=max(OPEN, quote.event_time))
    return list(found.values())
