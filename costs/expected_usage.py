"""The usage that is expected of a pipeline, from its settings. Pure.

The counts follow from the code. Each poll makes a packet of each lane for every 25 KB. Each shard makes a batch for
every batching window. Each batch makes an archive object and writes the item of each of its lanes. Each minute makes a
bar of each symbol, and now and then a checkpoint of each lane. Only durations are assumed, in `CALL_MS` and `CPU_US`.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Literal

import msgspec

from aws_limits import (
    DYNAMODB_BATCH_WRITE_ITEMS,
    DYNAMODB_READ_UNIT_BYTES,
    DYNAMODB_WRITE_UNIT_BYTES,
    KIB,
    KINESIS_PAYLOAD_UNIT_BYTES,
    LAMBDA_PAYLOAD_BYTES,
)
from costs.sizes import Sizes, measure_sizes, symbol_name
from costs.state_writes import state_writes
from costs.usage import Usage
from processor_lambda.fold import MAX_PUBLICATIONS
from processor_lambda.settings import RULES_REFRESH_SECONDS
from quotes import lane_of

Hours = Literal["market", "always"]
Resolution = Literal["every", "minute"]
Latency = Literal["cheap", "fast"]

MONTH_HOURS = 730
MARKET_HOURS = 21 * (6.5 + 10 / 60)
"""New York trades on 252 days a year. Five minutes before each open and after each close may bring quotes too."""
SETTLING_HOURS = 21 * 70 / 60
"""For 70 minutes more the last prices of each session may come. These polls bring hardly a quote, and are logged."""
HEARTBEAT_SECONDS = 60
LAMBDA_POLL_SECONDS = 1.0
"""How often Lambda looks for records in each shard."""
PLANNED_SYMBOLS_OF_LANE = 320
"""How many symbols of a lane to plan for. Hashing puts up to a quarter more into some lanes, and 400 is the limit."""
MAX_MEASURED_POLLS = 10
"""How many polls of a batch are measured. A larger batch hardly compresses better."""
RECORD_OVERHEAD_BYTES = 500
"""What a record takes in an invocation's payload besides its data in base64."""
SHARD_BYTES = 1e6
"""What a shard takes in a second."""
HEADROOM = 1.25
"""How much more capacity than the average rate a stream should have."""
VCPU_MB = 1769
"""The memory with which a function has a whole core:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

ALERTS_AN_HOUR = 0.7
"""How many alerts a symbol raises in an hour, by the default rules. Three real shares raised 65 in a week. Each takes
one write unit."""

CALL_MS = {"s3": 30.0, "dynamodb": 6.0}
"""The duration of a call within the region. These are from memory; the figures of an AWS account would be better."""
CPU_US = {"quote": 20.0, "row": 15.0}
"""Microseconds of a whole core. `python -m benchmarks.processing` measures 27 to 37 for a quote with its row."""
PLATFORM_LOG_BYTES = 700
"""The lines platform.start and platform.report that Lambda itself logs for an invocation, as JSON. From memory."""
EVENT_LOG_BYTES = 26
"""What CloudWatch adds to each log line."""
POLL_LOG_BYTES = 345
"""The line that the producer logs for a poll."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How the pipeline is set up. The names are those of the templates and of the producer's settings."""

    symbols: int
    interval_seconds: float
    """The time from one poll to the next."""
    lanes: int
    shards: int
    resolution: Resolution = "every"
    """Whether every quote becomes a row, or the last one of each symbol and minute."""
    latency: Latency = "cheap"
    """Whether Lambda polls the stream, or Kinesis pushes records to a consumer."""
    window_seconds: float = 0
    """The batching window of the event source mapping. Fast mode has none."""
    batch_size: int = 160
    """The largest number of records in a batch."""
    memory_mb: int = 512
    """The memory of the function."""
    share_of_new_quotes: float = 1.0
    """The share of a poll's quotes that are new. Repeated quotes are not delivered."""

    @property
    def look_seconds(self) -> float:
        """The time from one look of Lambda for records in a shard to the next; 0 in fast mode, which pushes them."""
        return LAMBDA_POLL_SECONDS if self.latency == "cheap" else 0

    @property
    def busy_lanes(self) -> int:
        """The number of lanes that have a symbol."""
        return len(_symbols_by_lane(self.symbols, self.lanes))

    @property
    def symbols_of_lane(self) -> float:
        """The average number of symbols in a lane that has any."""
        return self.symbols / self.busy_lanes


@lru_cache
def _symbols_by_lane(symbols: int, lanes: int) -> tuple[int, ...]:
    """How many of `symbols` names the lane hash puts into each lane that gets any."""
    return tuple(Counter(lane_of(symbol_name(number), lanes) for number in range(symbols)).values())


def lanes_for(symbols: int) -> int:
    """The number of lanes for the given number of symbols: 4, which is the default, or as many as they need."""
    return max(4, math.ceil(symbols / PLANNED_SYMBOLS_OF_LANE))


