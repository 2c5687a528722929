"""How big the things are that get billed: measured by running the pipeline's own code over some quotes. Pure.

A change of the wire, of the state or of a row changes the bill without anybody's having to remember it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from costs.item_size import item_size
from lane_state import WHOLE, LaneState, Position, pack
from processor_lambda import archive
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.fold import Fold, PositionedLine
from processor_lambda.indicators import Indicators
from processor_lambda.metrics import processed
from processor_lambda.records import Record, parse_record
from processor_lambda.report import Report
from processor_lambda.rows import Attribute, bar_row, quote_row
from processor_lambda.warmup import BARS_NEEDED
from quotes import Heartbeat, Quote, encode, encode_line, partition_key

ANOMALY_PERCENT = Decimal(5)
TTL_DAYS = 30
ITEM_OVERHEAD_BYTES = 100
"""DynamoDB bills an item's storage with 100 bytes of index besides (aws.amazon.com/dynamodb/pricing)."""
STATE_ATTRIBUTES_BYTES = 100
"""`lane`, `last_sequence` and the names of an item of state."""
_ENOUGH_SYMBOLS = 500
"""More in a batch would hardly compress better."""
_ENOUGH_OF_A_LANE = 50
"""Of the symbols of a state: what it holds of one hardly compresses with what it holds of another."""
_START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of each thing, on average."""

    line: float
    """Of a quote on the wire, with its newline."""
    heartbeat: float
    archived: float
    """Of a quote in the archive, compressed with its neighbours."""
    row: float
    bar: float
    state: float
    """Of a lane's item of state, when nothing is pending."""
    pending: float
    """What each pending bar adds to it, and a symbol brings one a minute."""
    batch_log: float
    """The line that the function logs for a batch."""


@lru_cache
def measure(
    symbols_of_lane: int, symbols_of_batch: int, polls_of_batch: int, resolution: Literal["every", "minute"] = "every"
) -> Shape:
    """The shape of a pipeline whose lanes have so many symbols, and whose batches so many, each as often as polled."""
    others = [symbol_name(number) for number in range(min(symbols_of_batch, _ENOUGH_SYMBOLS))]
    batch = [quote for poll in range(polls_of_batch) for quote in _quotes(others, _START + timedelta(seconds=poll))]
    lines = [encode_line(quote) for quote in batch]
    record = Record(
        stream="stockstream-dev-stream-Stream-ABCDEFGHIJKL",
        shard="shardId-000000000000",
        sequence_number=49590338271490256608559692538361571095921575989136588898,
        partition_key=partition_key(0, 1),
        arrival=_START + timedelta(seconds=polls_of_batch),
        data=b"".join(lines),
    )
    measured = min(symbols_of_lane, _ENOUGH_OF_A_LANE)
    calm, turned = _states(measured, record, keep_lines=resolution == "minute")
    bars = [item.bar for item in turned.pending if item.bar is not None]
    heartbeat = Heartbeat(lane=record.partition_key, clock=_START, complete_to=_START)
    report = Report(records=polls_of_batch, quotes=len(batch), bars=len(bars), oldest_ingest_time=_START)
    state = len(pack(calm))
    return Shape(
        line=len(record.data) / len(batch),
        heartbeat=len(encode([heartbeat])),
        archived=len(archive.body_of([parse_record(record)])) / len(batch),
        row=_mean([item_bytes(quote_row(quote, ANOMALY_PERCENT, TTL_DAYS)) for quote in batch]),
        bar=_mean([item_bytes(bar_row(bar, TTL_DAYS)) for bar in bars]),
        state=state * symbols_of_lane / measured + STATE_ATTRIBUTES_BYTES,
        pending=(len(pack(turned)) - state) / len(bars),
        batch_log=len(msgspec.json.encode(processed(report, record, seconds=0.1234, now=record.arrival))),
    )


def _states(symbols: int, record: Record, *, keep_lines: bool) -> tuple[LaneState, LaneState]:
    """A lane's state within a minute, and when the next one has closed its bars; all indicators are known."""
    names = [symbol_name(number) for number in range(symbols)]
    fold = Fold(read(DEFAULT_FILE, ANOMALY_PERCENT), keep_lines=keep_lines)
    state, warm = LaneState(), {name: _warm(name) for name in names}
    states = []
    for number, seconds in enumerate((0, 50, 60)):
        arrived = [
            PositionedLine(Position(record.sequence_number + number, index), encode_line(quote).rstrip(), quote)
            for index, quote in enumerate(_quotes(names, _START + timedelta(seconds=seconds)), start=1)
        ]
        state = fold(state, arrived, Position(record.sequence_number + number, WHOLE), warm).state
        states.append(state)
    return states[1], states[2]


@lru_cache(maxsize=_ENOUGH_OF_A_LANE)
def _warm(name: str) -> Indicators:
    """The indicators after the minutes before the start."""
    indicators = Indicators()
    for minute in range(-BARS_NEEDED, 0):
        at = _START + timedelta(minutes=minute)
        quote = _quote(name, at)
        indicators = indicators.advanced(at, float(quote.price), random.Random(f"{name}{at}").randint(1_000, 90_000))  # noqa: S311  (no secret)
    return indicators


def symbol_name(number: int) -> str:
    """A made-up symbol, for each number another one."""
    return f"SYM{number:04d}"


def item_bytes(row: Mapping[str, Attribute]) -> int:
    """What DynamoDB counts of a row."""
    return item_size(
        {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in row.items()}
    )


def _quotes(names: Sequence[str], at: datetime) -> list[Quote]:
    """A quote of each symbol, with every field that Yahoo fills; the same for the same arguments."""
    return [_quote(name, at) for name in names]


def _quote(name: str, at: datetime) -> Quote:
    day = random.Random(name)  # noqa: S311  (no secret)
    moment = random.Random(f"{name}{at}")  # noqa: S311  (no secret)
    base = Decimal(day.randint(2_000, 60_000)) / 100
    volume = day.randint(1_000_000, 20_000_000)
    seconds = int((at - _START).total_seconds())
    return Quote(
        symbol=name,
        event_time=at + timedelta(milliseconds=moment.randint(0, 999)),
        price=base + Decimal(moment.randint(-150, 150)) / 100,
        source="yahoo",
        ingest_time=at + timedelta(milliseconds=1_000),
        open=base,
        high=base + Decimal("1.5"),
        low=base - Decimal("1.5"),
        previous_close=base - Decimal("0.25"),
        volume=volume + 1_000 * (seconds + 60 * BARS_NEEDED) + moment.randint(0, 999),
        currency="USD",
        exchange="NMS",
        market_state="REGULAR",
        delay_minutes=0,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
