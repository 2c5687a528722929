"""The pipeline's stacks on the emulator: created, updated, refused, deleted, and what their role allows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from configuration import RULES_KEY
from deployment.deployer import Deployment
from deployment.errors import DeploymentError, ParameterError
from deployment.stacks import TEMPLATES, Outputs
from lane_state.codec import WRITES
from replica.consumer import register
from replica.emulator import Emulator
from tests.support.handler_zips import handler_zip

CALLS = """
import os, boto3
env = os.environ
table, s3, sns, sqs = boto3.client("dynamodb"), boto3.client("s3"), boto3.client("sns"), boto3.client("sqs")
lane = {"lane": {"S": "lane-00-of-01"}}
row = {"symbol": {"S": "AAPL"}, "timestamp": {"S": "2026-11-23T14:30:00.000Z"}, "key": {"S": "1m#2026-11-23"}}
put = [{"PutRequest": {"Item": row}}]
put_alert = [{"PutRequest": {"Item": {"day": {"S": "2026-11-23"}, "key": {"S": "x"}}}}]

def put_object(key):
    return lambda: s3.put_object(Bucket=env["ARCHIVE_BUCKET"], Key=key, Body=b"{}")

CALLS = {
    "put state": lambda: table.put_item(TableName=env["STATE_TABLE"], Item=lane),
    "get state": lambda: table.get_item(TableName=env["STATE_TABLE"], Key=lane),
    "get states": lambda: table.batch_get_item(RequestItems={env["STATE_TABLE"]: {"Keys": [lane]}}),
    "write rows": lambda: table.batch_write_item(RequestItems={env["QUOTES_TABLE"]: put, env["BARS_TABLE"]: put}),
    "store alerts": lambda: table.batch_write_item(RequestItems={env["ALERTS_TABLE"]: put_alert}),
    "archive": put_object("raw-data/1"),
    "quarantine an object": put_object("quarantine/1"),
    "discard a batch": put_object("aws/lambda/1"),
    "alert": lambda: sns.publish(TopicArn=env["ALERTS_TOPIC_ARN"], Message="{}"),
    "quarantine": lambda: sqs.send_message(QueueUrl=env["QUARANTINE_QUEUE_URL"], MessageBody="{}"),
    "delete state": lambda: table.delete_item(TableName=env["STATE_TABLE"], Key=lane),
    "read rows": lambda: table.scan(TableName=env["QUOTES_TABLE"]),
    "put a row": lambda: table.put_item(TableName=env["QUOTES_TABLE"], Item=row),
    "read the archive": lambda: s3.get_object(Bucket=env["ARCHIVE_BUCKET"], Key="raw-data/1"),
    "put elsewhere": put_object("elsewhere/1"),
    "read quarantine": lambda: sqs.receive_message(QueueUrl=env["QUARANTINE_QUEUE_URL"]),
}

def handler(event, context):
    refusals = {}
    for name, call in CALLS.items():
        try:
            call()
        except Exception as error:
            refusals[name] = error.response["Error"]["Code"]
    return {"refused": refusals}
"""


@pytest.fixture
def idle(tmp_path: Path) -> Path:
    return handler_zip(tmp_path)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the templates, which a test may break."""
    return Path(shutil.copytree(TEMPLATES, tmp_path / "templates"))


