"""The sizes of what AWS bills: a quote on the stream, in the archive and as a row, a bar, and a lane's state.

They are measured by running the pipeline's own code over made-up quotes, so a change of the line format, of the state
or of a row changes the bill by itself. Nothing outside this process is read, except the default alert rules.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec.structs import replace

from costs.item_size import item_size
from indicators import Indicators
from lane_state import WHOLE, LaneState, Position, pack, pack_checkpoint
from processor_lambda import archive
from processor_lambda.alerts import Rules, RulesInUse
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.checkpoints import checkpoint_of, checkpointed
from processor_lambda.fold import Fold, PositionedLine
from processor_lambda.metrics import processed
from processor_lambda.records import Record, parse_record
from processor_lambda.report import Report
from processor_lambda.rows import Attribute, bar_row, quote_row
from processor_lambda.warmup import BARS_NEEDED
from quotes import Heartbeat, Quote, encode, encode_line, partition_key

ANOMALY_PERCENT = Decimal(5)
TTL_DAYS = 30
ITEM_OVERHEAD_BYTES = 100
"""What DynamoDB bills for the index of each stored item: https://aws.amazon.com/dynamodb/pricing"""
STATE_ATTRIBUTES_BYTES = 100
"""The size of a lane's item or checkpoint without what is packed: its key, its position, and the attributes' names."""
RULES_IN_USE = RulesInUse(Rules(()), "2c26b46b68ff", "3HL4kqtJvjVBH40Nrjfkd_rDc4CpWkQx")
"""As long as what a log line says of the alert rules."""
_MAX_BATCH_SYMBOLS = 500
"""How many symbols of a batch are measured. A larger batch hardly compresses better."""
_MAX_WARM_SYMBOLS = 50
"""How many symbols with indicators are measured. The indicators of one symbol hardly compress with another's."""
_START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Average sizes in bytes."""

    line: float
    """A quote's line on the stream, with its newline."""
    heartbeat: float
    """A heartbeat's line on the stream."""
    archived_line: float
    """A quote's line in the archive, compressed together with other lines."""
    row: float
    """A quote's row."""
    bar: float
    """A bar's row."""
    state: float
    """What a symbol takes in its lane's item, without the log and pending publications."""
    pending_bar: float
    """What each pending bar adds to the lane's item. Every symbol brings one bar a minute."""
    log_entry: float
    """What each entry of the log adds to the lane's item. Every bar brings one."""
    checkpoint: float
    """What a symbol takes in its lane's checkpoint."""
    batch_log: float
    """The line that the function logs for a batch."""


@lru_cache
def measure_sizes(
    symbols_of_lane: int, symbols_of_batch: int, polls_of_batch: int, resolution: Literal["every", "minute"] = "every"
) -> Sizes:
    """Measure the sizes for the given numbers: symbols of a lane, symbols of a poll, and polls of a batch."""
    names = [symbol_name(number) for number in range(min(symbols_of_batch, _MAX_BATCH_SYMBOLS))]
    batch = [quote for poll in range(polls_of_batch) for quote in _quotes(names, _START + timedelta(seconds=poll))]
    record = Record(
        stream="stockstream-dev-stream-Stream-ABCDEFGHIJKL",
        shard="shardId-000000000000",
        sequence_number=49590338271490256608559692538361571095921575989136588898,
        partition_key=partition_key(0, 1),
        arrival=_START + timedelta(seconds=polls_of_batch),
        data=b"".join(map(encode_line, batch)),
    )
    keep_lines = resolution == "minute"
    whole_lane, _ = _states(symbols_of_lane, record, {}, keep_lines=keep_lines)
    warm = {
        symbol_name(number): _warm(symbol_name(number)) for number in range(min(symbols_of_lane, _MAX_WARM_SYMBOLS))
    }
    before, after = _states(len(warm), record, warm, keep_lines=keep_lines)
    bars = [item.bar for item in after.pending if item.bar is not None]
    with_pending = len(pack(replace(after, log=())))
    heartbeat = Heartbeat(lane=record.partition_key, clock=_START, complete_to=_START)
    report = Report(records=polls_of_batch, quotes=len(batch), bars=len(bars), oldest_ingest_time=_START)
    return Sizes(
        line=len(record.data) / len(batch),
        heartbeat=len(encode([heartbeat])),
        archived_line=len(archive.body_of([parse_record(record)])) / len(batch),
        row=_mean([item_bytes(quote_row(quote, ANOMALY_PERCENT, TTL_DAYS)) for quote in batch]),
        bar=_mean([item_bytes(bar_row(bar, TTL_DAYS)) for bar in bars]),
        state=(len(pack(whole_lane)) + STATE_ATTRIBUTES_BYTES) / symbols_of_lane,
        pending_bar=(with_pending - len(pack(before))) / len(bars),
        log_entry=(len(pack(after)) - with_pending) / len(bars),
        checkpoint=len(pack_checkpoint(checkpoint_of(after))) / len(warm) + STATE_ATTRIBUTES_BYTES / symbols_of_lane,
        batch_log=len(msgspec.json.encode(processed(report, record, RULES_IN_USE, seconds=0.1234, now=record.arrival))),
    )