def shards_for(symbols: int, interval_seconds: float) -> int:
    """The number of shards for one quote of each symbol per interval, with a quarter to spare."""
    line = measure_sizes(PLANNED_SYMBOLS_OF_LANE, PLANNED_SYMBOLS_OF_LANE, 1).line
    return max(1, math.ceil(symbols / interval_seconds * line * HEADROOM / SHARD_BYTES))


def sizes_of(setup: Setup) -> Sizes:
    """The sizes in a pipeline with this setup."""
    polls = round(_batch_seconds(setup) / setup.interval_seconds)
    symbols_of_shard = round(setup.symbols * setup.share_of_new_quotes / setup.shards)
    symbols_of_lane = max(1, round(setup.symbols_of_lane))
    return measure_sizes(
        symbols_of_lane, max(1, symbols_of_shard), min(max(1, polls), MAX_MEASURED_POLLS), setup.resolution
    )


def expected_usage(
    setup: Setup, polls: float, minutes: float, idle_minutes: float = 0, *, cold_starts: float = 0
) -> Usage:
    """The usage of `polls` polls within `minutes`, followed by `idle_minutes` in which nothing is polled."""
    sizes = sizes_of(setup)
    quotes = polls * setup.symbols * setup.share_of_new_quotes
    packets_of_poll = sum(
        math.ceil(symbols * setup.share_of_new_quotes * sizes.line / KINESIS_PAYLOAD_UNIT_BYTES)
        for symbols in _symbols_by_lane(setup.symbols, setup.lanes)
    )
    heartbeats = (minutes + idle_minutes) * 60 / HEARTBEAT_SECONDS * setup.lanes

    batches = _batches(setup, packets_of_poll, polls, minutes) if polls else 0
    idle_batches = idle_minutes * 60 / HEARTBEAT_SECONDS * setup.shards
    commits = batches * setup.busy_lanes / setup.shards
    idle_commits = idle_minutes * 60 / HEARTBEAT_SECONDS * setup.lanes
    bars = min(setup.symbols * minutes, quotes)
    closing_commits = min(minutes, polls) * setup.busy_lanes * _closing_commits(setup)
    rows = quotes if setup.resolution == "every" else bars
    usage = Usage(
        quotes=quotes,
        payload_units=polls * packets_of_poll + heartbeats,
        stream_bytes=quotes * sizes.line + heartbeats * sizes.heartbeat,
        invocations=batches + idle_batches,
        row_writes=rows * math.ceil(sizes.row / DYNAMODB_WRITE_UNIT_BYTES),
        bar_writes=bars * math.ceil(sizes.bar / DYNAMODB_WRITE_UNIT_BYTES),
        state_writes=_state_writes(setup, sizes, commits, min(minutes, polls))
        + idle_commits * _units(setup, sizes.state, DYNAMODB_WRITE_UNIT_BYTES),
        alert_writes=setup.symbols * minutes / 60 * ALERTS_AN_HOUR,
        # A lane's item, its checkpoint and its published mark.
        read_units=cold_starts
        * setup.lanes
        * (sum(_units(setup, size, DYNAMODB_READ_UNIT_BYTES) for size in (sizes.state, sizes.checkpoint)) + 1),
        archive_puts=batches + idle_batches,
        # Each shard has an instance, which looks for other alert rules before a batch, but not before every one.
        configuration_gets=min(
            batches + idle_batches, (minutes + idle_minutes) * 60 / RULES_REFRESH_SECONDS * setup.shards
        )
        + cold_starts,
        archive_bytes=quotes * sizes.archived_line,
        log_bytes=(batches + idle_batches) * (sizes.batch_log + PLATFORM_LOG_BYTES + 3 * EVENT_LOG_BYTES)
        + polls * (POLL_LOG_BYTES + EVENT_LOG_BYTES),
    )
    seconds = _total_seconds(setup, rows + bars, commits + idle_commits + closing_commits, usage)
    return msgspec.structs.replace(usage, gb_seconds=seconds * setup.memory_mb / KIB)


def usage_of_month(setup: Setup, hours: Hours) -> Usage:
    """The usage of a month. Heartbeats continue while the market is closed.

    The producer looks for a handover every minute. The function is taken to start cold once in two hours.
    """
    polled = MONTH_HOURS if hours == "always" else MARKET_HOURS
    usage = expected_usage(
        setup,
        polls=polled * 3600 / setup.interval_seconds,
        minutes=polled * 60,
        idle_minutes=(MONTH_HOURS - polled) * 60,
        cold_starts=MONTH_HOURS / 2,
    )
    settling_polls = 0 if hours == "always" else SETTLING_HOURS * 3600 / setup.interval_seconds
    return msgspec.structs.replace(
        usage,
        other_puts=MONTH_HOURS * 60,
        log_bytes=usage.log_bytes + settling_polls * (POLL_LOG_BYTES + EVENT_LOG_BYTES),
    )


