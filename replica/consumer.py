"""Registers a consumer of the stream for enhanced fan-out, in place of the stack `consumer`.

MiniStack's CloudFormation does not know the type AWS::Kinesis::StreamConsumer, but its Kinesis does.
"""

from __future__ import annotations

import time
from typing import Any

from replica.errors import ReplicaError

ACTIVE_SECONDS = 30.0
"""How long a consumer may take to become active."""
_POLL_SECONDS = 0.1


class ConsumerNotActive(ReplicaError):
    """The registered consumer did not become active."""


def register(kinesis: Any, stream_arn: str, name: str) -> str:
    """Register a consumer of a stream, wait until it is active, and return its ARN.

    "A consumer can't read data while in the CREATING or DELETING states"
    (docs.aws.amazon.com/kinesis/latest/APIReference/API_Consumer.html). `kinesis` is a boto3 client. Raises
    `ConsumerNotActive`.
    """
    consumer = kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName=name)["Consumer"]
    arn: str = consumer["ConsumerARN"]
    status = consumer["ConsumerStatus"]
    deadline = time.monotonic() + ACTIVE_SECONDS
    while status != "ACTIVE":
        if time.monotonic() > deadline:
            raise ConsumerNotActive(
                f"the consumer {arn} is {status}, and did not become ACTIVE in {ACTIVE_SECONDS:g} s"
            )
        time.sleep(_POLL_SECONDS)
        status = kinesis.describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]["ConsumerStatus"]
    return arn
