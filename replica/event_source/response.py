"""Reads from a function's answer which records of its batch failed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from replica.event_source.function import Invocation
from replica.event_source.records import Record


class Succeeded(msgspec.Struct, frozen=True):
    """Every record of the batch is processed."""


class PartlyFailed(msgspec.Struct, frozen=True):
    """The records before `index` are processed. All others must be sent again, later successes included."""

    index: int
    """The index of the record with the lowest reported sequence number."""


class Failed(msgspec.Struct, frozen=True):
    """No record counts as processed."""

    reason: str


Outcome = Succeeded | PartlyFailed | Failed


def outcome_of(invocation: Invocation, records: Sequence[Record], *, reports_batch_item_failures: bool) -> Outcome:
    """The outcome of an invocation for its records.

    Without `ReportBatchItemFailures` the response does not matter: "these responses will not be processed by Lambda
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

    - Complete success: an empty or null `batchItemFailures` list, or an empty or null response.
    - Complete failure: an item whose `itemIdentifier` is empty, null or has another key.
    - Also a complete failure, which AWS does not document: a response that is not JSON or not an object, or the
      sequence number of a record outside the batch.
    - Several items: "If the `batchItemFailures` array contains multiple items, Lambda uses the record with the lowest
      sequence number as the checkpoint."
    """
    try:
        response = _decoder.decode(payload or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # msgspec raises the latter for bad UTF-8
        return Failed(f"bad response: {error}")
    if response is None or not response.batch_item_failures:
        return Succeeded()
    indexes = {record.sequence_number: index for index, record in enumerate(records)}
    lowest: tuple[int, int] | None = None
    for item in response.batch_item_failures:
        index = indexes.get(item.item_identifier)
        if index is None:
            return Failed(f"bad response: {item.item_identifier!r} is not the sequence number of a record of the batch")
        place = (records[index].position, index)
        lowest = place if lowest is None else min(lowest, place)
    return Succeeded() if lowest is None else PartlyFailed(lowest[1])