def edit(template: Path, old: str, new: str) -> str:
    """Replace the only occurrence of a text. Returns the template as it was."""
    text = template.read_text(encoding="utf-8")
    assert text.count(old) == 1
    template.write_text(text.replace(old, new), encoding="utf-8")
    return text


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def deployment(emulator: Emulator, request: pytest.FixtureRequest, reports: list[str]) -> Iterator[Deployment]:
    """A deployment under a prefix of the test's own."""
    made = deployment_to(emulator, request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-"), reports)
    yield made
    made.destroy()


def deployment_to(emulator: Emulator, prefix: str, reports: list[str], templates: Path = TEMPLATES) -> Deployment:
    clients = emulator.client("cloudformation"), emulator.client("s3")
    return Deployment(*clients, prefix=prefix, report=reports.append, templates=templates)


def invoke(emulator: Emulator, outputs: Outputs, event: object = None) -> Any:
    answer = emulator.client("lambda").invoke(FunctionName=outputs["FunctionName"], Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


def mapping(emulator: Emulator, outputs: Outputs) -> dict[str, Any]:
    found: dict[str, Any] = emulator.client("lambda").get_event_source_mapping(UUID=outputs["EventSourceMappingId"])
    return found


def test_the_whole_pipeline_is_deployed(emulator: Emulator, deployed: Outputs) -> None:
    function = emulator.client("lambda").get_function_configuration(FunctionName=deployed["FunctionName"])
    variables = function["Environment"]["Variables"]
    assert variables.pop("RELEASE")
    assert variables == {
        "QUOTES_TABLE": deployed["QuotesTable"],
        "BARS_TABLE": deployed["BarsTable"],
        "STATE_TABLE": deployed["StateTable"],
        "ALERTS_TABLE": deployed["AlertsTable"],
        "ARCHIVE_BUCKET": deployed["ArchiveBucket"],
        "ALERTS_TOPIC_ARN": deployed["AlertsTopicArn"],
        "QUARANTINE_QUEUE_URL": deployed["QuarantineQueueUrl"],
        "RULES_KEY": RULES_KEY,
        "ANOMALY_PERCENT": "5",
        "ROW_RESOLUTION": "every",
        "QUOTE_TTL_DAYS": "30",
        "BAR_TTL_DAYS": "365",
        "ALERT_TTL_DAYS": "365",
        "STATE_VERSION": str(WRITES),
    }
    stream = emulator.client("kinesis").describe_stream_summary(StreamName=deployed["StreamName"])
    assert stream["StreamDescriptionSummary"]["StreamARN"] == mapping(emulator, deployed)["EventSourceArn"]


def test_the_mapping_carries_every_property_of_failure(emulator: Emulator, deployed: Outputs) -> None:
    expected = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 160,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": 82800,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": deployed["ArchiveBucketArn"]}},
    }
    found = mapping(emulator, deployed)
    assert {name: found[name] for name in expected} == expected


def test_outputs_cannot_be_changed(deployed: Outputs) -> None:
    with pytest.raises(TypeError):
        deployed["StreamName"] = "other"  # type: ignore[index]


def test_deploying_the_same_again_changes_nothing(deployment: Deployment, reports: list[str], idle: Path) -> None:
    outputs = deployment.deploy({"processor": idle, "query": idle})
    reports.clear()
    assert deployment.deploy({"processor": idle, "query": idle}) == outputs
    prefix = deployment.prefix
    assert [line for line in reports if prefix in line] == [
        f"{prefix}-stream is up to date",
        f"{prefix}-storage is up to date",
        f"{prefix}-processor is up to date",
        f"{prefix}-query is up to date",
    ]


def test_a_changed_parameter_updates_its_stack_alone(
    emulator: Emulator, deployment: Deployment, reports: list[str], idle: Path
) -> None:
    outputs = deployment.deploy({"processor": idle, "query": idle}, {"MappingState": "Disabled"})
    reports.clear()
    changed = {"MappingState": "Disabled", "BatchSize": "7", "BisectBatchOnFunctionError": "false"}
    assert deployment.deploy({"processor": idle, "query": idle}, changed) == outputs
    assert [line for line in reports if line.startswith("updating")] == [f"updating {deployment.prefix}-processor"]
    found = mapping(emulator, outputs)
    assert (found["BatchSize"], found["BisectBatchOnFunctionError"]) == (7, False)


def test_the_mode_decides_what_the_mapping_reads(emulator: Emulator, deployment: Deployment, idle: Path) -> None:
    outputs = deployment.deploy(
        {"processor": idle, "query": idle}, {"MappingState": "Disabled", "BatchingWindowSeconds": "5"}
    )
    stream = outputs["StreamArn"]
    consumer = register(emulator.client("kinesis"), stream, "processor")
    for mode, source, window in (("fast", consumer, 0), ("cheap", stream, 5)):
        changed = deployment.deploy({"processor": idle, "query": idle}, {"Latency": mode, "ConsumerArn": consumer})
        found = mapping(emulator, changed)
        assert (found["EventSourceArn"], found["MaximumBatchingWindowInSeconds"]) == (source, window)
        assert found["StartingPosition"] == "TRIM_HORIZON"
        of_function = emulator.client("lambda").list_event_source_mappings(FunctionName=changed["LiveAliasArn"])
        assert [one["UUID"] for one in of_function["EventSourceMappings"]] == [changed["EventSourceMappingId"]]
    with pytest.raises(ParameterError, match="Latency=fast needs a registered consumer"):
        deployment.deploy({"processor": idle, "query": idle}, {"Latency": "fast", "ConsumerArn": ""})


def test_new_code_reaches_the_function(emulator: Emulator, deployment: Deployment, idle: Path, tmp_path: Path) -> None:
    outputs = deployment.deploy({"processor": idle, "query": idle})
    assert invoke(emulator, outputs) == "idle"
    second = handler_zip(tmp_path, "def handler(event, context): return 'second'\n")
    deployment.deploy({"processor": second, "query": idle})
    assert invoke(emulator, outputs) == "second"


