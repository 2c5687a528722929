"""Hostile packets: no packet raises an exception or affects the good lines beside the hostile one."""

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
from tests.support.sizes import sized

PACKETS = sized(1_000, 4_000)
"""The number of packets for each of ten seeds."""
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
AFTER = replace(FULL, symbol="AFTER")
ORIGINALS = [
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


def _flip(rng: Random, line: bytearray) -> None:
    line[rng.randrange(len(line))] = rng.randrange(256)


def _cut(rng: Random, line: bytearray) -> None:
    start = rng.randrange(len(line))
    del line[start : start + rng.randrange(1, 40)]


def _end(rng: Random, line: bytearray) -> None:
    del line[rng.randrange(len(line)) :]


def _insert(rng: Random, line: bytearray) -> None:
    place = rng.randrange(len(line) + 1)
    line[place:place] = rng.choice(FRAGMENTS)


def _repeat(rng: Random, line: bytearray) -> None:
    start = rng.randrange(len(line))
    line[start:start] = line[start : start + rng.randrange(1, 40)] * rng.randrange(1, 4)


def _replace_value(rng: Random, line: bytearray) -> None:
    """Another value for one member. Much of the line still decodes."""
    colons = [place for place, byte in enumerate(line) if byte == ord(":") and line[place - 1] == ord('"')]
    if colons:
        start = rng.choice(colons) + 1
        end = line.find(b',"', start)
        line[start : end if end >= 0 else len(line) - 1] = rng.choice(FRAGMENTS)


def _swap(rng: Random, line: bytearray) -> None:
    """The end of another line instead of its own."""
    other = rng.choice(ORIGINALS)
    line[rng.randrange(len(line)) :] = other[rng.randrange(len(other)) :]


MUTATIONS: list[Callable[[Random, bytearray], None]] = [_flip, _cut, _end, _insert, _repeat, _replace_value, _swap]


def packets(seed: int, count: int) -> Iterator[bytes]:
    """Packets of two good lines with a mutated line between them. The mutation may have made several lines of it."""
    rng = Random(seed)
    for _ in range(count):
        line = bytearray(rng.choice(ORIGINALS))
        for _ in range(1 + min(int(rng.expovariate(1.0)), 5)):
            if line:
                rng.choice(MUTATIONS)(rng, line)
        yield encode_line(BEFORE) + bytes(line) + b"\n" + encode_line(AFTER)


def record_of(data: bytes) -> Record:
    return Record(
        stream="quotes",
        shard="shardId-000000000000",
        sequence_number=1,
        partition_key=KEY,
        arrival=NOON + timedelta(seconds=1),
        data=data,
    )


@pytest.mark.parametrize("seed", range(10))
def test_no_packet_raises_or_affects_its_good_lines(seed: int) -> None:
    batch: list[ParsedRecord] = []
    refused = 0
    for packet in packets(seed, PACKETS):
        parsed = parse_record(record_of(packet))
        batch.append(parsed)
        first, last = parsed.good[0], parsed.good[-1]
        lines = packet.split(b"\n")[:-1]
        assert (first.number, first.line) == (1, BEFORE)
        assert (last.number, last.line) == (len(lines), AFTER)
        contents = {line.number: line.content for line in parsed.good + parsed.refused}
        assert contents == dict(enumerate(lines, start=1))
        assert len(parsed.good) + len(parsed.refused) == len(lines)
        refused += len(parsed.refused)

        # The next steps accept everything that was parsed, and everything that was refused.
        for good in parsed.good:
            if isinstance(good.line, Quote):
                quote_row(good.line, Decimal(5), 30)
        messages = messages_of(parsed, "release")
        assert isinstance(messages, Overflow) or len(messages) == len(parsed.refused)
    assert refused > PACKETS // 2  # most mutations are refused
    assert sum(len(parsed.good) > 2 for parsed in batch) > PACKETS // 200  # and some are not

    lines = gzip.decompress(body_of(batch)).split(b"\n")[
        :-1
    ]  # split at newlines only, as JSON may have carriage returns
    assert len(lines) == sum(len(parsed.good) + len(parsed.refused) for parsed in batch)
    for line in lines:
        assert json.loads(line)["kind"] in ("quote", "heartbeat", "quarantined")
