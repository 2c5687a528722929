"""Least privilege, run: what producer, processor, mapping and queries call is what their roles grant, and no more.

The emulator enforces policies. Each program runs with the very documents of its deployed role, through a proxy that
writes its calls down. A call that is not granted is denied, and the program fails; a grant that no call here needs has
to be explained in `UNSEEN`.
"""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from deployment.deployer import Deployment
from deployment.stacks import Outputs
from replica.emulator import REGION, Emulator
from replica.event_source.aws import connect
from replica.producer_process import ProducerProcess
from replica.producer_process import environment as producer_environment
from tests.fakes.fault_proxy import FaultProxy, Request
from tests.support.grants import Call, Grant, calls_of, grants_of
from tests.support.handler_process import Batch, HandlerProcess, event_record
from tests.support.whole_deployment import QUIET, templates_for_ministack, whole_deployment

PATIENCE = 60.0
PREFIX = "least"

LAMBDA_S_OWN = "Lambda asks for it when a mapping is made or its poller starts; the replica's poller has no need"
LAMBDA_S_LOG = "Lambda writes the log in the role's name; the emulator keeps none"
LAMBDA_S_DESTINATION = "Lambda's documentation asks for it beside PutObject for a destination in S3"
ATHENA_S_WRITING = "Athena writes results in the caller's name; the emulator's Athena does so by itself"
UNSEEN: dict[str, dict[tuple[str, str], str]] = {
    "producer": {},
    "processor": {
        ("logs:CreateLogStream", "LogGroup"): LAMBDA_S_LOG,
        ("logs:PutLogEvents", "LogGroup"): LAMBDA_S_LOG,
        ("kinesis:DescribeStream", "StreamArn"): LAMBDA_S_OWN,
        ("kinesis:DescribeStreamSummary", "StreamArn"): LAMBDA_S_OWN,
        ("s3:ListBucket", "ArchiveBucketArn"): LAMBDA_S_DESTINATION,
    },
    "queries": {
        ("s3:PutObject", "results/*"): ATHENA_S_WRITING,
        ("s3:AbortMultipartUpload", "results/*"): ATHENA_S_WRITING,
        ("s3:ListMultipartUploadParts", "results/*"): ATHENA_S_WRITING,
        ("s3:ListBucketMultipartUploads", "results"): ATHENA_S_WRITING,
    },
}
# Where the emulator asks for another name than AWS: it takes a batch of messages for an action of its own, does not
# know the workgroup of a query by its id, nor whose a table is. Granted beside the role's own, and not counted.
WHAT_THE_EMULATOR_NAMES_OTHERWISE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                *("athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"),
                *("athena:GetNamedQuery", "athena:BatchGetNamedQuery", "glue:GetDatabase", "glue:GetTable"),
                *("sqs:SendMessageBatch", "sns:PublishBatch"),
            ],
            "Resource": "*",
        }
    ],
}


@pytest.fixture(scope="module")
def strict(replica_python: str) -> Iterator[Emulator]:
    with Emulator(python=replica_python, policies_enforced=True) as started:
        yield started


@pytest.fixture(scope="module")
def outputs(strict: Emulator, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    templates = templates_for_ministack(tmp_path_factory.mktemp("whole"))
    return whole_deployment(strict, PREFIX, [], templates).deploy({"processor": package}, QUIET | {"DesiredCount": "0"})


class Principal:
    """A user that may do exactly what a role may, and the calls that were made with its keys."""

    def __init__(self, strict: Emulator, name: str, documents: list[dict[str, Any]], *others: dict[str, Any]) -> None:
        iam = strict.client("iam")
        iam.create_user(UserName=name)
        for number, document in enumerate([*documents, *others]):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        self.grants = grants_of(documents)
        self.calls: set[Call] = set()

    def note(self, request: Request) -> None:
        """A request that was made with its keys; the upstream answers it."""
        self.calls.update(calls_of(request))

    def environment(self, strict: Emulator, proxy: FaultProxy) -> dict[str, str]:
        """Of a process that is this principal."""
        return strict.environment(os.environ) | self.keys | {"AWS_ENDPOINT_URL": proxy.url}

    def client(self, proxy: FaultProxy, service: str, config: Config | None = None) -> Any:
        """A client that is this principal."""
        return boto3.client(
            service,
            endpoint_url=proxy.url,
            region_name=REGION,
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
            config=(config or Config()).merge(Config(proxies={})),
        )

    def unused(self) -> list[Grant]:
        """Grants that no call needed."""
        return [grant for grant in self.grants if not any(grant.covers(call) for call in self.calls)]

    def uncovered(self) -> list[Call]:
        """Calls that no grant covers."""
        return [call for call in sorted(self.calls) if not any(grant.covers(call) for grant in self.grants)]


@contextmanager
def recorded(strict: Emulator, principal: Principal) -> Iterator[FaultProxy]:
    proxy = FaultProxy(strict.endpoint_url, strict._tls())
    proxy.fault = principal.note
    with proxy.running():
        yield proxy


def role_documents(strict: Emulator, template: str, logical_id: str) -> list[dict[str, Any]]:
    """The policies of a deployed role, its parameters resolved."""
    stack = strict.client("cloudformation")
    detail = stack.describe_stack_resource(StackName=f"{PREFIX}-{template}", LogicalResourceId=logical_id)
    role, iam = detail["StackResourceDetail"]["PhysicalResourceId"], strict.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]


