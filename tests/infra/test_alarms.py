"""Alarms, rules and dashboards: their metrics exist, and each alarm has a section of the runbook."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployment.rollout import WATCH_MINUTES, WATCHED
from processor_lambda import metrics
from processor_lambda.alerts import Rules, RulesInUse
from processor_lambda.records import Record
from producer_service.poll_report import PollReport
from tests.support.event_patterns import matches
from tests.support.reports import busiest
from tests.support.templates import ALL, as_list, default, properties, resources

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ALARMS = {name: (template, alarm["Properties"]) for template, name, alarm in resources("AWS::CloudWatch::Alarm")}
RULES = {name: (template, rule["Properties"]) for template, name, rule in resources("AWS::Events::Rule")}
LATE = {"BackfillLate", "CompactionLate"}
MUTED_BY_A_PAUSE = {"ProducerSilent", "ProcessorIdle", "NoQuotesAccepted", "ProducerRestarting"}


def emitted() -> set[str]:
    """The metrics in the log lines of the function."""
    now = datetime(2026, 11, 25, tzinfo=UTC)
    record = Record(
        stream="quotes", shard="shardId-000000000000", sequence_number=1, partition_key="", arrival=now, data=b""
    )
    refused = RulesInUse(Rules(()), "", "", problem="wrong")
    lines = (
        metrics.processed(busiest(now), record, refused, seconds=1, now=now),
        metrics.failed("throttled", record, refused, records=1, now=now),
    )
    return {one["Name"] for line in lines for one in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}


# For each namespace, the metrics that exist there, and their dimensions.
METRICS: dict[str, tuple[set[str], set[str]]] = {
    # From the function's log, in the embedded metric format.
    metrics.NAMESPACE: (emitted(), {metrics.DIMENSION}),
    # From metric filters of the logs of the producer and of the history's tasks, and of the API's access log.
    "Stockstream/${AWS::StackName}": (
        {
            *("Accepted", "Starts", "ThrottledRequests", "WatchlistUnusable"),
            *("BackfillsDone", "BackfillsFailed", "CompactionsDone", "CompactionsFailed", "CountsDiffer"),
        },
        set(),
    ),
    "AWS/Lambda": ({"Invocations", "Errors", "Throttles", "IteratorAge", "Duration"}, {"FunctionName"}),
    "AWS/Kinesis": ({"IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"}, {"StreamName"}),
    "AWS/DynamoDB": ({"WriteThrottleEvents", "ConsumedWriteCapacityUnits"}, {"TableName"}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
    "AWS/ApiGateway": ({"4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"}, {"ApiId"}),
    "AWS/Events": ({"FailedInvocations"}, {"RuleName"}),
    "AWS/Scheduler": ({"InvocationDroppedCount"}, {"ScheduleGroup"}),
    "AWS/ECS": ({"CPUUtilization", "MemoryUtilization"}, {"ServiceName", "ClusterName"}),
}


def text_of(value: Any) -> str:
    """A string of a template, or the text of its Fn::Sub."""
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


def sections() -> set[str]:
    return {heading.lower() for heading in re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)}


@pytest.mark.parametrize("name", ALARMS)
class TestAlarm:
    def test_watches_a_metric_that_exists(self, name: str) -> None:
        _, alarm = ALARMS[name]
        known, dimensions = METRICS[text_of(alarm["Namespace"])]
        assert alarm["MetricName"] in known
        assert {dimension["Name"] for dimension in alarm.get("Dimensions", [])} == dimensions

    def test_says_when_it_begins_and_when_it_ends(self, name: str) -> None:
        _, alarm = ALARMS[name]
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "OperatorsTopicArn"}]

    def test_names_its_section_of_the_runbook(self, name: str) -> None:
        _, alarm = ALARMS[name]
        description = alarm["AlarmDescription"]["Fn::Sub"]
        assert re.fullmatch(r"[A-Z].*\. See \$\{RunbookUrl\}#\w+", description)
        assert description.rpartition("#")[2] in sections()

    def test_says_what_missing_data_means(self, name: str) -> None:
        _, alarm = ALARMS[name]
        silent = {"ProducerSilent", "ProcessorIdle"}
        idle = {"QuarantineNotEmpty"}  # SQS publishes no metrics of an idle queue, whatever it holds
        meanings = dict.fromkeys(silent, "breaching") | dict.fromkeys(idle, "ignore") | dict.fromkeys(LATE, "missing")
        assert alarm["TreatMissingData"] == meanings.get(name, "notBreaching")

    def test_says_that_data_have_stopped_if_that_is_its_news(self, name: str) -> None:
        _, alarm = ALARMS[name]
        assert alarm.get("InsufficientDataActions") == ([{"Ref": "OperatorsTopicArn"}] if name in LATE else None)

    def test_is_muted_while_the_producer_is_paused_if_the_pause_would_raise_it(self, name: str) -> None:
        _, alarm = ALARMS[name]
        muted = {"Fn::If": ["Running", True, False]}
        assert alarm.get("ActionsEnabled", True) == (muted if name in MUTED_BY_A_PAUSE else True)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_notifies_operators_with_the_reason(name: str) -> None:
    _, rule = RULES[name]
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "OperatorsTopicArn"}
    transformer = target["InputTransformer"]
    template = transformer["InputTemplate"]["Fn::Sub"]
    assert set(re.findall(r"<(\w+)>", template)) == transformer["InputPathsMap"].keys()
    link = json.loads(template).rpartition(" ")[2]
    assert link.startswith("${RunbookUrl}#")
    assert link.partition("#")[2] in sections()


def test_every_known_problem_has_an_alarm_or_a_rule() -> None:
    assert ALARMS.keys() | RULES.keys() == {
        *("ProcessorBehind", "ProcessorIdle", "FunctionFailing", "FunctionThrottled", "BatchesFailing", "RulesRefused"),
        *(
            "LinesQuarantined",
            "QuarantineNotEmpty",
            "StreamThrottled",
            "QuotesThrottled",
            "BarsThrottled",
            "StateThrottled",
            "AlertsThrottled",
            "StateLarge",
        ),
        *("ProducerSilent", "NoQuotesAccepted", "ProducerRestarting", "TaskStopped", "DeploymentFailed"),
        *("TaskStoppedUndelivered", "DeploymentFailedUndelivered", "WatchlistUnusable"),
        *("StackDrifted", "StackDriftedUndelivered", "DriftUnchecked"),
        *("BackfillFailed", "BackfillLate", "CompactionFailed", "CompactionLate", "CountsDiffer"),
        *("HistoryTaskStopped", "HistoryTaskStoppedUndelivered", "HistoryUnstarted"),
        *("ApiFailing", "ApiSlow", "ApiThrottled", "QueryFailing", "QueryThrottled"),
    }


MONITORED = tuple(ALL["observability"]["Outputs"][name]["Value"]["Ref"] for name in WATCHED)


class TestAlarmsThatRollADeploymentBack:
    def test_the_producer_is_rolled_back_by_two_of_those_of_the_function(self) -> None:
        names = properties("producer", "Service")["DeploymentConfiguration"]["Alarms"]["AlarmNames"]
        assert [name["Ref"] for name in names] == ["QuarantineAlarm", "FunctionFailingAlarm"]
        assert {name["Ref"] for name in names} < set(WATCHED)

    def test_none_of_them_waits_for_the_metrics_of_an_idle_queue(self) -> None:
        assert MONITORED == ("LinesQuarantined", "FunctionFailing", "BatchesFailing")
        assert {ALARMS[name][1]["Namespace"] for name in MONITORED} == {metrics.NAMESPACE, "AWS/Lambda"}

    @pytest.mark.parametrize("name", MONITORED)
    def test_they_fire_while_the_function_is_watched(self, name: str) -> None:
        alarm = ALARMS[name][1]
        longest = alarm["Period"] * alarm["EvaluationPeriods"] / 60
        # A failing function that runs into its timeout of 2 minutes has an error in every second minute. Logs take
        # about a minute to become metrics, and an alarm is evaluated once a minute.
        assert longest + 2 < WATCH_MINUTES
        assert alarm["DatapointsToAlarm"] <= (alarm["EvaluationPeriods"] + 1) // 2
        assert default("processor", "TimeoutSeconds") <= 2 * alarm["Period"]

    @pytest.mark.parametrize("name", MONITORED)
    def test_without_data_they_do_not_fire(self, name: str) -> None:
        assert ALARMS[name][1]["TreatMissingData"] == "notBreaching"


def test_the_alarm_on_a_large_state_fires_before_dynamodb_refuses_it() -> None:
    assert default("observability", "LargestStateBytes") == 300_000
    assert ALL["observability"]["Parameters"]["LargestStateBytes"]["MaxValue"] <= 400_000


def test_the_log_filters_match_what_the_producer_logs() -> None:
    filters = {
        resource["Properties"]["FilterPattern"]: resource["Properties"]["MetricTransformations"][0]["MetricValue"]
        for template, _, resource in resources("AWS::Logs::MetricFilter")
        if template == "producer-alarms"
    }
    polls = '{ ($.event = "polled") && ($.trading IS TRUE) }'
    assert filters == {
        polls: "$.accepted",
        '{ $.event = "started" }': "1",
        '{ $.event = "watchlist_unusable" }': "1",
    }
    assert "accepted" in PollReport.__struct_fields__
    logged = "".join(
        (ROOT / "producer_service" / name).read_text() for name in ("polling.py", "daemon.py", "watchlist_watch.py")
    )
    assert re.search(r'log\.info\("polled", [^)]*trading=', logged)
    assert re.search(r'log\.info\(\s*"started"', logged)
    assert re.search(r'log\.warning\(\s*"watchlist_unusable"', logged)


class TestDashboard:
    @pytest.fixture
    def widgets(self) -> list[dict[str, Any]]:
        """The widgets of the only dashboard, with the alarms of the stack observability in it."""
        ((_, _, dashboard),) = resources("AWS::CloudWatch::Dashboard")
        separator, arns = ALL["observability"]["Outputs"]["AlarmArns"]["Value"]["Fn::Join"]
        alarms = separator.join(f"${{{'.'.join(arn['Fn::GetAtt'])}}}" for arn in arns)
        body = dashboard["Properties"]["DashboardBody"]["Fn::Sub"].replace("${AlarmArns}", alarms)
        found: list[dict[str, Any]] = json.loads(body)["widgets"]
        return found

    def metrics_of(self, widgets: list[dict[str, Any]]) -> list[list[Any]]:
        return [row for widget in widgets for row in widget["properties"].get("metrics", [])]

    def test_shows_metrics_that_exist(self, widgets: list[dict[str, Any]]) -> None:
        for namespace, metric, *rest in self.metrics_of(widgets):
            known, dimensions = METRICS[namespace]
            names = {name for name in rest if isinstance(name, str)}
            assert metric in known
            assert {name for name in names if not name.startswith("${")} == dimensions

    def test_every_metric_that_costs_money_is_shown_or_raises_an_alarm(self, widgets: list[dict[str, Any]]) -> None:
        seen = {(namespace, metric) for namespace, metric, *_ in self.metrics_of(widgets)}
        seen |= {(text_of(alarm["Namespace"]), alarm["MetricName"]) for _, alarm in ALARMS.values()}
        ours = {
            (namespace, name) for namespace, (names, _) in METRICS.items() for name in names if "AWS/" not in namespace
        }
        assert ours <= seen

    def test_shows_every_alarm_of_the_stage(self, widgets: list[dict[str, Any]]) -> None:
        (widget,) = [widget for widget in widgets if widget["type"] == "alarm"]
        alarms = [name for name, (where, _) in ALARMS.items() if where in ("observability", "producer-alarms")]
        assert sorted(widget["properties"]["alarms"]) == sorted(f"${{{name}.Arn}}" for name in alarms)

    def test_has_no_two_widgets_in_one_place(self, widgets: list[dict[str, Any]]) -> None:
        cells = [
            (x, y)
            for widget in widgets
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24


def allowed_to(service: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy that allow something to a service."""
    return [
        statement
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        and isinstance(statement["Principal"], dict)
        and service in as_list(statement["Principal"].get("Service", []))
    ]


