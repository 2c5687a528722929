"""Quarantined lines on SQS: how they are sent, and which responses fail the batch."""

from __future__ import annotations

import json

import pytest

from aws_requests import Unavailable
from processor_lambda.adapters.sqs import SqsQuarantine
from processor_lambda.quarantine import MAX_LINE_BYTES
from tests.fakes.scripted_server import ScriptedServer, response
from tests.support.aws_adapters import Connect, sample_message


def accepted(count: int, failed: int = 0) -> bytes:
    body: dict[str, object] = {"Successful": [{"Id": str(index), "MessageId": "m"} for index in range(count)]}
    if failed:
        body["Failed"] = [{"Id": str(count + index), "Code": "InternalError"} for index in range(failed)]
    return response(200, json.dumps(body).encode())


def test_messages_are_sent_in_batches_that_sqs_accepts(server: ScriptedServer, connect: Connect) -> None:
    server.play(accepted(10), accepted(1), accepted(2), accepted(1))
    queue = SqsQuarantine(connect("sqs"), "http://queue/quarantine")
    queue.put([sample_message(number) for number in range(11)])
    queue.put([sample_message(number, MAX_LINE_BYTES) for number in range(3)])
    bodies = [json.loads(request.body) for request in server.requests]
    assert [len(body["Entries"]) for body in bodies] == [10, 1, 2, 1]
    assert {body["QueueUrl"] for body in bodies} == {"http://queue/quarantine"}
    assert json.loads(bodies[0]["Entries"][3]["MessageBody"])["id"] == "3"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (accepted(1, failed=1), "SQS did not accept 1 of 2 messages: .*InternalError"),
        (response(200, b"{}"), "SQS did not accept 2 of 2 messages: no reason given"),
        (response(400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}'), "sqs SendMessageBatch: QueueDoesNotExist"),
    ],
)
def test_a_message_that_sqs_did_not_accept_fails_the_batch(
    server: ScriptedServer, connect: Connect, raw: bytes, problem: str
) -> None:
    server.play(raw)
    with pytest.raises(Unavailable, match=problem):
        SqsQuarantine(connect("sqs"), "url").put([sample_message(1), sample_message(2)])
