"""A hundred thousand hostile packets: never an exception, never a lost neighbour."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from msgspec.structs import replace

from processor_lambda.archive import body_of
from processor_lambda.quarantine import Overflow, messages_of
from processor_lambda.records import ParsedRecord, Record, parse_record
from processor_lambda.rows import quote_row
from quotes import Heartbeat, Quote, encode_line

INPUTS = 100_000
SLICES = 10
"""Each a test of its own, with its own seed."""
KEY = "lane-00-of-01"
NOON = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)

FULL = Quote(
    symbol="AAPL",
    event_time=NOON,
    price=Decimal("171.6251"),
    source="yahoo",
    ingest_time=NOON + timedelta(milliseconds=250),
    revision=2,
    open=Decimal("170.5"),
    high=Decimal(172),
    low=Decimal("0.00000001"),
    previous_close=Decimal("170.12"),
    volume=123_456_789,
    currency="USD",
    exchange="NMS",
    market_state="REGULAR",
    delay_minutes=15,
)
BEFORE = replace(FULL, symbol="BEFORE")
BEHIND = replace(FULL, symbol="BEHIND")
VICTIMS = [
    encode_line(line).rstrip(b"\n")
    for line in (
        FULL,
        replace(FULL, open=None, volume=None, exchange=None, revision=0),
        Heartbeat(lane=KEY, clock=NOON, complete_to=NOON - timedelta(minutes=15)),
    )
]
FRAGMENTS = [
    *(b"[" * 5_000, b'{"a":' * 5_000, b"9" * 5_000, b"0." + b"9" * 5_000, b"-1e-999999999", b"1E99999999999999999999"),
    *(b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b'""', b"-0", b"-0.0", b"1e400", b"1e14", b"0e99", b"1_0"),
    *(b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"\\ud800"', b'"\\u0000"', b"\x00", b"\xef\xbb\xbf"),
    *(b'"kind":"trade"', b'"v":2', b'"v":1', b'"price":1', b'"symbol":"\xe2\x80\xae"', b'"2026-11-23T12:00:60Z"'),
    *(b'"9999-12-31T23:59:59.999Z"', b'"1970-01-01T00:00:00Z"', b"18446744073709551616", b"\r", b"\n", b"\n\n", b"//"),
]


def _flip(chance: Random, line: bytearray) -> None:
    line[chance.randrange(len(line))] = chance.randrange(256)


def _cut(chance: Random, line: bytearray) -> None:
    start = chance.randrange(len(line))
    del line[start : start + chance.randrange(1, 40)]


def _end(chance: Random, line: bytearray) -> None:
    del line[chance.randrange(len(line)) :]


def _put_in(chance: Random, line: bytearray) -> None:
    place = chance.randrange(len(line) + 1)
    line[place:place] = chance.choice(FRAGMENTS)


def _repeat(chance: Random, line: bytearray) -> None:
    start = chance.randrange(len(line))
    line[start:start] = line[start : start + chance.randrange(1, 40)] * chance.randrange(1, 4)


def _replace_value(chance: Random, line: bytearray) -> None:
    """Another value for one member, so that much of it still decodes."""
    colons = [place for place, byte in enumerate(line) if byte == ord(":") and line[place - 1] == ord('"')]
    if colons:
        start = chance.choice(colons) + 1
        end = line.find(b',"', start)
        line[start : end if end >= 0 else len(line) - 1] = chance.choice(FRAGMENTS)


def _swap(chance: Random, line: bytearray) -> None:
    """Members of another line in its place."""
    other = chance.choice(VICTIMS)
    line[chance.randrange(len(line)) :] = other[chance.randrange(len(other)) :]


MUTATIONS: list[Callable[[Random, bytearray], None]] = [_flip, _cut, _end, _put_in, _repeat, _replace_value, _swap]


def packets(seed: int, count: int) -> Iterator[bytes]:
    """Two good lines each, with one between them that was mutated once or more, and may be several by then."""
    chance = Random(seed)
    for _ in range(count):
        line = bytearray(chance.choice(VICTIMS))
        for _ in range(1 + min(int(chance.expovariate(1.0)), 5)):
            if line:
                chance.choice(MUTATIONS)(chance, line)
        yield encode_line(BEFORE) + bytes(line) + b"\n" + encode_line(BEHIND)


def record_of(data: bytes) -> Record:
    return Record(
        stream="quotes",
        shard="shardId-000000000000",
        sequence_number=1,
        partition_key=KEY,
        arrival=NOON + timedelta(seconds=1),
        data=data,
    )


@pytest.mark.parametrize("seed", range(SLICES))
def test_no_packet_raises_or_loses_a_neighbour(seed: int) -> None:
    batch: list[ParsedRecord] = []
    refused = 0
    for packet in packets(seed, INPUTS // SLICES):
        admitted = parse_record(record_of(packet))
        batch.append(admitted)
        first, last = admitted.good[0], admitted.good[-1]
        lines = packet.split(b"\n")[:-1]
        assert (first.number, first.line) == (1, BEFORE)
        assert (last.number, last.line) == (len(lines), BEHIND)
        contents = {line.number: line.content for line in admitted.good + admitted.refused}
        assert contents == dict(enumerate(lines, start=1))
        assert len(admitted.good) + len(admitted.refused) == len(lines)
        refused += len(admitted.refused)

        # What comes behind takes whatever was admitted, and whatever was refused.
        for good in admitted.good:
            if isinstance(good.line, Quote):
                quote_row(good.line, Decimal(5), 30)
        messages = messages_of(admitted)
        assert isinstance(messages, Overflow) or len(messages) == len(admitted.refused)
    assert refused > INPUTS // SLICES // 2  # most mutations are refused
    assert sum(len(admitted.good) > 2 for admitted in batch) > 100  # and some are not

    lines = gzip.decompress(body_of(batch)).split(b"\n")[:-1]  # a carriage return is white space of JSON
    assert len(lines) == sum(len(admitted.good) + len(admitted.refused) for admitted in batch)
    for line in lines:
        assert json.loads(line)["kind"] in ("quote", "heartbeat", "quarantined")
