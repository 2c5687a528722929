"""The log line of a batch, from which CloudWatch reads metrics (embedded metric format). Pure.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from processor_lambda.alerts import RulesInUse
from processor_lambda.records import Record
from processor_lambda.report import Report

NAMESPACE = "Stockstream"
DIMENSION = "Stream"
MAX_PROBLEM = 1_000
"""The most characters of what is wrong with the alert rules. `stockstream rules check` shows all of it."""


def processed(
    report: Report, last: Record, rules: RulesInUse | None, *, seconds: float, now: datetime
) -> dict[str, Any]:
    """The line of a processed batch. `last` is its last record, and `now` is when the processing ended.

    Only what an alarm or the dashboard needs is a metric, and only if it is not zero: AWS bills a metric for each hour
    in which it is sent. The other fields are for people who read the log.

    `Late` counts the quotes that changed no bar, including those of packets that arrived twice. `Repeated` counts
    records. `EndToEndSeconds` is the time since the producer received the oldest quote, and `iterator_age_seconds` the
    time since Kinesis received the last record. `RulesRefused` is there if the alert rules in use are not the newest.
    """
    values: dict[str, float] = {
        "Quotes": report.quotes,
        "Late": report.late,
        "Repeated": report.repeated_records,
        "Quarantined": report.quarantined,
        "Alerts": report.alerts,
        "LargestStateBytes": report.largest_state_bytes,
    }
    if report.oldest_ingest_time is not None:
        values["EndToEndSeconds"] = round((now - report.oldest_ingest_time).total_seconds(), 3)
    if rules is not None and rules.problem:
        values["RulesRefused"] = 1
    logged = {
        "records": report.records,
        "bars": report.bars,
        "commit_conflicts": report.commit_conflicts,
        "batch_seconds": round(seconds, 4),
        "iterator_age_seconds": round((now - last.arrival).total_seconds(), 3),
    }
    return _line("INFO", "batch_processed", last, values, now) | logged | _of_rules(rules)


def failed(reason: str, last: Record, rules: RulesInUse | None, *, records: int, now: datetime) -> dict[str, Any]:
    """The line of a batch that failed and will come again."""
    line = _line("WARNING", "batch_failed", last, {"BatchesFailed": 1}, now)
    return line | {"records": records, "reason": reason} | _of_rules(rules)


def died(reason: str, last: Record, *, records: int) -> dict[str, Any]:
    """The line of a batch that ends in an error. Lambda logs the traceback and counts the error."""
    return {
        "level": "ERROR",
        "event": "batch_died",
        DIMENSION: last.stream,
        "shard": last.shard,
        "last_sequence_number": str(last.sequence_number),
        "records": records,
        "reason": reason,
    }


def _of_rules(rules: RulesInUse | None) -> dict[str, Any]:
    if rules is None:  # the batch failed before any were read
        return {}
    found: dict[str, Any] = {"rules": rules.digest, "rules_version": rules.version}
    return found | {"rules_problem": rules.problem[:MAX_PROBLEM]} if rules.problem else found


def _line(level: str, event: str, last: Record, values: dict[str, float], now: datetime) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": _unit(name)} for name, value in values.items() if value]
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