def _states(
    symbols: int, record: Record, warm: Mapping[str, Indicators], *, keep_lines: bool
) -> tuple[LaneState, LaneState]:
    """A lane's state within a minute, after a checkpoint, and the state after the next minute has closed its bars."""
    names = [symbol_name(number) for number in range(symbols)]
    fold = Fold(read(DEFAULT_FILE, ANOMALY_PERCENT), keep_lines=keep_lines)
    state, states = LaneState(), []
    for number, seconds in enumerate((0, 50, 60)):
        lines = [
            PositionedLine(Position(record.sequence_number + number, index), encode_line(quote).rstrip(), quote)
            for index, quote in enumerate(_quotes(names, _START + timedelta(seconds=seconds)), start=1)
        ]
        position = Position(record.sequence_number + number, WHOLE)
        states.append(fold(state, lines, position, warm).state)
        state = checkpointed(states[-1])
    return checkpointed(states[1]), states[2]


@lru_cache(maxsize=_MAX_WARM_SYMBOLS)
def _warm(name: str) -> Indicators:
    """A symbol's indicators after the minutes before the start."""
    indicators = Indicators()
    for minute in range(-BARS_NEEDED, 0):
        at = _START + timedelta(minutes=minute)
        quote = _quote(name, at)
        indicators = indicators.advanced(at, float(quote.price), random.Random(f"{name}{at}").randint(1_000, 90_000))  # noqa: S311  (no secret)
    return indicators


def symbol_name(number: int) -> str:
    """The made-up symbol with this number."""
    return f"SYM{number:04d}"


def item_bytes(row: Mapping[str, Attribute]) -> int:
    """The size of a row as DynamoDB counts it."""
    return item_size(
        {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in row.items()}
    )


def _quotes(names: Sequence[str], at: datetime) -> list[Quote]:
    """One quote of each symbol."""
    return [_quote(name, at) for name in names]


def _quote(name: str, at: datetime) -> Quote:
    """A quote with every field that Yahoo fills. It is random, but always the same for the same arguments."""
    of_day = random.Random(name)  # noqa: S311  (no secret)
    of_moment = random.Random(f"{name}{at}")  # noqa: S311  (no secret)
    base = Decimal(of_day.randint(2_000, 60_000)) / 100
    volume = of_day.randint(1_000_000, 20_000_000)
    seconds = int((at - _START).total_seconds())
    return Quote(
        symbol=name,
        event_time=at + timedelta(milliseconds=of_moment.randint(0, 999)),
        price=base + Decimal(of_moment.randint(-150, 150)) / 100,
        source="yahoo",
        ingest_time=at + timedelta(milliseconds=1_000),
        open=base,
        high=base + Decimal("1.5"),
        low=base - Decimal("1.5"),
        previous_close=base - Decimal("0.25"),
        volume=volume + 1_000 * (seconds + 60 * BARS_NEEDED) + of_moment.randint(0, 999),
        currency="USD",
        exchange="NMS",
        market_state="REGULAR",
        delay_minutes=0,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
