"""Reads messages from queues that tests share, on any emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import uuid4

TIMEOUT_SECONDS = 30.0


class Message(NamedTuple):
    """The body and the attributes of a message."""

    body: str
    attributes: dict[str, str]


@contextmanager
def subscribed(client: Callable[[str], Any], topic: str) -> Iterator[str]:
    """The URL of a queue that is subscribed to a topic, with raw delivery, for as long as the block lasts."""
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
    """Take the messages of one test from a queue, and return them by the `id` in their bodies.

    `is_ours` recognizes them by their bodies. It waits for `count` messages, but not forever. Other messages stay in
    the queue.
    """
    found: dict[str, Message] = {}
    others: list[str] = []
    deadline = time.monotonic() + TIMEOUT_SECONDS
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


def bodies(sqs: Any, url: str) -> list[dict[str, Any]]:
    """The bodies of all messages in a queue, which this empties. A message that was sent twice is there twice."""
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
        found += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
