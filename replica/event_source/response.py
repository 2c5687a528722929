"""What a function's answer says of its batch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from replica.event_source.function import Invocation
from replica.event_source.records import Record


class Succeeded(msgspec.Struct, frozen=True):
    """Every record of the batch is processed."""


class PartlyFailed(msgspec.Struct, frozen=True):
    """The records before `index` are processed; from there on all are to be sent again, later successes included."""

    index: int
    """Of the record with the lowest reported sequence number."""


class Failed(msgspec.Struct, frozen=True):
    """No record counts as processed."""

    reason: str


Outcome = Succeeded | PartlyFailed | Failed


def outcome_of(invocation: Invocation, records: Sequence[Record], *, reports_batch_item_failures: bool) -> Outcome:
    """What became of the records that a function was invoked with.

    Without `ReportBatchItemFailures` a response is not looked at: "these responses will not be processed by Lambda
    unless the `ReportBatchItemFailures` feature is explicitly turned on"
    (docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html).
    """
    if invocation.function_error is not None:
        return Failed(f"function error: {invocation.function_error}")
    if not reports_batch_item_failures:
        return Succeeded()
    return _outcome_of_response(invocation.payload, records)


class _Item(msgspec.Struct, rename="camel"):
    item_identifier: str


class _EventResponse(msgspec.Struct, rename="camel"):
    batch_item_failures: list[_Item] | None = None


_decoder = msgspec.json.Decoder(_EventResponse | None)


def _outcome_of_response(payload: bytes, records: Sequence[Record]) -> Outcome:
    """Read a response as AWS documents it under "Success and failure conditions" of partial batch responses.

    Complete success: an empty or null `batchItemFailures` list, an empty or null response. Complete failure: an item
    whose `itemIdentifier` is empty, null or under another key; what AWS does not say, and cannot mean success, counts
    as one too: not JSON, not an object, the sequence number of no record of the batch. "If the
    `batchItemFailures` array contains multiple items, Lambda uses the record with the lowest sequence number as the
    checkpoint."
    """
    try:
        response = _decoder.decode(payload or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # bad UTF-8 is no DecodeError to msgspec
        return Failed(f"bad response: {error}")
    if response is None or not response.batch_item_failures:
        return Succeeded()
    indexes = {record.sequence_number: index for index, record in enumerate(records)}
    lowest: tuple[int, int] | None = None
    for item in response.batch_item_failures:
        index = indexes.get(item.item_identifier)
        if index is None:
            return Failed(f"bad response: {item.item_identifier!r} is no sequence number of the batch")
        place = (records[index].position, index)
        lowest = place if lowest is None else min(lowest, place)
    return Succeeded() if lowest is None else PartlyFailed(lowest[1])
