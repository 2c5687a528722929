"""The handler while AWS fails: killed in the middle of a batch, throttled in part, refused once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bars.keys import bar_key
from configuration import RULES_KEY
from deployment.stacks import Outputs
from quotes import partition_key, to_iso
from replica.emulator import Emulator
from tests.fakes.fault_proxy import Answer, FaultProxy, Request
from tests.support.handler_process import HANDLER_SCRIPT, LANES, MINUTE, Batch, HandlerProcess, event_record
from tests.support.queues import subscribed, take

PATIENCE = 30


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[FaultProxy]:
    with FaultProxy(emulator.endpoint_url).running() as proxy:
        yield proxy


@pytest.fixture
def environment(emulator: Emulator, deployed: Outputs, proxy: FaultProxy) -> dict[str, str]:
    names = {
        "QUOTES_TABLE": "QuotesTable",
        "BARS_TABLE": "BarsTable",
        "ALERTS_TABLE": "AlertsTable",
        "ARCHIVE_BUCKET": "ArchiveBucket",
        "ALERTS_TOPIC_ARN": "AlertsTopicArn",
        "QUARANTINE_QUEUE_URL": "QuarantineQueueUrl",
    }
    return (
        emulator.environment(os.environ)
        | {variable: deployed[output] for variable, output in names.items()}
        | {"AWS_ENDPOINT_URL": proxy.url, "RULES_KEY": f"{RULES_KEY}-of-nobody"}
    )


@pytest.fixture
def state_table(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[str]:
    """A table for each test, because all tests use the same lanes."""
    dynamodb, name = emulator.client("dynamodb"), f"state-{request.node.name[:200]}".replace("[", "-").replace("]", "")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "lane", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "lane", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def start(environment: dict[str, str], state_table: str) -> Iterator[Any]:
    started: list[HandlerProcess] = []

    def start(**variables: str) -> HandlerProcess:
        started.append(HandlerProcess(environment | {"STATE_TABLE": state_table} | variables))
        return started[-1]

    yield start
    for function in started:
        function.kill()


def rows_of(emulator: Emulator, table: str, batch: Batch, key: str) -> list[tuple[str, str]]:
    pages = emulator.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    found = [(item["symbol"]["S"], item[key]["S"]) for page in pages for item in page["Items"]]
    return [row for row in found if row[0] in set(batch.symbols)]


def alerts_of(emulator: Emulator, deployed: Outputs, batch: Batch) -> list[str]:
    """The ids of the stored alerts about the symbols of a batch."""
    day = to_iso(MINUTE)[:10]
    stored = emulator.client("dynamodb").query(
        TableName=deployed["AlertsTable"],
        KeyConditionExpression="#day = :day",
        ExpressionAttributeNames={"#day": "day"},
        ExpressionAttributeValues={":day": {"S": day}},
    )["Items"]
    return [item["id"]["S"] for item in stored if item["symbol"]["S"] in batch.symbols]


def assert_stored_once(emulator: Emulator, deployed: Outputs, batch: Batch) -> None:
    rows = rows_of(emulator, deployed["QuotesTable"], batch, "timestamp")
    assert sorted(rows) == sorted(batch.identities)
    bars = rows_of(emulator, deployed["BarsTable"], batch, "key")
    assert sorted(bars) == sorted((symbol, bar_key("1m", MINUTE)) for symbol in batch.symbols)


def test_a_batch_is_stored(emulator: Emulator, deployed: Outputs, start: Any) -> None:
    batch = Batch("PLAIN")
    assert start().invoke(batch.event) == []
    assert_stored_once(emulator, deployed, batch)


# At every step of the protocol, the function is killed during a call, before it takes effect.
@pytest.mark.parametrize(
    "call",
    [
        ("", 1),  # the alert rules
        ("", 3),  # the archive object
        ("DynamoDB_20120810.BatchGetItem", 1),
        ("DynamoDB_20120810.BatchWriteItem", 3),  # in the middle of the rows
        ("DynamoDB_20120810.PutItem", 1),  # the commit of the first lane
        ("DynamoDB_20120810.PutItem", 2),  # the commit of the second lane
        ("DynamoDB_20120810.PutItem", 3),  # the first published mark, after bars and alerts
    ],
)
def test_a_function_killed_during_a_batch_stores_each_identity_once_when_it_is_repeated(
    emulator: Emulator, deployed: Outputs, proxy: FaultProxy, start: Any, call: tuple[str, int]
) -> None:
    target, nth = call
    batch = Batch(f"K{nth}{target[-12:].replace('.', '')}")
    reached, killed = threading.Event(), threading.Event()
    remaining = nth

    def hang(request: Request) -> Answer | None:
        nonlocal remaining
        if request.target != target:
            return None
        remaining -= 1
        if remaining:
            return None
        reached.set()
        killed.wait(PATIENCE)
        return Answer(500, b"{}")

    proxy.fault = hang
    function = start()
    function.send(batch.event)
    assert reached.wait(PATIENCE)
    function.kill()
    killed.set()
    proxy.fault = lambda _: None
    assert start().invoke(batch.event) == []
    assert_stored_once(emulator, deployed, batch)


def test_unprocessed_items_are_written_by_the_same_invocation(
    emulator: Emulator, deployed: Outputs, proxy: FaultProxy, start: Any
) -> None:
    batch = Batch("UNPROCESSED")
    refused = 0

    def process_nothing(request: Request) -> Answer | Request | None:
        """Process nothing of every other BatchWriteItem, and respond as DynamoDB does."""
        nonlocal refused
        if not request.target.endswith(".BatchWriteItem"):
            return None
        refused += 1
        if refused % 2 == 0:
            return None
        return Answer(200, json.dumps({"UnprocessedItems": json.loads(request.body)["RequestItems"]}).encode())

    proxy.fault = process_nothing
    assert start().invoke(batch.event) == []
    assert refused > 2
    assert_stored_once(emulator, deployed, batch)


def test_items_that_remain_unprocessed_fail_the_batch_and_the_next_attempt_succeeds(
    emulator: Emulator, deployed: Outputs, proxy: FaultProxy, start: Any
) -> None:
    batch = Batch("STUCK")

    def refuse(request: Request) -> Answer | None:
        if not request.target.endswith(".BatchWriteItem"):
            return None
        return Answer(200, json.dumps({"UnprocessedItems": json.loads(request.body)["RequestItems"]}).encode())

    proxy.fault = refuse
    function = start()
    assert function.invoke(batch.event) == [batch.event["Records"][0]["kinesis"]["sequenceNumber"]]
    proxy.fault = lambda _: None
    assert function.invoke(batch.event) == []
    assert_stored_once(emulator, deployed, batch)


@pytest.mark.parametrize("action", ["PutObject", "BatchGetItem", "SendMessageBatch", "PutItem", "PublishBatch"])
def test_a_service_that_fails_fails_the_batch_and_the_next_attempt_succeeds(
    emulator: Emulator, deployed: Outputs, proxy: FaultProxy, start: Any, action: str
) -> None:
    batch = Batch(f"F{action}")
    records = batch.event["Records"]
    records.append(event_record(batch.key, len(records), partition_key(0, LANES), b"rubbish"))

    def fail(request: Request) -> Answer | None:
        return Answer(500, b'{"__type":"InternalServerError"}') if _action_of(request) == action else None

    proxy.fault = fail
    function = start()
    with subscribed(emulator.client, deployed["AlertsTopicArn"]) as inbox:
        assert function.invoke(batch.event) == [records[0]["kinesis"]["sequenceNumber"]]
        if action != "PublishBatch":  # it comes after the commit, before which nothing that depends on state is visible
            assert rows_of(emulator, deployed["BarsTable"], batch, "key") == []
        proxy.fault = lambda _: None
        assert function.invoke(batch.event) == []
        alerts = take(emulator.client("sqs"), inbox, lambda alert: alert["symbol"] in batch.symbols, len(batch.symbols))
    assert_stored_once(emulator, deployed, batch)
    assert set(alerts) == {f"price_move:{symbol}:{to_iso(MINUTE + timedelta(seconds=1))}" for symbol in batch.symbols}
    assert sorted(alerts_of(emulator, deployed, batch)) == sorted(alerts)
    shard, queue = f"shardId-{batch.key}", deployed["QuarantineQueueUrl"]
    [line] = take(emulator.client("sqs"), queue, lambda line: line.get("shard") == shard, 1).values()
    assert base64.b64decode(json.loads(line.body)["content"]) == b"rubbish"


def _action_of(request: Request) -> str:
    """The name of the action. DynamoDB and SQS have it in a header, SNS in its form, and S3 in its method."""
    if request.method in ("PUT", "GET"):
        return {"PUT": "PutObject", "GET": "GetObject"}[request.method]
    return request.target.rpartition(".")[2] or dict(parse_qsl(request.body.decode()))["Action"]


def test_a_batch_is_one_log_line_with_its_metrics(proxy: FaultProxy, start: Any) -> None:
    batch, function = Batch("LOGGED"), start()
    proxy.fault = lambda request: Answer(500, b"") if _action_of(request) == "PutObject" else None
    function.invoke(batch.event)
    proxy.fault = lambda _: None
    function.invoke(batch.event)
    failed, processed = map(json.loads, function.log)
    assert (failed["event"], _metrics_of(failed)) == ("batch_failed", {"BatchesFailed": 1})
    assert processed["event"] == "batch_processed"
    metrics, symbols = _metrics_of(processed), len(batch.symbols)
    counts = {"Quotes": 2 * symbols, "Alerts": symbols}
    assert {name: metrics.pop(name) for name in counts} == counts
    assert set(metrics) == {"LargestStateBytes", "EndToEndSeconds"}
    assert processed["bars"] == symbols


def test_a_batch_that_ends_in_an_error_is_one_log_line_and_an_error_for_lambda(proxy: FaultProxy, start: Any) -> None:
    refusal = b'{"__type":"com.amazon.coral.validate#ValidationException","message":"Item size"}'
    proxy.fault = lambda request: Answer(400, refusal) if _action_of(request) == "PutItem" else None
    function, batch = start(), Batch("DIED")
    with pytest.raises(AssertionError, match="the function died"):
        function.invoke(batch.event)
    [line] = map(json.loads, function.log)
    assert (line["level"], line["event"], line["records"]) == ("ERROR", "batch_died", len(batch.event["Records"]))
    assert line["reason"] == "PermanentFailure: dynamodb PutItem: ValidationException: Item size"
    assert line["last_sequence_number"] == batch.event["Records"][-1]["kinesis"]["sequenceNumber"]


def _metrics_of(line: dict[str, Any]) -> dict[str, float]:
    """The metrics that CloudWatch reads from a log line, by name."""
    [directive] = line["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


SPLIT, MOVE = b"[[rule]]\nkind = 'split'\n", b"[[rule]]\nkind = 'price_move'\npercent = 1\n"


class Rules:
    """The object with the alert rules of one test, and functions that look at it at each batch."""

    def __init__(self, emulator: Emulator, bucket: str, key: str, start: Any) -> None:
        self._s3, self._bucket, self.key, self._start = emulator.client("s3"), bucket, key, start

    def put(self, content: bytes) -> str:
        """Write the object, as anybody could, and return its version and its digest."""
        version = self._s3.put_object(Bucket=self._bucket, Key=self.key, Body=content)["VersionId"]
        return f"{version} {hashlib.sha256(content).hexdigest()[:12]}"

    def delete(self) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=self.key)

    def start(self) -> HandlerProcess:
        started: HandlerProcess = self._start(RULES_KEY=self.key, REFRESH_SECONDS="0")
        return started

    def used(self, function: HandlerProcess, batch: Batch | None = None) -> tuple[str, str]:
        """Which rules the function says that it uses for a batch, and what is wrong with the newest."""
        without_lines = {"Records": [event_record("rules", 0, "of no lane", b"")]}
        assert function.invoke(without_lines if batch is None else batch.event) == []
        line = json.loads(function.log[-1])
        assert _metrics_of(line).get("RulesRefused", 0) == bool(line.get("rules_problem"))
        return f"{line['rules_version']} {line['rules']}", line.get("rules_problem", "")


@pytest.fixture
def rules(emulator: Emulator, deployed: Outputs, start: Any, request: pytest.FixtureRequest) -> Rules:
    return Rules(emulator, deployed["ArchiveBucket"], f"configuration/{request.node.name}", start)


def test_rules_that_change_while_the_function_runs_take_effect_with_their_version_in_the_log(
    emulator: Emulator, deployed: Outputs, rules: Rules
) -> None:
    first = rules.put(SPLIT)
    function = rules.start()
    with subscribed(emulator.client, deployed["AlertsTopicArn"]) as inbox:
        assert rules.used(function) == (first, "")
        second = rules.put(MOVE)
        batch = Batch("CHANGEDRULES", quotes=1)
        assert rules.used(function, batch) == (second, "")
        alerts = take(emulator.client("sqs"), inbox, lambda alert: alert["symbol"] in batch.symbols, 1)
    assert [alert.partition(":")[0] for alert in alerts] == ["price_move"]


def test_a_broken_object_changes_nothing_in_old_and_new_instances(rules: Rules) -> None:
    rules.put(MOVE)
    good = rules.put(SPLIT)
    old = rules.start()
    assert rules.used(old) == (good, "")
    for change, problem in (
        (lambda: rules.put(b"[[rule]]\nkind = 'magic'\n"), "the alert rules: rule 1 (magic): Invalid value 'magic'"),
        (rules.delete, "does not exist"),
    ):
        change()
        for function in (old, old, rules.start()):
            used, said = rules.used(function)
            assert used == good
            assert problem in said
    last = rules.put(MOVE)
    assert rules.used(old) == rules.used(rules.start()) == (last, "")


def test_while_s3_refuses_the_rules_an_instance_keeps_them_and_a_new_one_fails_its_batch(
    proxy: FaultProxy, rules: Rules
) -> None:
    good = rules.put(SPLIT)
    old, new = rules.start(), rules.start()
    assert rules.used(old) == (good, "")
    denied = Answer(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    proxy.fault = lambda request: denied if _action_of(request) == "GetObject" else None
    assert rules.used(old) == (good, "s3 GetObject: AccessDenied: no")
    batch = Batch("DENIEDRULES", quotes=1)
    assert new.invoke(batch.event) == [batch.event["Records"][0]["kinesis"]["sequenceNumber"]]
    line = json.loads(new.log[-1])
    assert (line["event"], line["reason"]) == ("batch_failed", "s3 GetObject: AccessDenied: no")
    proxy.fault = lambda _: None
    assert rules.used(old) == rules.used(new) == (good, "")


def test_every_mistake_in_the_environment_is_reported(environment: dict[str, str]) -> None:
    wrong = {name: value for name, value in environment.items() if name not in ("QUOTES_TABLE", "STATE_TABLE")}
    run = subprocess.run(
        [sys.executable, "-c", HANDLER_SCRIPT],
        env=wrong | {"ANOMALY_PERCENT": "lots"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "QUOTES_TABLE: missing\nSTATE_TABLE: missing\nANOMALY_PERCENT: 'lots' is not a positive number" in run.stderr
