"""Deploys templates to LocalStack, in addition to the stacks that compose deployed.

LocalStack's community edition has no ECR, ECS, Glue or Athena, and its CloudFormation does not support Fn::Cidr. So
tests/integration deploys registry, network, producer and analytics to MiniStack only.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.deployer import Deployment
from deployment.functions import FUNCTIONS
from deployment.stacks import PIPELINE
from tests.e2e.stack import Stack
from tests.support.handler_zips import handler_zip

pytestmark = pytest.mark.e2e

STACKS = (*PIPELINE, "operators", "observability", "producer-alarms")
# Values in place of the outputs of stacks that LocalStack cannot create. A budget of 0 creates no budget.
PARAMETERS = {
    "MonthlyBudgetUsd": "0",
    "MappingState": "Disabled",
    "ClusterName": "cluster",
    "ClusterArn": "arn:aws:ecs:us-east-1:000000000000:cluster/cluster",
    "ServiceName": "service",
    "ServiceArn": "arn:aws:ecs:us-east-1:000000000000:service/cluster/service",
    "ProducerLogGroup": "/stockstream/producer",
}


def test_stacks_are_previewed_created_left_alone_updated_and_deleted(stack: Stack, tmp_path: Path) -> None:
    zips = dict.fromkeys(FUNCTIONS, handler_zip(tmp_path))
    client = stack.session.client
    client("logs").create_log_group(logGroupName=PARAMETERS["ProducerLogGroup"])
    reports: list[str] = []
    deployment = Deployment(
        client("cloudformation"), client("s3"), "templates", reports.append, stacks=STACKS, tags={"stage": "e2e"}
    )
    assert all(lines for lines in deployment.preview(zips, PARAMETERS).values())

    outputs = deployment.deploy(zips, PARAMETERS)
    assert outputs["StreamName"] in client("kinesis").list_streams()["StreamNames"]

    reports.clear()
    assert deployment.deploy(zips, PARAMETERS) == outputs
    assert [line for line in reports if "updating" in line or "creating" in line] == []

    deployment.deploy(zips, PARAMETERS | {"RetentionHours": "48"})
    assert [line for line in reports if "updating" in line] == ["updating templates-stream"]

    deployment.destroy()
    remaining = client("cloudformation").describe_stacks()["Stacks"]  # LocalStack also lists deleted stacks
    statuses = {one["StackStatus"] for one in remaining if one["StackName"].startswith("templates-")}
    assert statuses <= {"DELETE_COMPLETE"}
