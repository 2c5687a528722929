"""The bill of a month, line by line: fixed costs, costs per quote, and the naive design for comparison. Pure."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from aws_limits import DYNAMODB_WRITE_UNIT_BYTES, KIB
from costs import history
from costs.expected_usage import HEADROOM, MONTH_HOURS, Hours, Setup, sizes_of, usage_of_month
from costs.prices import Prices
from costs.sizes import ITEM_OVERHEAD_BYTES
from costs.usage import GIGABYTE, Usage, items, per_million
from costs.viewers import Viewers, parts_of

Kind = Literal["fixed", "quotes", "history", "viewers"]
"""Whether a cost is fixed, or depends on the number of quotes, or is that of the history, or of who looks at them."""
Mode = Literal["provisioned", "on-demand"]

MONTH_DAYS = 365 / 12
SHARD_RECORDS = 1_000
"""The number of records that a shard takes in a second."""
UTILISATION = 0.7
"""The share of the provisioned write units that is used on average. The rest takes bursts and retries."""
LEAST_WRITE_CAPACITY = LEAST_READ_CAPACITY = 5
"""The units that each provisioned table has at least. Reads are taken not to need more."""
PROVISIONED = ("DynamoDB rows", "DynamoDB bars", "DynamoDB states and marks", "DynamoDB reads")
"""What provisioned tables are not billed for by the call. The table of the alerts is always on demand."""
ALERT_BYTES, ALERT_DAYS = 500, 365
"""The size of a stored alert, and how long it is kept (AlertTtlDays)."""
BUSY = 0.7
"""The share of the time that a shard's function may be busy. With less to spare it could not catch up after a pause."""
COLD_BYTES = 128 * KIB
"""S3 moves no smaller object to a colder storage class."""
METRICS, ALARMS, DASHBOARDS, CUSTOMER_KEYS = 6, 22, 1, 1
"""What the templates make. The metrics are those of the function's log lines and of the producer's metric filters."""
RARE_METRICS = frozenset(
    {
        *("BatchesFailed", "Quarantined", "Repeated", "RulesRefused", "Starts", "ThrottledRequests"),
        "WatchlistUnusable",
    }
)
"""The metrics that are not among `METRICS`, because they are sent only when something goes wrong.

AWS bills a metric by the hour, for the hours in which it is sent: https://aws.amazon.com/cloudwatch/pricing/
"""
SCALING_ALARMS = 4 * 6
"""Application Auto Scaling makes four alarms for the writes and four for the reads of each provisioned table."""
BILLED_ROTATIONS = 2
"""The first two yearly rotations of a key cost as much as the key, each, from then on. Later ones cost nothing."""
IMAGES_GB = 1.0
WATCHLIST_SECONDS = 20
"""How often the producer asks S3 for another watchlist. A watchlist that has not changed is billed as a request too."""
BUDGET_NOTICE = 0.8
"""The share of the budget at which operators are notified."""
BUDGET_MARGIN, BUDGET_STEP = 1.1, 5
"""A budget leaves a tenth to spare, and is a round sum."""
RECENT_DAYS = 7
"""The days that the view `recent_quotes` reads."""
LISTED_AT_ONCE = 1_000
"""The objects that one request lists."""
KMS_REQUESTS_A_SHARD, KMS_REQUESTS_OF_TABLES = 3, 4
"""KMS requests in five minutes. A shard needs a data key, which its writer and its reader decrypt. The tables need one
request each."""
SAMPLES_A_MINUTE = 2 * 80
"""What the metrics collector takes in: the producer's time series, twice a minute."""
COMPRESSION_OF_LOGS = 0.2


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the bill depends on besides the setup: hours, billing modes, the producer's task, and retention."""

    hours: Hours
    """When the source is polled."""
    tables: Mode = "on-demand"
    stream: Mode = "provisioned"
    architecture: Literal["arm64", "x86_64"] = "arm64"
    task_vcpu: float = 0.25
    """The CPU of the producer's task."""
    task_gb: float = 0.5
    """The memory of the producer's task."""
    collector: bool = False
    """Whether the producer's metrics are collected into Managed Prometheus."""
    row_days: int = 30
    bar_days: int = 365
    archive_days: int = 1095
    cold_after_days: int = 90
    """When archive objects move to a colder storage class."""
    log_days: int = 30
    recent_queries: float = 0
    """How many queries of the last seven days are run in a day. The saved queries read these days."""
    archive_queries: float = 0
    """How many queries of the whole archive are run in a month. A query of the view `quotes` is one."""
    history: bool = True
    """Whether the stage fills the gaps of its bars and compacts its archive. Queries then read few raw objects."""
    viewers: Viewers = Viewers(number=0)
    """Who looks at the dashboard. Without anybody, no dashboard and no API are deployed."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the bill of a month."""

    name: str
    kind: Kind
    quantity: float
    unit: str
    usd: float


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The bill of a month."""

    quotes: float
    """The number of quotes in the month."""
    lines: tuple[Line, ...]
    naive: tuple[Line, ...]
    """What the same quotes cost in the naive design, with one PutRecord, one PutItem and one PutObject each."""
    parallelization: int
    """The ParallelizationFactor that the function needs. If it is above 10, the stream needs more shards."""

    @property
    def usd(self) -> float:
        """The dollars for the month."""
        return total(self.lines)

    @property
    def per_million(self) -> float | None:
        """The dollars per million quotes, without network egress."""
        return per_million(self.usd, self.quotes)


def total(lines: tuple[Line, ...], kind: Kind | None = None) -> float:
    """The dollars of all lines, or of those of one kind."""
    return sum(line.usd for line in lines if kind in (None, line.kind))


def bill(setup: Setup, plan: Plan, prices: Prices) -> Bill:
    """The bill of a month with this setup and plan."""
    usage = usage_of_month(setup, plan.hours)
    lines = (
        *_fixed(setup, plan, prices),
        *_requests(setup, plan, usage, prices),
        *_storage(setup, plan, usage, prices),
        *_history(setup, plan, usage, prices),
        *_queries(plan, usage, prices),
        *(_line("viewers", *part, prices) for part in parts_of(setup, plan.viewers, plan.architecture)),
    )
    busy = usage.gb_seconds / (setup.memory_mb / KIB) / _polled_seconds(setup, usage) / setup.shards
    return Bill(
        quotes=usage.quotes,
        lines=lines,
        naive=_naive(setup, plan, usage, prices),
        parallelization=math.ceil(busy / BUSY),
    )


def budget_for(usd: float) -> int:
    """A monthly budget in dollars whose notice a month with this bill does not reach."""
    return math.ceil(usd * BUDGET_MARGIN / BUDGET_NOTICE / BUDGET_STEP) * BUDGET_STEP


def _line(kind: Kind, name: str, quantity: float, price: str, prices: Prices) -> Line:
    found = prices.prices[price]
    return Line(name=name, kind=kind, quantity=quantity, unit=found.unit, usd=quantity * found.usd)


def _polled_seconds(setup: Setup, usage: Usage) -> float:
    """How long the source is polled in the month."""
    return usage.quotes / (setup.symbols * setup.share_of_new_quotes) * setup.interval_seconds


def _fixed(setup: Setup, plan: Plan, prices: Prices) -> list[Line]:
    """What is paid for the month even without a quote."""
    kms = (KMS_REQUESTS_A_SHARD * setup.shards + KMS_REQUESTS_OF_TABLES) * MONTH_HOURS * 12
    stream = (
        ("Kinesis shards", setup.shards * MONTH_HOURS, "kinesis_shard_hour")
        if plan.stream == "provisioned"
        else ("Kinesis stream", MONTH_HOURS, "kinesis_on_demand_hour")
    )
    parts: list[tuple[str, float, str]] = [
        stream,
        ("Fargate CPU", plan.task_vcpu * MONTH_HOURS, f"fargate_vcpu_hour_{plan.architecture}"),
        ("Fargate memory", plan.task_gb * MONTH_HOURS, f"fargate_gb_hour_{plan.architecture}"),
        ("Public IPv4 address", MONTH_HOURS, "ipv4_hour"),
        ("CloudWatch metrics", METRICS, "metric"),
        ("CloudWatch alarms", ALARMS, "alarm"),
        ("CloudWatch dashboards", DASHBOARDS, "dashboard"),
        ("Key of the operators' topic", CUSTOMER_KEYS * (1 + BILLED_ROTATIONS), "kms_key"),
        ("KMS requests", kms, "kms_request"),
        ("Watchlist requests", MONTH_HOURS * 3_600 / WATCHLIST_SECONDS, "s3_get"),
        ("Container images", IMAGES_GB, "ecr_gb"),
    ]
    if setup.latency == "fast" and plan.stream == "provisioned":
        parts.append(("Kinesis fan-out", setup.shards * MONTH_HOURS, "kinesis_consumer_shard_hour"))
    if plan.collector:
        parts.append(("Managed Prometheus", SAMPLES_A_MINUTE * 60 * MONTH_HOURS, "prometheus_sample"))
    if plan.tables == "provisioned":
        least = LEAST_READ_CAPACITY * MONTH_HOURS
        parts.append(("DynamoDB reads of rows and states", 2 * least, "dynamodb_read_capacity_hour"))
        parts.append(("DynamoDB reads of bars", least, "dynamodb_ia_read_capacity_hour"))
        parts.append(("Alarms that scale tables", SCALING_ALARMS, "alarm"))
    return [_line("fixed", name, quantity, price, prices) for name, quantity, price in parts]


def _requests(setup: Setup, plan: Plan, usage: Usage, prices: Prices) -> list[Line]:
    """What is billed by the call. With provisioned tables, the write capacity that the calls need replaces it."""
    lines = [
        Line(name=item.name, kind="quotes", quantity=item.quantity, unit=item.unit, usd=item.usd)
        for item in items(usage, prices, plan.architecture)
        if not (plan.tables == "provisioned" and item.name in PROVISIONED)
        and not (plan.stream == "on-demand" and item.name == "Kinesis payload")
    ]
    if plan.stream == "on-demand":
        # Each record is rounded up to 1 KB when it is put.
        in_gb = max(usage.stream_bytes, usage.payload_units * KIB) / GIGABYTE
        lines.append(_line("quotes", "Kinesis in", in_gb, "kinesis_on_demand_in_gb", prices))
        out = "fan_out" if setup.latency == "fast" else "out"
        lines.append(
            _line("quotes", "Kinesis out", usage.stream_bytes / GIGABYTE, f"kinesis_on_demand_{out}_gb", prices)
        )
    elif setup.latency == "fast":
        lines.append(
            _line("quotes", "Kinesis fan-out data", usage.stream_bytes / GIGABYTE, "kinesis_consumer_gb", prices)
        )
    if plan.tables == "provisioned":
        seconds = _polled_seconds(setup, usage)
        for name, units, price in (
            ("DynamoDB rows", usage.row_writes, "dynamodb_write_capacity_hour"),
            ("DynamoDB bars", usage.bar_writes, "dynamodb_ia_write_capacity_hour"),
            ("DynamoDB states and marks", usage.state_writes, "dynamodb_write_capacity_hour"),
        ):
            capacity = max(LEAST_WRITE_CAPACITY, math.ceil(units / seconds / UTILISATION))
            lines.append(_line("quotes", name, capacity * MONTH_HOURS, price, prices))
    return lines


def _storage(setup: Setup, plan: Plan, usage: Usage, prices: Prices) -> list[Line]:
    """What it costs to store the month's data until they expire. In the long run, a month's storage costs the same."""
    sizes = sizes_of(setup)
    rows = usage.row_writes / math.ceil(sizes.row / DYNAMODB_WRITE_UNIT_BYTES)
    bars = usage.bar_writes / math.ceil(sizes.bar / DYNAMODB_WRITE_UNIT_BYTES)
    row_byte_days = rows * (sizes.row + ITEM_OVERHEAD_BYTES) * plan.row_days
    bar_byte_days = bars * (sizes.bar + ITEM_OVERHEAD_BYTES) * plan.bar_days
    rows_gb, bars_gb = (byte_days / MONTH_DAYS / GIGABYTE for byte_days in (row_byte_days, bar_byte_days))
    alerts_gb = usage.alert_writes * (ALERT_BYTES + ITEM_OVERHEAD_BYTES) * ALERT_DAYS / MONTH_DAYS / GIGABYTE
    archive_gb = usage.archive_bytes / GIGABYTE
    is_moved = usage.archive_bytes / usage.archive_puts >= COLD_BYTES
    warm_days = min(plan.archive_days, plan.cold_after_days) if is_moved else plan.archive_days
    cold_days = plan.archive_days - warm_days
    logs_gb = usage.log_bytes / GIGABYTE * COMPRESSION_OF_LOGS * plan.log_days / MONTH_DAYS
    parts = [
        ("DynamoDB storage of rows", rows_gb, "dynamodb_storage_gb"),
        ("DynamoDB storage of bars", bars_gb, "dynamodb_ia_storage_gb"),
        ("DynamoDB storage of alerts", alerts_gb, "dynamodb_storage_gb"),
        ("DynamoDB recovery", rows_gb + bars_gb + alerts_gb, "dynamodb_recovery_gb"),
        ("S3 storage", archive_gb * warm_days / MONTH_DAYS, "s3_storage_gb"),
        ("S3 colder storage", archive_gb * cold_days / MONTH_DAYS, "s3_cold_storage_gb"),
        ("S3 moves to colder", usage.archive_puts if cold_days else 0, "s3_transition"),
        ("Logs kept", logs_gb, "logs_storage_gb"),
    ]
    return [_line("quotes", name, quantity, price, prices) for name, quantity, price in parts]


def _history(setup: Setup, plan: Plan, usage: Usage, prices: Prices) -> list[Line]:
    """What the history costs, if the stage keeps one."""
    if not plan.history:
        return []
    found = history.parts_of(setup, usage, plan.architecture, plan.archive_days)
    return [_line("history", *part, prices) for part in found]


def _queries(plan: Plan, usage: Usage, prices: Prices) -> list[Line]:
    """What queries cost: a GET for each object, a LIST for each folder of an hour, and the bytes that Athena reads.

    With a history, they read closed days from the compacted tables.
    """
    asked = (
        (plan.recent_queries * MONTH_DAYS, min(RECENT_DAYS, plan.archive_days)),
        (plan.archive_queries, plan.archive_days),
    )
    compacted = history.Read(usage)
    if plan.history:
        days = sum(compacted.raw_days(*each) for each in asked)
        reads, read = (sum(map(count, *zip(*asked, strict=True))) for count in (compacted.requests, compacted.bytes))
    else:
        days, reads, read = sum(queries * each for queries, each in asked), 0.0, 0.0
    objects = usage.archive_puts / MONTH_DAYS * days + reads
    listings = days * 24 * math.ceil(usage.archive_puts / MONTH_HOURS / LISTED_AT_ONCE)
    terabytes = (usage.archive_bytes / MONTH_DAYS * days + read) / GIGABYTE / 1_000
    parts = [
        ("Queries: reads of S3", objects, "s3_get"),
        ("Queries: listings of S3", listings, "s3_put"),
        ("Queries: Athena", terabytes, "athena_tb"),
    ]
    return [_line("quotes", name, quantity, price, prices) for name, quantity, price in parts]


def _naive(setup: Setup, plan: Plan, usage: Usage, prices: Prices) -> tuple[Line, ...]:
    """One PutRecord, PutItem and PutObject for each quote; batches of 100, Lambda's default; 128 MB; 35 ms a quote."""
    quotes, sizes = usage.quotes, sizes_of(setup)
    shards = max(1, math.ceil(setup.symbols / setup.interval_seconds * HEADROOM / SHARD_RECORDS))
    parts: list[tuple[Kind, str, float, str]] = [
        ("fixed", "Kinesis shards", shards * MONTH_HOURS, "kinesis_shard_hour"),
        ("fixed", "Fargate CPU", plan.task_vcpu * MONTH_HOURS, f"fargate_vcpu_hour_{plan.architecture}"),
        ("fixed", "Fargate memory", plan.task_gb * MONTH_HOURS, f"fargate_gb_hour_{plan.architecture}"),
        ("fixed", "Public IPv4 address", MONTH_HOURS, "ipv4_hour"),
        ("quotes", "Kinesis payload", quotes, "kinesis_payload_unit"),
        ("quotes", "Lambda requests", quotes / 100, "lambda_request"),
        ("quotes", "Lambda time", quotes * 0.035 / 8, f"lambda_gb_second_{plan.architecture}"),
        ("quotes", "DynamoDB rows", quotes, "dynamodb_write_on_demand"),
        ("quotes", "S3 requests", quotes, "s3_put"),
        ("quotes", "S3 storage", quotes * sizes.line / GIGABYTE * plan.archive_days / MONTH_DAYS, "s3_storage_gb"),
    ]
    return tuple(_line(kind, name, quantity, price, prices) for kind, name, quantity, price in parts)
