"""The log line of a batch has the form of CloudWatch's embedded metric format."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from processor_lambda import metrics
from processor_lambda.alerts import Rules, RulesInUse
from processor_lambda.report import Report
from tests.fakes.pipeline import OPEN, Shard

RECORD = Shard().put(b"", "lane-00-of-01")
"""A record that arrived an hour after the open."""
NOW = OPEN + timedelta(hours=1, seconds=2.5)
RULES = RulesInUse(Rules(()), "2c26b46b68ff", "3HL4kqtJvjVBH40Nrjfkd")


def test_every_metric_of_the_directive_is_a_number_in_the_line() -> None:
    report = Report(quotes=3, late=1, largest_state_bytes=700, oldest_ingest_time=OPEN + timedelta(hours=1, seconds=1))
    line = metrics.processed(report, RECORD, RULES, seconds=0.25, now=NOW)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Stockstream"
    assert directive["Dimensions"] == [["Stream"]]
    assert line["Stream"] == "quotes"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert {name: line[name] for name in units} == {
        "Quotes": 3,
        "Late": 1,
        "LargestStateBytes": 700,
        "EndToEndSeconds": 1.5,
    }
    assert (line["Quarantined"], line["batch_seconds"], line["iterator_age_seconds"]) == (0, 0.25, 2.5)
    assert units["EndToEndSeconds"] == "Seconds"
    assert units["LargestStateBytes"] == "Bytes"
    assert line["_aws"]["Timestamp"] == int(NOW.timestamp() * 1000)
    assert msgspec.json.encode(line)


def test_what_went_wrong_is_a_metric_only_if_it_did() -> None:
    def sent(report: Report) -> set[str]:
        line = metrics.processed(report, RECORD, RULES, seconds=0.25, now=NOW)
        return {metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}

    assert sent(Report(quotes=3, largest_state_bytes=700)) == {"Quotes", "LargestStateBytes"}
    assert sent(Report(quarantined=1, repeated_records=2)) == {"Quarantined", "Repeated"}


def test_a_batch_without_quotes_has_no_latency() -> None:
    assert "EndToEndSeconds" not in metrics.processed(Report(), RECORD, None, seconds=0.1, now=NOW)


def test_a_failed_batch_is_counted_with_its_reason() -> None:
    line = metrics.failed("DynamoDB is away", RECORD, RULES, records=4, now=NOW)
    assert (line["level"], line["BatchesFailed"], line["reason"]) == ("WARNING", 1, "DynamoDB is away")


def test_every_line_of_a_batch_names_the_version_of_its_rules() -> None:
    lines = (
        metrics.processed(Report(), RECORD, RULES, seconds=0.1, now=NOW),
        metrics.failed("DynamoDB is away", RECORD, RULES, records=4, now=NOW),
    )
    for line in lines:
        assert (line["rules"], line["rules_version"]) == (RULES.digest, RULES.version)
        assert "RulesRefused" not in line
        assert "rules_problem" not in line


def test_rules_that_are_not_the_newest_are_counted_with_the_reason() -> None:
    line = metrics.processed(Report(), RECORD, replace(RULES, problem="rule 1: " + "x" * 9_999), seconds=0.1, now=NOW)
    assert line["RulesRefused"] == 1
    assert {"Name": "RulesRefused", "Unit": "Count"} in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    assert line["rules_problem"].startswith("rule 1: xxx")
    assert len(line["rules_problem"]) == metrics.MAX_PROBLEM