def condition_keys(statement: dict[str, Any]) -> set[str]:
    return {key for keys in statement.get("Condition", {}).values() for key in keys}


class TestEventBridge:
    """EventBridge publishes to an encrypted topic without aws:SourceAccount and aws:SourceArn.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html: "Adding the aws:SourceAccount and aws:SourceArn
    to a AWS KMS policy is not supported for EventBridge-to-encrypted topics."
    """

    def test_no_key_policy_asks_eventbridge_for_a_key_of_conditions_that_it_does_not_send(self) -> None:
        sent = {"kms:EncryptionContext:aws:sns:topicArn"}
        statements = [
            statement
            for _, _, key in resources("AWS::KMS::Key")
            for statement in allowed_to("events.amazonaws.com", key["Properties"]["KeyPolicy"])
        ]
        assert statements
        for statement in statements:
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert condition_keys(statement) == sent

    def test_no_topic_policy_asks_eventbridge_for_anything(self) -> None:
        statements = [
            statement
            for _, _, policy in resources("AWS::SNS::TopicPolicy")
            for statement in allowed_to("events.amazonaws.com", policy["Properties"]["PolicyDocument"])
        ]
        assert statements
        assert [statement for statement in statements if "Condition" in statement] == []

    def test_its_statement_on_the_key_is_for_topics_of_this_stack(self) -> None:
        (statement,) = allowed_to("events.amazonaws.com", properties("operators", "Key")["KeyPolicy"])
        (pattern,) = statement["Condition"]["ArnLike"].values()
        # CloudFormation names a topic after its stack and its logical id.
        assert pattern == {"Fn::Sub": "arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-*"}

    def test_a_notice_that_it_cannot_deliver_raises_an_alarm(self) -> None:
        watched = {
            alarm["Dimensions"][0]["Value"]["Ref"]
            for _, alarm in ALARMS.values()
            if alarm["MetricName"] == "FailedInvocations"
        }
        assert watched == RULES.keys()


