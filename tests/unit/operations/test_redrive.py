"""Batches that Lambda discarded go back on the stream in order, and no object is lost or redriven twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from operations.errors import Unavailable
from operations.ordered_writer import Clock, OrderedWriter
from operations.ports import Packet
from operations.redrive import find_discarded, redrive
from replica.event_source import Discarded, Record
from replica.event_source.destination import invocation_record, object_key
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.records import EventFormat
from tests.fakes.operations_ports import MemoryObjectStore, MemoryStream

BUCKET = "archive"
BEGAN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MAPPING = EventSourceMapping.from_response(
    {
        "UUID": "11111111-2222-3333-4444-555555555555",
        "EventSourceArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/quotes",
        "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:processor",
        "StartingPosition": "TRIM_HORIZON",
    }
)
DISCARDED_AT = BEGAN + timedelta(hours=23)


class DiscardedBatches:
    """Batches that the replica's event source discarded, in the form that its destination writes."""

    def __init__(self) -> None:
        self.store = MemoryObjectStore()
        self.stream = MemoryStream()
        self.writer = OrderedWriter(self.stream, clock=Clock(sleep=lambda _: None))

    def add(self, *numbers: int, uuid: str, keys: tuple[str, ...] = ("a", "b")) -> str:
        records = tuple(
            Record(
                shard_id="shardId-000000000000",
                sequence_number=str(8 + number),
                partition_key=keys[number % len(keys)],
                data=b"%d" % number,
                approximate_arrival_timestamp=BEGAN + timedelta(milliseconds=number // 5),
            )
            for number in numbers
        )
        document = invocation_record(
            Discarded(records=records, condition="RecordAgeExceeded", invocations=3, last=None),
            MAPPING,
            now=DISCARDED_AT,
            request_id="request",
            payload=EventFormat(MAPPING, "arn:aws:iam::123456789012:role/r").payload(records),
        )
        address = f"s3://{BUCKET}/{object_key(MAPPING, 'shardId-000000000000', DISCARDED_AT, uuid)}"
        self.store.objects[address] = document
        return address

    def redrive(self) -> tuple[int, int, str | None]:
        found = find_discarded(self.store, BUCKET)
        done = redrive(self.store, found.batches, BUCKET, self.writer)
        return done.batches, done.records, done.failure

    def accepted(self, key: str) -> list[int]:
        return [int(packet.data) for packet in self.stream.accepted if packet.partition_key == key]


@pytest.fixture
def discarded() -> DiscardedBatches:
    return DiscardedBatches()


def redriven(address: str) -> str:
    return address.replace("aws/lambda/", "redriven/aws/lambda/")


def test_records_go_back_unchanged_and_in_the_order_of_the_stream_not_of_the_names(discarded: DiscardedBatches) -> None:
    addresses = [
        discarded.add(*range(12, 20), uuid="a"),  # within one second, so the order of the names is random
        discarded.add(*range(4), uuid="c"),
        discarded.add(*range(4, 12), uuid="b"),
    ]
    assert discarded.redrive() == (3, 20, None)
    assert discarded.accepted("a") == list(range(0, 20, 2))
    assert discarded.accepted("b") == list(range(1, 20, 2))
    assert sorted(discarded.store.objects) == sorted(map(redriven, addresses))


def test_a_redriven_batch_is_redriven_again_only_on_request(discarded: DiscardedBatches) -> None:
    address = discarded.add(0, 1, uuid="a")
    discarded.redrive()
    assert discarded.redrive() == (0, 0, None)
    again = find_discarded(discarded.store, BUCKET, again=True)
    assert redrive(discarded.store, again.batches, BUCKET, discarded.writer).records == 2
    assert list(discarded.store.objects) == [redriven(address)]


def test_records_that_fail_at_first_keep_their_order(discarded: DiscardedBatches) -> None:
    discarded.add(*range(40), uuid="a")
    failing = iter([True, False, True, True, False, False] * 100)
    discarded.stream.fault = lambda _: "throttled" if next(failing) else None
    assert discarded.redrive() == (1, 40, None)
    assert discarded.accepted("a") == list(range(0, 40, 2))
    assert discarded.accepted("b") == list(range(1, 40, 2))


def test_a_batch_that_the_stream_does_not_accept_stops_the_redrive_and_stays_with_all_later_ones(
    discarded: DiscardedBatches,
) -> None:
    addresses = [discarded.add(*range(start, start + 4), uuid=str(start)) for start in (0, 4, 8)]
    discarded.stream.fault = lambda packet: "throttled" if packet.data == b"6" else None
    batches, records, failure = discarded.redrive()
    assert (batches, records) == (1, 7)  # both records of b in the second batch arrived, and the first of a
    assert failure == f"{addresses[1]}: the stream did not accept records of these partition keys: a: throttled"
    assert sorted(discarded.store.objects) == sorted([redriven(addresses[0]), *addresses[1:]])
    discarded.stream.fault = lambda _: None
    assert discarded.redrive() == (2, 8, None)
    assert [number for number in discarded.accepted("a") if number > 4] == [6, 8, 10]


def test_a_batch_is_redriven_again_if_the_command_was_killed_before_its_object_moved(
    discarded: DiscardedBatches,
) -> None:
    address = discarded.add(0, 2, uuid="a")

    def die(_: Packet) -> str | None:
        if len(discarded.stream.accepted) == 1:
            raise Unavailable("killed")
        return None

    discarded.stream.fault = die
    with pytest.raises(Unavailable):
        discarded.redrive()
    assert list(discarded.store.objects) == [address]
    discarded.stream.fault = lambda _: None
    assert discarded.redrive() == (1, 2, None)
    assert discarded.accepted("a") == [0, 0, 2]


@pytest.mark.parametrize(
    "body",
    [
        b"rubbish",
        b"{}",
        b'{"payload":"rubbish"}',
        b'{"payload":"{}"}',
        b'{"payload":"[]"}',
        b'{"payload":"{\\"Records\\":[]}"}',
        b'{"payload":"{\\"Records\\":[{}]}"}',
        b'{"payload":null}',
        b'{"KinesisBatchInfo":{"batchSize":3}}',
    ],
)
def test_an_object_that_is_not_a_batch_is_reported_and_skipped(discarded: DiscardedBatches, body: bytes) -> None:
    stray = f"s3://{BUCKET}/aws/lambda/stray"
    discarded.store.objects[stray] = body
    discarded.add(0, 1, uuid="a")
    found = find_discarded(discarded.store, BUCKET)
    assert list(found.unreadable) == [stray]
    assert stray in found.unreadable[stray]
    assert discarded.redrive() == (1, 2, None)
    assert discarded.store.objects[stray] == body


def test_the_mark_of_a_folder_is_no_batch(discarded: DiscardedBatches) -> None:
    discarded.store.objects[f"s3://{BUCKET}/aws/lambda/"] = b""
    found = find_discarded(discarded.store, BUCKET)
    assert (found.batches, found.unreadable) == ([], {})


def test_a_payload_may_be_an_object_instead_of_a_string(discarded: DiscardedBatches) -> None:
    address = discarded.add(0, 1, uuid="a")
    document = json.loads(discarded.store.objects[address])
    document["payload"] = json.loads(document["payload"])
    discarded.store.objects[address] = json.dumps(document).encode()
    assert discarded.redrive() == (1, 2, None)
