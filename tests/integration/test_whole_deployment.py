"""All stacks on the emulator: created, previewed, updated and deleted, also by the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from configuration import WATCHLIST_KEY
from deployment import zones
from deployment.compacted_views import without_compacted_views
from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.functions import ROOT
from deployment.guards import network_refusal
from deployment.latency import CHEAP, in_order
from deployment.service_roles import ECS_ROLE, make_ecs_role
from deployment.stacks import ALL_STACKS, Outputs
from replica.emulator import Emulator
from tests.support.handler_zips import handler_zip
from tests.support.whole_deployment import IMAGE, QUIET, templates_for_ministack, whole_deployment

TIMEOUT_SECONDS = 60.0


@pytest.fixture
def idle(tmp_path: Path) -> Path:
    return handler_zip(tmp_path)


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    return templates_for_ministack(tmp_path)


@pytest.fixture(scope="module")
def shared(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All stacks, for the tests that change none of them. `outputs` deploys them."""
    templates = templates_for_ministack(tmp_path_factory.mktemp("shared"))
    made = whole_deployment(emulator, "whole-shared", [], templates)
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def outputs(shared: Deployment, packages: dict[str, Path]) -> Outputs:
    """The outputs of the shared stacks, which are deployed once."""
    return shared.deploy(packages, QUIET)


@pytest.fixture
def deployment(
    emulator: Emulator, request: pytest.FixtureRequest, reports: list[str], templates: Path
) -> Iterator[Deployment]:
    prefix = "whole-" + request.node.name.removeprefix("test_").replace("_", "-")[:24].rstrip("-")
    made = whole_deployment(emulator, prefix, reports, templates)
    yield made
    made.destroy()


def stacks(emulator: Emulator, prefix: str) -> list[str]:
    found = emulator.client("cloudformation").describe_stacks()["Stacks"]
    return [stack["StackName"] for stack in found if stack["StackName"].startswith(prefix)]


