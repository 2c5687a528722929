"""Rows, bars and states on DynamoDB: what is sent, and what is retried."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from aws_requests import ATTEMPTS, Service, Unavailable
from costs.bill import ALERT_BYTES
from costs.item_size import item_size
from lane_state import Checkpoint, LaneState, Position, pack, pack_checkpoint, unpack_checkpoint
from processor_lambda.adapters.dynamodb import DynamoAlertTable, DynamoBarTable, DynamoQuoteTable, DynamoStateTable
from processor_lambda.errors import CommitConflict, PermanentFailure
from processor_lambda.ports import Stored
from processor_lambda.stored_alerts import StoredAlert
from tests.fakes.pipeline import make_quote
from tests.fakes.scripted_server import ScriptedServer, response
from tests.support.aws_adapters import ALERT, DONE, ROWS, STATE, Clock, error

CHECKPOINT = Checkpoint(3, {"AAPL": b"packed"})


def written(server: ScriptedServer) -> list[list[str]]:
    """The symbols of each BatchWriteItem."""
    return [
        [entry["PutRequest"]["Item"]["symbol"]["S"] for entry in json.loads(request.body)["RequestItems"]["bars"]]
        for request in server.requests
    ]


def unprocessed(*numbers: int) -> bytes:
    items = [{"PutRequest": {"Item": {"symbol": {"S": f"S{number}"}, "key": {"S": "t"}}}} for number in numbers]
    return response(200, json.dumps({"UnprocessedItems": {"bars": items} if items else {}}).encode())


@pytest.fixture
def table(dynamodb: Service, clock: Clock) -> DynamoBarTable:
    return DynamoBarTable(dynamodb, "bars", sleep=clock.sleep)


def test_rows_are_sent_in_batches_and_unprocessed_ones_again(
    server: ScriptedServer, table: DynamoBarTable, clock: Clock
) -> None:
    server.play(unprocessed(), unprocessed(26, 49), unprocessed(49), unprocessed(), unprocessed())
    table.put(ROWS)
    assert [len(batch) for batch in written(server)] == [25, 25, 2, 1, 10]
    assert written(server)[2:4] == [["S26", "S49"], ["S49"]]
    assert len(clock.pauses) == 2
    assert {request.headers["x-amz-target"] for request in server.requests} == {"DynamoDB_20120810.BatchWriteItem"}


def test_rows_that_remain_unprocessed_fail_the_batch(server: ScriptedServer, table: DynamoBarTable) -> None:
    server.play(*[unprocessed(3)] * ATTEMPTS)
    with pytest.raises(Unavailable, match="bars: 1 rows are still unprocessed after 6 attempts"):
        table.put(ROWS[:5])


@pytest.mark.parametrize("body", [b"{}", b"", b"[]", b'{"UnprocessedItems":null}', b'{"UnprocessedItems":{"bars":7}}'])
def test_a_response_without_unprocessed_items_fails_the_batch(
    server: ScriptedServer, table: DynamoBarTable, body: bytes
) -> None:
    server.play(response(200, body))
    with pytest.raises(Unavailable, match="dynamodb BatchWriteItem: invalid response"):
        table.put(ROWS[:5])


def test_the_last_of_several_rows_with_the_same_key_is_written(server: ScriptedServer, table: DynamoBarTable) -> None:
    server.play(unprocessed())
    table.put([*ROWS[:2], {**ROWS[0], "close": Decimal(7)}])
    entries = json.loads(server.requests[0].body)["RequestItems"]["bars"]
    assert [entry["PutRequest"]["Item"]["close"]["N"] for entry in entries] == ["7", "1"]


def test_attributes_are_exact(server: ScriptedServer, table: DynamoBarTable) -> None:
    server.play(unprocessed())
    table.put([{"symbol": '"Ä', "key": "t", "a": Decimal("-0.10"), "b": 2**62, "c": Decimal("1E-8")}])
    [entry] = json.loads(server.requests[0].body)["RequestItems"]["bars"]
    item = entry["PutRequest"]["Item"]
    assert (item["symbol"], item["a"], item["b"]) == ({"S": '"Ä'}, {"N": "-0.10"}, {"N": str(2**62)})
    assert Decimal(item["c"]["N"]) == Decimal("0.00000001")


def test_the_last_of_several_quotes_with_the_same_key_is_written(server: ScriptedServer, dynamodb: Service) -> None:
    server.play(response(200, b'{"UnprocessedItems":{}}'))
    quote = replace(make_quote(), source='a "source"\\')
    quotes = [quote, replace(quote, revision=1), replace(quote, price=Decimal(7))]
    DynamoQuoteTable(dynamodb, "quotes").put(quotes, Decimal(5), 30)
    entries = json.loads(server.requests[0].body)["RequestItems"]["quotes"]
    items = [entry["PutRequest"]["Item"] for entry in entries]
    assert [item["price"]["N"] for item in items] == ["7", "100"]
    assert [item["timestamp"]["S"][24:] for item in items] == ["", "#1"]
    assert items[0]["source"] == {"S": quote.source}


def test_an_alert_is_an_item_with_exact_values(server: ScriptedServer, dynamodb: Service) -> None:
    server.play(response(200, b'{"UnprocessedItems":{}}'))
    alert = replace(ALERT, timestamp="2026-11-23T14:30:01.000Z", values={"price": Decimal("110.50")})
    several = replace(alert, id="several", symbol="lane-00-of-04", symbols=("AAPL", "MSFT"))
    DynamoAlertTable(dynamodb, "alerts").put(
        [StoredAlert(alert, 7), StoredAlert(several, None), StoredAlert(replace(alert, subject="later"), 7)]
    )
    entries = json.loads(server.requests[0].body)["RequestItems"]["alerts"]
    one, other = (entry["PutRequest"]["Item"] for entry in entries)
    assert one == {
        "day": {"S": "2026-11-23"},
        "key": {"S": f"2026-11-23T14:30:01.000Z {alert.id}"},
        "id": {"S": alert.id},
        "rule": {"S": alert.rule},
        "severity": {"S": alert.severity},
        "symbol": {"S": alert.symbol},
        "timestamp": {"S": alert.timestamp},
        "subject": {"S": "later"},
        "values": {"M": {"price": {"N": "110.50"}}},
        "expires_at": {"N": "7"},
    }
    assert item_size(one) < ALERT_BYTES, "the bill takes an alert to have this size"
    assert other["symbols"] == {"L": [{"S": "AAPL"}, {"S": "MSFT"}]}
    assert "expires_at" not in other


def test_no_rows_are_no_request(server: ScriptedServer, table: DynamoBarTable) -> None:
    table.put([])
    assert server.requests == []


def test_an_item_that_dynamodb_never_accepts_is_a_permanent_failure(
    server: ScriptedServer, table: DynamoBarTable
) -> None:
    server.play(error("ValidationException", message="Item size has exceeded the maximum allowed size"))
    with pytest.raises(PermanentFailure, match="Item size") as raised:
        table.put(ROWS[:5])
    assert not isinstance(raised.value, Unavailable)


@pytest.fixture
def states(dynamodb: Service, clock: Clock) -> DynamoStateTable:
    return DynamoStateTable(dynamodb, "state", sleep=clock.sleep)


def test_lanes_are_read_together_and_consistently_and_unprocessed_keys_again(
    server: ScriptedServer, states: DynamoStateTable
) -> None:
    packed = base64.b64encode(pack(STATE)).decode()
    first = {
        "Responses": {"state": [{"lane": {"S": "a#published"}, "published": {"N": "5"}}]},
        "UnprocessedKeys": {"state": {"Keys": [{"lane": {"S": "a"}}, {"lane": {"S": "b"}}], "ConsistentRead": True}},
    }
    item = {"lane": {"S": "a"}, "last_sequence": {"S": "7"}, "state": {"B": packed}}
    indicators = base64.b64encode(pack_checkpoint(CHECKPOINT)).decode()
    checkpoint = {"lane": {"S": "a#indicators"}, "checkpoint": {"N": "3"}, "indicators": {"B": indicators}}
    server.play(
        response(200, json.dumps(first).encode()),
        response(200, json.dumps({"Responses": {"state": [item, checkpoint]}, "UnprocessedKeys": {}}).encode()),
    )
    read = states.read(["a", "b"])
    assert read == {"a": Stored(STATE, 5, CHECKPOINT), "b": Stored(LaneState(), 0, None)}
    requested = [json.loads(request.body)["RequestItems"]["state"] for request in server.requests]
    assert [[key["lane"]["S"] for key in each["Keys"]] for each in requested] == [
        ["a", "a#published", "a#indicators", "b", "b#published", "b#indicators"],
        ["a", "b"],
    ]
    assert all(each["ConsistentRead"] for each in requested)


def test_lanes_that_remain_unread_fail_the_batch(server: ScriptedServer, states: DynamoStateTable) -> None:
    unread = {"Responses": {}, "UnprocessedKeys": {"state": {"Keys": [{"lane": {"S": "a"}}]}}}
    server.play(*[response(200, json.dumps(unread).encode())] * ATTEMPTS)
    with pytest.raises(Unavailable, match="state: 1 items are still unread after 6 attempts"):
        states.read(["a"])


def test_a_commit_has_the_condition_that_its_state_is_unchanged(
    server: ScriptedServer, states: DynamoStateTable
) -> None:
    server.play(DONE, error("ConditionalCheckFailedException", message="The conditional request failed"))
    assert states.commit("a", STATE, LaneState()) == len(pack(STATE))
    with pytest.raises(CommitConflict, match="a"):
        states.commit("a", LaneState(position=Position(9, 3)), STATE)
    first, second = (json.loads(request.body) for request in server.requests)
    assert first["ConditionExpression"] == "attribute_not_exists(lane)"
    assert base64.b64decode(first["Item"]["state"]["B"]) == pack(STATE)
    assert (second["ConditionExpression"], second["ExpressionAttributeValues"]) == (
        "last_sequence = :read AND attribute_not_exists(edits)",
        {":read": {"S": "7"}},
    )
    assert second["Item"]["last_sequence"] == {"S": "9+3"}
    assert "edits" not in second["Item"]


def test_a_commit_of_a_lane_that_an_operator_edited_has_the_condition_that_nobody_has_since(
    server: ScriptedServer, states: DynamoStateTable
) -> None:
    server.play(DONE)
    states.commit("a", replace(STATE, position=Position(9, 3), edits=2), replace(STATE, edits=2))
    request = json.loads(server.requests[0].body)
    assert (request["ConditionExpression"], request["ExpressionAttributeValues"]) == (
        "last_sequence = :read AND edits = :edits",
        {":read": {"S": "7"}, ":edits": {"N": "2"}},
    )
    assert request["Item"]["edits"] == {"N": "2"}


def test_a_checkpoint_has_the_condition_that_the_one_it_replaces_is_stored(
    server: ScriptedServer, states: DynamoStateTable
) -> None:
    server.play(DONE, error("ConditionalCheckFailedException", message="The conditional request failed"))
    assert states.write_checkpoint("a", CHECKPOINT, 0) == len(pack_checkpoint(CHECKPOINT))
    with pytest.raises(CommitConflict, match="a"):
        states.write_checkpoint("a", CHECKPOINT, 2)
    first, second = (json.loads(request.body) for request in server.requests)
    assert first["ConditionExpression"] == "attribute_not_exists(lane)"
    assert unpack_checkpoint(base64.b64decode(first["Item"]["indicators"]["B"])) == CHECKPOINT
    assert (second["Item"]["lane"], second["Item"]["checkpoint"]) == ({"S": "a#indicators"}, {"N": "3"})
    assert (second["ConditionExpression"], second["ExpressionAttributeValues"]) == (
        "checkpoint = :replaced",
        {":replaced": {"N": "2"}},
    )


def test_a_higher_mark_is_not_lowered(server: ScriptedServer, states: DynamoStateTable) -> None:
    server.play(error("ConditionalCheckFailedException"))
    states.raise_mark("a", 5)
    request = json.loads(server.requests[0].body)
    assert request["Item"] == {"lane": {"S": "a#published"}, "published": {"N": "5"}}
    assert request["ConditionExpression"] == "attribute_not_exists(lane) OR published < :published"


def test_bars_before_a_minute_are_returned_oldest_first(server: ScriptedServer, dynamodb: Service) -> None:
    items = [{"symbol": {"S": "A"}, "key": {"S": key}, "close": {"N": "1.50"}} for key in ("2", "1")]
    server.play(response(200, json.dumps({"Items": items, "Count": 2, "ScannedCount": 2}).encode()))
    bars = DynamoBarTable(dynamodb, "bars")
    assert bars.before("A", datetime(2026, 11, 23, 14, 30, tzinfo=UTC), 9) == [
        {"symbol": "A", "key": "1", "close": Decimal("1.50")},
        {"symbol": "A", "key": "2", "close": Decimal("1.50")},
    ]
    request = json.loads(server.requests[0].body)
    assert (request["Limit"], request["ScanIndexForward"]) == (9, False)
    assert request["ExpressionAttributeValues"] == {
        ":symbol": {"S": "A"},
        ":first": {"S": "1m#"},
        ":last": {"S": "1m#2026-11-23T14:29:59.999Z"},
    }
