"""A batch as one line of log that CloudWatch reads metrics from (embedded metric format). Pure.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from processor_lambda.processor import Report
from processor_lambda.records import Record

NAMESPACE = "Stockstream"
DIMENSION = "Stream"


def processed(report: Report, last: Record, *, seconds: float, now: datetime) -> dict[str, Any]:
    """The line of a batch that was processed; `last` is its last record, `now` when it was done.

    `Late` counts all quotes that moved no bar, those of packets that were sent twice too, `Repeated` records.
    `EndToEndSeconds` is from the producer's receipt of the oldest quote until now, `IteratorAgeSeconds` from Kinesis's
    receipt of the last record.
    """
    values: dict[str, float] = {
        "Quotes": report.quotes,
        "Late": report.late,
        "Repeated": report.repeated_records,
        "Quarantined": report.quarantined,
        "Bars": report.bars,
        "Alerts": report.alerts,
        "LargestStateBytes": report.largest_state_bytes,
        "BatchSeconds": round(seconds, 4),
        "IteratorAgeSeconds": round((now - last.arrival).total_seconds(), 3),
    }
    if report.oldest_ingest_time is not None:
        values["EndToEndSeconds"] = round((now - report.oldest_ingest_time).total_seconds(), 3)
    return _line("INFO", "batch_processed", last, values, now) | {
        "records": report.records,
        "lost_races": report.lost_races,
    }


def failed(reason: str, last: Record, *, records: int, now: datetime) -> dict[str, Any]:
    """The line of a batch that will come again."""
    line = _line("WARNING", "batch_failed", last, {"BatchesFailed": 1}, now)
    return line | {"records": records, "reason": reason}


def died(reason: str, last: Record, *, records: int) -> dict[str, Any]:
    """The line of a batch that ends in an error, of which Lambda keeps the traceback and the count."""
    return {
        "level": "ERROR",
        "event": "batch_died",
        DIMENSION: last.stream,
        "shard": last.shard,
        "last_sequence_number": str(last.sequence_number),
        "records": records,
        "reason": reason,
    }


def _line(level: str, event: str, last: Record, values: dict[str, float], now: datetime) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": _unit(name)} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]},
        "level": level,
        "event": event,
        DIMENSION: last.stream,
        "shard": last.shard,
        **values,
    }


def _unit(name: str) -> str:
    if name.endswith("Seconds"):
        return "Seconds"
    return "Bytes" if name.endswith("Bytes") else "Count"
