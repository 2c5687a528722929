"""A simulated market as Kinesis events, in the form in which Lambda hands them to the function."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from bars.keys import ONE_MINUTE, bar_key
from producer_service.packing import PACKET_BYTES, chunks
from quotes import Heartbeat, Line, Quote, encode_line, lane_of, partition_key

LANES = 16
SYMBOLS = 500
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
VOLATILITY = 0.0002
"""The standard deviation of the return of one second. It makes 3 % a day."""

_FIRST_SEQUENCE = 49590338271490256608559692538361571095921575989136588898


def start_price(symbol: str) -> Decimal:
    """The first price of a symbol, from 10 to 600."""
    return Decimal(1_000 + crc32(symbol.encode()) % 59_000) / 100


@cache
def stored_bars(symbol: str, count: int) -> list[dict[str, dict[str, str]]]:
    """The bars of a symbol before `OPEN` as items of DynamoDB, newest first.

    They warm up the indicators, so that the states are as large as after an hour of trading.
    """
    random = Random(symbol)  # noqa: S311  (not a secret)
    price = float(start_price(symbol))
    items = []
    for back in range(1, count + 1):
        items.append(
            {
                "symbol": {"S": symbol},
                "key": {"S": bar_key(ONE_MINUTE, OPEN - back * MINUTE)},
                "close": {"N": f"{price:.2f}"},
                "volume": {"N": str(sum(random.randrange(2_000) for _ in range(60)))},
            }
        )
        price *= 1 + random.gauss(0, VOLATILITY * math.sqrt(60))
    return items


def market(minutes: int) -> Iterator[Line]:
    """A quote of every symbol each second, and a heartbeat of every lane each minute. The lines are always the same."""
    random = Random(1)  # noqa: S311  (not a secret)
    symbols = [f"SYM{number:05d}" for number in range(SYMBOLS)]
    start = {symbol: start_price(symbol) for symbol in symbols}
    prices = {symbol: float(price) for symbol, price in start.items()}
    highs, lows, volumes = dict(start), dict(start), dict.fromkeys(symbols, 0)
    previous = {symbol: round(price * Decimal(random.uniform(0.99, 1.01)), 2) for symbol, price in start.items()}
    for second in range(60 * minutes):
        time = OPEN + second * SECOND
        for symbol in symbols:
            prices[symbol] *= 1 + random.gauss(0, VOLATILITY)
            price = Decimal(round(prices[symbol] * 100)) / 100
            highs[symbol], lows[symbol] = max(price, highs[symbol]), min(price, lows[symbol])
            volumes[symbol] += random.randrange(2_000)
            yield Quote(
                symbol=symbol,
                event_time=time,
                price=price,
                source="synthetic",
                ingest_time=time + timedelta(milliseconds=150),
                open=start[symbol],
                high=highs[symbol],
                low=lows[symbol],
                previous_close=previous[symbol],
                volume=volumes[symbol],
                currency="USD",
                exchange="SYN",
                market_state="REGULAR",
                delay_minutes=0,
            )
        if second % 60 == 59:  # noqa: PLR2004  (the last second of a minute)
            end = time + SECOND
            for lane in range(LANES):
                yield Heartbeat(lane=partition_key(lane, LANES), clock=end, complete_to=end)


def shortest(line: Line) -> Line:
    """The same quote without its optional fields. Other lines stay as they are."""
    if not isinstance(line, Quote):
        return line
    return Quote(
        symbol=line.symbol,
        event_time=line.event_time,
        price=line.price,
        source=line.source,
        ingest_time=line.ingest_time,
    )


def events(lines: Iterator[Line], quotes: int) -> Iterator[bytes]:
    """Events as JSON, with `quotes` quotes each and the heartbeats between them. An incomplete event is left out."""
    sequence = 0
    batch: list[Line] = []
    count = 0
    for line in lines:
        batch.append(line)
        count += isinstance(line, Quote)
        if count == quotes:
            records = _records(batch, sequence)
            yield msgspec.json.encode({"Records": records})
            sequence += len(records)
            batch, count = [], 0


def noise(packets: int) -> bytes:
    """An event of packets as large as a producer's that hold only newlines, the bytes that cost the most CPU."""
    key = partition_key(0, LANES)
    records = [_record(key, b"\n" * PACKET_BYTES, number, OPEN) for number in range(packets)]
    return msgspec.json.encode({"Records": records})


def _records(lines: Sequence[Line], sequence: int) -> list[dict[str, Any]]:
    by_lane: dict[str, list[bytes]] = {}
    arrival = OPEN
    for line in lines:
        if isinstance(line, Heartbeat):
            key = line.lane
        else:
            key, arrival = partition_key(lane_of(line.symbol, LANES), LANES), line.ingest_time
        by_lane.setdefault(key, []).append(encode_line(line))
    packets = chain.from_iterable(((key, data) for data, _ in chunks(of_lane)) for key, of_lane in by_lane.items())
    return [_record(key, data, sequence + number, arrival) for number, (key, data) in enumerate(packets)]


def _record(key: str, data: bytes, sequence: int, arrival: datetime) -> dict[str, Any]:
    number = str(_FIRST_SEQUENCE + sequence)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": number,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": arrival.timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/function",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/quotes",
    }