def task(emulator: Emulator, outputs: Outputs) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ECS service, and its task definition."""
    ecs = emulator.client("ecs")
    (service,) = ecs.describe_services(cluster=outputs["ClusterName"], services=[outputs["ServiceName"]])["services"]
    return service, ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]


def test_all_stacks_are_created_left_alone_updated_and_deleted(
    emulator: Emulator, deployment: Deployment, reports: list[str], idle: Path
) -> None:
    outputs = deployment.deploy({"processor": idle, "query": idle}, QUIET)
    names = [f"{deployment.prefix}-{name}" for name in in_order(ALL_STACKS, CHEAP)]
    assert [line for line in reports if line.startswith("creating")] == [f"creating {name}" for name in names]

    reports.clear()
    assert deployment.deploy({"processor": idle, "query": idle}, QUIET) == outputs
    assert [line for line in reports if "uploaded" not in line] == [f"{name} is up to date" for name in names]

    reports.clear()
    deployment.deploy({"processor": idle, "query": idle}, QUIET | {"Source": "yahoo", "DesiredCount": "0"})
    changed = [f"updating {deployment.prefix}-{name}" for name in ("producer", "producer-alarms", "history")]
    assert [line for line in reports if line.startswith("updating")] == changed
    service, definition = task(emulator, outputs)
    environment = {entry["name"]: entry["value"] for entry in definition["containerDefinitions"][0]["environment"]}
    assert environment["PRODUCER_SOURCE"] == "yahoo"
    assert environment["PRODUCER_WATCHLIST"] == f"s3://{outputs['ArchiveBucket']}/{WATCHLIST_KEY}"
    assert service["desiredCount"] == 0

    emulator.client("s3").put_object(Bucket=outputs["ResultsBucket"], Key="result.csv", Body=b"1")
    reports.clear()
    deployment.destroy()
    kept = {line.split()[-1] for line in reports if line.startswith("kept") and "BucketPolicy" not in line}
    assert kept == {
        outputs[name] for name in ("QuotesTable", "BarsTable", "StateTable", "AlertsTable", "ArchiveBucket")
    }
    assert stacks(emulator, deployment.prefix) == []


def test_the_task_gets_the_outputs_of_the_other_stacks(emulator: Emulator, outputs: Outputs) -> None:
    service, definition = task(emulator, outputs)
    (container,) = definition["containerDefinitions"]
    environment = {entry["name"]: entry["value"] for entry in container["environment"]}
    assert environment["PRODUCER_STREAM_NAME"] == outputs["StreamName"]
    assert environment["PRODUCER_HANDOVER_BUCKET"] == outputs["ArchiveBucket"]
    assert container["image"] == IMAGE
    placed = service["networkConfiguration"]["awsvpcConfiguration"]
    assert placed["subnets"] == outputs["SubnetIds"].split(",")
    assert placed["assignPublicIp"] == "ENABLED"


def test_the_schedules_of_the_history_start_tasks_that_get_the_outputs_of_the_other_stacks(
    emulator: Emulator, shared: Deployment, outputs: Outputs
) -> None:
    ecs, scheduler = emulator.client("ecs"), emulator.client("scheduler")
    found = {}
    for listed in scheduler.list_schedules(GroupName=f"{shared.prefix}-history")["Schedules"]:
        target = scheduler.get_schedule(GroupName=f"{shared.prefix}-history", Name=listed["Name"])["Target"]
        assert target["Arn"] == outputs["HistoryClusterArn"]
        arn = target["EcsParameters"]["TaskDefinitionArn"]
        (container,) = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
        assert container["image"] == IMAGE
        environment = {entry["name"]: entry["value"] for entry in container["environment"]}
        found[arn] = (container["name"], environment)
    name, environment = found[outputs["CompactTaskArn"]]
    assert (name, environment["DATABASE"]) == ("compact", outputs["Database"])
    names = ("ArchiveBucket", "BarsTable", "CalendarsTable")
    assert environment["OUTPUTS"].splitlines() == [f"{each}={outputs[each]}" for each in names]
    name, environment = found[outputs["BackfillTaskArn"]]
    assert (name, environment["SOURCE"]) == ("backfill", "synthetic")
    filled = ("ArchiveBucket", "BarsTable", "StateTable", "CalendarsTable")
    assert environment["OUTPUTS"].splitlines() == [f"{each}={outputs[each]}" for each in filled]


def test_views_that_compaction_has_written_are_left_alone(
    emulator: Emulator, shared: Deployment, outputs: Outputs
) -> None:
    glue, place = emulator.client("glue"), {"DatabaseName": outputs["Database"]}
    assert "views" in without_compacted_views(shared, lambda: glue).stacks
    raw = glue.get_table(**place, Name="quotes")["Table"]
    fields = ("Name", "TableType", "Parameters", "StorageDescriptor")
    compacted = {name: raw[name] for name in fields}
    document = b64encode(b'{"originalSql": "SELECT symbol FROM compacted_quotes WHERE day < DATE ..."}').decode()
    glue.update_table(**place, TableInput={**compacted, "ViewOriginalText": f"/* Presto View: {document} */"})
    try:
        assert "views" not in without_compacted_views(shared, lambda: glue).stacks
        glue.delete_table(**place, Name="quotes")
        assert "views" in without_compacted_views(shared, lambda: glue).stacks
    finally:
        with suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_table(**place, Name="quotes")
        glue.create_table(**place, TableInput={**compacted, "ViewOriginalText": raw["ViewOriginalText"]})


@pytest.mark.usefixtures("outputs")
def test_every_stack_has_the_tags_of_the_deployment(emulator: Emulator, shared: Deployment) -> None:
    for name in ALL_STACKS:
        (stack,) = emulator.client("cloudformation").describe_stacks(StackName=f"{shared.prefix}-{name}")["Stacks"]
        assert {tag["Key"]: tag["Value"] for tag in stack["Tags"]} == shared.tags


def test_a_preview_names_every_resource_and_leaves_nothing_behind(
    emulator: Emulator, deployment: Deployment, reports: list[str], idle: Path
) -> None:
    previews = deployment.preview({"processor": idle, "query": idle}, QUIET)
    assert list(previews) == [f"{deployment.prefix}-{name}" for name in in_order(ALL_STACKS, CHEAP)]
    assert "add Stream (AWS::Kinesis::Stream)" in previews[f"{deployment.prefix}-stream"]
    assert all(line.startswith("add ") for lines in previews.values() for line in lines)
    assert stacks(emulator, deployment.prefix) == []
    assert reports == []


def test_a_preview_shows_what_a_deployment_would_change_and_changes_nothing(
    emulator: Emulator, shared: Deployment, outputs: Outputs, templates: Path, packages: dict[str, Path]
) -> None:
    assert set(shared.preview(packages, QUIET).values()) == {()}

    stream = templates / "stream.yaml"
    stream.write_text(stream.read_text().replace("    Properties:\n", "    Properties:\n      Name: another\n", 1))
    changed_templates = replace(shared, templates=templates)
    previews = changed_templates.preview(packages, QUIET | {"DesiredCount": "0"})
    changed = {stack.removeprefix(shared.prefix + "-"): lines for stack, lines in previews.items() if lines}
    assert changed["stream"] == ("modify, or replace, Stream (AWS::Kinesis::Stream)",)  # AWS would say "replace"
    assert any("Service (AWS::ECS::Service)" in line for line in changed["producer"])
    assert outputs["StreamName"] in emulator.client("kinesis").list_streams()["StreamNames"]
    service, _ = task(emulator, outputs)
    assert service["desiredCount"] == 1


def test_the_role_of_ecs_is_created_and_then_left_alone(emulator: Emulator) -> None:
    # Another test of this emulator may have created it already, which writes its name in another way.
    iam, path = emulator.client("iam"), "/aws-service-role/ecs.amazonaws.com/"
    for role in iam.list_roles(PathPrefix=path)["Roles"]:
        iam.delete_role(RoleName=role["RoleName"])
    reports: list[str] = []
    make_ecs_role(iam, reports.append)
    make_ecs_role(iam, reports.append)
    assert reports == [f"created the role {ECS_ROLE}"]
    assert len(iam.list_roles(PathPrefix=path)["Roles"]) == 1


def test_a_change_of_the_network_is_refused_while_the_task_runs(
    shared: Deployment, outputs: Outputs, templates: Path, packages: dict[str, Path]
) -> None:
    assert outputs["ServiceName"]
    named = QUIET | {"Network": "private"}
    network = shared.preview(packages, named)[f"{shared.prefix}-network"]
    refusal = network_refusal(network, shared.held(), shared.values(named, ()), "prod")
    assert refusal is not None
    assert 'make deploy STAGE=prod PARAMETERS="DesiredCount=0 Network=public"' in refusal

    file = templates / "network.yaml"
    file.write_text(
        file.read_text().replace("Select [0, !Cidr [!Ref VpcCidr, 4, 6]]", "Select [3, !Cidr [!Ref VpcCidr, 4, 6]]")
    )
    network = replace(shared, templates=templates).preview(packages, QUIET)[f"{shared.prefix}-network"]
    refusal = network_refusal(network, shared.held(), shared.values(QUIET, ()), "prod")
    assert refusal is not None
    assert "PublicSubnetA (AWS::EC2::Subnet)" in refusal
    assert network_refusal(network, {**shared.held(), "DesiredCount": "0"}, shared.values(QUIET, ()), "prod") is None


def test_private_subnets_have_endpoints_and_no_public_address(
    emulator: Emulator, deployment: Deployment, idle: Path
) -> None:
    ec2 = emulator.client("ec2")
    chosen = zones.choose(ec2)
    outputs = deployment.deploy({"processor": idle, "query": idle}, QUIET | {"Network": "private", "Zones": chosen})
    assert outputs["AssignPublicIp"] == "DISABLED"
    subnets = ec2.describe_subnets(SubnetIds=outputs["SubnetIds"].split(","))["Subnets"]
    assert sorted(subnet["AvailabilityZoneId"] for subnet in subnets) == chosen.split(",")
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    here = [endpoint for endpoint in endpoints if endpoint["VpcId"] == subnets[0]["VpcId"]]
    assert {endpoint["ServiceName"].rpartition("us-east-1.")[2] for endpoint in here} == {
        *("s3", "dynamodb", "kinesis-streams", "ecr.api", "ecr.dkr", "logs")
    }


def test_an_existing_vpc_is_used_and_left_alone(emulator: Emulator, deployment: Deployment, idle: Path) -> None:
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    theirs = {"Network": "existing", "ExistingVpcId": vpc, "ExistingSubnetIds": subnet}
    outputs = deployment.deploy({"processor": idle, "query": idle}, QUIET | theirs)
    assert (outputs["SubnetIds"], outputs["AssignPublicIp"]) == (subnet, "DISABLED")
    (group,) = ec2.describe_security_groups(GroupIds=[outputs["SecurityGroupId"]])["SecurityGroups"]
    assert group["VpcId"] == vpc
    deployment.destroy()
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Network": "existing"}, r"AWS rejected .*-network: .*Network=existing needs ExistingVpcId"),
        (
            {"Lanes": "4", "Lane": "4"},
            r"no template has a parameter Lane \(did you mean Lanes\?\)",
        ),
    ],
)
def test_parameters_that_contradict_each_other_are_reported(
    deployment: Deployment, idle: Path, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(DeploymentError, match=message):
        deployment.deploy({"processor": idle, "query": idle}, QUIET | parameters)


def test_tables_that_were_on_demand_can_be_given_capacities(
    emulator: Emulator, deployment: Deployment, idle: Path
) -> None:
    outputs = deployment.deploy({"processor": idle, "query": idle}, QUIET)
    provisioned = {"TableBilling": "PROVISIONED", "QuotesWriteCapacity": "400"}
    changed = deployment.deploy({"processor": idle, "query": idle}, QUIET | provisioned)
    assert changed == {**outputs, "BillingOfTables": "PROVISIONED", "QuotesWriteUnits": "400"}
    table = emulator.client("dynamodb").describe_table(TableName=outputs["QuotesTable"])["Table"]
    assert int(table["ProvisionedThroughput"]["WriteCapacityUnits"]) == 400


def test_an_alarm_reaches_the_operators(emulator: Emulator, outputs: Outputs) -> None:
    sqs = emulator.client("sqs")
    queue = sqs.create_queue(QueueName="operators-of-a-test")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    emulator.client("sns").subscribe(TopicArn=outputs["OperatorsTopicArn"], Protocol="sqs", Endpoint=arn)
    emulator.client("cloudwatch").put_metric_data(
        Namespace="Stockstream",
        MetricData=[
            {
                "MetricName": "LargestStateBytes",
                "Dimensions": [{"Name": "Stream", "Value": outputs["StreamName"]}],
                "Value": 300_001,
            }
        ],
    )
    notification: dict[str, Any] = {}
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while "StateLarge" not in notification.get("AlarmName", ""):
        assert time.monotonic() < deadline
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            notification = json.loads(json.loads(message["Body"])["Message"])
    assert notification["NewStateValue"] == "ALARM"
    assert notification["AlarmDescription"].endswith("docs/runbook.md#statelarge")


class TestCommand:
    """`python -m deployment deploy`, as `make deploy` calls it."""

    def run(self, emulator: Emulator, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deployment", "deploy", "--architecture", "native", *arguments]
        # Wide enough for the path of a temporary directory, which a narrow terminal would break.
        environment = emulator.environment() | {"COLUMNS": "300"}
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )

    def test_a_dry_run_prints_the_changes_and_changes_nothing(self, emulator: Emulator) -> None:
        done = self.run(emulator, "--stage", "dry", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert "stockstream-dry-stream\n  add Stream (AWS::Kinesis::Stream)\n" in done.stdout
        assert stacks(emulator, "stockstream-dry") == []

    def test_a_parameters_file_is_read_and_the_command_line_overrides_it(
        self, emulator: Emulator, tmp_path: Path
    ) -> None:
        stage = tmp_path / "stage.env"
        stage.write_text("# a comment\n\nRetentionHours=48\nShardCount=2\nMappingState=Disabled\n")
        done = self.run(emulator, "--stage", "file", "--parameters-file", str(stage), "--parameter", "ShardCount=3")
        assert done.returncode == 0, done.stderr
        outputs = dict(line.split("=", 1) for line in done.stdout.splitlines())
        stream = emulator.client("kinesis").describe_stream_summary(StreamName=outputs["StreamName"])
        summary = stream["StreamDescriptionSummary"]
        assert (summary["RetentionPeriodHours"], summary["OpenShardCount"]) == (48, 3)

    def test_a_line_that_is_no_parameter_is_reported(self, emulator: Emulator, tmp_path: Path) -> None:
        stage = tmp_path / "stage.env"
        stage.write_text("ShardCount: 2\n")
        done = self.run(emulator, "--parameters-file", str(stage))
        assert done.returncode == 2
        message = " ".join(done.stderr.replace("│", " ").split())
        assert "stage.env line 1: 'ShardCount: 2' is not KEY=VALUE" in message

    def test_without_docker_nothing_is_deployed(self, emulator: Emulator) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "deployment", "deploy", "--whole", "--stage", "nodocker"],
            env=emulator.environment({"PATH": "/nonexistent"}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 1
        assert "error: docker is not installed, and the producer's image is built with it." in done.stderr
        assert stacks(emulator, "stockstream-nodocker") == []
