"""What a deployment may not do by accident, judged from the lines of a preview and the parameters."""

from __future__ import annotations

from typing import Any

import pytest

from deployment.changes import ResourceChange
from deployment.guards import network_refusal, protection, stops
from tests.support.templates import ALL

RUNNING = {"DesiredCount": "1", "MappingState": "Enabled", "Network": "public", "NatGateway": "true"}


def change(action: str, resource: str, kind: str, **more: Any) -> ResourceChange:
    return ResourceChange.of({"Action": action, "LogicalResourceId": resource, "ResourceType": kind, **more})


def modify(resource: str, kind: str, replacement: str) -> ResourceChange:
    return change("Modify", resource, kind, Replacement=replacement)


STREAM = "AWS::Kinesis::Stream"


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (change("Add", "Stream", STREAM), "add Stream (AWS::Kinesis::Stream)"),
        (modify("Stream", STREAM, "False"), "modify Stream (AWS::Kinesis::Stream)"),
        (modify("Stream", STREAM, "True"), "replace Stream (AWS::Kinesis::Stream)"),
        (modify("Stream", STREAM, "Conditional"), "modify, or replace, Stream (AWS::Kinesis::Stream)"),
        (
            change("Remove", "Quotes", "AWS::DynamoDB::Table", PolicyAction="Retain"),
            "remove Quotes (AWS::DynamoDB::Table) and keep what is there",
        ),
    ],
)
def test_a_change_is_a_line_for_people(made: ResourceChange, line: str) -> None:
    assert made == line


@pytest.mark.parametrize(
    "made",
    [
        modify("Stream", STREAM, "True"),
        change("Remove", "Stream", STREAM),
        modify("State", "AWS::DynamoDB::Table", "True"),
        modify("State", "AWS::DynamoDB::Table", "Conditional"),
        modify("Archive", "AWS::S3::Bucket", "True"),
        change("Remove", "Mapping", "AWS::Lambda::EventSourceMapping"),
        modify("Mapping", "AWS::Lambda::EventSourceMapping", "True"),
    ],
)
def test_a_stream_table_bucket_or_mapping_that_goes_stops_the_stream(made: ResourceChange) -> None:
    (line,) = stops({"prod-x": ("ShardCount: 1 → 2", made)}, RUNNING, {})
    assert line.startswith(f"prod-x: {made}: ")


@pytest.mark.parametrize(
    "made",
    [
        change("Add", "Stream", STREAM),
        modify("Stream", STREAM, "False"),
        modify("Stream", STREAM, "Conditional"),
        modify("Code", "AWS::S3::Bucket", "True"),
        modify("Mapping", "AWS::Lambda::EventSourceMapping", "Conditional"),
        change("Remove", "Results", "AWS::S3::Bucket"),
        modify("TaskDefinition", "AWS::ECS::TaskDefinition", "True"),
    ],
)
def test_other_changes_do_not_stop_the_stream(made: ResourceChange) -> None:
    assert stops({"prod-x": ("MappingState: Enabled → Disabled", made)}, RUNNING, {}) == ()


def test_another_mode_replaces_the_mapping_and_stops_nothing_else() -> None:
    replaced = modify("Mapping", "AWS::Lambda::EventSourceMapping", "True")
    previews = {"prod-processor": (replaced, modify("State", "AWS::DynamoDB::Table", "True"))}
    for held, wanted in (({}, "fast"), ({"Latency": "fast"}, "cheap")):
        (line,) = stops(previews, RUNNING | held, {"Latency": wanted})
        assert "State" in line
        assert len(stops(previews, RUNNING | held, dict(held))) == len(previews["prod-processor"])
    removed = {"prod-processor": (change("Remove", "Mapping", "AWS::Lambda::EventSourceMapping"),)}
    assert len(stops(removed, RUNNING, {})) == 1