def assert_least(principal: Principal, unseen: Mapping[Grant, str]) -> None:
    assert principal.uncovered() == []
    assert sorted(principal.unused()) == sorted(unseen)
    assert all(unseen.values())


def explained(principal: str, resources: Mapping[str, str]) -> dict[Grant, str]:
    """`UNSEEN` of a principal, with the ARNs that its names stand for."""
    return {Grant(action, resources[name]): reason for (action, name), reason in UNSEEN[principal].items()}


def test_the_producer(strict: Emulator, outputs: Outputs, tmp_path: Path) -> None:
    principal = Principal(strict, "producer", role_documents(strict, "producer", "TaskRole"))
    settings = {"SOURCE": "synthetic", "POLL_INTERVAL_SECONDS": "1", "HANDOVER_BUCKET": outputs["ArchiveBucket"]}
    with recorded(strict, principal) as proxy:
        base = principal.environment(strict, proxy)
        for number in ("first", "second"):  # what the first leaves the second takes over
            directory = tmp_path / number
            directory.mkdir()
            environment = producer_environment(base, directory, outputs["StreamName"], settings)
            with ProducerProcess(environment) as running:
                wait_until(lambda: any(call.action == "kinesis:PutRecords" for call in principal.calls))
                running.stop()
                assert "unavailable" not in running.log_tail()
                assert "AccessDenied" not in running.log_tail()
    assert {"s3:PutObject", "s3:GetObject", "s3:DeleteObject"} <= {call.action for call in principal.calls}
    assert_least(principal, explained("producer", {}))


def test_the_processor_and_its_mapping(strict: Emulator, outputs: Outputs, tmp_path: Path) -> None:
    documents = role_documents(strict, "processor", "Role")
    principal = Principal(strict, "processor", documents, WHAT_THE_EMULATOR_NAMES_OTHERWISE)
    variables = {
        "QUOTES_TABLE": "QuotesTable",
        "BARS_TABLE": "BarsTable",
        "STATE_TABLE": "StateTable",
        "ARCHIVE_BUCKET": "ArchiveBucket",
        "ALERTS_TOPIC_ARN": "AlertsTopicArn",
        "QUARANTINE_QUEUE_URL": "QuarantineQueueUrl",
    }
    with recorded(strict, principal) as proxy:
        environment = principal.environment(strict, proxy) | {
            variable: outputs[name] for variable, name in variables.items()
        }
        function = HandlerProcess(environment)
        try:
            # Rows, bars and alerts; a line that is refused; one that is too long for the queue.
            assert function.invoke(Batch("LEAST").event) == []
            assert function.invoke({"Records": [event_record("bad", 100, "lane-00-of-02", b"rubbish\n")]}) == []
            assert function.invoke({"Records": [event_record("long", 101, "lane-00-of-02", b"x" * 100_000)]}) == []
        finally:
            function.kill()
        give_up_a_batch(strict, principal, proxy, tmp_path)
    log_group = strict.client("logs").describe_log_groups(logGroupNamePrefix=outputs["LogGroup"])["logGroups"][0]
    names = {"StreamArn": outputs["StreamArn"], "ArchiveBucketArn": outputs["ArchiveBucketArn"]}
    names["LogGroup"] = next(grant.resource for grant in principal.grants if grant.action == "logs:PutLogEvents")
    assert log_group["logGroupName"] in names["LogGroup"]
    assert_least(principal, explained("processor", names))


