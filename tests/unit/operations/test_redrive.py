"""What Lambda gave up goes back on the stream, in its order, and no object is lost or taken twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from operations.errors import Unavailable
from operations.ordered_writer import Clock, Courier
from operations.ports import Packet
from operations.rebuild_hints import Due
from operations.redrive import redrive, survey
from quotes import encode
from replica.event_source import Discarded, Record
from replica.event_source.destination import invocation_record, object_key
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.records import EventFormat
from tests.fakes.operations_ports import MemoryObjects, MemoryStream
from tests.fakes.pipeline import make_quote

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
GIVEN_UP_AT = BEGAN + timedelta(hours=23)


class GivenUp:
    """Batches that the replica's event source gave up, as its destination writes them."""

    def __init__(self) -> None:
        self.objects = MemoryObjects()
        self.stream = MemoryStream()
        self.courier = Courier(self.stream, clock=Clock(sleep=lambda _: None))

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
            now=GIVEN_UP_AT,
            request_id="request",
            payload=EventFormat(MAPPING, "arn:aws:iam::123456789012:role/r").payload(records),
        )
        address = f"s3://{BUCKET}/{object_key(MAPPING, 'shardId-000000000000', GIVEN_UP_AT, uuid)}"
        self.objects.objects[address] = document
        return address

    def redrive(self) -> tuple[int, int, str | None]:
        found = survey(self.objects, BUCKET)
        done = redrive(self.objects, found.batches, BUCKET, self.courier)
        return done.batches, done.records, done.failure

    def taken(self, key: str) -> list[int]:
        return [int(packet.data) for packet in self.stream.taken if packet.partition_key == key]


@pytest.fixture
def given_up() -> GivenUp:
    return GivenUp()


def aside(address: str) -> str:
    return address.replace("aws/lambda/", "redriven/aws/lambda/")


def test_records_go_back_as_they_are_in_the_order_of_the_stream_whatever_the_names_say(given_up: GivenUp) -> None:
    addresses = [
        given_up.add(*range(12, 20), uuid="a"),  # of one second, so the names sort by chance
        given_up.add(*range(4), uuid="c"),
        given_up.add(*range(4, 12), uuid="b"),
    ]
    assert given_up.redrive() == (3, 20, None)
    assert given_up.taken("a") == list(range(0, 20, 2))
    assert given_up.taken("b") == list(range(1, 20, 2))
    assert sorted(given_up.objects.objects) == sorted(map(aside, addresses))


def test_what_was_redriven_is_not_redriven_again_unless_it_is_asked_for(given_up: GivenUp) -> None:
    address = given_up.add(0, 1, uuid="a")
    given_up.redrive()
    assert given_up.redrive() == (0, 0, None)
    again = survey(given_up.objects, BUCKET, again=True)
    assert redrive(given_up.objects, again.batches, BUCKET, given_up.courier).records == 2
    assert list(given_up.objects.objects) == [aside(address)]


def test_records_that_fail_at_first_keep_their_order(given_up: GivenUp) -> None:
    given_up.add(*range(40), uuid="a")
    failing = iter([True, False, True, True, False, False] * 100)
    given_up.stream.fault = lambda _: "throttled" if next(failing) else None
    assert given_up.redrive() == (1, 40, None)
    assert given_up.taken("a") == list(range(0, 40, 2))
    assert given_up.taken("b") == list(range(1, 40, 2))


def test_a_batch_that_the_stream_does_not_take_ends_it_and_stays_with_all_behind_it(given_up: GivenUp) -> None:
    addresses = [given_up.add(*range(start, start + 4), uuid=str(start)) for start in (0, 4, 8)]
    given_up.stream.fault = lambda packet: "throttled" if packet.data == b"6" else None
    batches, records, failure = given_up.redrive()
    assert (batches, records) == (1, 7)  # b's two records of the second batch, and a's first, did arrive
    assert failure == f"{addresses[1]}: the stream took no a: throttled"
    assert sorted(given_up.objects.objects) == sorted([aside(addresses[0]), *addresses[1:]])
    given_up.stream.fault = lambda _: None
    assert given_up.redrive() == (2, 8, None)
    assert [number for number in given_up.taken("a") if number > 4] == [6, 8, 10]


def test_killed_between_the_stream_and_the_move_it_is_redriven_once_more(given_up: GivenUp) -> None:
    address = given_up.add(0, 2, uuid="a")

    def die(_: Packet) -> str | None:
        if len(given_up.stream.taken) == 1:
            raise Unavailable("killed")
        return None

    given_up.stream.fault = die
    with pytest.raises(Unavailable):
        given_up.redrive()
    assert list(given_up.objects.objects) == [address]
    given_up.stream.fault = lambda _: None
    assert given_up.redrive() == (1, 2, None)
    assert given_up.taken("a") == [0, 0, 2]


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
def test_what_is_no_batch_is_told_and_left_where_it_is_and_holds_nothing_up(given_up: GivenUp, body: bytes) -> None:
    stray = f"s3://{BUCKET}/aws/lambda/stray"
    given_up.objects.objects[stray] = body
    given_up.add(0, 1, uuid="a")
    found = survey(given_up.objects, BUCKET)
    assert list(found.unreadable) == [stray]
    assert stray in found.unreadable[stray]
    assert given_up.redrive() == (1, 2, None)
    assert given_up.objects.objects[stray] == body


def test_a_payload_that_is_an_object_and_no_string_is_read_too(given_up: GivenUp) -> None:
    address = given_up.add(0, 1, uuid="a")
    document = json.loads(given_up.objects.objects[address])
    document["payload"] = json.loads(document["payload"])
    given_up.objects.objects[address] = json.dumps(document).encode()
    assert given_up.redrive() == (1, 2, None)


def test_what_is_due_afterwards_is_a_rebuild_of_each_day() -> None:
    due = Due()
    due.add([encode([make_quote("^GSPC"), make_quote(), make_quote(second=86_400)]), b"rubbish"])
    due.add([encode([make_quote(f"S{number}", second=86_400) for number in range(20)])])
    assert due.commands(datetime(2026, 11, 25, 12, tzinfo=UTC)) == [
        "python -m operations rebuild --day 2026-11-23 --arrived-until 2026-11-26 --symbol AAPL --symbol '^GSPC'",
        "python -m operations rebuild --day 2026-11-24 --all-symbols",
    ]
