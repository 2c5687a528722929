"""A task that runs a metrics collector needs more memory than the least, which the deployer says before it asks AWS."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from deployment.deployer import Deployment
from deployment.errors import ParameterError
from deployment.parameters import Named
from deployment.stacks import ALL_STACKS

REFUSAL = "MetricsCollector=adot needs Memory=1024 or more"


def check(named: dict[str, str], held: dict[str, str] | None, *reset: str) -> None:
    """Check parameters against a producer that holds some, or that does not exist yet."""
    client = boto3.client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stubber:
        if held is None:
            stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id x does not exist")
        else:
            stack = {
                "StackName": "x",
                "CreationTime": datetime(2026, 11, 25, tzinfo=UTC),
                "StackStatus": "CREATE_COMPLETE",
            }
            listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in held.items()]
            stubber.add_response("describe_stacks", {"Stacks": [stack | {"Parameters": listed}]})
        deployment = Deployment(client, client, "x", stacks=ALL_STACKS)
        deployment.check([Named(name, value) for name, value in named.items()], reset)


@pytest.mark.parametrize(
    ("named", "held", "reset"),
    [
        ({"MetricsCollector": "adot"}, None, ()),
        ({"MetricsCollector": "adot"}, {"Memory": "512"}, ()),
        ({"Memory": "512"}, {"MetricsCollector": "adot", "Memory": "1024"}, ()),
        ({}, {"MetricsCollector": "adot", "Memory": "1024"}, ("Memory",)),
    ],
)
def test_a_collector_with_too_little_memory_is_refused(
    named: dict[str, str], held: dict[str, str] | None, reset: tuple[str, ...]
) -> None:
    with pytest.raises(ParameterError, match=REFUSAL):
        check(named, held, *reset)


@pytest.mark.parametrize(
    ("named", "held"),
    [
        ({"MetricsCollector": "adot", "Memory": "1024"}, None),
        ({"MetricsCollector": "adot"}, {"Memory": "2048"}),
        ({"MetricsCollector": "none", "Memory": "512"}, {"MetricsCollector": "adot", "Memory": "1024"}),
    ],
)
def test_a_collector_with_enough_memory_is_not(named: dict[str, str], held: dict[str, str] | None) -> None:
    check(named, held)
