"""Parameters that contradict each other are refused before anything is changed."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from deployment.deployer import Deployment
from deployment.errors import ParameterError
from deployment.parameters import Named
from deployment.stacks import ALL_STACKS, PIPELINE

STACK = {
    "StackName": "x",
    "CreationTime": datetime(2026, 11, 25, tzinfo=UTC),
    "StackStatus": "CREATE_COMPLETE",
}


def check(
    named: dict[str, str], held: dict[str, str] | None, *reset: str, stacks: tuple[str, ...] = ALL_STACKS
) -> None:
    """Check parameters against stacks that hold some, or that do not exist yet."""
    client = boto3.client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stubber:
        for _ in ("storage", "capacity", "producer") if stacks == ALL_STACKS else ("storage", "processor"):
            if held is None:
                stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id x does not exist")
                continue
            listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in held.items()]
            stubber.add_response("describe_stacks", {"Stacks": [STACK | {"Parameters": listed}]})
        deployment = Deployment(client, client, "x", stacks=stacks)
        deployment.check([Named(name, value) for name, value in named.items()], reset)


PROVISIONED = {"TableBilling": "PROVISIONED"}
COLLECTOR = "MetricsCollector=adot needs Memory=1024 or more"


@pytest.mark.parametrize(
    ("named", "held", "reset", "refusal"),
    [
        ({"MetricsCollector": "adot"}, None, (), COLLECTOR),
        ({"MetricsCollector": "adot"}, {"Memory": "512"}, (), COLLECTOR),
        ({"Memory": "512"}, {"MetricsCollector": "adot", "Memory": "1024"}, (), COLLECTOR),
        ({}, {"MetricsCollector": "adot", "Memory": "1024"}, ("Memory",), COLLECTOR),
        (
            {"QuotesWriteCapacity": "2000"} | PROVISIONED,
            None,
            (),
            "QuotesWriteCapacity=2000 is more than MostWriteCapacity=1000",
        ),
        # An earlier version had no greatest capacity.
        ({}, {"QuotesWriteCapacity": "2000"} | PROVISIONED, (), "QuotesWriteCapacity=2000 is more than"),
        (
            {"MostReadCapacity": "9"},
            {"BarsReadCapacity": "10"} | PROVISIONED,
            (),
            "BarsReadCapacity=10 is more than MostReadCapacity=9",
        ),
        (
            {},
            {"MostWriteCapacity": "5000", "StateWriteCapacity": "2000"} | PROVISIONED,
            ("MostWriteCapacity",),
            "StateWriteCapacity=2000",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    named: dict[str, str], held: dict[str, str] | None, reset: tuple[str, ...], refusal: str
) -> None:
    with pytest.raises(ParameterError, match=refusal):
        check(named, held, *reset)


@pytest.mark.parametrize(
    ("named", "held"),
    [
        ({"MetricsCollector": "adot", "Memory": "1024"}, None),
        ({"MetricsCollector": "adot"}, {"Memory": "2048"}),
        ({"MetricsCollector": "none", "Memory": "512"}, {"MetricsCollector": "adot", "Memory": "1024"}),
        ({"QuotesWriteCapacity": "2000"}, {"MostWriteCapacity": "2000"} | PROVISIONED),
        ({}, {"QuotesWriteCapacity": "2000"}),  # tables on demand have no capacity
    ],
)
def test_values_that_fit_each_other_are_not(named: dict[str, str], held: dict[str, str] | None) -> None:
    check(named, held)


FAST = {"Latency": "fast"}
CONSUMER = {"ConsumerArn": "arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:1"}


@pytest.mark.parametrize(
    ("named", "held", "reset"),
    [(FAST, None, ()), (FAST, {"Latency": "cheap", "ConsumerArn": ""}, ()), ({}, FAST | CONSUMER, ("ConsumerArn",))],
)
def test_fast_mode_without_the_stack_of_the_consumer_needs_the_arn_of_one(
    named: dict[str, str], held: dict[str, str] | None, reset: tuple[str, ...]
) -> None:
    with pytest.raises(ParameterError, match=r"^Latency=fast needs a registered consumer of the stream\. --whole"):
        check(named, held, *reset, stacks=PIPELINE)


@pytest.mark.parametrize(("named", "held"), [(FAST | CONSUMER, None), ({}, FAST | CONSUMER), ({}, CONSUMER)])
def test_a_consumer_that_is_named_or_deployed_is_enough_for_fast_mode(
    named: dict[str, str], held: dict[str, str] | None
) -> None:
    check(named, held, stacks=PIPELINE)


def test_the_stack_of_the_consumer_is_enough_for_fast_mode() -> None:
    check(FAST, None)
