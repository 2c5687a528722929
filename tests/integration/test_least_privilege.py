"""Least privilege, tested by running: the roles of the programs and functions grant the calls that they make.

The emulator enforces policies. Each program runs with exactly the policies of its deployed role, through a proxy that
records its calls. A call without a grant is denied, and the program fails. A grant that no call here uses must have its
reason in `UNUSED_HERE`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from analytics.current import KEY, decode
from backfill.chunk_file import encode, key_of
from backfill.chunks import Chunk, FinishedChunk
from bars.keys import bar_key
from configuration import RULES_KEY, WATCHLIST_KEY
from deployment.deployer import Deployment
from deployment.stacks import Outputs
from lane_state import LaneState, pack
from quotes import lane_of, partition_key, to_iso
from replica import consumer
from replica.emulator import REGION, Emulator
from replica.event_source.aws import connect
from replica.producer_process import ProducerProcess
from replica.producer_process import environment as producer_environment
from tests.fakes.fault_proxy import FaultProxy, Request
from tests.fakes.query_ports import NOW, event_of
from tests.fakes.yahoo.instruments import find
from tests.fakes.yahoo.local_yahoo import running
from tests.fakes.yahoo.sessions import local_day, session_before
from tests.support.grants import ACCOUNT, Call, Grant, calls_of, grants_of
from tests.support.handler_process import Batch, HandlerProcess, event_record
from tests.support.query_states import make_symbol
from tests.support.whole_deployment import QUIET, templates_for_ministack, whole_deployment
from watchlist import written

TIMEOUT_SECONDS = 60.0
TASK_SECONDS = 180.0
PREFIX = "least"

BY_LAMBDA = "Lambda needs it to create a mapping and to start its poller. The replica's poller does not."
LOG_OF_LAMBDA = "Lambda writes the log with this role. The emulator does not use it."
DESTINATION_OF_LAMBDA = "Lambda's documentation requires it beside PutObject for a destination in S3."
NOT_EMULATED = "The console or a driver calls it. The emulator's Athena does not know it."
RESULTS_OF_ATHENA = "Athena writes results with the caller's permissions. The emulator's Athena does not."
UNUSED_HERE: dict[str, dict[tuple[str, str], str]] = {
    "producer": {},
    "processor": {
        ("logs:CreateLogStream", "LogGroup"): LOG_OF_LAMBDA,
        ("logs:PutLogEvents", "LogGroup"): LOG_OF_LAMBDA,
        ("kinesis:DescribeStream", "StreamArn"): BY_LAMBDA,
        ("kinesis:DescribeStreamSummary", "StreamArn"): BY_LAMBDA,
        ("s3:ListBucket", "ArchiveBucketArn"): DESTINATION_OF_LAMBDA,
    },
    "compact": {("s3:DeleteObject", "compacted/*"): "Files are deleted when no version of the last days needs them."},
    "backfill": {},
    "query": {
        ("logs:CreateLogStream", "LogGroup"): LOG_OF_LAMBDA,
        ("logs:PutLogEvents", "LogGroup"): LOG_OF_LAMBDA,
    },
    "queries": {
        ("s3:PutObject", "results/*"): RESULTS_OF_ATHENA,
        ("s3:AbortMultipartUpload", "results/*"): RESULTS_OF_ATHENA,
        ("s3:ListMultipartUploadParts", "results/*"): RESULTS_OF_ATHENA,
        ("s3:ListBucketMultipartUploads", "results"): RESULTS_OF_ATHENA,
        ("athena:GetQueryResultsStream", "workgroup"): NOT_EMULATED,
        ("athena:ListEngineVersions", "*"): NOT_EMULATED,
    },
}
# The emulator checks some calls by other names or resources than AWS. A batch of messages is an action of its own, and
# it does not know the workgroup of a query or the database of a table. These grants come on top, and do not count.
EMULATOR_ACTIONS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                *("athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"),
                *("athena:GetNamedQuery", "athena:BatchGetNamedQuery", "athena:BatchGetQueryExecution"),
                *("athena:GetDataCatalog", "athena:GetDatabase", "athena:ListDatabases", "athena:GetTableMetadata"),
                *("athena:ListTableMetadata", "glue:GetDatabase", "glue:GetDatabases", "glue:GetTable"),
                *("sqs:SendMessageBatch", "sns:PublishBatch"),
            ],
            "Resource": "*",
        }
    ],
}

QUERIES = (
    *("/v1/symbols", "/v1/latest", "/v1/quotes/AAPL", "/v1/bars/AAPL?resolution=1h&indicators=all", "/v1/alerts"),
    *("/v1/sessions/AAPL", "/v1/gaps/AAPL", "/v1/status", "/v1/openapi.json"),
    *("/udf/config", "/udf/symbols?symbol=AAPL", "/udf/quotes?symbols=AAPL", "/udf/time"),
    *(f"/udf/{name}?symbol=AAPL&resolution=5&from=1795446000&to=1795449600" for name in ("history", "marks")),
)
QUERY_SCRIPT = """
import json, sys
from query_api.app import handler
print(json.dumps([handler(event, None)["statusCode"] for event in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def strict(replica_python: str) -> Iterator[Emulator]:
    with Emulator(python=replica_python, policies_enforced=True) as started:
        yield started


@pytest.fixture(scope="module")
def outputs(strict: Emulator, packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    templates = templates_for_ministack(tmp_path_factory.mktemp("whole"))
    return whole_deployment(strict, PREFIX, [], templates).deploy(packages, QUIET | {"DesiredCount": "0"})


class Principal:
    """A user with the permissions of a role, and the calls that were made with the user's keys."""

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
        """Record the calls of a request. The proxy then passes the request on."""
        self.calls.update(calls_of(request))

    def environment(self, strict: Emulator, proxy: FaultProxy) -> dict[str, str]:
        """The environment of a process with this user's keys."""
        return strict.environment(os.environ) | self.keys | {"AWS_ENDPOINT_URL": proxy.url}

    def client(self, proxy: FaultProxy, service: str, config: Config | None = None) -> Any:
        """A client with this user's keys."""
        return boto3.client(
            service,
            endpoint_url=proxy.url,
            region_name=REGION,
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
            config=(config or Config()).merge(Config(proxies={})),
        )

    def unused(self) -> list[Grant]:
        """The grants that no call used."""
        return [grant for grant in self.grants if not any(grant.covers(call) for call in self.calls)]

    def uncovered(self) -> list[Call]:
        """The calls that no grant allows."""
        return [call for call in sorted(self.calls) if not any(grant.covers(call) for grant in self.grants)]


@contextmanager
def recorded(strict: Emulator, principal: Principal) -> Iterator[FaultProxy]:
    proxy = FaultProxy(strict.endpoint_url, strict._tls())
    proxy.fault = principal.note
    with proxy.running():
        yield proxy


def role_documents(strict: Emulator, template: str, logical_id: str) -> list[dict[str, Any]]:
    """The inline policies of a deployed role, with all references resolved."""
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
    """The reasons in `UNUSED_HERE` for one program, by grant. `resources` maps the names there to ARNs."""
    return {Grant(action, resources[name]): reason for (action, name), reason in UNUSED_HERE[principal].items()}


def test_the_producer(strict: Emulator, outputs: Outputs, tmp_path: Path) -> None:
    principal = Principal(strict, "producer", role_documents(strict, "producer", "TaskRole"))
    bucket = outputs["ArchiveBucket"]
    strict.client("s3").put_object(Bucket=bucket, Key=WATCHLIST_KEY, Body=written(["AAPL", "MSFT"]))
    settings = {
        "SOURCE": "synthetic",
        "POLL_INTERVAL_SECONDS": "1",
        "HANDOVER_BUCKET": bucket,
        "CALENDARS_TABLE": outputs["CalendarsTable"],
        "WATCHLIST": f"s3://{bucket}/{WATCHLIST_KEY}",
    }
    with recorded(strict, principal) as proxy:
        base = principal.environment(strict, proxy)
        key = f"undelivered/{outputs['StreamName']}/%s0-rubbish"
        for number in ("first", "second"):  # the second one takes over what the first one left
            strict.client("s3").put_object(Bucket=bucket, Key=key % "", Body=b"rubbish")
            directory = tmp_path / number
            directory.mkdir()
            environment = producer_environment(base, directory, outputs["StreamName"], settings)
            with ProducerProcess(environment) as running:
                wait_until(lambda: any(call.action == "kinesis:PutRecords" for call in principal.calls))
                running.stop()
                assert "unavailable" not in running.log_tail()
                assert "AccessDenied" not in running.log_tail()
    strict.client("s3").head_object(Bucket=bucket, Key=key % "refused/")  # it was set aside
    assert {"s3:PutObject", "s3:GetObject", "s3:DeleteObject"} <= {call.action for call in principal.calls}
    assert_least(principal, explained("producer", {}))


def of_the_function(outputs: Outputs) -> dict[str, str]:
    """The variables of the stream function, as its template sets them."""
    variables = {
        "QUOTES_TABLE": "QuotesTable",
        "BARS_TABLE": "BarsTable",
        "STATE_TABLE": "StateTable",
        "ALERTS_TABLE": "AlertsTable",
        "ARCHIVE_BUCKET": "ArchiveBucket",
        "ALERTS_TOPIC_ARN": "AlertsTopicArn",
        "QUARANTINE_QUEUE_URL": "QuarantineQueueUrl",
    }
    return {variable: outputs[name] for variable, name in variables.items()} | {"RULES_KEY": RULES_KEY}


def test_the_processor_and_its_mapping(strict: Emulator, outputs: Outputs, tmp_path: Path) -> None:
    documents = role_documents(strict, "processor", "Role")
    principal = Principal(strict, "processor", documents, EMULATOR_ACTIONS)
    with recorded(strict, principal) as proxy:
        environment = principal.environment(strict, proxy) | of_the_function(outputs)
        for rules in (b"[[rule]]\nkind = 'price_move'\n", b"no rules"):  # it looks for the earlier version
            strict.client("s3").put_object(Bucket=outputs["ArchiveBucket"], Key=RULES_KEY, Body=rules)
        function = HandlerProcess(environment)
        try:
            # Rows, bars and alerts. Then a line that is refused, and one that is too long for the queue.
            assert function.invoke(Batch("LEAST").event) == []
            assert function.invoke({"Records": [event_record("bad", 100, "lane-00-of-02", b"rubbish\n")]}) == []
            assert function.invoke({"Records": [event_record("long", 101, "lane-00-of-02", b"x" * 100_000)]}) == []
        finally:
            function.kill()
        discard_a_batch(strict, principal, proxy, tmp_path)
    log_group = strict.client("logs").describe_log_groups(logGroupNamePrefix=outputs["LogGroup"])["logGroups"][0]
    names = {"StreamArn": outputs["StreamArn"], "ArchiveBucketArn": outputs["ArchiveBucketArn"]}
    names["LogGroup"] = next(grant.resource for grant in principal.grants if grant.action == "logs:PutLogEvents")
    assert log_group["logGroupName"] in names["LogGroup"]
    assert_least(principal, explained("processor", names))


def discard_a_batch(strict: Emulator, principal: Principal, proxy: FaultProxy, folder: Path) -> None:
    """Read the stream with the role's keys, and deliver a record to a failing function until it is in the bucket."""
    path = folder / "failing.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("processor_lambda/__init__.py", "")
        archive.writestr("processor_lambda/app.py", "def handler(event, context): raise ValueError\n")
    whole = Deployment(strict.client("cloudformation"), strict.client("s3"), PREFIX)
    outputs = whole.deploy(
        {"processor": path, "query": path}, {"MappingState": "Disabled", "MaximumRetryAttempts": "0"}
    )
    strict.client("kinesis").put_record(StreamName=outputs["StreamName"], Data=b"x", PartitionKey="lane-00-of-02")

    def client(service_name: str, *, config: Config) -> Any:
        if service_name == "lambda":  # Lambda itself invokes, without the role
            return strict.client("lambda", config=config)
        return principal.client(proxy, service_name, config)

    discarded = f"arn:aws:s3:::{outputs['ArchiveBucket']}/aws/lambda/"
    with connect(client, outputs["EventSourceMappingId"], poll_interval_seconds=0.1):
        wait_until(lambda: any(call.resource.startswith(discarded) for call in principal.calls))


def test_the_query_function(strict: Emulator, outputs: Outputs) -> None:
    principal = Principal(strict, "query", role_documents(strict, "query", "Role"))
    lane = partition_key(lane_of("AAPL", 1), 1)
    state = pack(LaneState(clock=NOW, complete_to=NOW, symbols={"AAPL": make_symbol()}))
    dynamodb = strict.client("dynamodb")
    dynamodb.put_item(TableName=outputs["StateTable"], Item={"lane": {"S": lane}, "state": {"B": state}})
    place = {"timezone": "America/New_York"}
    year = {"sessions": '[["2026-11-23","2026-11-23T14:30:00Z","2026-11-23T21:00:00Z"]]'}
    year |= {"known_from": "2026-01-01", "known_to": "2026-12-31"}
    for row in ({"id": "symbols", "name": "AAPL", "calendar": "XNYS"}, {"id": "XNYS", "name": "2026", **year}):
        item = {name: {"S": value} for name, value in (row | place).items()}
        dynamodb.put_item(TableName=outputs["CalendarsTable"], Item=item)
    with recorded(strict, principal) as proxy:
        environment = principal.environment(strict, proxy) | {
            "QUOTES_TABLE": outputs["QuotesTable"],
            "BARS_TABLE": outputs["BarsTable"],
            "STATE_TABLE": outputs["StateTable"],
            "ALERTS_TABLE": outputs["AlertsTable"],
            "CALENDARS_TABLE": outputs["CalendarsTable"],
            "QUARANTINE_QUEUE_URL": outputs["QuarantineQueueUrl"],
            "LANES": "1",
        }
        events = [event_of(*path.partition("?")[::2]) for path in QUERIES]
        asked = subprocess.run(
            [sys.executable, "-c", QUERY_SCRIPT],
            input=json.dumps(events),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT_SECONDS,
        )
    answers = json.loads(asked.stdout.splitlines()[-1])
    assert dict(zip(QUERIES, answers, strict=True)) == dict.fromkeys(QUERIES, 200)
    log_group = next(grant.resource for grant in principal.grants if grant.action == "logs:PutLogEvents")
    assert_least(principal, explained("query", {"LogGroup": log_group}))


def run_task(
    strict: Emulator, task: str, environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command of a task here, with the variables of its container, and another `/tmp` and `python`."""
    definition = strict.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    (script,) = container["command"]
    variables = {entry["name"]: entry["value"] for entry in container["environment"]}
    script = script.replace("/tmp", str(folder))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return subprocess.run(
        [*container["entryPoint"], script],
        env={**variables, "TMPDIR": str(folder), **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=TASK_SECONDS,
    )


def declare_last_session(strict: Emulator, outputs: Outputs) -> tuple[datetime, datetime]:
    """Write the calendar of AAPL with only its last session that is over. Returns the begin and the end of that.

    The symbols of other tests go, or a task would fill a month of them.
    """
    instrument = find("AAPL")
    assert instrument is not None
    session = session_before(instrument.market, local_day(instrument.market, time.time()))
    opens, closes = (datetime.fromtimestamp(each, UTC) for each in (session.start, session.end))
    day = f"{opens:%Y-%m-%d}"
    year = {"sessions": json.dumps([[day, to_iso(opens), to_iso(closes)]]), "known_from": day, "known_to": day}
    dynamodb, table = strict.client("dynamodb"), outputs["CalendarsTable"]
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("id", "name")})
    for row in ({"id": "symbols", "name": "AAPL", "calendar": "XNYS"}, {"id": "XNYS", "name": day[:4], **year}):
        item = {name: {"S": value} for name, value in (row | {"timezone": "America/New_York"}).items()}
        dynamodb.put_item(TableName=table, Item=item)
    return opens, closes


def test_the_task_that_compacts_the_archive(strict: Emulator, outputs: Outputs, tmp_path: Path) -> None:
    principal = Principal(strict, "compact", role_documents(strict, "history", "CompactRole"), EMULATOR_ACTIONS)
    function = HandlerProcess(strict.environment(os.environ) | of_the_function(outputs))
    try:
        assert function.invoke(Batch("COMPACTED").event) == []
    finally:
        function.kill()
    opens, closes = declare_last_session(strict, outputs)
    chunk = FinishedChunk(
        chunk=Chunk("MSFT", "1m", opens, closes), fetched_at=closes, complete_to=closes, source="yahoo"
    )
    strict.client("s3").put_object(Bucket=outputs["ArchiveBucket"], Key=key_of(chunk.chunk), Body=encode(chunk))
    prices = {name: {"N": "100"} for name in ("open", "high", "low", "close", "volume", "quotes")}
    bar = {"symbol": {"S": "AAPL"}, "key": {"S": bar_key("1m", opens)}, **prices}
    strict.client("dynamodb").put_item(TableName=outputs["BarsTable"], Item=bar)
    with recorded(strict, principal) as proxy:
        done = run_task(strict, outputs["CompactTaskArn"], principal.environment(strict, proxy), tmp_path)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert (line["event"], line["status"]) == ("compaction", "done")
    assert line["quotes_added"] > 0
    found = strict.client("s3").get_object(Bucket=outputs["ArchiveBucket"], Key=KEY)["Body"].read()
    rows = {name: sum(file.rows for file in table.files) for name, table in decode(found).tables.items()}
    assert rows["compacted_bars"] == 1
    assert rows["compacted_sessions"] >= 1  # a producer may have written more
    place = {"compacted/*": f"{outputs['ArchiveBucketArn']}/compacted/*"}
    assert_least(principal, explained("compact", place))


def test_the_task_that_fills_gaps(strict: Emulator, outputs: Outputs, tmp_path: Path) -> None:
    principal = Principal(strict, "backfill", role_documents(strict, "history", "BackfillRole"))
    opens, closes = declare_last_session(strict, outputs)
    lane = partition_key(lane_of("AAPL", 4), 4)
    state = LaneState(clock=closes, complete_to=closes, symbols={"AAPL": make_symbol(event_time=closes)})
    item = {"lane": {"S": lane}, "state": {"B": pack(state)}, "last_sequence": {"S": str(state.position)}}
    strict.client("dynamodb").put_item(TableName=outputs["StateTable"], Item=item)
    with recorded(strict, principal) as proxy, running(tmp_path / "yahoo") as yahoo:
        environment = principal.environment(strict, proxy) | dict(yahoo.environment) | {"NO_PROXY": "127.0.0.1"}
        done = run_task(strict, outputs["BackfillTaskArn"], environment | {"SOURCE": "yahoo"}, tmp_path)
        assert done.returncode == 0, done.stderr
        line = json.loads(done.stdout.splitlines()[-1])
        assert (line["event"], line["status"]) == ("backfill", "done")
        assert line["written"] >= (closes - opens) / timedelta(minutes=1)
        assert line["lanes"] == 1
    assert_least(principal, explained("backfill", {}))


def test_only_in_fast_mode_the_mapping_may_read_through_the_consumer(
    strict: Emulator, outputs: Outputs, packages: dict[str, Path]
) -> None:
    """The emulator looks for these actions on another resource than AWS, so only the deployed grants are compared."""
    arn = consumer.register(strict.client("kinesis"), outputs["StreamArn"], "processor")
    deployment = Deployment(strict.client("cloudformation"), strict.client("s3"), PREFIX)
    granted: dict[str, set[Grant]] = {}
    for mode in ("fast", "cheap"):
        deployment.deploy(packages, {"MappingState": "Disabled", "Latency": mode, "ConsumerArn": arn})
        granted[mode] = set(grants_of(role_documents(strict, "processor", "Role")))
    assert granted["cheap"] < granted["fast"]
    assert granted["fast"] - granted["cheap"] == {
        Grant(f"kinesis:{name}", arn) for name in ("DescribeStreamConsumer", "SubscribeToShard")
    }


def test_queries(strict: Emulator, outputs: Outputs) -> None:
    document = strict.client("iam").get_policy_version(PolicyArn=outputs["QueryPolicyArn"], VersionId="v1")
    principal = Principal(strict, "queries", [document["PolicyVersion"]["Document"]], EMULATOR_ACTIONS)
    archive, results, key = outputs["ArchiveBucket"], outputs["ResultsBucket"], "raw-data/dt=2026-11-23/hour=14/1.gz"
    compacted = "compacted/compacted_quotes/data/1.parquet"
    for each in (key, compacted):
        strict.client("s3").put_object(Bucket=archive, Key=each, Body=b"")
    saved = strict.client("athena").create_named_query(
        Name="one", Database=outputs["Database"], QueryString="SELECT 1", WorkGroup=outputs["Workgroup"]
    )["NamedQueryId"]
    with recorded(strict, principal) as proxy:
        ask_athena(principal.client(proxy, "athena"), outputs["Workgroup"], saved)
        open_console(principal.client(proxy, "athena"), outputs)
        look_up_tables(principal.client(proxy, "glue"), outputs["Database"], outputs["LinesTable"])
        s3 = principal.client(proxy, "s3")
        s3.get_object(Bucket=archive, Key=key)
        s3.get_object(Bucket=archive, Key=compacted)
        s3.list_objects_v2(Bucket=archive, Prefix="raw-data/dt=2026-11-23/")
        s3.get_bucket_location(Bucket=results)
        (result, *_) = s3.list_objects_v2(Bucket=results)["Contents"]
        s3.get_object(Bucket=results, Key=result["Key"])
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=archive, Prefix="undelivered/")
    bucket = f"arn:aws:s3:::{results}"
    workgroup = f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{outputs['Workgroup']}"
    places = {"results": bucket, "results/*": f"{bucket}/*", "workgroup": workgroup, "*": "*"}
    assert_least(principal, explained("queries", places))


def ask_athena(athena: Any, workgroup: str, saved: str) -> None:
    """Run a query, read its result, and list the saved queries, as the console does."""
    athena.get_work_group(WorkGroup=workgroup)
    query = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=workgroup)["QueryExecutionId"]
    wait_until(lambda: state(athena, query) not in ("QUEUED", "RUNNING"))
    assert state(athena, query) == "SUCCEEDED"
    athena.get_query_results(QueryExecutionId=query)
    athena.stop_query_execution(QueryExecutionId=query)
    assert saved in athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]
    athena.get_named_query(NamedQueryId=saved)
    athena.batch_get_named_query(NamedQueryIds=[saved])


def open_console(athena: Any, outputs: Outputs) -> None:
    """Show the lists of the console's query editor: workgroups, catalogs, databases, tables, and recent queries."""
    catalog, database = "AwsDataCatalog", outputs["Database"]
    athena.list_work_groups()
    athena.list_data_catalogs()
    athena.get_data_catalog(Name=catalog)
    athena.list_databases(CatalogName=catalog)
    athena.get_database(CatalogName=catalog, DatabaseName=database)
    athena.list_table_metadata(CatalogName=catalog, DatabaseName=database)
    athena.get_table_metadata(CatalogName=catalog, DatabaseName=database, TableName=outputs["LinesTable"])
    recent = athena.list_query_executions(WorkGroup=outputs["Workgroup"])["QueryExecutionIds"]
    athena.batch_get_query_execution(QueryExecutionIds=recent)


def look_up_tables(glue: Any, database: str, table: str) -> None:
    """Read the catalog, as Athena and its drivers do with the caller's permissions."""
    glue.get_databases()
    glue.get_database(Name=database)
    glue.get_tables(DatabaseName=database)
    glue.get_table(DatabaseName=database, Name=table)
    glue.get_partitions(DatabaseName=database, TableName=table)


def test_the_emulator_denies_a_call_that_only_another_role_may_make(strict: Emulator, outputs: Outputs) -> None:
    """The producer must not read the processor's archive. This shows that the emulator enforces policies."""
    principal = Principal(strict, "other", role_documents(strict, "producer", "TaskRole"))
    with recorded(strict, principal) as proxy, pytest.raises(ClientError, match="AccessDenied"):
        principal.client(proxy, "s3").get_object(Bucket=outputs["ArchiveBucket"], Key="raw-data/1")
    assert principal.uncovered() == [Call("s3:GetObject", f"{outputs['ArchiveBucketArn']}/raw-data/1")]


@pytest.mark.parametrize("prefix", [None, "", "raw-data/", "undelivered/", "undelivered/another-stream/"])
def test_the_producer_may_list_only_what_its_own_stream_left(
    strict: Emulator, outputs: Outputs, prefix: str | None
) -> None:
    principal = Principal(strict, f"lister-{prefix}".replace("/", "-"), role_documents(strict, "producer", "TaskRole"))
    with recorded(strict, principal) as proxy:
        s3, bucket = principal.client(proxy, "s3"), outputs["ArchiveBucket"]
        s3.list_objects_v2(Bucket=bucket, Prefix=f"undelivered/{outputs['StreamName']}/")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=bucket, **({} if prefix is None else {"Prefix": prefix}))


def state(athena: Any, query: str) -> str:
    found: str = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"]
    return found


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
