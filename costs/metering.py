"""Turns the calls that a run made into what AWS would bill for them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from aws_limits import (
    DYNAMODB_READ_UNIT_BYTES,
    DYNAMODB_WRITE_UNIT_BYTES,
    KIB,
    KINESIS_PAYLOAD_UNIT_BYTES,
)
from costs.expected_usage import EVENT_LOG_BYTES, PLATFORM_LOG_BYTES
from costs.usage import Usage

ARCHIVE = "/raw-data/"
CONFIGURATION = "/configuration/"
OTHER_PREFIXES = ("quarantine/", "undelivered/")
"""Prefixes that the function and the producer write to and list, apart from the archive.

Requests for other objects, such as the upload of the zip, are not on the bill."""
_REPORT = re.compile(r"^REPORT RequestId.*\tBilled Duration: (\d+) ms\t")


class Call(msgspec.Struct, frozen=True):
    """A call that succeeded."""

    action: str
    """The action as IAM policies name it: `dynamodb:PutItem`."""
    place: str
    """The stream, the table, or the path of an object."""
    sizes: tuple[int, ...]
    """The size in bytes of each record, item, object or message in the call."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the tables that the function writes."""

    quotes: str
    bars: str
    state: str
    alerts: str


def calls_of(lines: bytes) -> Iterator[Call]:
    """The calls in a file of the metering proxy, one JSON object a line."""
    decoder = msgspec.json.Decoder(Call)
    return map(decoder.decode, lines.splitlines())


def metered(
    calls: Iterable[Call],
    tables: Tables,
    *,
    quotes: int,
    function_log: Iterable[str],
    producer_log_bytes: int,
    memory_mb: int,
) -> Usage:
    """The usage in some calls and logs.

    The duration of the function is what the emulator reports for each invocation. Lambda's own log lines are counted
    in the size that they have on AWS, because the emulator writes others.
    """
    count: dict[str, float] = dict.fromkeys(Usage.__struct_fields__, 0)
    writes = {
        tables.quotes: "row_writes",
        tables.bars: "bar_writes",
        tables.state: "state_writes",
        tables.alerts: "alert_writes",
    }
    for call in calls:
        _add(count, call, writes)
    milliseconds = 0
    for line in function_log:
        if line.startswith(("START ", "END ")):
            continue
        if report := _REPORT.match(line):
            count["invocations"] += 1
            milliseconds += int(report[1])
            count["log_bytes"] += PLATFORM_LOG_BYTES + 2 * EVENT_LOG_BYTES
        else:
            count["log_bytes"] += len(line.encode()) + EVENT_LOG_BYTES
    count["log_bytes"] += producer_log_bytes
    count["gb_seconds"] = milliseconds / 1000 * memory_mb / KIB
    count["quotes"] = quotes
    return Usage(**count)


def _add(count: dict[str, float], call: Call, writes: Mapping[str, str]) -> None:
    match call.action:
        case "kinesis:PutRecords":
            count["payload_units"] += _units(call.sizes, KINESIS_PAYLOAD_UNIT_BYTES)
            count["stream_bytes"] += sum(call.sizes)
        case "dynamodb:PutItem" | "dynamodb:BatchWriteItem":
            if call.place in writes:
                count[writes[call.place]] += _units(call.sizes, DYNAMODB_WRITE_UNIT_BYTES)
        case "dynamodb:BatchGetItem" | "dynamodb:Query" if call.place in writes:
            count["read_units"] += _units(call.sizes, DYNAMODB_READ_UNIT_BYTES)
        case "s3:PutObject" if ARCHIVE in call.place:
            count["archive_puts"] += 1
            count["archive_bytes"] += sum(call.sizes)
        case "s3:PutObject" | "s3:ListObjectsV2" if any(prefix in call.place for prefix in OTHER_PREFIXES):
            count["other_puts"] += 1
        case "s3:GetObject" if CONFIGURATION in call.place:
            count["configuration_gets"] += 1
        case "sns:Publish":
            count["alerts"] += len(call.sizes)


def _units(sizes: Iterable[int], unit: int) -> int:
    """The units of some parts. Each part is rounded up by itself, to one unit at least."""
    return sum(max(1, math.ceil(size / unit)) for size in sizes)
