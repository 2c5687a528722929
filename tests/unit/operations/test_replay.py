"""Lines that the processor refused, put back through the processor that would take them now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from operations.errors import Unavailable
from operations.ports import Packet
from operations.quarantine import Selection
from operations.queue_snapshot import Sweep
from operations.replay import Plan, Replayed, plan, replay
from quotes import encode, encode_line, from_iso, lane_of, partition_key
from tests.fakes.pipeline import LANES, make_heartbeats, make_quote
from tests.unit.operations.conftest import NOW, Quarantined, entry_with

AAPL = partition_key(lane_of("AAPL", LANES), LANES)
MSFT = partition_key(lane_of("MSFT", LANES), LANES)
FUTURE = 2 * 3600


def planned(
    quarantined: Quarantined, sweep: Sweep, *ids: str, lanes: int | None = None, fixed: bytes | None = None
) -> Plan:
    return plan(Selection(ids=ids).of(sweep.entries), quarantined.objects, lanes=lanes, now=NOW, fixed=fixed)


def replayed(
    quarantined: Quarantined, *ids: str, lanes: int | None = None, fixed: bytes | None = None
) -> tuple[Replayed, list[str]]:
    """What was done, and the reasons of what stayed."""
    with Sweep(quarantined.queue, 100) as sweep:
        done = replay(sweep, planned(quarantined, sweep, *ids, lanes=lanes, fixed=fixed), quarantined.courier)
    assert not quarantined.queue.hidden & quarantined.queue.bodies.keys()
    return done, [refusal.reason for refusals in done.refused.values() for refusal in refusals]


def test_a_line_in_the_wrong_lane_goes_back_under_its_own_and_becomes_a_row(quarantined: Quarantined) -> None:
    quarantined.arrive(encode([make_quote("MSFT", price="7")]), AAPL)
    done, reasons = replayed(quarantined)
    assert (done.lines, done.deleted, reasons) == (1, 1, [])
    assert [packet.partition_key for packet in quarantined.stream.taken] == [MSFT]
    quarantined.process_what_was_replayed()
    assert quarantined.prices() == {"MSFT": ["7"]}
    assert quarantined.queue.bodies == {}


def test_a_quote_from_the_future_goes_back_once_its_time_has_come(quarantined: Quarantined) -> None:
    quarantined.arrive(encode([make_quote(second=FUTURE)]), AAPL)
    assert replayed(quarantined)[0].deleted == 1
    quarantined.process_what_was_replayed()
    assert quarantined.prices() == {"AAPL": ["100"]}


def test_what_would_be_refused_again_stays_with_its_reason(quarantined: Quarantined) -> None:
    quarantined.arrive(b"rubbish\n" + encode_line(make_quote("MSFT")), AAPL)
    done, reasons = replayed(quarantined)
    assert (done.lines, done.deleted) == (1, 1)
    assert len(reasons) == 1
    assert "not a JSON object" in reasons[0]
    assert len(quarantined.queue.bodies) == 1


def test_a_heartbeat_and_an_alert_are_not_put_back(quarantined: Quarantined) -> None:
    (heartbeat,) = [each for each in make_heartbeats(FUTURE) if each.lane == AAPL]
    quarantined.arrive(encode([heartbeat]), AAPL)
    message = b'{"id":"quotes/alert/a","stream":"quotes","shard":"s","sequence_number":"1","partition_key":"k",'
    message += b'"arrival":"2026-11-23T14:30:00.000Z","reason":"alert refused: x","content":"e30="}'
    quarantined.queue.bodies["alert"] = message.decode()
    done, reasons = replayed(quarantined)
    assert (done.lines, done.deleted) == (0, 0)
    assert reasons == [
        "it is an alert that SNS refused, and no line of the stream: drop it",
        "a heartbeat is of no use later: drop it",
    ]


def test_a_record_without_a_lane_needs_to_be_told_how_many_there_are(quarantined: Quarantined) -> None:
    quarantined.arrive(encode([make_quote()]), "AAPL")
    done, reasons = replayed(quarantined)
    assert done.lines == 0
    assert reasons == ["its record's partition key names no lanes: say --lanes"]
    assert replayed(quarantined, lanes=LANES)[0].deleted == 1
    assert [packet.partition_key for packet in quarantined.stream.taken] == [AAPL]


def test_lines_that_lie_in_s3_go_back_and_keep_their_order(quarantined: Quarantined) -> None:
    quotes = [make_quote("MSFT", second=second) for second in range(300)]
    quarantined.arrive(encode(quotes), AAPL)
    assert len(quarantined.queue.bodies) == 1
    done, reasons = replayed(quarantined)
    assert (done.lines, done.deleted, reasons) == (300, 1, [])
    assert b"".join(packet.data for packet in quarantined.stream.taken) == encode(quotes)
    assert len(quarantined.stream.taken) > 1
    assert all(len(packet.data) <= 25 * 1024 for packet in quarantined.stream.taken)


def test_a_message_with_a_refused_line_stays_whole_and_its_other_lines_go_back(quarantined: Quarantined) -> None:
    lines = [encode_line(make_quote("MSFT", second=second)) for second in range(30)]
    quarantined.arrive(b"".join([*lines[:10], b"rubbish\n", *lines[10:]]), AAPL)
    done, _ = replayed(quarantined)
    assert (done.lines, done.deleted) == (30, 0)
    ((refusal,),) = done.refused.values()
    assert refusal.line == 11
    assert len(quarantined.queue.bodies) == 1


def test_an_object_that_is_gone_or_damaged_is_told_and_stays(quarantined: Quarantined) -> None:
    for second in (0, 1):
        quarantined.arrive(encode([make_quote("MSFT", second=second)] * 30), AAPL)
    first, second_ = [address for address in quarantined.objects.objects if "/quarantine/" in address]
    del quarantined.objects.objects[first]
    quarantined.objects.objects[second_] = b"damaged"
    done, reasons = replayed(quarantined)
    assert done.deleted == 0
    assert f"{first} does not exist" in reasons
    assert any(second_ in reason and "is not what the processor writes there" in reason for reason in reasons)


def test_fixed_lines_go_back_in_place_of_the_bytes(quarantined: Quarantined) -> None:
    quarantined.arrive(b"rubbish", AAPL)
    with Sweep(quarantined.queue, 100) as sweep:
        (entry,) = sweep.entries
    done, _ = replayed(quarantined, entry.handle, fixed=encode([make_quote(), make_quote("MSFT")]))
    assert (done.lines, done.deleted) == (2, 1)
    quarantined.process_what_was_replayed()
    assert quarantined.prices().keys() == {"AAPL", "MSFT"}


def test_fixed_lines_are_taken_whole_or_not_at_all(quarantined: Quarantined) -> None:
    quarantined.arrive(b"rubbish", AAPL)
    with Sweep(quarantined.queue, 100) as sweep:
        (entry,) = sweep.entries
    done, reasons = replayed(quarantined, entry.id, fixed=encode([make_quote()]) + b"still rubbish\n")
    assert (done.lines, done.deleted, quarantined.stream.requests) == (0, 0, [])
    ((refusal,),) = done.refused.values()
    assert refusal.line == 2
    assert "not a JSON object" in reasons[0]


def test_what_the_stream_does_not_take_stays_and_the_rest_goes(quarantined: Quarantined) -> None:
    quarantined.arrive(encode([make_quote("MSFT")]), AAPL)
    quarantined.arrive(encode([make_quote("AAPL")]), MSFT)
    quarantined.stream.fault = lambda packet: "throttled" if packet.partition_key == MSFT else None
    done, reasons = replayed(quarantined)
    assert (done.lines, done.deleted) == (1, 1)
    assert reasons == ["the stream did not take it: throttled"]
    assert len(quarantined.queue.bodies) == 1


def test_an_interrupted_replay_keeps_what_was_not_acknowledged_and_the_next_finishes(quarantined: Quarantined) -> None:
    for half in (0, 200):
        quarantined.arrive(encode([make_quote("MSFT", second=second) for second in range(half, half + 200)]), AAPL)
    requests = 0

    def die(_: Packet) -> str | None:
        nonlocal requests
        requests += 1
        if requests > 2:
            raise Unavailable("the stream is gone")
        return None

    quarantined.stream.fault = die
    with pytest.raises(Unavailable), Sweep(quarantined.queue, 100) as sweep:
        replay(sweep, planned(quarantined, sweep), quarantined.courier)
    assert len(quarantined.queue.bodies) == 1
    assert not quarantined.queue.hidden & quarantined.queue.bodies.keys()
    quarantined.stream.fault = lambda _: None
    assert replayed(quarantined)[1] == []
    assert quarantined.queue.bodies == {}
    quarantined.process_what_was_replayed()
    assert len(quarantined.world.rows) == 400


def test_every_copy_of_a_message_goes_with_it(quarantined: Quarantined) -> None:
    quarantined.arrive(encode([make_quote("MSFT")]), AAPL)
    quarantined.queue.bodies["copy"] = quarantined.queue.bodies["message-0"]
    assert replayed(quarantined)[0].lines == 1
    assert quarantined.queue.bodies == {}


def test_filters_choose_what_is_meant(quarantined: Quarantined) -> None:
    quarantined.arrive(b"rubbish", AAPL)
    quarantined.arrive(encode([make_quote("MSFT")]), AAPL)
    with Sweep(quarantined.queue, 100) as sweep:
        entries = sweep.entries
    foreign = entry_with(entries, "a line of")
    assert Selection(reason="A LINE of").of(entries) == [foreign]
    assert foreign.message is not None
    assert Selection(arrived_before=NOW).of(entries) == entries
    arrival = from_iso(foreign.message.arrival)
    assert foreign not in Selection(arrived_before=arrival).of(entries)
    assert foreign in Selection(arrived_before=arrival + timedelta(milliseconds=1)).of(entries)
    assert Selection(ids=("no such id", foreign.handle)).not_found(entries) == ["no such id"]
    assert replace(foreign, message=None).reason == "not a message of the processor's"