def give_up_a_batch(strict: Emulator, principal: Principal, proxy: FaultProxy, folder: Path) -> None:
    """Read the stream with the role's keys, and deliver it to a function that fails, until it lies in the bucket."""
    path = folder / "failing.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("processor_lambda/__init__.py", "")
        archive.writestr("processor_lambda/app.py", "def handler(event, context): raise ValueError\n")
    whole = Deployment(strict.client("cloudformation"), strict.client("s3"), PREFIX)
    outputs = whole.deploy({"processor": path}, {"MappingState": "Disabled", "MaximumRetryAttempts": "0"})
    strict.client("kinesis").put_record(StreamName=outputs["StreamName"], Data=b"x", PartitionKey="lane-00-of-02")

    def client(service_name: str, *, config: Config) -> Any:
        if service_name == "lambda":  # Lambda's own part
            return strict.client("lambda", config=config)
        return principal.client(proxy, service_name, config)

    given_up = f"arn:aws:s3:::{outputs['ArchiveBucket']}/aws/lambda/"
    with connect(client, outputs["EventSourceMappingId"], poll_interval_seconds=0.1):
        wait_until(lambda: any(call.resource.startswith(given_up) for call in principal.calls))


def test_queries(strict: Emulator, outputs: Outputs) -> None:
    document = strict.client("iam").get_policy_version(PolicyArn=outputs["QueryPolicyArn"], VersionId="v1")
    principal = Principal(strict, "queries", [document["PolicyVersion"]["Document"]], WHAT_THE_EMULATOR_NAMES_OTHERWISE)
    archive, results, key = outputs["ArchiveBucket"], outputs["ResultsBucket"], "raw-data/dt=2026-11-23/hour=14/1.gz"
    strict.client("s3").put_object(Bucket=archive, Key=key, Body=b"")
    saved = strict.client("athena").create_named_query(
        Name="one", Database=outputs["Database"], QueryString="SELECT 1", WorkGroup=outputs["Workgroup"]
    )["NamedQueryId"]
    with recorded(strict, principal) as proxy:
        ask_athena(principal.client(proxy, "athena"), outputs["Workgroup"], saved)
        look_up_tables(principal.client(proxy, "glue"), outputs["Database"], outputs["LinesTable"])
        s3 = principal.client(proxy, "s3")
        s3.get_object(Bucket=archive, Key=key)
        s3.list_objects_v2(Bucket=archive, Prefix="raw-data/dt=2026-11-23/")
        s3.get_bucket_location(Bucket=results)
        (result, *_) = s3.list_objects_v2(Bucket=results)["Contents"]
        s3.get_object(Bucket=results, Key=result["Key"])
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=archive, Prefix="undelivered/")
    bucket = f"arn:aws:s3:::{results}"
    assert_least(principal, explained("queries", {"results": bucket, "results/*": f"{bucket}/*"}))


def ask_athena(athena: Any, workgroup: str, saved: str) -> None:
    """A query, its state and its result; and the saved ones, as the console lists them."""
    athena.get_work_group(WorkGroup=workgroup)
    query = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=workgroup)["QueryExecutionId"]
    wait_until(lambda: state(athena, query) not in ("QUEUED", "RUNNING"))
    assert state(athena, query) == "SUCCEEDED"
    athena.get_query_results(QueryExecutionId=query)
    athena.stop_query_execution(QueryExecutionId=query)
    assert saved in athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]
    athena.get_named_query(NamedQueryId=saved)
    athena.batch_get_named_query(NamedQueryIds=[saved])


def look_up_tables(glue: Any, database: str, table: str) -> None:
    """What Athena, or a driver of it, asks the catalogue in the caller's name."""
    glue.get_database(Name=database)
    glue.get_tables(DatabaseName=database)
    glue.get_table(DatabaseName=database, Name=table)
    glue.get_partitions(DatabaseName=database, TableName=table)


def test_a_grant_of_another_s_is_none_of_ours(strict: Emulator, outputs: Outputs) -> None:
    """The emulator does enforce: what the producer may, the processor may not."""
    principal = Principal(strict, "other", role_documents(strict, "producer", "TaskRole"))
    with recorded(strict, principal) as proxy, pytest.raises(ClientError, match="AccessDenied"):
        principal.client(proxy, "s3").get_object(Bucket=outputs["ArchiveBucket"], Key="raw-data/1")
    assert principal.uncovered() == [Call("s3:GetObject", f"{outputs['ArchiveBucketArn']}/raw-data/1")]


def state(athena: Any, query: str) -> str:
    found: str = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"]
    return found


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