STOPPED_BY_A_DEPLOYMENT = "Scaling activity initiated by (deployment ecs-svc/1234567890123456789)"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("EssentialContainerExited", "Essential container in task exited"),
        ("TaskFailedToStart", "CannotPullContainerError: not found"),
        ("SpotInterruption", "Your Spot Task was interrupted."),
        ("TerminationNotice", "ECS is performing maintenance"),
        ("UserInitiated", "Task stopped by user"),
        ("ServiceSchedulerInitiated", "Task failed container health checks"),
    ],
)
def test_a_stop_is_announced_unless_a_deployment_stopped_the_task(code: str, reason: str) -> None:
    pattern = json.loads(json.dumps(properties("producer-alarms", "TaskStopped")["EventPattern"]))
    pattern["detail"]["clusterArn"] = ["arn"]
    detail = {"clusterArn": "arn", "lastStatus": "STOPPED", "stopCode": code, "stoppedReason": reason}
    replaced = {"stopCode": "ServiceSchedulerInitiated", "stoppedReason": STOPPED_BY_A_DEPLOYMENT}
    assert matches(pattern, detail)
    assert not matches(pattern, detail | replaced)
    assert not matches(pattern, detail | {"clusterArn": "another"})
    assert not matches(pattern, detail | {"lastStatus": "DEPROVISIONING"})


