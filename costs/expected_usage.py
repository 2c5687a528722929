"""What a pipeline is expected to use, from how it is set up: its own arithmetic of packets, batches and states. Pure.

Counts follow the code: a poll makes a packet of each lane for every 25 KB, a shard a batch for every window, a batch an
archive object and an item of state for each of its lanes, a minute a bar of each symbol. Durations are the one thing
that is assumed: see `CALL_MS` and `CPU_US`.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Literal

import msgspec

from aws_limits import (
    DYNAMODB_READ_UNIT_BYTES,
    DYNAMODB_WRITE_UNIT_BYTES,
    KIB,
    KINESIS_PAYLOAD_UNIT_BYTES,
    LAMBDA_PAYLOAD_BYTES,
)
from costs.sizes import Shape, measure, symbol_name
from costs.usage import Usage
from processor_lambda.fold import MAX_PUBLICATIONS
from quotes import lane_of

Hours = Literal["market", "always"]
Resolution = Literal["every", "minute"]

MONTH_HOURS = 730
MARKET_HOURS = 21 * (6.5 + 10 / 60)
"""252 days of New York's a year, with five minutes before each open and after each close."""
HEARTBEAT_SECONDS = 60
POLL_SECONDS = 1.0
"""Lambda looks for records once a second and shard."""
SYMBOLS_OF_LANE = 320
"""How full a lane may be by plan: hashing fills some a quarter fuller, and 400 is the most."""
ENOUGH_POLLS = 10
WRITE_BATCH = 25
RECORD_OVERHEAD_BYTES = 500
"""Of a record in an invocation's payload, beside its data in base64."""
SHARD_BYTES = 1e6
HEADROOM = 1.25
VCPU_MB = 1769
"""Memory that has a whole core with it: docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

CALL_MS = {"s3": 30.0, "dynamodb": 6.0}
"""Of a call within the region, from memory: one AWS account's figures would be better."""
CPU_US = {"quote": 20.0, "row": 15.0}
"""Of a whole core: `python -m benchmarks.processing` has 27 to 37 us of a quote with its row."""
PLATFORM_LOG_BYTES = 700
"""What Lambda itself logs of an invocation, as JSON: platform.start and platform.report. From memory."""
EVENT_LOG_BYTES = 26
"""What CloudWatch adds to each line."""
POLL_LOG_BYTES = 330
"""The producer's line of a poll."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How the pipeline is set up, in the templates' and the producer's own terms."""

    symbols: int
    interval_seconds: float
    lanes: int
    shards: int
    resolution: Resolution = "every"
    window_seconds: float = 1
    batch_size: int = 160
    memory_mb: int = 512
    news: float = 1.0
    """The share of a poll's quotes that are new: repeats are not delivered."""

    @property
    def busy_lanes(self) -> int:
        """Lanes that have a symbol at all."""
        return len(_lanes(self.symbols, self.lanes))

    @property
    def symbols_of_lane(self) -> float:
        """Symbols of a lane that has any, on average."""
        return self.symbols / self.busy_lanes


@lru_cache
def _lanes(symbols: int, lanes: int) -> tuple[int, ...]:
    """How many symbols each busy lane has, as hashing spreads so many names."""
    return tuple(Counter(lane_of(symbol_name(number), lanes) for number in range(symbols)).values())


def lanes_for(symbols: int) -> int:
    """The number of lanes for so many symbols: the default of 4, or what they need."""
    return max(4, math.ceil(symbols / SYMBOLS_OF_LANE))


def shards_for(symbols: int, interval_seconds: float) -> int:
    """The number of shards that take so many quotes, with a quarter to spare."""
    line = measure(SYMBOLS_OF_LANE, SYMBOLS_OF_LANE, 1).line
    return max(1, math.ceil(symbols / interval_seconds * line * HEADROOM / SHARD_BYTES))


def shape_of(setup: Setup) -> Shape:
    """The sizes in a pipeline of this setup."""
    polls = round(_period(setup) / setup.interval_seconds)
    of_shard = round(setup.symbols * setup.news / setup.shards)
    lane, polls = max(1, round(setup.symbols_of_lane)), min(max(1, polls), ENOUGH_POLLS)
    return measure(lane, max(1, of_shard), polls, setup.resolution)


