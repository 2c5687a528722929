"""What the query function asks of DynamoDB and SQS, and what it makes of their answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from aws_requests import ATTEMPTS, Service, Unavailable
from lane_state import pack
from query_api.ports import Attribute, Depth, Page
from query_api.queue import SqsQueue
from query_api.tables import DynamoStateTable, DynamoTable
from tests.fakes.scripted_server import ScriptedServer, response
from tests.support.aws_adapters import STATE, Clock, Connect, error


def answered(body: dict[str, Any]) -> bytes:
    return response(200, json.dumps(body).encode())


class TestTable:
    def test_asks_for_a_page_of_a_partition(self, server: ScriptedServer, dynamodb: Service) -> None:
        item = {
            "symbol": {"S": "AAPL"},
            "key": {"S": "2"},
            "close": {"N": "1.50"},
            "values": {"M": {"x": {"N": "1"}}},
        }
        server.play(answered({"Items": [item], "LastEvaluatedKey": {"symbol": {"S": "AAPL"}, "key": {"S": "2"}}}))
        page = DynamoTable(dynamodb, "bars", "symbol", "key").read(
            "AAPL", "1", "9", newest_first=True, limit=7, after="3"
        )
        values = Attribute(M={"x": Attribute(N="1")})
        assert page == Page(
            [
                {
                    "symbol": Attribute(S="AAPL"),
                    "key": Attribute(S="2"),
                    "close": Attribute(N="1.50"),
                    "values": values,
                }
            ],
            is_last=False,
        )
        assert json.loads(server.requests[0].body) == {
            "TableName": "bars",
            "KeyConditionExpression": "#partition = :partition AND #range BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#partition": "symbol", "#range": "key"},
            "ExpressionAttributeValues": {":partition": {"S": "AAPL"}, ":first": {"S": "1"}, ":last": {"S": "9"}},
            "ScanIndexForward": False,
            "Limit": 7,
            "ExclusiveStartKey": {"symbol": {"S": "AAPL"}, "key": {"S": "3"}},
        }

    def test_a_page_without_a_next_key_is_the_last(self, server: ScriptedServer, dynamodb: Service) -> None:
        server.play(answered({"Items": []}))
        page = DynamoTable(dynamodb, "bars", "symbol", "key").read("A", "1", "9", newest_first=False, limit=7)
        assert page == Page([], is_last=True)
        assert "ExclusiveStartKey" not in json.loads(server.requests[0].body)

    def test_only_some_attributes_are_asked_for(self, server: ScriptedServer, dynamodb: Service) -> None:
        server.play(answered({"Items": [{"key": {"S": "2"}}]}))
        table = DynamoTable(dynamodb, "bars", "symbol", "key")
        table.read("A", "1", "9", newest_first=False, limit=7, only=("key", "provenance"))
        request = json.loads(server.requests[0].body)
        assert request["ProjectionExpression"] == "#only0, #only1"
        assert {"#only0": "key", "#only1": "provenance"}.items() <= request["ExpressionAttributeNames"].items()

    def test_a_table_that_is_throttled_is_unavailable_after_a_few_attempts(
        self, server: ScriptedServer, dynamodb: Service, clock: Clock
    ) -> None:
        server.play(*[error("ProvisionedThroughputExceededException")] * ATTEMPTS)
        table = DynamoTable(dynamodb, "bars", "symbol", "key")
        with pytest.raises(Unavailable, match="ProvisionedThroughputExceededException"):
            table.read("A", "1", "9", newest_first=False, limit=7)
        assert clock.now < 6


class TestStates:
    def test_all_lanes_are_asked_for_at_once_and_again_if_dynamodb_did_not_read_them(
        self, server: ScriptedServer, dynamodb: Service, clock: Clock
    ) -> None:
        item = {"lane": {"S": "a"}, "last_sequence": {"S": "7"}, "state": {"B": base64.b64encode(pack(STATE)).decode()}}
        server.play(
            answered(
                {"Responses": {"states": [item]}, "UnprocessedKeys": {"states": {"Keys": [{"lane": {"S": "b"}}]}}}
            ),
            answered({"Responses": {"states": []}, "UnprocessedKeys": {}}),
        )
        assert DynamoStateTable(dynamodb, "states", clock.sleep).read(["a", "b"]) == {"a": pack(STATE)}
        asked = [json.loads(request.body)["RequestItems"]["states"]["Keys"] for request in server.requests]
        assert asked == [[{"lane": {"S": "a"}}, {"lane": {"S": "b"}}], [{"lane": {"S": "b"}}]]

    def test_lanes_that_remain_unread_are_unavailable(
        self, server: ScriptedServer, dynamodb: Service, clock: Clock
    ) -> None:
        unread = {"Responses": {}, "UnprocessedKeys": {"states": {"Keys": [{"lane": {"S": "a"}}]}}}
        server.play(*[answered(unread)] * ATTEMPTS)
        with pytest.raises(Unavailable, match="states: 1 items are still unread after 6 attempts"):
            DynamoStateTable(dynamodb, "states", clock.sleep).read(["a"])


def test_the_depth_of_the_queue(server: ScriptedServer, connect: Connect) -> None:
    attributes = {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "1"}
    server.play(answered({"Attributes": attributes}))
    assert SqsQueue(connect("sqs"), "http://queue/quarantine").depth() == Depth(3, 1)
    (request,) = server.requests
    assert request.headers["x-amz-target"] == "AmazonSQS.GetQueueAttributes"
    assert json.loads(request.body) == {"QueueUrl": "http://queue/quarantine", "AttributeNames": list(attributes)}