@pytest.mark.parametrize(
    ("stop", "exit_code", "is_announced"),
    [
        ("TaskFailedToStart", None, True),
        ("EssentialContainerExited", 0, False),
        ("EssentialContainerExited", 1, True),
        ("EssentialContainerExited", 2, True),
        ("EssentialContainerExited", 124, True),  # it reached its time limit
        ("EssentialContainerExited", 137, True),  # no memory, or it did not end within the time to stop
        ("EssentialContainerExited", 139, True),
        ("TerminationNotice", 130, False),  # it was asked to stop, and the next one goes on
    ],
)
def test_a_task_of_the_history_that_failed_is_announced(stop: str, exit_code: int | None, is_announced: bool) -> None:  # noqa: FBT001
    pattern = json.loads(json.dumps(properties("history", "HistoryTaskStopped")["EventPattern"]))
    assert pattern["detail"]["clusterArn"] == [{"Fn::GetAtt": ["Cluster", "Arn"]}]
    pattern["detail"]["clusterArn"] = ["arn"]
    containers = [{"name": "compact"} | ({} if exit_code is None else {"exitCode": exit_code})]
    detail = {"clusterArn": "arn", "lastStatus": "STOPPED", "stopCode": stop, "containers": containers}
    assert matches(pattern, detail) == is_announced
    assert not matches(pattern, detail | {"clusterArn": "another"})
    assert not matches(pattern, detail | {"lastStatus": "RUNNING"})


class TestOperators:
    def test_only_alarms_and_budgets_of_this_account_may_use_the_topic_and_its_key(self) -> None:
        services = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
        here = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        key = properties("operators", "Key")["KeyPolicy"]["Statement"]
        topic = properties("operators", "OperatorsPolicy")["PolicyDocument"]["Statement"]
        for statements, actions in ((key, ["kms:Decrypt", "kms:GenerateDataKey*"]), (topic, "sns:Publish")):
            (publishers,) = [statement for statement in statements if statement["Sid"] == "Publishers"]
            assert publishers["Principal"] == {"Service": services}
            assert publishers["Action"] == actions
            assert publishers["Condition"] == here

    def test_what_a_paging_address_does_not_take_is_kept(self) -> None:
        page = properties("operators", "Https")
        assert (page["Protocol"], page["Endpoint"]) == ("https", {"Ref": "OperatorsUrl"})
        assert page["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": ["Undelivered", "Arn"]}}
        (statement,) = allowed_to("sns.amazonaws.com", properties("operators", "UndeliveredPolicy")["PolicyDocument"])
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "Operators"}}}
        conditions = {ALL["operators"]["Resources"][name]["Condition"] for name in ("Https", "Undelivered")}
        assert conditions == {"Posting"}

    def test_the_budget_notifies_at_80_percent_and_when_the_forecast_exceeds_it(self) -> None:
        budget = properties("operators", "Budget")
        notifications = {
            (entry["Notification"]["NotificationType"], entry["Notification"]["Threshold"])
            for entry in budget["NotificationsWithSubscribers"]
        }
        assert notifications == {("ACTUAL", 80), ("FORECASTED", 100)}
        assert budget["Budget"]["BudgetLimit"]["Amount"] == {"Ref": "MonthlyBudgetUsd"}
