"""Lines that the processor refused go back on the stream, if the processor would accept them now."""

from __future__ import annotations

import gzip
import io
from datetime import timedelta

import boto3
import pytest
from botocore.stub import Stubber
from msgspec.structs import replace

from operations.errors import Unavailable, Unreadable
from operations.ports import Packet
from operations.quarantine import Entry, Selection
from operations.queue_snapshot import QueueSnapshot
from operations.replay import ReplayResult, plan, replay
from operations.replay_plan import ReplayPlan
from operations.s3 import S3ObjectStore
from quotes import encode, encode_line, from_iso
from tests.fakes.filled_quarantine import AAPL, MSFT, NOW, FilledQuarantine
from tests.fakes.pipeline import LANES, make_heartbeats, make_quote

FUTURE = 2 * 3600


def planned(
    quarantine: FilledQuarantine,
    snapshot: QueueSnapshot,
    *ids: str,
    lanes: int | None = None,
    fixed: bytes | None = None,
) -> ReplayPlan:
    return plan(Selection(ids=ids).select(snapshot.entries), quarantine.store, lanes=lanes, now=NOW, fixed=fixed)


def replayed(
    quarantine: FilledQuarantine, *ids: str, lanes: int | None = None, fixed: bytes | None = None
) -> tuple[ReplayResult, list[str]]:
    """The result, and the reasons why lines stayed."""
    with QueueSnapshot(quarantine.queue, 100) as snapshot:
        done = replay(snapshot, planned(quarantine, snapshot, *ids, lanes=lanes, fixed=fixed), quarantine.writer)
    assert not quarantine.queue.hidden & quarantine.queue.bodies.keys()
    return done, [refusal.reason for refusals in done.refused.values() for refusal in refusals]


