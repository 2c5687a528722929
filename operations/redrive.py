"""Redrives what Lambda gave up: the records of its on-failure objects go back on the stream, the objects aside.

An object lies under `aws/lambda/` in the archive bucket and holds an invocation record, whose `payload` is the whole
event: https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from operations.errors import NotThere, Unreadable
from operations.ordered_writer import Courier
from operations.ports import Objects, Packet
from processor_lambda.records import Record, records_of

GIVEN_UP = "aws/lambda/"
REDRIVEN = "redriven/"
"""Where an object goes when Kinesis has acknowledged every record of it; it keeps its key behind the prefix."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """An object of records that were given up together."""

    address: str
    place: tuple[float, int]
    """When its first record arrived, and that record's sequence number: the order in which batches are redriven."""
    records: int
    bytes: int


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to redrive."""

    batches: list[Batch]
    """In the order in which their records were on the stream."""
    unreadable: dict[str, str]
    """Addresses of what is no batch, and why."""

    @property
    def records(self) -> int:
        """Of all the batches."""
        return sum(batch.records for batch in self.batches)


class Redriven(msgspec.Struct, frozen=True, kw_only=True):
    """What a redrive did."""

    batches: int
    records: int
    """That Kinesis has acknowledged, those of a batch that was not finished among them."""
    failure: str | None = None
    """Why it stopped before the end: that batch and those behind it are where they were."""


def survey(
    objects: Objects, bucket: str, told: Callable[[int], None] = lambda _: None, *, again: bool = False
) -> Survey:
    """Read every object that was given up; with `again`, every one that was redriven before.

    They are read once more to be redriven: the names sort by the second alone, and a bisected batch leaves several
    objects in one.
    """
    prefix = f"s3://{bucket}/{REDRIVEN if again else ''}{GIVEN_UP}"
    batches: list[Batch] = []
    unreadable: dict[str, str] = {}
    for address in objects.list(prefix):
        try:
            records = records_in(objects.get(address), address)
        except NotThere:  # somebody else has redriven it meanwhile
            continue
        except Unreadable as error:
            unreadable[address] = str(error)
        else:
            batches.append(
                Batch(
                    address=address,
                    place=(records[0].arrival.timestamp(), records[0].sequence_number),
                    records=len(records),
                    bytes=sum(len(record.data) for record in records),
                )
            )
        told(1)
    return Survey(batches=sorted(batches, key=lambda batch: batch.place), unreadable=unreadable)


def redrive(
    objects: Objects,
    batches: Sequence[Batch],
    bucket: str,
    courier: Courier,
    told: Callable[[tuple[Record, ...]], None] = lambda _: None,
) -> Redriven:
    """Put the records of batches back, under their own keys and in their order, a batch after the other.

    A batch is moved aside only when every record of it is acknowledged. A batch that cannot be finished ends it, since
    what lies behind may be of the same key. Safe to interrupt and to repeat: a record that arrives twice changes
    nothing downstream. `told` hears the records of each finished batch.
    """
    finished = arrived = 0

    def acknowledged(packets: Sequence[Packet]) -> None:
        nonlocal arrived
        arrived += len(packets)

    for batch in batches:
        try:
            records = records_in(objects.get(batch.address), batch.address)
        except NotThere:  # somebody else has redriven it meanwhile
            continue
        given_up = courier.deliver([Packet(each.partition_key, each.data) for each in records], acknowledged)
        if given_up:
            reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(given_up.items()))
            return Redriven(batches=finished, records=arrived, failure=f"{batch.address}: the stream took no {reasons}")
        key = batch.address.removeprefix(f"s3://{bucket}/").removeprefix(REDRIVEN)
        if batch.address != (aside := f"s3://{bucket}/{REDRIVEN}{key}"):
            objects.move(batch.address, aside)
        finished += 1
        told(records)
    return Redriven(batches=finished, records=arrived)


class _InvocationRecord(msgspec.Struct, frozen=True):
    payload: msgspec.Raw


_DECODER = msgspec.json.Decoder(_InvocationRecord)


def records_in(body: bytes, address: str) -> tuple[Record, ...]:
    """The records of an on-failure object, in their order. Raises `Unreadable`."""
    try:
        payload: Any = msgspec.json.decode(_DECODER.decode(body).payload)
        # The event is a string in the document, as AWS's example has it.
        event = msgspec.json.decode(payload) if isinstance(payload, str) else payload
        records = records_of(event)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable(f"{address} holds no batch that Lambda gave up: {error}") from error
    if not records:
        raise Unreadable(f"{address} holds no records")
    return records