def _batches(setup: Setup, packets_of_poll: float, polls: float, minutes: float) -> float:
    """The number of batches of all shards."""
    seconds = _batch_seconds(setup)
    # A full batch does not wait for the end of its window, and the records that are left open the next window.
    full_batches = max(
        1.0,
        packets_of_poll
        / setup.shards
        * max(1, seconds / setup.interval_seconds)
        / _records_of_full_batch(setup, packets_of_poll),
    )
    # A heartbeat that arrives between two windows is a batch by itself.
    alone = max(0.0, 1 - (setup.window_seconds + setup.look_seconds) / _arrival_seconds(setup))
    lone_heartbeats = minutes * 60 / HEARTBEAT_SECONDS * alone
    of_shard = polls * setup.interval_seconds / seconds * full_batches + lone_heartbeats
    return of_shard * min(setup.shards, setup.busy_lanes)


def _closing_commits(setup: Setup) -> int:
    """How many commits close one minute of a lane, because a commit publishes a limited number of bars.

    If some symbols have no new quote in a minute, the heartbeat closes their bars in another commit.
    """
    return (1 if setup.share_of_new_quotes == 1 else 2) * math.ceil(setup.symbols_of_lane / MAX_PUBLICATIONS)


def _state_writes(setup: Setup, sizes: Sizes, commits: float, minutes: float) -> float:
    """The write units of all lanes' items, marks and checkpoints in `minutes` that have new bars."""
    lanes, closing = _symbols_by_lane(setup.symbols, setup.lanes), _closing_commits(setup)
    if not minutes:
        return 0
    of_lane = commits / minutes / len(lanes)
    units = 0.0
    for symbols in lanes:
        writes = state_writes(sizes, symbols, round(of_lane), closing)
        # A commit that closes a minute also raises the published mark, which is one unit.
        units += max(0, of_lane - closing) * writes.plain + closing * (writes.closing + 1) + writes.checkpoints
    return units * minutes


def _units(setup: Setup, bytes_of_symbol: float, unit: int) -> float:
    """The average units of an item that each lane has, from what a symbol takes in it."""
    lanes = _symbols_by_lane(setup.symbols, setup.lanes)
    return sum(math.ceil(bytes_of_symbol * symbols / unit) for symbols in lanes) / len(lanes)


def _records_of_full_batch(setup: Setup, packets_of_poll: float) -> int:
    """The most records in a batch: the batch size, or what fits into the payload of an invocation."""
    line = measure_sizes(PLANNED_SYMBOLS_OF_LANE, PLANNED_SYMBOLS_OF_LANE, 1).line
    packet = setup.symbols * setup.share_of_new_quotes * line / packets_of_poll
    return max(1, min(setup.batch_size, int(LAMBDA_PAYLOAD_BYTES / (packet * 4 / 3 + RECORD_OVERHEAD_BYTES))))


def _batch_seconds(setup: Setup) -> float:
    """The time from one batch of a shard to the next.

    A window opens with a record, and the next one opens after the invocation has ended. Records arrive after each
    poll, and Lambda sees them once a second, or at once in fast mode.
    """
    step = _arrival_seconds(setup)
    quotes = (
        setup.symbols * setup.share_of_new_quotes / setup.shards * max(1, setup.window_seconds / setup.interval_seconds)
    )
    seconds = _batch_milliseconds(setup, quotes, setup.busy_lanes / setup.shards) / 1000
    return math.ceil((setup.window_seconds + min(seconds, step)) / step) * step


def _arrival_seconds(setup: Setup) -> float:
    """The time from one arrival of records to the next, as Lambda sees it."""
    return max(setup.look_seconds, setup.interval_seconds)


def _batch_milliseconds(setup: Setup, quotes: float, lanes: float) -> float:
    """The duration of an invocation for a batch that closes no minute."""
    rows = quotes if setup.resolution == "every" else 0
    calls = CALL_MS["s3"] + (lanes + rows / DYNAMODB_BATCH_WRITE_ITEMS) * CALL_MS["dynamodb"]
    return calls + _cpu_milliseconds(setup, quotes, rows)


def _total_seconds(setup: Setup, rows: float, commits: float, usage: Usage) -> float:
    """The duration of all invocations together."""
    calls = usage.invocations * CALL_MS["s3"] + (commits + rows / DYNAMODB_BATCH_WRITE_ITEMS) * CALL_MS["dynamodb"]
    return (calls + _cpu_milliseconds(setup, usage.quotes, rows)) / 1000


def _cpu_milliseconds(setup: Setup, quotes: float, rows: float) -> float:
    """How long the function computes. It has a share of a core in proportion to its memory."""
    share = min(1.0, setup.memory_mb / VCPU_MB)
    return (quotes * CPU_US["quote"] + rows * CPU_US["row"]) / 1000 / share
