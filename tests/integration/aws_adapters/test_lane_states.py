"""The function and an operator's command commit the same lane on DynamoDB. None undoes what the other one committed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from aws_requests import Service
from aws_requests.credentials import credentials_of
from lane_state import Checkpoint, LaneState, Position
from lane_state.codec import READS
from operations.errors import Unreadable, WrongUsage
from operations.lane_states import DynamoLaneStates
from processor_lambda.adapters.dynamodb import DynamoStateTable
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import Stored
from replica.emulator import REGION, Emulator
from tests.support.aws_adapters import STATE

CHECKPOINT = Checkpoint(3, {"AAPL": b"packed"})
EDITED = replace(STATE, edits=1)


@pytest.fixture
def table(emulator: Emulator) -> str:
    name = f"state-{uuid4().hex[:8]}"
    emulator.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "lane", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "lane", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def function(emulator: Emulator, table: str) -> Iterator[DynamoStateTable]:
    service = Service("dynamodb", emulator.endpoint_url, REGION, credentials_of(emulator.environment({})))
    yield DynamoStateTable(service, table)
    service.close()


@pytest.fixture
def operator(emulator: Emulator, table: str) -> DynamoLaneStates:
    return DynamoLaneStates(emulator.client("dynamodb"), table)


def test_a_lane_is_read_with_its_mark_and_its_checkpoint(
    function: DynamoStateTable, operator: DynamoLaneStates
) -> None:
    assert operator.read("a") == Stored(LaneState(), 0)
    function.commit("a", STATE, LaneState())
    function.raise_mark("a", 5)
    function.write_checkpoint("a", CHECKPOINT, replaced=0)
    assert operator.read("a") == Stored(STATE, 5, CHECKPOINT) == function.read(["a"])["a"]


def test_each_commits_only_what_the_other_one_has_not_committed_since(
    function: DynamoStateTable, operator: DynamoLaneStates
) -> None:
    with pytest.raises(CommitConflict, match="a"):
        operator.commit("a", EDITED, STATE)
    function.commit("a", STATE, LaneState())
    operator.commit("a", EDITED, STATE)
    with pytest.raises(CommitConflict, match="a"):
        operator.commit("a", EDITED, STATE)
    with pytest.raises(CommitConflict, match="a"):
        function.commit("a", replace(STATE, position=Position(9, 3)), STATE)
    assert operator.read("a").state == EDITED

    operator.commit("a", replace(EDITED, edits=2), EDITED)
    read = function.read(["a"])["a"].state
    moved = replace(read, position=Position(9, 3))
    function.commit("a", moved, read)
    assert operator.read("a").state == replace(STATE, position=Position(9, 3), edits=2)
    with pytest.raises(CommitConflict, match="a"):
        operator.commit("a", replace(EDITED, edits=3), replace(EDITED, edits=2))
    operator.commit("a", replace(moved, edits=3), moved)


def test_a_lane_that_a_newer_release_wrote_is_named(emulator: Emulator, table: str, operator: DynamoLaneStates) -> None:
    newer = zlib.compress(msgspec.msgpack.encode({"version": READS + 1, "last_sequence": "1", "state": {}}))
    emulator.client("dynamodb").put_item(TableName=table, Item={"lane": {"S": "a"}, "state": {"B": newer}})
    with pytest.raises(Unreadable, match=r"a: the state has version 3, .*: deploy the newer one"):
        operator.read("a")


def test_a_table_that_does_not_exist_is_named(emulator: Emulator) -> None:
    with pytest.raises(WrongUsage, match="table nowhere"):
        DynamoLaneStates(emulator.client("dynamodb"), "nowhere").read("a")
