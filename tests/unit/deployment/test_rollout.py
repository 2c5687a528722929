"""The rollout of the function: every change of the function is a new release, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from botocore.validate import ParamValidator

from deployment.cloudformation import Template
from deployment.parameters import declared
from deployment.rollout import (
    MAPPING_PARAMETERS,
    NO_WATCH,
    RELEASE,
    WATCH_MINUTES,
    alarms_after_rollback,
    released,
    rollback_configuration,
)
from deployment.stack_events import rollback_reason
from deployment.waiting import Wait
from tests.support.templates import ALL, PATHS

BODY = PATHS["processor"].read_text(encoding="utf-8")
PARAMETERS = declared(BODY)
IN_THE_ROLE_FOR_THE_MAPPING = {"Latency", "ConsumerArn"}
"""They reach the function only through its role, which lets Lambda read the stream."""
VALUES = {name: f"value-of-{name}" for name, one in PARAMETERS.items() if one.default is None and name != RELEASE}


def template(body: str = BODY, **values: str) -> Template:
    return Template(body, VALUES | values, keeps=frozenset(PARAMETERS))


def deployed(values: dict[str, str], status: str = "UPDATE_COMPLETE") -> dict[str, Any]:
    """The stack with these values, as DescribeStacks returns it."""
    values = {name: one.default for name, one in PARAMETERS.items() if one.default is not None} | values
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    return {"StackName": "s", "StackStatus": status, "Parameters": parameters}


@pytest.fixture
def stack() -> dict[str, Any]:
    """The stack after a deployment of `template()`."""
    return deployed(dict(released(template(), None, "first").values))


def release(template: Template, stack: dict[str, Any] | None) -> str:
    return released(template, stack, "again").values[RELEASE]


def needed_by(name: str) -> set[str]:
    """The parameters that are words of a resource, or of the resources and conditions that it names in turn."""
    template = ALL["processor"]
    texts = template["Conditions"] | {key: one["Properties"] for key, one in template["Resources"].items()}
    texts |= dict.fromkeys(template["Parameters"])
    found: set[str] = set()
    new = {name}
    while new:
        found |= new
        words = {word for one in new for word in re.findall(r"\w+", json.dumps(texts[one]))}
        new = (words & texts.keys()) - found
    return found & set(template["Parameters"])


def test_every_parameter_that_reaches_the_function_makes_a_new_release(stack: dict[str, Any]) -> None:
    needed = needed_by("Function") - {RELEASE} - IN_THE_ROLE_FOR_THE_MAPPING
    assert {"CodeKey", "MemorySize", "AnomalyPercent", "StateTable", "ReservedConcurrency", "StreamArn"} <= needed
    before = release(template(), stack)
    unchanged = {name for name in needed if release(template(**{name: "another"}), stack) == before}
    assert unchanged == set()


@pytest.mark.parametrize("key", sorted(ALL["processor"]["Resources"]["Function"]["Properties"]))
def test_every_property_of_the_function_makes_a_new_release(stack: dict[str, Any], key: str) -> None:
    assert BODY.count(f"\n      {key}: ") + BODY.count(f"\n      {key}:\n") >= 1
    edited = BODY.replace(f"\n      {key}:", f"\n      {key}: # edited", 1)
    assert release(template(edited), stack) != release(template(), stack)


def test_a_layer_added_to_the_function_makes_a_new_release(stack: dict[str, Any]) -> None:
    edited = BODY.replace("      Runtime: python3.13\n", "      Runtime: python3.13\n      Layers: [layer]\n")
    assert release(template(edited), stack) != release(template(), stack)


def test_parameters_of_the_mapping_alone_make_no_new_release(stack: dict[str, Any]) -> None:
    assert needed_by("Function") & MAPPING_PARAMETERS == IN_THE_ROLE_FOR_THE_MAPPING
    assert PARAMETERS.keys() > MAPPING_PARAMETERS
    now = release(template(MappingState="Disabled", BatchSize="7", Latency="fast", ConsumerArn="arn"), stack)
    assert now == release(template(), None).replace("again", "first")


def test_the_same_function_keeps_its_release(stack: dict[str, Any]) -> None:
    assert release(template(), stack).endswith("-first")


def test_a_value_that_nobody_names_counts_as_it_is_deployed(stack: dict[str, Any]) -> None:
    changed = deployed(dict(released(template(MemorySize="1024"), stack, "second").values))
    assert release(template(), changed).endswith("-second")
    assert release(replace(template(), keeps=frozenset(PARAMETERS) - {"MemorySize"}), changed).endswith("-again")


def test_a_release_that_was_rolled_back_is_published_anew(stack: dict[str, Any]) -> None:
    first = released(template(CodeKey="bad"), stack, "one").values[RELEASE]
    again = released(template(CodeKey="bad"), stack, "two").values[RELEASE]
    assert first != again
    assert first.partition("-")[0] == again.partition("-")[0]


def test_the_value_fits_the_template() -> None:
    assert PARAMETERS[RELEASE].problem(release(template(), None)) is None


def alarm(name: str, state: str) -> dict[str, str]:
    return {"AlarmName": name, "AlarmArn": f"arn:{name}", "StateValue": state}


def test_alarms_that_are_quiet_watch_the_release() -> None:
    reports: list[str] = []
    watched = rollback_configuration([alarm("a", "OK"), alarm("b", "INSUFFICIENT_DATA")], 10, reports.append)
    triggers = [{"Arn": f"arn:{name}", "Type": "AWS::CloudWatch::Alarm"} for name in ("a", "b")]
    assert watched == {"RollbackTriggers": triggers, "MonitoringTimeInMinutes": 10}
    assert reports == ["alarms that can roll the new release back within 10 minutes: 2"]


def test_an_alarm_that_fires_already_does_not_roll_back_the_deployment_that_ends_it() -> None:
    reports: list[str] = []
    watched = rollback_configuration([alarm("a", "ALARM"), alarm("b", "OK")], 10, reports.append)
    assert [trigger["Arn"] for trigger in watched["RollbackTriggers"]] == ["arn:b"]
    assert reports[0] == "a fires already, so it cannot roll this deployment back"


def test_without_a_quiet_alarm_nothing_waits_and_the_alarms_of_the_last_update_are_dropped() -> None:
    assert rollback_configuration([alarm("a", "ALARM")], 10, lambda _: None) == NO_WATCH
    assert rollback_configuration([], 10, lambda _: None) == {"RollbackTriggers": [], "MonitoringTimeInMinutes": 0}
    validate(rollback_configuration([alarm("a", "OK")], WATCH_MINUTES, lambda _: None))


def looks(*states: str) -> Callable[[], list[Mapping[str, Any]]]:
    """Shows an alarm in one state after the other, and then in the last one for ever."""
    left = list(states)
    return lambda: [alarm("a", left.pop(0) if len(left) > 1 else left[0])]


def test_after_a_rollback_the_alarms_that_caused_it_watch_the_next_release_too() -> None:
    reports: list[str] = []
    wait = Wait(pause=lambda _: None)
    (found,) = alarms_after_rollback(looks("ALARM", "ALARM", "ALARM", "OK"), wait, reports.append)
    assert found["StateValue"] == "OK"
    assert reports == ["waiting until the alarms are quiet again that rolled the last release back"]


def test_an_alarm_about_the_present_release_is_not_waited_for_without_end() -> None:
    wait = Wait(pause=lambda _: None, clock=map(float, count(step=60)).__next__)
    (found,) = alarms_after_rollback(looks("ALARM"), wait, lambda _: None)
    assert found["StateValue"] == "ALARM"


def test_quiet_alarms_are_not_waited_for() -> None:
    reports: list[str] = []
    alarms_after_rollback(looks("OK"), Wait(pause=lambda _: None), reports.append)
    assert reports == []


def validate(configuration: Mapping[str, Any]) -> None:
    """Raise an error if the SDK would refuse the request of an update with this configuration."""
    client = boto3.client("cloudformation", region_name="us-east-1")
    shape = client.meta.service_model.operation_model("UpdateStack").input_shape
    request = replace(template(), rollback=configuration).request() | {"StackName": "s"}
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def event(status: str, resource: str = "id", reason: str | None = None) -> dict[str, Any]:
    found = {"StackId": "id", "EventId": "1", "StackName": "s", "Timestamp": datetime(2026, 11, 25, tzinfo=UTC)}
    return found | {"PhysicalResourceId": resource, "ResourceStatus": status, "ResourceStatusReason": reason or "-"}


@pytest.mark.parametrize(
    ("newest_first", "reason"),
    [
        (["UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS"], "the alarm fired"),
        (["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"], None),
        ([], None),
    ],
    ids=["rolled back", "an earlier update was", "no events"],
)
def test_the_reason_of_a_rollback_is_that_of_the_last_update(newest_first: list[str], reason: str | None) -> None:
    client: Any = boto3.client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
    )
    events = [
        event("UPDATE_IN_PROGRESS", "function"),
        *(event(status, reason="the alarm fired") for status in newest_first),
    ]
    with Stubber(client) as stubber:
        stubber.add_response("describe_stack_events", {"StackEvents": events})
        assert rollback_reason(client, "id") == reason
