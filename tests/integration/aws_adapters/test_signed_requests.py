"""An emulator that checks signatures and speaks TLS accepts what every adapter sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from aws_requests import Refused, Service
from lane_state import LaneState
from processor_lambda.adapters.dynamodb import DynamoAlertTable, DynamoBarTable, DynamoStateTable
from processor_lambda.adapters.s3 import S3Archive, url_of_bucket
from processor_lambda.adapters.sns import SnsTopic
from processor_lambda.adapters.sqs import SqsQuarantine
from processor_lambda.errors import CommitConflict
from processor_lambda.rows import Row
from processor_lambda.stored_alerts import StoredAlert
from replica.emulator import Emulator
from tests.support.aws_adapters import ALERT, ROWS, STATE, Connect, sample_alert, sample_message


@pytest.fixture(scope="module")
def strict(replica_python: str) -> Iterator[Emulator]:
    """An emulator that checks signatures and speaks TLS."""
    with Emulator(python=replica_python, policies_enforced=True) as started:
        yield started


def test_the_requests_of_every_adapter_are_accepted(strict: Emulator, connect: Connect) -> None:
    environment = strict.environment({})

    def service(name: str, url: str = strict.endpoint_url) -> Service:
        return connect(name, url, environment, environment["AWS_CA_BUNDLE"])

    s3, dynamodb = strict.client("s3"), strict.client("dynamodb")
    s3.create_bucket(Bucket="a-bucket")
    S3Archive(service("s3", url_of_bucket("a-bucket", strict.endpoint_url)), "a-bucket").put("raw-data/dt=1/ä", b"x")
    assert s3.get_object(Bucket="a-bucket", Key="raw-data/dt=1/ä")["Body"].read() == b"x"

    for name, keys in (
        ("rows", ("symbol", "key")),
        ("bars", ("symbol", "key")),
        ("state", ("lane",)),
        ("alerts", ("day", "key")),
    ):
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    DynamoBarTable(service("dynamodb"), "rows").put(ROWS)
    assert dynamodb.scan(TableName="rows")["Count"] == len(ROWS)
    bars = DynamoBarTable(service("dynamodb"), "bars")
    stored: list[Row] = [
        {"symbol": "A", "key": f"1m#2026-11-23T14:{minute}:00.000Z", "close": Decimal("1E-8")}
        for minute in (28, 29, 30)
    ]
    bars.put(stored)
    assert bars.before("A", datetime(2026, 11, 23, 14, 30, tzinfo=UTC), 9) == stored[:2]
    several = replace(ALERT, timestamp="2026-11-23T14:30:01.000Z", symbols=("AAPL", "MSFT"))
    DynamoAlertTable(service("dynamodb"), "alerts").put([StoredAlert(several, 7)])
    [item] = dynamodb.scan(TableName="alerts")["Items"]
    assert (item["id"]["S"], item["symbols"]["L"][1]["S"]) == (several.id, "MSFT")
    states = DynamoStateTable(service("dynamodb"), "state")
    states.commit("a", STATE, LaneState())
    states.raise_mark("a", 3)
    states.raise_mark("a", 2)
    assert (states.read(["a"])["a"].state, states.read(["a"])["a"].published) == (STATE, 3)
    with pytest.raises(CommitConflict):
        states.commit("a", STATE, LaneState())

    queue = strict.client("sqs").create_queue(QueueName="quarantine")["QueueUrl"]
    SqsQuarantine(service("sqs"), queue).put([sample_message(number) for number in range(11)])
    depth = strict.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    assert depth["Attributes"]["ApproximateNumberOfMessages"] == "11"
    SnsTopic(service("sns"), strict.client("sns").create_topic(Name="alerts")["TopicArn"]).publish(
        [ALERT, sample_alert(1)]
    )


def test_a_subscription_that_filters_on_a_symbol_receives_alerts_about_several(
    strict: Emulator, connect: Connect
) -> None:
    environment = strict.environment({})
    service = connect("sns", strict.endpoint_url, environment, environment["AWS_CA_BUNDLE"])
    sns, sqs = strict.client("sns"), strict.client("sqs")
    topic, queue = sns.create_topic(Name="filtered")["TopicArn"], sqs.create_queue(QueueName="filtered")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [send]})})
    policy = {"symbols": ["MSFT"], "severity": ["critical", "warning"]}
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)},
    )
    several = replace(ALERT, id="several", symbol="lane-00-of-04", symbols=("AAPL", "MSFT"))
    SnsTopic(service, topic).publish([ALERT, several, replace(several, id="mild", severity="info")])
    [received] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]
    assert json.loads(received["Body"])["id"] == "several"


def test_requests_with_wrong_keys_are_refused(strict: Emulator, connect: Connect) -> None:
    environment = strict.environment({}) | {"AWS_ACCESS_KEY_ID": "AKIDNOBODY", "AWS_SECRET_ACCESS_KEY": "wrong"}
    service = connect("dynamodb", strict.endpoint_url, environment, environment["AWS_CA_BUNDLE"])
    with pytest.raises(Refused):
        DynamoBarTable(service, "rows").put(ROWS[:1])
