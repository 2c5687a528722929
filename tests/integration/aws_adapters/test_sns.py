"""Alerts on SNS: how they are sent, and which of them are sent again or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

import pytest

from aws_limits import MESSAGE_BATCH_BYTES
from aws_requests import ATTEMPTS, Unavailable
from processor_lambda.adapters.sns import SnsTopic
from processor_lambda.ports import RefusedAlert
from tests.fakes.scripted_server import Request, ScriptedServer, response
from tests.support.aws_adapters import ALERT, Clock, Connect, sample_alert


def published(*accepted: int, failed: Mapping[int, str] = MappingProxyType({})) -> bytes:
    members = "".join(f"<member><Id>{number}</Id><MessageId>1</MessageId></member>" for number in accepted)
    errors = "".join(
        f"<member><Id>{number}</Id><Code>{code}</Code><Message>why</Message><SenderFault>true</SenderFault></member>"
        for number, code in failed.items()
    )
    body = (
        '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>'
        f"<Failed>{errors}</Failed><Successful>{members}</Successful></PublishBatchResult></PublishBatchResponse>"
    )
    return response(200, body.encode(), "Content-Type: text/xml")


def sns_error(code: str) -> bytes:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>why</Message></Error></ErrorResponse>"
    return response(400, body.encode(), "Content-Type: text/xml")


@pytest.fixture
def topic(connect: Connect, clock: Clock) -> SnsTopic:
    return SnsTopic(connect("sns"), "arn:aws:sns:::alerts", sleep=clock.sleep)


def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def timestamps_of(request: Request) -> list[str]:
    messages = [value for name, value in form_of(request).items() if name.endswith(".Message")]
    return [json.loads(message)["timestamp"] for message in messages]


def test_alerts_are_sent_as_a_form_with_attributes_to_filter_on(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(published(0, 1))
    assert topic.publish([sample_alert(7), ALERT]) == []
    form = form_of(server.requests[0])
    assert (form["Action"], form["TopicArn"]) == ("PublishBatch", "arn:aws:sns:::alerts")
    entry = "PublishBatchRequestEntries.member.2"
    assert (form[f"{entry}.Id"], form[f"{entry}.Subject"]) == ("1", ALERT.subject)
    assert json.loads(form[f"{entry}.Message"])["values"] == {"price": 105.2}
    attributes = f"{entry}.MessageAttributes.entry"
    assert {
        form[f"{attributes}.{number}.Name"]: form[f"{attributes}.{number}.Value.StringValue"] for number in range(1, 6)
    } == {"id": ALERT.id, "rule": "price_move", "severity": "warning", "symbol": "A&B", "symbols": '["A&B"]'}


def test_a_batch_has_up_to_ten_alerts_and_the_bytes_of_a_request(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(published(*range(10)), published(0), published(0), published(0, 1), published(0))
    topic.publish([sample_alert(number) for number in range(11)])
    topic.publish(
        [
            sample_alert(0, MESSAGE_BATCH_BYTES * 19 // 20 * "x"),
            sample_alert(1, MESSAGE_BATCH_BYTES * 49 // 100 * "y"),
            sample_alert(2, MESSAGE_BATCH_BYTES * 49 // 100 * "z"),
            sample_alert(3, MESSAGE_BATCH_BYTES * 49 // 100 * "z"),
        ]
    )
    assert [len(timestamps_of(request)) for request in server.requests] == [10, 1, 1, 2, 1]


def test_no_alerts_are_no_request(server: ScriptedServer, topic: SnsTopic) -> None:
    assert topic.publish([]) == []
    assert server.requests == []


def test_invalid_alerts_are_returned_and_other_failures_sent_again(
    server: ScriptedServer, topic: SnsTopic, clock: Clock
) -> None:
    server.play(published(1, failed={0: "InvalidParameter", 2: "InternalError", 3: "Throttled"}), published(1, 0))
    assert topic.publish([sample_alert(number) for number in range(4)]) == [
        RefusedAlert(sample_alert(0), "InvalidParameter: why")
    ]
    assert timestamps_of(server.requests[1]) == ["2", "3"]
    assert len(clock.pauses) == 1


def test_an_alert_that_makes_its_batch_invalid_is_found(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(sns_error("InvalidParameter"), published(0), sns_error("InvalidParameter"), published(0))
    refused = topic.publish([sample_alert(number) for number in range(3)])
    assert refused == [RefusedAlert(sample_alert(1), "sns PublishBatch: InvalidParameter: why")]
    assert [timestamps_of(request) for request in server.requests] == [["0", "1", "2"], ["0"], ["1"], ["2"]]


def test_a_topic_that_refuses_a_request_fails_the_batch(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(sns_error("AuthorizationError"))
    with pytest.raises(Unavailable, match="AuthorizationError"):
        topic.publish([ALERT])
    server.play(sns_error("Throttled"), published(0))
    assert topic.publish([ALERT]) == []


@pytest.mark.parametrize(
    ("last", "problem"),
    [
        (published(failed={0: "InternalError"}), "InternalError: why"),
        (published(), "no result: it is not in the response"),
        (published(1, failed={2: "InvalidParameter"}), "no result"),
    ],
)
def test_alerts_that_remain_unpublished_fail_the_batch(
    last: bytes, problem: str, server: ScriptedServer, topic: SnsTopic, clock: Clock
) -> None:
    server.play(published(0), *[last] * (ATTEMPTS - 1))
    with pytest.raises(Unavailable, match=f"1 alerts are left after 6 attempts; the last error was {problem}"):
        topic.publish([sample_alert(0), sample_alert(1)])
    assert len(clock.pauses) == ATTEMPTS - 1


def test_a_response_that_is_not_from_sns_fails_the_batch(server: ScriptedServer, topic: SnsTopic) -> None:
    server.play(response(200, b"<html>", "Content-Type: text/html"))
    with pytest.raises(Unavailable, match="invalid response"):
        topic.publish([ALERT])