def expected(setup: Setup, polls: float, minutes: float, idle_minutes: float = 0, *, cold_starts: float = 0) -> Usage:
    """What so many polls use, within so many minutes, with so many more in which nothing is polled."""
    shape = shape_of(setup)
    quotes = polls * setup.symbols * setup.news
    packets = sum(
        math.ceil(of * setup.news * shape.line / KINESIS_PAYLOAD_UNIT_BYTES)
        for of in _lanes(setup.symbols, setup.lanes)
    )
    beats = (minutes + idle_minutes) * 60 / HEARTBEAT_SECONDS * setup.lanes

    batches = _batches(setup, packets, polls, minutes) if polls else 0
    idle_batches = idle_minutes * 60 / HEARTBEAT_SECONDS * setup.shards
    lanes_of_batch = setup.busy_lanes / setup.shards
    commits = batches * lanes_of_batch
    bars = min(setup.symbols * minutes, quotes)
    closings = (1 if setup.news == 1 else 2) * math.ceil(setup.symbols_of_lane / MAX_PUBLICATIONS)
    """Commits that close a minute: one for so many bars, and another for those of symbols that fell silent."""
    turns = min(minutes, polls) * setup.busy_lanes * closings
    bars_of_turn = bars / turns if turns else 0
    calm = _state_units(setup, shape.state)
    turned = _state_units(setup, shape.state + bars_of_turn * shape.pending)
    idle_commits = idle_minutes * 60 / HEARTBEAT_SECONDS * setup.lanes

    rows = quotes if setup.resolution == "every" else bars
    usage = Usage(
        quotes=quotes,
        payload_units=polls * packets + beats,
        stream_bytes=quotes * shape.line + beats * shape.heartbeat,
        invocations=batches + idle_batches,
        row_writes=rows * math.ceil(shape.row / DYNAMODB_WRITE_UNIT_BYTES),
        bar_writes=bars * math.ceil(shape.bar / DYNAMODB_WRITE_UNIT_BYTES),
        state_writes=max(0, commits - turns) * calm + turns * (turned + 1) + idle_commits * calm,
        read_units=cold_starts * setup.lanes * (math.ceil(shape.state / DYNAMODB_READ_UNIT_BYTES) + 1),
        archive_puts=batches + idle_batches,
        archive_bytes=quotes * shape.archived,
        log_bytes=(batches + idle_batches) * (shape.batch_log + PLATFORM_LOG_BYTES + 3 * EVENT_LOG_BYTES)
        + polls * (POLL_LOG_BYTES + EVENT_LOG_BYTES),
    )
    seconds = _seconds(setup, rows + bars, commits + idle_commits + turns, usage)
    return msgspec.structs.replace(usage, gb_seconds=seconds * setup.memory_mb / KIB)


def month(setup: Setup, hours: Hours) -> Usage:
    """What a month uses. Heartbeats go on while the market is closed, and the depot is looked at every minute."""
    polled = MONTH_HOURS if hours == "always" else MARKET_HOURS
    usage = expected(
        setup,
        polls=polled * 3600 / setup.interval_seconds,
        minutes=polled * 60,
        idle_minutes=(MONTH_HOURS - polled) * 60,
        cold_starts=MONTH_HOURS / 2,
    )
    return msgspec.structs.replace(usage, other_puts=MONTH_HOURS * 60)


def _batches(setup: Setup, packets: float, polls: float, minutes: float) -> float:
    """Batches of all shards."""
    period = _period(setup)
    # A batch that is full goes before its window ends, and the next window opens with what was left.
    full = max(1.0, packets / setup.shards * max(1, period / setup.interval_seconds) / _records_at_most(setup, packets))
    # Heartbeats that come between two windows are batches of their own.
    alone = max(0.0, 1 - (setup.window_seconds + POLL_SECONDS) / _step(setup))
    beats = minutes * 60 / HEARTBEAT_SECONDS * alone
    return (polls * setup.interval_seconds / period * full + beats) * min(setup.shards, setup.busy_lanes)


def _state_units(setup: Setup, size: float) -> float:
    """Write units of an item of state whose size is that of a lane of average size; the others' are in proportion."""
    counts = _lanes(setup.symbols, setup.lanes)
    return sum(math.ceil(size * count / setup.symbols_of_lane / DYNAMODB_WRITE_UNIT_BYTES) for count in counts) / len(
        counts
    )


def _records_at_most(setup: Setup, packets: float) -> int:
    """Of a batch: its size, or what the payload of an invocation holds."""
    size = setup.symbols * setup.news * measure(SYMBOLS_OF_LANE, SYMBOLS_OF_LANE, 1).line / packets
    return max(1, min(setup.batch_size, int(LAMBDA_PAYLOAD_BYTES / (size * 4 / 3 + RECORD_OVERHEAD_BYTES))))


def _period(setup: Setup) -> float:
    """From one batch of a shard to the next. A window opens with a record, and the next not before the invocation ends.

    Records come when there was a poll, and are seen once a second.
    """
    step = _step(setup)
    quotes = setup.symbols * setup.news / setup.shards * max(1, setup.window_seconds / setup.interval_seconds)
    duration = _duration_ms(setup, quotes, setup.busy_lanes / setup.shards) / 1000
    return math.ceil((setup.window_seconds + min(duration, step)) / step) * step


def _step(setup: Setup) -> float:
    return max(POLL_SECONDS, setup.interval_seconds)


def _duration_ms(setup: Setup, quotes: float, lanes: float) -> float:
    rows = quotes if setup.resolution == "every" else 0
    calls = CALL_MS["s3"] + (lanes + rows / WRITE_BATCH) * CALL_MS["dynamodb"]
    return calls + _cpu_ms(setup, quotes, rows)


def _seconds(setup: Setup, rows: float, commits: float, usage: Usage) -> float:
    """Of all invocations together."""
    calls = usage.invocations * CALL_MS["s3"] + (commits + rows / WRITE_BATCH) * CALL_MS["dynamodb"]
    return (calls + _cpu_ms(setup, usage.quotes, rows)) / 1000


def _cpu_ms(setup: Setup, quotes: float, rows: float) -> float:
    share = min(1.0, setup.memory_mb / VCPU_MB)
    return (quotes * CPU_US["quote"] + rows * CPU_US["row"]) / 1000 / share
