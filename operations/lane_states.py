"""DynamoDB: the states of the lanes, which a command changes while the stream function goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from lane_state import LaneState, pack, unpack, unpack_checkpoint
from operations.aws import translated_errors
from operations.errors import Unreadable
from processor_lambda.adapters.dynamodb import CHECKPOINT_SUFFIX, MARK_SUFFIX
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import Stored


class DynamoLaneStates:
    """The table of the lanes' states. All reads are strongly consistent."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def read(self, lane: str) -> Stored:
        """See `lane_refold.LaneStates`. Raises `Unreadable` if a newer release wrote the lane."""
        state, mark, checkpoint = (self._item(lane + suffix) for suffix in ("", MARK_SUFFIX, CHECKPOINT_SUFFIX))
        try:
            return Stored(
                unpack(state["state"]["B"]) if "state" in state else LaneState(),
                int(mark["published"]["N"]) if "published" in mark else 0,
                unpack_checkpoint(checkpoint["indicators"]["B"]) if "indicators" in checkpoint else None,
            )
        except ValueError as error:
            raise Unreadable(f"table {self._name}, {lane}: {error}") from error

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        """See `lane_refold.LaneStates`."""
        values = {":read": {"S": str(read.position)}, ":packed": {"B": pack(state)}, ":edits": {"N": str(state.edits)}}
        condition = "attribute_not_exists(edits)"
        if read.edits:
            condition = "edits = :edited"
            values[":edited"] = {"N": str(read.edits)}
        with translated_errors(f"table {self._name}"):
            try:
                self._client.update_item(
                    TableName=self._name,
                    Key={"lane": {"S": lane}},
                    UpdateExpression="SET #state = :packed, edits = :edits",
                    ConditionExpression=f"last_sequence = :read AND {condition}",
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues=values,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    raise CommitConflict(lane) from error
                raise

    def _item(self, key: str) -> Mapping[str, Any]:
        with translated_errors(f"table {self._name}"):
            answer = self._client.get_item(TableName=self._name, Key={"lane": {"S": key}}, ConsistentRead=True)
        item: Mapping[str, Any] = answer.get("Item", {})
        return item