@pytest.mark.parametrize("value", [{"DesiredCount": "0"}, {"MappingState": "Disabled"}])
def test_a_parameter_that_stops_a_program_stops_the_stream_once(value: dict[str, str]) -> None:
    ((name, wanted),) = value.items()
    (line,) = stops({}, RUNNING, value)
    assert line.startswith(f"{name}={wanted}: ")
    assert stops({}, RUNNING | value, value) == ()
    assert stops({}, {}, value) == ()


@pytest.mark.parametrize("value", [{"StreamMode": "ON_DEMAND"}, {"ShardCount": "2"}, {"DesiredCount": "1"}])
def test_a_parameter_that_only_changes_capacity_stops_nothing(value: dict[str, str]) -> None:
    held = RUNNING | {"DesiredCount": "0", "StreamMode": "PROVISIONED", "ShardCount": "1"}
    assert stops({}, held, value) == ()


@pytest.mark.parametrize("value", [{"Network": "private"}, {"NatGateway": "false"}])
def test_a_network_does_not_change_under_a_running_task(value: dict[str, str]) -> None:
    ((name, wanted),) = value.items()
    refusal = network_refusal((), RUNNING, value, "prod")
    assert refusal is not None
    assert [line.strip() for line in refusal.splitlines()[1:]] == [
        f'make deploy STAGE=prod PARAMETERS="DesiredCount=0 {name}={RUNNING[name]}"',
        f'make deploy STAGE=prod PARAMETERS="DesiredCount=0 {name}={wanted}"',
        f'make deploy STAGE=prod PARAMETERS="DesiredCount=1 {name}={wanted}"',
    ]
    assert network_refusal((), RUNNING, value | {"DesiredCount": "0"}, "prod"), "the task still runs at the change"


@pytest.mark.parametrize(
    "made", [modify("PublicSubnetA", "AWS::EC2::Subnet", "True"), change("Remove", "Nat", "AWS::EC2::NatGateway")]
)
def test_subnets_of_a_new_template_do_not_replace_those_of_a_running_task(made: ResourceChange) -> None:
    refusal = network_refusal((made,), RUNNING, {}, "prod")
    assert refusal is not None
    assert made in refusal
    assert "# in the version that is deployed now" in refusal.splitlines()[1]


def test_a_network_changes_while_no_task_runs() -> None:
    replaced = modify("PublicSubnetA", "AWS::EC2::Subnet", "True")
    assert network_refusal((replaced,), RUNNING | {"DesiredCount": "0"}, {"Network": "private"}, "prod") is None
    assert network_refusal((replaced,), {}, {"Network": "private"}, "prod") is None


def test_a_network_that_stays_or_only_grows_is_no_change() -> None:
    added = change("Add", "KinesisEndpoint", "AWS::EC2::VPCEndpoint")
    assert network_refusal((added,), RUNNING, {"Network": "public", "VpcCidr": "10.90.0.0/24"}, "prod") is None


@pytest.mark.parametrize(
    ("named", "held", "stage", "expected"),
    [
        (None, None, "prod", "true"),
        (None, None, "dev", "false"),
        ("false", "true", "prod", "false"),
        (None, "false", "prod", "false"),
        (None, "true", "dev", "true"),
        (None, "once-created", "prod", "true"),
    ],
)
def test_stages_other_than_dev_are_protected(named: str | None, held: str | None, stage: str, expected: str) -> None:
    assert protection(named, held, stage) == expected


def test_the_guarded_parameters_exist() -> None:
    known = {name for template in ALL.values() for name in template.get("Parameters", {})}
    assert RUNNING.keys() <= known
    tables = [
        one["Properties"]
        for name, one in ALL["storage"]["Resources"].items()
        if one["Type"] == "AWS::DynamoDB::Table" and name != "Calendars"  # its content is written again
    ]
    assert len(tables) == 4
    assert all(table["DeletionProtectionEnabled"] == {"Fn::If": ["Protected", True, False]} for table in tables)
    assert ALL["storage"]["Parameters"]["DeletionProtection"]["AllowedValues"] == ["true", "false", "once-created"]
