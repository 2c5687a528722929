"""What the history costs: the two daily tasks, what they read and write, and what queries cost with it. Pure.

Counts follow from the code, as those of `expected_usage` do. Only the constants marked as assumed are not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from aws_limits import DYNAMODB_READ_UNIT_BYTES, DYNAMODB_WRITE_UNIT_BYTES
from bars.keys import STORED_RESOLUTIONS
from costs.expected_usage import MONTH_HOURS, Setup, sizes_of
from costs.usage import GIGABYTE, Usage

Part = tuple[str, float, str]
"""The name of a line, its quantity, and its price."""

ALARMS = 7
METRICS = ("BackfillsDone", "CompactionsDone")
"""The metrics that are sent in one hour of each day. AWS bills a metric by the hour."""
RARE_METRICS = frozenset({"BackfillsFailed", "CompactionsFailed", "CountsDiffer"})
"""The metrics that are sent only when something goes wrong."""
IMAGES_GB = 2.6
"""Ten images of 0.26 GB."""

BACKFILL_VCPU, BACKFILL_GB = 0.25, 0.5
COMPACT_VCPU, COMPACT_GB = 1.0, 2.0
START_SECONDS = 60
"""How long a task takes before its program runs, which AWS bills too. Assumed."""
SECONDS_A_CHART = 2
"""A backfill asks Yahoo for a chart of each symbol a day, at a quarter of the producer's rate."""
QUOTES_A_SECOND = 30_000
"""How many quotes a second the task compacts: `benchmarks.compaction` with ten million quotes on a busy machine."""
QUOTE_BYTES = 17.0
"""What a quote takes in the compacted table, by the same benchmark."""
BAR_BYTES = 165.0
"""What a bar of one minute takes there, most of it for its 17 indicators: five days of 20 made-up symbols."""
FILE_BYTES = 128e6
READS_OF_A_FILE = 4
"""Requests with which Athena reads a Parquet file: its end, and its row groups. Assumed."""
READS_OF_A_TABLE = 6
"""Requests for the metadata of an Iceberg table. Assumed."""
LISTED_DAYS = 35
"""The arrival days that each run lists."""
BACKFILL_DAYS, COMPACT_DAYS = 30, 3
"""Each night, a task reads all stored bars of so many days, by strongly consistent reads."""
RAW_DAYS = 2.5
"""The arrival days that queries still read from the raw archive: the open day, and what came about its midnight."""
LISTED_AT_ONCE = 1_000
MONTH_DAYS = 365 / 12


def parts_of(setup: Setup, usage: Usage, architecture: str, archive_days: int) -> Iterator[Part]:
    """What the tasks cost, and what the history of a month's quotes costs: each raw object is read once."""
    backfill = (START_SECONDS + SECONDS_A_CHART * setup.symbols) / 3600 * MONTH_DAYS
    compact = (START_SECONDS * MONTH_DAYS + usage.quotes / QUOTES_A_SECOND) / 3600
    vcpu = backfill * BACKFILL_VCPU + compact * COMPACT_VCPU
    gigabytes = backfill * BACKFILL_GB + compact * COMPACT_GB
    yield "Tasks: CPU", vcpu, f"fargate_vcpu_hour_{architecture}"
    yield "Tasks: memory", gigabytes, f"fargate_gb_hour_{architecture}"
    yield "Tasks: alarms", ALARMS, "alarm"
    yield "Tasks: metrics", len(METRICS) / 24, "metric"
    yield "Tasks: images", IMAGES_GB, "ecr_gb"
    bar = sizes_of(setup).bar
    minutes = usage.bar_writes / math.ceil(bar / DYNAMODB_WRITE_UNIT_BYTES)
    units = minutes * bar / DYNAMODB_READ_UNIT_BYTES
    """What it takes to read the bars of a month's days once, and so those of one day in each night of a month."""
    queries = setup.symbols * len(STORED_RESOLUTIONS) * MONTH_DAYS
    """Those of compaction. Each takes a unit even if it finds nothing, as of resolutions that were never backfilled."""
    listings = MONTH_DAYS * LISTED_DAYS * 24 * math.ceil(usage.archive_puts / MONTH_HOURS / LISTED_AT_ONCE)
    table_gb = (usage.quotes * QUOTE_BYTES + minutes * BAR_BYTES) / GIGABYTE
    yield "Compaction: reads of S3", usage.archive_puts, "s3_get"
    yield "Compaction: listings of S3", listings, "s3_put"
    yield "Backfill: reads of bars", units * BACKFILL_DAYS, "dynamodb_ia_read_on_demand"
    yield "Compaction: reads of bars", units * COMPACT_DAYS + queries, "dynamodb_ia_read_on_demand"
    yield "Compaction: storage of tables", table_gb * archive_days / MONTH_DAYS, "s3_storage_gb"


class Read:
    """What queries read of the archive in a month, where closed days are compacted."""

    def __init__(self, usage: Usage) -> None:
        self._day_bytes = usage.quotes * QUOTE_BYTES / MONTH_DAYS

    def raw_days(self, queries: float, days: float) -> float:
        """The days that queries of the last `days` read from the raw archive."""
        return queries * min(days, RAW_DAYS)

    def requests(self, queries: float, days: float) -> float:
        """The requests for the files of the closed days and for the table's metadata."""
        files = max(0.0, days - RAW_DAYS) * max(1, math.ceil(self._day_bytes / FILE_BYTES))
        return queries * (READS_OF_A_TABLE + files * READS_OF_A_FILE)

    def bytes(self, queries: float, days: float) -> float:
        """The bytes of these files. Athena reads fewer, because it skips columns that a query does not name."""
        return queries * max(0.0, days - RAW_DAYS) * self._day_bytes
