"""Redrives the batches that Lambda discarded: puts their records back on the stream and moves their objects.

Lambda discards a batch that has used up its retries or has become too old. The batch becomes an object under
`aws/lambda/` in the archive bucket. The object holds an invocation record, whose `payload` is the whole event:
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from operations.errors import NotFound, Unreadable
from operations.ordered_writer import OrderedWriter
from operations.ports import ObjectStore, Packet
from processor_lambda.records import Record, records_of

DISCARDED = "aws/lambda/"
"""The prefix under which Lambda writes the batches that it discards."""
REDRIVEN = "redriven/"
"""The prefix to which an object moves once Kinesis has acknowledged all of its records. Its old key follows."""


class DiscardedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """An object with the records of one batch."""

    address: str
    position: tuple[float, int]
    """When the first record arrived, and its sequence number. Batches are redriven in this order."""
    records: int
    """The number of records."""
    bytes: int
    """The size of the records' data."""


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be redriven."""

    batches: list[DiscardedBatch]
    """The batches, in the order in which their records were on the stream."""
    unreadable: dict[str, str]
    """The objects that are not batches, with the reason, by address."""

    @property
    def records(self) -> int:
        """The number of records in all batches."""
        return sum(batch.records for batch in self.batches)


class RedriveResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a redrive did."""

    batches: int
    """The number of batches that were redriven completely."""
    records: int
    """The number of records that Kinesis acknowledged, including those of an incomplete batch."""
    failure: str | None = None
    """Why the redrive stopped early. The incomplete batch and all later ones are still where they were."""


def find_discarded(
    store: ObjectStore, bucket: str, on_progress: Callable[[int], None] = lambda _: None, *, again: bool = False
) -> Discarded:
    """Find every batch that Lambda discarded. With `again`, find those that were redriven before.

    The objects are read to find their order. Their names do not show it, because they have a resolution of a second,
    and a bisected batch becomes several objects in one second. `on_progress` is called with 1 after each object.
    """
    prefix = f"s3://{bucket}/{REDRIVEN if again else ''}{DISCARDED}"
    batches: list[DiscardedBatch] = []
    unreadable: dict[str, str] = {}
    for address in store.list(prefix):
        if address.endswith("/"):  # the AWS console represents a folder by such an object
            continue
        try:
            records = records_in(store.get(address), address)
        except NotFound:  # another command has redriven it in the meantime
            continue
        except Unreadable as error:
            unreadable[address] = str(error)
        else:
            batches.append(
                DiscardedBatch(
                    address=address,
                    position=(records[0].arrival.timestamp(), records[0].sequence_number),
                    records=len(records),
                    bytes=sum(len(record.data) for record in records),
                )
            )
        on_progress(1)
    return Discarded(batches=sorted(batches, key=lambda batch: batch.position), unreadable=unreadable)


def redrive(
    store: ObjectStore,
    batches: Sequence[DiscardedBatch],
    bucket: str,
    writer: OrderedWriter,
    on_batch: Callable[[tuple[Record, ...]], None] = lambda _: None,
) -> RedriveResult:
    """Put the records of batches back on the stream, under their own partition keys and in their order.

    A batch is moved to `REDRIVEN` when Kinesis has acknowledged all of its records. If that fails, the redrive stops,
    because later batches may hold records of the same keys. It may be interrupted and repeated: a record that arrives
    twice has no effect downstream. `on_batch` is called with the records of each completed batch.
    """
    completed = acknowledged = 0

    def on_acknowledged(packets: Sequence[Packet]) -> None:
        nonlocal acknowledged
        acknowledged += len(packets)

    for batch in batches:
        try:
            records = records_in(store.get(batch.address), batch.address)
        except NotFound:  # another command has redriven it in the meantime
            continue
        given_up = writer.write([Packet(each.partition_key, each.data) for each in records], on_acknowledged)
        if given_up:
            reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(given_up.items()))
            return RedriveResult(
                batches=completed,
                records=acknowledged,
                failure=f"{batch.address}: the stream did not accept records of these partition keys: {reasons}",
            )
        key = batch.address.removeprefix(f"s3://{bucket}/").removeprefix(REDRIVEN)
        if batch.address != (target := f"s3://{bucket}/{REDRIVEN}{key}"):
            store.move(batch.address, target)
        completed += 1
        on_batch(records)
    return RedriveResult(batches=completed, records=acknowledged)


class _InvocationRecord(msgspec.Struct, frozen=True):
    payload: msgspec.Raw


_DECODER = msgspec.json.Decoder(_InvocationRecord)


def records_in(body: bytes, address: str) -> tuple[Record, ...]:
    """The records of an object that Lambda wrote, in their order. Raises `Unreadable`."""
    try:
        payload: Any = msgspec.json.decode(_DECODER.decode(body).payload)
        # AWS's example has the event as a JSON string in the document. Accept a JSON object too.
        event = msgspec.json.decode(payload) if isinstance(payload, str) else payload
        records = records_of(event)
    except (
        msgspec.MsgspecError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise Unreadable(f"{address} is not a batch that Lambda discarded: {error}") from error
    if not records:
        raise Unreadable(f"{address} holds no records")
    return records