def test_a_parameter_of_no_template_is_refused_before_anything_is_deployed(
    emulator: Emulator, deployment: Deployment, idle: Path
) -> None:
    with pytest.raises(
        DeploymentError,
        match=r"a parameter Nonsense; .*\n.* a parameter Batchsize \(did you mean BatchSize\?\)",
    ):
        deployment.deploy({"processor": idle, "query": idle}, {"Nonsense": "1", "Batchsize": "1"})
    stacks = emulator.client("cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks if stack["StackName"].startswith(deployment.prefix)] == []


def test_a_parameter_out_of_its_range_is_reported(deployment: Deployment, idle: Path) -> None:
    with pytest.raises(DeploymentError, match=r"^RetentionHours=1: must be at least 24$"):
        deployment.deploy({"processor": idle, "query": idle}, {"RetentionHours": "1"})


def test_a_resource_that_cannot_be_created_is_named_and_the_next_deployment_starts_over(
    emulator: Emulator, reports: list[str], idle: Path, templates: Path
) -> None:
    right = edit(templates / "processor.yaml", " Principal: {Service", " NotPrincipal: {Service")
    deployment = deployment_to(emulator, "no-role", reports, templates)
    with pytest.raises(DeploymentError) as failure:
        deployment.deploy({"processor": idle, "query": idle})
    first, second, *rest = str(failure.value).splitlines()
    assert first == "no-role-processor ended as ROLLBACK_COMPLETE. Fix the cause and run this again."
    assert second.startswith("  Role (AWS::IAM::Role): ")
    assert "NotPrincipal" in second
    assert rest == []
    (templates / "processor.yaml").write_text(right)
    assert invoke(emulator, deployment.deploy({"processor": idle, "query": idle})) == "idle"
    deployment.destroy()


def test_a_resource_that_is_refused_before_its_creation_is_named(
    emulator: Emulator, reports: list[str], idle: Path, templates: Path
) -> None:
    emulator.client("s3").create_bucket(Bucket="taken-by-another")
    versioned = "VersioningConfiguration: {Status: Enabled}"
    edit(templates / "storage.yaml", versioned, versioned + "\n      BucketName: taken-by-another")
    deployment = deployment_to(emulator, "taken", reports, templates)
    with pytest.raises(DeploymentError) as failure:
        deployment.deploy({"processor": idle, "query": idle})
    first, second, *rest = str(failure.value).splitlines()
    assert first == "taken-storage ended as ROLLBACK_COMPLETE. Fix the cause and run this again."
    assert second.startswith("  Archive (AWS::S3::Bucket): ")
    assert "already exists" in second
    assert rest == []
    deployment.destroy()


def test_destroy_keeps_the_tables_and_the_archive_and_reports_them(
    emulator: Emulator, deployment: Deployment, reports: list[str], idle: Path
) -> None:
    outputs = deployment.deploy({"processor": idle, "query": idle})
    emulator.client("s3").put_object(Bucket=outputs["ArchiveBucket"], Key="raw-data/1", Body=b"{}")
    deployment.destroy()
    kept = {line.split()[-1] for line in reports if line.startswith("kept")}
    retained = {outputs[name] for name in ("QuotesTable", "BarsTable", "StateTable", "AlertsTable", "ArchiveBucket")}
    assert retained <= kept
    assert retained - {outputs["ArchiveBucket"]} <= set(emulator.client("dynamodb").list_tables()["TableNames"])
    emulator.client("s3").head_object(Bucket=outputs["ArchiveBucket"], Key="raw-data/1")
    with pytest.raises(ClientError):
        emulator.client("s3").head_bucket(Bucket=outputs["CodeBucket"])
    assert outputs["StreamName"] not in emulator.client("kinesis").list_streams()["StreamNames"]
    reports.clear()
    deployment.destroy()
    assert reports == []


def test_the_role_allows_the_calls_that_the_function_makes_and_no_other(replica_python: str, tmp_path: Path) -> None:
    with Emulator(python=replica_python, policies_enforced=True) as strict:
        outputs = deployment_to(strict, "strict", []).deploy(
            dict.fromkeys(("processor", "query"), handler_zip(tmp_path, CALLS)), {"MappingState": "Disabled"}
        )
        answer = invoke(strict, outputs)
    refused = {
        "get state",
        "delete state",
        "read rows",
        "put a row",
        "read the archive",
        "put elsewhere",
        "read quarantine",
    }
    assert answer["refused"].keys() == refused
    assert all("AccessDenied" in code for code in answer["refused"].values())
