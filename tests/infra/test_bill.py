"""The bill's assumptions about the templates are true."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from backfill.charts import limit_of
from bars.keys import ONE_MINUTE, bar_keys
from compaction.bar_ranges import LATE
from costs import bill, history, prices, viewers
from costs.expected_usage import Setup
from deployment.stacks import ON_REQUEST
from operations.dynamodb import DynamoBarTable
from processor_lambda import metrics
from processor_lambda.alerts import Rules, RulesInUse
from processor_lambda.records import Record
from producer_service.settings import VARIABLES, Settings
from tests.support.reports import busiest
from tests.support.templates import default, properties, resources
from watchlist import SYNTHETIC_SYMBOLS
from yahoo_requests.chart_client import CHARTS_PER_SECOND

NOW = datetime(2026, 11, 25, tzinfo=UTC)
RECORD = Record(stream="s", shard="0", sequence_number=1, partition_key="k", arrival=NOW, data=b"")
REFUSED = RulesInUse(Rules(()), "", "", problem="wrong")


def test_the_bill_counts_the_alarms_dashboards_keys_and_metrics_of_the_templates() -> None:
    kinds = Counter(resource["Type"] for _, _, resource in resources())
    lines = (
        metrics.processed(busiest(NOW), RECORD, REFUSED, seconds=1, now=NOW),
        metrics.failed("", RECORD, REFUSED, records=1, now=NOW),
    )
    named = {each["Name"] for line in lines for of in line["_aws"]["CloudWatchMetrics"] for each in of["Metrics"]}
    of_the_api = Counter(resource["Type"] for template, _, resource in resources() if template in ON_REQUEST)
    of_the_history = Counter(resource["Type"] for template, _, resource in resources() if template == "history")
    assert kinds["AWS::CloudWatch::Alarm"] == bill.ALARMS + history.ALARMS + viewers.ALARMS
    assert of_the_history["AWS::CloudWatch::Alarm"] == history.ALARMS
    assert of_the_api["AWS::CloudWatch::Alarm"] == viewers.ALARMS
    assert default("query", "QueryMemorySize") == viewers.FUNCTION_MB
    assert kinds["AWS::CloudWatch::Dashboard"] == bill.DASHBOARDS
    assert kinds["AWS::KMS::Key"] == bill.CUSTOMER_KEYS
    assert 4 * kinds["AWS::ApplicationAutoScaling::ScalingPolicy"] == bill.SCALING_ALARMS
    filters = {
        each["MetricName"]
        for _, _, resource in resources("AWS::Logs::MetricFilter")
        for each in resource["Properties"]["MetricTransformations"]
    }
    of_tasks = history.RARE_METRICS.union(history.METRICS)
    assert named | filters > bill.RARE_METRICS | of_tasks
    assert len((named | filters) - bill.RARE_METRICS - of_tasks) == bill.METRICS


def test_the_defaults_of_the_bill_are_those_of_the_templates() -> None:
    setup = Setup(symbols=1, interval_seconds=1, lanes=1, shards=1)
    plan = bill.Plan(hours="always")
    assert (setup.batch_size, setup.window_seconds, setup.memory_mb, setup.resolution) == tuple(
        default("processor", name) for name in ("BatchSize", "BatchingWindowSeconds", "MemorySize", "RowResolution")
    )
    assert (plan.row_days, plan.bar_days, plan.log_days, plan.architecture) == tuple(
        default("processor", name) for name in ("QuoteTtlDays", "BarTtlDays", "LogRetentionDays", "Architecture")
    )
    assert (plan.archive_days, plan.cold_after_days) == tuple(
        default("storage", name) for name in ("ArchiveExpireAfterDays", "ArchiveColdAfterDays")
    )
    assert (int(plan.task_vcpu * 1024), int(plan.task_gb * 1024)) == tuple(
        int(default("producer", name)) for name in ("Cpu", "Memory")
    )
    assert (int(history.COMPACT_VCPU * 1024), int(history.COMPACT_GB * 1024)) == tuple(
        int(default("history", name)) for name in ("CompactCpu", "CompactMemory")
    )
    task = properties("history", "BackfillTask")
    assert (int(history.BACKFILL_VCPU * 1024), int(history.BACKFILL_GB * 1024)) == (
        int(task["Cpu"]),
        int(task["Memory"]),
    )
    assert pytest.approx(CHARTS_PER_SECOND) == 1 / history.SECONDS_A_CHART
    assert timedelta(days=history.BACKFILL_DAYS) == limit_of(ONE_MINUTE).kept
    assert timedelta(days=history.COMPACT_DAYS) == LATE + timedelta(days=1)
    assert DynamoBarTable(None, "bars").query("AAPL", bar_keys(ONE_MINUTE))["ConsistentRead"] is True
    assert plan.history is (default("history", "History") == "on")
    assert float(VARIABLES["PRODUCER_WATCHLIST_SECONDS"][0]) == bill.WATCHLIST_SECONDS
    assert default("processor", "AlertTtlDays") == bill.ALERT_DAYS
    assert plan.tables == "on-demand"
    assert default("capacity", "CapacityTargetPercent") == 100 * bill.UTILISATION
    for kind, least in (("Read", bill.LEAST_READ_CAPACITY), ("Write", bill.LEAST_WRITE_CAPACITY)):
        assert {default("storage", f"{table}{kind}Capacity") for table in ("Quotes", "Bars", "State")} == {least}


def test_a_deployment_with_defaults_does_not_reach_the_notice_of_its_budget() -> None:
    setup = Setup(
        symbols=len(SYNTHETIC_SYMBOLS),
        interval_seconds=Settings.model_fields["poll_interval_seconds"].default,
        lanes=Settings.model_fields["lanes"].default,
        shards=default("stream", "ShardCount"),
    )
    enough = bill.budget_for(bill.bill(setup, bill.Plan(hours="always"), prices.read()).usd)
    assert enough <= default("operators", "MonthlyBudgetUsd") <= 1.3 * enough
    notices = [entry["Notification"] for entry in properties("operators", "Budget")["NotificationsWithSubscribers"]]
    assert min(notice["Threshold"] for notice in notices) == 100 * bill.BUDGET_NOTICE