def test_a_line_in_the_wrong_lane_goes_to_its_own_lane_and_becomes_a_row(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(encode([make_quote("MSFT", price="7")]), AAPL)
    done, reasons = replayed(quarantine)
    assert (done.lines, done.deleted, reasons) == (1, 1, [])
    assert [packet.partition_key for packet in quarantine.stream.accepted] == [MSFT]
    quarantine.process_replayed()
    assert quarantine.prices() == {"MSFT": ["7"]}
    assert quarantine.queue.bodies == {}


def test_a_quote_from_the_future_goes_back_once_its_time_has_come(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(encode([make_quote(second=FUTURE)]), AAPL)
    assert replayed(quarantine)[0].deleted == 1
    quarantine.process_replayed()
    assert quarantine.prices() == {"AAPL": ["100"]}


def test_a_line_that_would_be_refused_again_stays_with_the_reason(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(b"rubbish\n" + encode_line(make_quote("MSFT")), AAPL)
    done, reasons = replayed(quarantine)
    assert (done.lines, done.deleted) == (1, 1)
    assert len(reasons) == 1
    assert "not a JSON object" in reasons[0]
    assert len(quarantine.queue.bodies) == 1


def test_a_heartbeat_and_an_alert_are_not_replayed(quarantine: FilledQuarantine) -> None:
    (heartbeat,) = [each for each in make_heartbeats(FUTURE) if each.lane == AAPL]
    quarantine.arrive(encode([heartbeat]), AAPL)
    message = b'{"id":"quotes/alert/a","stream":"quotes","shard":"s","sequence_number":"1","partition_key":"k",'
    message += b'"arrival":"2026-11-23T14:30:00.000Z","reason":"alert refused: x","content":"e30="}'
    quarantine.queue.bodies["alert"] = message.decode()
    done, reasons = replayed(quarantine)
    assert (done.lines, done.deleted) == (0, 0)
    assert reasons == [
        "it is an alert that SNS refused, not a line of the stream: drop it",
        "an old heartbeat has no use: drop it",
    ]


def test_a_record_under_another_key_needs_the_number_of_lanes(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(encode([make_quote()]), "AAPL")
    done, reasons = replayed(quarantine)
    assert done.lines == 0
    assert reasons == ["the partition key of its record does not show the number of lanes: set --lanes"]
    assert replayed(quarantine, lanes=LANES)[0].deleted == 1
    assert [packet.partition_key for packet in quarantine.stream.accepted] == [AAPL]


def test_lines_that_are_stored_in_s3_go_back_in_their_order(quarantine: FilledQuarantine) -> None:
    quotes = [make_quote("MSFT", second=second) for second in range(300)]
    quarantine.arrive(encode(quotes), AAPL)
    assert len(quarantine.queue.bodies) == 1
    done, reasons = replayed(quarantine)
    assert (done.lines, done.deleted, reasons) == (300, 1, [])
    assert b"".join(packet.data for packet in quarantine.stream.accepted) == encode(quotes)
    assert len(quarantine.stream.accepted) > 1
    assert all(len(packet.data) <= 25 * 1024 for packet in quarantine.stream.accepted)


def test_a_message_with_a_refused_line_stays_whole_and_its_other_lines_go_back(quarantine: FilledQuarantine) -> None:
    lines = [encode_line(make_quote("MSFT", second=second)) for second in range(30)]
    quarantine.arrive(b"".join([*lines[:10], b"rubbish\n", *lines[10:]]), AAPL)
    done, _ = replayed(quarantine)
    assert (done.lines, done.deleted) == (30, 0)
    ((refusal,),) = done.refused.values()
    assert refusal.line == 11
    assert len(quarantine.queue.bodies) == 1


def test_a_message_whose_object_is_gone_or_damaged_stays_with_the_reason(quarantine: FilledQuarantine) -> None:
    for second in (0, 1):
        quarantine.arrive(encode([make_quote("MSFT", second=second)] * 30), AAPL)
    first, second_ = [address for address in quarantine.store.objects if "/quarantine/" in address]
    del quarantine.store.objects[first]
    quarantine.store.objects[second_] = b"damaged"
    done, reasons = replayed(quarantine)
    assert done.deleted == 0
    assert f"{first} does not exist" in reasons
    assert any(
        second_ in reason and "is not in the format that the processor writes there" in reason for reason in reasons
    )


def test_fixed_lines_replace_the_bytes_of_a_message(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(b"rubbish", AAPL)
    (entry,) = quarantine.entries()
    done, _ = replayed(quarantine, entry.handle, fixed=encode([make_quote(), make_quote("MSFT")]))
    assert (done.lines, done.deleted) == (2, 1)
    quarantine.process_replayed()
    assert quarantine.prices().keys() == {"AAPL", "MSFT"}


def test_fixed_lines_are_replayed_all_or_not_at_all(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(b"rubbish", AAPL)
    (entry,) = quarantine.entries()
    done, reasons = replayed(quarantine, entry.id, fixed=encode([make_quote()]) + b"still rubbish\n")
    assert (done.lines, done.deleted, quarantine.stream.requests) == (0, 0, [])
    ((refusal,),) = done.refused.values()
    assert refusal.line == 2
    assert "not a JSON object" in reasons[0]


def test_lines_that_the_stream_does_not_accept_stay_and_the_others_go(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(encode([make_quote("MSFT")]), AAPL)
    quarantine.arrive(encode([make_quote("AAPL")]), MSFT)
    quarantine.stream.fault = lambda packet: "throttled" if packet.partition_key == MSFT else None
    done, reasons = replayed(quarantine)
    assert (done.lines, done.deleted) == (1, 1)
    assert reasons == ["the stream did not accept it: throttled"]
    assert len(quarantine.queue.bodies) == 1


def test_an_interrupted_replay_keeps_what_was_not_acknowledged_and_the_next_one_finishes(
    quarantine: FilledQuarantine,
) -> None:
    for half in (0, 200):
        quarantine.arrive(encode([make_quote("MSFT", second=second) for second in range(half, half + 200)]), AAPL)
    requests = 0

    def die(_: Packet) -> str | None:
        nonlocal requests
        requests += 1
        if requests > 2:
            raise Unavailable("the stream is gone")
        return None

    quarantine.stream.fault = die
    with pytest.raises(Unavailable), QueueSnapshot(quarantine.queue, 100) as snapshot:
        replay(snapshot, planned(quarantine, snapshot), quarantine.writer)
    assert len(quarantine.queue.bodies) == 1
    assert not quarantine.queue.hidden & quarantine.queue.bodies.keys()
    quarantine.stream.fault = lambda _: None
    assert replayed(quarantine)[1] == []
    assert quarantine.queue.bodies == {}
    quarantine.process_replayed()
    assert len(quarantine.world.rows) == 400


def test_all_copies_of_a_message_are_deleted_with_it(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(encode([make_quote("MSFT")]), AAPL)
    quarantine.queue.bodies["copy"] = quarantine.queue.bodies["message-0"]
    assert replayed(quarantine)[0].lines == 1
    assert quarantine.queue.bodies == {}


def entry_with(entries: list[Entry], reason: str) -> Entry:
    (entry,) = [entry for entry in entries if reason in entry.reason]
    return entry


def test_a_selection_filters_by_id_reason_release_and_arrival(quarantine: FilledQuarantine) -> None:
    quarantine.arrive(b"rubbish", AAPL)
    quarantine.arrive(encode([make_quote("MSFT")]), AAPL)
    entries = quarantine.entries()
    foreign = entry_with(entries, "the line belongs to")
    assert Selection(reason="THE LINE belongs").select(entries) == [foreign]
    assert foreign.message is not None
    assert Selection(arrived_before=NOW).select(entries) == entries
    arrival = from_iso(foreign.message.arrival)
    assert foreign not in Selection(arrived_before=arrival).select(entries)
    assert foreign in Selection(arrived_before=arrival + timedelta(milliseconds=1)).select(entries)
    of_bad = replace(foreign, message=replace(foreign.message, release="bad"))
    assert Selection(release="bad").select([*entries, of_bad]) == [of_bad]
    assert Selection(ids=("no such id", foreign.handle)).not_found(entries) == ["no such id"]
    assert replace(foreign, message=None).reason == "not a message of the processor"


@pytest.mark.parametrize("bomb", [b"\0" * 2**25, b'{"a":' * 10**6, b"\n" * 2**20], ids=["zeros", "nested", "newlines"])
def test_a_bomb_in_place_of_an_object_stays_with_the_reason(quarantine: FilledQuarantine, bomb: bytes) -> None:
    quarantine.arrive(b"bad\n" * 50, AAPL)
    (address,) = [address for address in quarantine.store.objects if "/quarantine/" in address]
    quarantine.store.objects[address] = gzip.compress(bomb)

    done, reasons = replayed(quarantine)

    assert (done.lines, done.deleted) == (0, 0)
    assert len(reasons) == 1
    assert reasons[0].startswith(f"{address} is not in the format that the processor writes there: ")


def test_an_object_that_is_larger_than_ours_is_not_read() -> None:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("get_object", {"ContentLength": 10**12, "Body": io.BytesIO()})
        with pytest.raises(Unreadable, match="s3://b/k has 1,000,000,000,000 bytes, more than any object of ours"):
            S3ObjectStore(client).get("s3://b/k")
