"""Queues of any emulator, which others may have messages in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

PATIENCE = 30.0


class Message(NamedTuple):
    """A message as its reader has it."""

    body: str
    attributes: dict[str, str]


@contextmanager
def subscribed(client: Callable[[str], Any], topic: str) -> Iterator[str]:
    """The URL of a queue that receives what a topic is sent, as it was sent, for as long as the block lasts."""
    sqs, sns = client("sqs"), client("sns")
    url = sqs.create_queue(QueueName=f"inbox-{uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    try:
        yield url
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)


def take(sqs: Any, url: str, is_ours: Callable[[dict[str, Any]], bool], count: int) -> dict[str, Message]:
    """Our messages, by the `id` in their bodies, once so many have come or patience is over. Others' stay."""
    found: dict[str, Message] = {}
    others: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=1
        )
        messages = answer.get("Messages", [])
        if not messages and len(found) >= count:
            break
        for message in messages:
            body = json.loads(message["Body"])
            if not is_ours(body):
                others.append(message["ReceiptHandle"])
                continue
            attributes = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
            taken = Message(message["Body"], attributes)
            assert found.setdefault(body["id"], taken) == taken
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    for handle in others:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    return found
