"""Drift detection: every stack is compared once a day, and only a difference that nobody intended is announced."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from deployment.stacks import ALL_STACKS, ON_REQUEST, REGISTRY
from tests.support.event_patterns import matches
from tests.support.templates import ALL, as_list, branches, default, properties, resources, statements

SCHEDULES = {
    name: resource["Properties"]
    for template, name, resource in resources("AWS::Scheduler::Schedule")
    if template == "drift"
}
NOT_FOR_READING = {"iam:PassRole", "glue:CreateTable", "kms:Decrypt"}
OF_FEATURES_THAT_ARE_NOT_USED = {
    "glue:GetConnection",
    "s3:getObject",
    "vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation",
}
CONTENTS = (
    *(
        "s3:GetObject",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "kinesis:GetRecords",
        "sqs:ReceiveMessage",
    ),
    *("sqs:ReceiveMessage", "logs:GetLogEvents", "logs:FilterLogEvents", "athena:GetQueryResults"),
    *("aps:QueryMetrics", "ecr:BatchGetImage"),
)


def inputs(schedule: dict[str, Any]) -> list[dict[str, Any]]:
    """What a schedule asks CloudFormation, in each branch of its condition."""
    return [json.loads(text["Fn::Sub"]) for text in branches(schedule["Target"]["Input"])]


def reads(kind: str) -> set[str]:
    """The actions with which CloudFormation reads a type of resource, by its schema. Empty if it cannot be compared."""
    # Imported here, because it takes two seconds in each process that collects tests.
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # noqa: PLC0415

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return set(schema.get("handlers", {}).get("read", {}).get("permissions", []))


WRITTEN_BY_A_TASK = {"views"}


def test_every_stack_that_only_cloudformation_changes_is_compared_once_a_day() -> None:
    assert default("drift", "DriftSchedule") == "rate(1 day)"
    assert {schedule["ScheduleExpression"]["Ref"] for schedule in SCHEDULES.values()} == {"DriftSchedule"}
    compared = [inputs(schedule)[0]["StackName"] for schedule in SCHEDULES.values()]
    own = [
        f"${{StackPrefix}}-{name}" for name in (*ALL_STACKS, *ON_REQUEST) if name not in {REGISTRY, *WRITTEN_BY_A_TASK}
    ]
    assert sorted(compared) == sorted(["${RegistryStack}", *own])


def test_a_stack_that_may_be_empty_is_compared_only_if_it_is_not() -> None:
    """AWS does not say what a detection answers for a stack without resources."""
    may_be_empty = {name for name in ALL_STACKS if all("Condition" in one for one in ALL[name]["Resources"].values())}
    assert may_be_empty == {"capacity", "consumer", "history", "subscriptions"}
    schedules = {
        inputs(one["Properties"])[0]["StackName"]: one
        for one in ALL["drift"]["Resources"].values()
        if one["Type"] == "AWS::Scheduler::Schedule"
    }
    conditions = {name: schedules[f"${{StackPrefix}}-{name}"]["Condition"] for name in may_be_empty}
    assert conditions == {
        "capacity": "LookingAtCapacity",
        "consumer": "LookingAtConsumer",
        "history": "LookingAtHistory",
        "subscriptions": "LookingAtSubscriptions",
    }
    declared = ALL["drift"]["Conditions"]
    assert declared["LookingAtCapacity"]["Fn::And"][1] == {"Condition": "Provisioned"}
    assert declared["LookingAtConsumer"]["Fn::And"][1] == {"Fn::Equals": [{"Ref": "Latency"}, "fast"]}
    assert declared["LookingAtHistory"]["Fn::And"][1] == {"Fn::Equals": [{"Ref": "History"}, "on"]}
    assert declared["LookingAtSubscriptions"]["Fn::And"][1] == {"Fn::Equals": [{"Ref": "AlertsSubscribed"}, "true"]}


def test_a_stack_on_request_is_compared_only_if_it_is_there() -> None:
    declared = ALL["drift"]["Resources"], ALL["drift"]["Conditions"]
    served = {"Ref": "Serve"}
    assert {name: declared[0][name]["Condition"] for name in ("ApiDrift", "WebDrift")} == {
        "ApiDrift": "LookingAtApi",
        "WebDrift": "LookingAtWeb",
    }
    assert declared[1]["LookingAtApi"]["Fn::And"][1] == {"Fn::Not": [{"Fn::Equals": [served, "nothing"]}]}
    assert declared[1]["LookingAtWeb"]["Fn::And"][1] == {"Fn::Equals": [served, "dashboard"]}


def test_a_schedule_calls_cloudformation_itself() -> None:
    targets = {json.dumps(schedule["Target"]["Arn"]) for schedule in SCHEDULES.values()}
    arn = "arn:${AWS::Partition}:scheduler:::aws-sdk:cloudformation:detectStackDrift"
    assert targets == {json.dumps({"Fn::Sub": arn})}
    assert all(schedule["Target"]["RoleArn"] == {"Fn::GetAtt": ["Role", "Arn"]} for schedule in SCHEDULES.values())
    assert all(schedule["GroupName"] == {"Ref": "Group"} for schedule in SCHEDULES.values())


def test_the_capacities_that_change_by_themselves_are_not_compared() -> None:
    provisioned, on_demand = inputs(SCHEDULES["StorageDrift"])
    assert "LogicalResourceIds" not in on_demand
    comparable = {
        name
        for name, resource in ALL["storage"]["Resources"].items()
        if reads(resource["Type"])
        and "Condition" not in resource
        and "ProvisionedThroughput" not in resource["Properties"]
    }
    assert set(provisioned["LogicalResourceIds"]) == comparable


def test_the_role_may_read_every_type_of_resource_that_is_compared() -> None:
    granted = {action for statement in statements("drift", "Role") for action in as_list(statement["Action"])}
    needed = {
        action
        for _, _, resource in resources()
        for action in reads(resource["Type"])
        if not action.startswith("lakeformation:")
    }
    missing = {action for action in needed if not any(fnmatchcase(action, pattern) for pattern in granted)}
    assert missing - NOT_FOR_READING - OF_FEATURES_THAT_ARE_NOT_USED == set()


def test_the_role_reads_no_contents_and_changes_nothing() -> None:
    granted = {action for statement in statements("drift", "Role") for action in as_list(statement["Action"])}
    assert [action for action in CONTENTS if any(fnmatchcase(action, pattern) for pattern in granted)] == []
    verbs = ("GET", "Batch", "Describe", "Detect", "Get", "List", "View")
    assert [action for action in granted if not action.partition(":")[2].startswith(verbs)] == []


@pytest.mark.parametrize(
    ("drift", "detection"), [("DRIFTED", "DETECTION_COMPLETE"), ("NOT_CHECKED", "DETECTION_FAILED")]
)
def test_drift_of_a_stack_of_the_stage_is_announced(drift: str, detection: str) -> None:
    here = "arn:aws:cloudformation:eu-west-1:123456789012:stack/stockstream-dev-"
    pattern = json.loads(json.dumps(properties("drift", "StackDrifted")["EventPattern"]))
    pattern["detail"]["stack-id"] = [{"prefix": here}]
    status = {"stack-drift-status": drift, "detection-status": detection}
    detail = {"stack-id": f"{here}stream/1", "status-details": status}
    assert matches(pattern, detail)
    in_progress = {"stack-drift-status": "UNKNOWN", "detection-status": "DETECTION_IN_PROGRESS"}
    in_sync = {"stack-drift-status": "IN_SYNC", "detection-status": "DETECTION_COMPLETE"}
    assert not matches(pattern, detail | {"status-details": in_progress})
    assert not matches(pattern, detail | {"status-details": in_sync})
    assert not matches(pattern, detail | {"stack-id": here.replace("dev", "prod") + "stream/1"})
