"""The templates on LocalStack, beside the stacks that compose deployed.

Its community edition has no ECR, ECS, Glue and Athena, and its CloudFormation no Fn::Cidr: registry, network, producer
and analytics are deployed to MiniStack alone, by tests/integration.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.deployer import Deployment
from deployment.stacks import PIPELINE
from tests.e2e.stack import Stack
from tests.support.handler_zips import handler_zip

pytestmark = pytest.mark.e2e

STACKS = (*PIPELINE, "operators", "observability", "producer-alarms")
# What the stacks that LocalStack cannot make would put out, and nothing to spend.
PARAMETERS = {
    "MonthlyBudgetUsd": "0",
    "MappingState": "Disabled",
    "ClusterName": "cluster",
    "ClusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/cluster",
    "ServiceName": "service",
    "ServiceArn": "arn:aws:ecs:us-east-1:000000000000:service/cluster/service",
    "ProducerLogGroup": "/stockstream/producer",
}


def test_stacks_are_previewed_made_left_as_they_are_changed_and_gone_again(stack: Stack, tmp_path: Path) -> None:
    idle = handler_zip(tmp_path)
    client = stack.session.client
    client("logs").create_log_group(logGroupName=PARAMETERS["ProducerLogGroup"])
    reports: list[str] = []
    deployment = Deployment(
        client("cloudformation"), client("s3"), "templates", reports.append, stacks=STACKS, tags={"stage": "e2e"}
    )
    assert all(lines for lines in deployment.preview({"processor": idle}, PARAMETERS).values())

    outputs = deployment.deploy({"processor": idle}, PARAMETERS)
    assert outputs["StreamName"] in client("kinesis").list_streams()["StreamNames"]

    reports.clear()
    assert deployment.deploy({"processor": idle}, PARAMETERS) == outputs
    assert [line for line in reports if "updating" in line or "creating" in line] == []

    deployment.deploy({"processor": idle}, PARAMETERS | {"RetentionHours": "48"})
    assert [line for line in reports if "updating" in line] == ["updating templates-stream"]

    deployment.destroy()
    left = client("cloudformation").describe_stacks()["Stacks"]  # LocalStack lists what is deleted too
    statuses = {one["StackStatus"] for one in left if one["StackName"].startswith("templates-")}
    assert statuses <= {"DELETE_COMPLETE"}
