"""The effects of a batch, bad lines, repeated batches and conflicts, one by one. `tests/model` combines them all."""

from __future__ import annotations

import gzip
import json
import random
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from string import ascii_letters

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aws_limits import KINESIS_RECORD_BYTES
from aws_requests import Unavailable
from lane_state import ANOTHER_STREAM, Alert, move
from processor_lambda.fold import MAX_SYMBOLS
from processor_lambda.ports import RefusedAlert
from processor_lambda.processor import Processor
from processor_lambda.records import Record
from quotes import Line, encode, encode_line, lane_of, partition_key
from tests.fakes.pipeline import LANES, SETTINGS, Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import World
from tests.support.sizes import sized

AAPL = partition_key(lane_of("AAPL", LANES), LANES)


def archived(world: World) -> list[dict[str, object]]:
    lines = b"".join(gzip.decompress(body) for key, body in world.objects.items() if key.startswith("raw-data/"))
    return [json.loads(line) for line in lines.splitlines()]


def test_a_batch_becomes_rows_bars_an_archive_object_and_an_alert(
    world: World, shard: Shard, processor: Processor
) -> None:
    shard.put_lines(
        [make_quote(second=1), make_quote("MSFT", second=2), make_quote(second=3, price="110", previous_close="100")]
    )
    shard.put_lines(make_heartbeats(60))
    report = processor.process(shard.records)
    assert set(world.rows) == {
        ("AAPL", "2026-11-23T14:30:01.000Z"),
        ("AAPL", "2026-11-23T14:30:03.000Z"),
        ("MSFT", "2026-11-23T14:30:02.000Z"),
    }
    assert set(world.bar_rows) == {("AAPL", "1m#2026-11-23T14:30:00.000Z"), ("MSFT", "1m#2026-11-23T14:30:00.000Z")}
    assert [alert.symbol for alert in world.alerts] == ["AAPL"]
    assert len(archived(world)) == 3 + LANES
    assert (report.quotes, report.bars, report.alerts, report.quarantined) == (3, 2, 1, 0)


def test_the_archive_object_is_named_by_arrival_shard_and_sequence_numbers(
    world: World, shard: Shard, processor: Processor
) -> None:
    shard.put_lines([make_quote(second=1)])
    shard.put_lines([make_quote(second=2)])
    processor.process(shard.records)
    first, last = (record.sequence_number for record in shard.records)
    assert set(world.objects) == {f"raw-data/dt=2026-11-23/hour=15/shardId-000000000000-{first}-{last}.jsonl.gz"}


def test_a_batch_that_comes_again_changes_nothing(world: World, shard: Shard, processor: Processor) -> None:
    shard.put_lines([make_quote(second=1), make_quote(second=2, price="110", previous_close="100")])
    shard.put_lines(make_heartbeats(60))
    processor.process(shard.records)
    before = (dict(world.rows), dict(world.bar_rows), list(world.alerts), dict(world.objects), dict(world.states))
    for again in (processor, make_processor(world)):
        assert again.process(shard.records).repeated_records == len(shard.records)
    assert before == (world.rows, world.bar_rows, world.alerts, world.objects, world.states)


def test_a_packet_that_was_sent_twice_is_one_row_and_counts_once_in_its_bar(
    world: World, shard: Shard, processor: Processor
) -> None:
    lines: list[Line] = [make_quote(second=1, volume=10), make_quote(second=2, volume=30)]
    shard.put_lines(lines)
    shard.put_lines(lines)
    shard.put_lines(make_heartbeats(60))
    processor.process(shard.records)
    assert len(world.rows) == 2
    [bar] = world.bar_rows.values()
    assert (bar["volume"], bar["quotes"]) == (20, 2)


NOISE = random.Random(1).randbytes(KINESIS_RECORD_BYTES)
BAD_LINES = {
    "not JSON": b"hello\n",
    "wrong version": encode_line(make_quote()).replace(b'"v":1', b'"v":2'),
    "NaN price": encode_line(make_quote()).replace(b'"price":100', b'"price":NaN'),
    "empty record": b"",
    "of another lane": encode_line(make_quote("MSFT")),
    "from the future": encode_line(make_quote(second=3 * 3600)),
}


@pytest.mark.parametrize("bad_line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_goes_to_quarantine_with_its_bytes_and_affects_nothing_else(
    world: World, shard: Shard, processor: Processor, bad_line: bytes
) -> None:
    record = (
        shard.put(encode_line(make_quote(second=1)) + bad_line + encode_line(make_quote(second=2)), AAPL)
        if bad_line
        else shard.put(b"", AAPL)
    )
    shard.put_lines([make_quote(second=3)])
    processor.process(shard.records)
    assert len(world.rows) == (3 if bad_line else 1)
    [message] = world.messages
    assert message.content == bad_line.rstrip(b"\n")
    assert (message.sequence_number, message.line) == (str(record.sequence_number), 2 if bad_line else 1)
    assert message.reason
    [line] = [line for line in archived(world) if line["kind"] == "quarantined"]
    assert b64decode(str(line["content"])) == bad_line.rstrip(b"\n")


def test_a_record_of_noise_is_one_message_that_points_to_all_of_its_lines(
    world: World, shard: Shard, processor: Processor
) -> None:
    record = shard.put(NOISE, AAPL)
    shard.put_lines([make_quote()])
    processor.process(shard.records)
    assert len(world.rows) == 1
    [message] = world.messages
    key = f"quarantine/quotes/shardId-000000000000-{record.sequence_number}.jsonl.gz"
    assert message.object == f"s3://memory/{key}"
    lines = [json.loads(line) for line in gzip.decompress(world.objects[key]).splitlines()]
    assert b"\n".join(b64decode(line["content"]) for line in lines) == NOISE.removesuffix(b"\n")
    assert message.lines == len(lines) > 1000


def test_every_message_names_the_release_that_refused_its_content(
    world: World, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.topic, "publish", refuse_all)
    processor = make_processor(world, settings=replace(SETTINGS, release="3f9a0c51e2ab-1"))
    shard.put(b"{}", AAPL)
    shard.put(NOISE, AAPL)
    shard.put_lines([make_quote(price="110", previous_close="100")])
    processor.process(shard.records)
    assert [message.release for message in world.messages] == ["3f9a0c51e2ab-1"] * 3
    [key] = [key for key in world.objects if key.startswith("quarantine/")]
    in_object = [json.loads(line)["release"] for line in gzip.decompress(world.objects[key]).splitlines()]
    assert set(in_object) == {"3f9a0c51e2ab-1"}


def test_a_message_has_no_character_that_sqs_refuses(world: World, shard: Shard, processor: Processor) -> None:
    shard.put(encode_line(make_quote()).replace(b'"v":1', b'"v":1,"\xef\xbf\xbf":2'), AAPL)
    shard.put(b"x", "\uffff\x00")
    processor.process(shard.records)
    for message in world.messages:
        assert (message.reason + message.partition_key).isascii()
    assert "Object contains unknown field `\\uffff`" in {message.reason for message in world.messages}


def test_a_batch_that_decides_much_is_committed_in_parts_and_published_completely(
    world: World, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor_lambda.fold.MAX_PUBLICATIONS", 4)
    for minute in range(0, 20, 5):  # packets of several minutes, so that commits end within a packet
        shard.put_lines([make_quote(symbol, second=(minute + n) * 60) for symbol in ("AAPL", "MSFT") for n in range(5)])
    commits = 0

    def count(call: str) -> None:
        nonlocal commits
        commits += call == "states.commit"

    world.fault = count
    make_processor(world).process(shard.records)
    assert commits == 2 * 5  # 19 bars, four at a time, in each of two lanes
    assert len(world.bar_rows) == 2 * 19
    assert_same_effects(world, one_pass(shard))


def test_a_flood_of_symbols_is_stored_as_rows_and_the_state_stays_small(
    world: World, shard: Shard, processor: Processor
) -> None:
    rng = random.Random(7)
    names = ["".join(rng.choices(ascii_letters, k=32)) for _ in range(20_000)]
    of_lane = [name for name in names if lane_of(name, LANES) == lane_of("AAPL", LANES)]
    queries = 0

    def count(call: str) -> None:
        nonlocal queries
        queries += call == "bars.before"

    world.fault = count
    shard.put_lines([make_quote("AAPL", second=0)])
    for start in range(0, len(of_lane), 3_000):
        shard.put_lines([make_quote(name, second=1) for name in of_lane[start : start + 3_000]])
    shard.put_lines([make_quote("AAPL", second=2), make_quote("AAPL", second=61)])
    report = processor.process(shard.records)
    assert len(world.rows) == len(of_lane) + 3
    assert world.bar_rows["AAPL", "1m#2026-11-23T14:30:00.000Z"]["quotes"] == 2
    assert report.largest_state_bytes < 100_000
    assert queries <= MAX_SYMBOLS


def test_with_a_row_a_minute_the_row_is_the_last_quote_and_the_archive_has_all(world: World, shard: Shard) -> None:
    settings = replace(SETTINGS, row_resolution="minute")
    shard.put_lines([make_quote(second=second, price=str(100 + second)) for second in (1, 2, 59, 61)])
    make_processor(world, settings=settings).process(shard.records)
    [row] = world.rows.values()
    assert (row["timestamp"], row["price"]) == ("2026-11-23T14:30:59.000Z", 159)
    assert len(archived(world)) == 4


def test_a_line_too_long_for_the_queue_goes_through_s3(world: World, shard: Shard, processor: Processor) -> None:
    shard.put(b"x" * 70_000 + b"\n" + encode_line(make_quote()), AAPL)
    processor.process(shard.records)
    assert len(world.rows) == 1
    [message] = world.messages
    assert message.object is not None
    assert message.lines == 1


def test_a_record_under_a_foreign_partition_key_is_quarantined_whole(
    world: World, shard: Shard, processor: Processor
) -> None:
    shard.put(encode([make_quote(second=1), make_quote(second=2)]), "AAPL")
    shard.put_lines([make_quote(second=3)])
    processor.process(shard.records)
    assert [message.line for message in world.messages] == [1, 2]
    assert len(world.rows) == 1


def refuse_all(alerts: Sequence[Alert]) -> list[RefusedAlert]:
    return [RefusedAlert(alert, "Invalid parameter: Subject") for alert in alerts]


def test_an_alert_that_sns_refuses_goes_to_quarantine_and_does_not_block_its_lane(
    world: World, shard: Shard, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.topic, "publish", refuse_all)
    shard.put_lines([make_quote(price="110", previous_close="100")])
    processor.process(shard.records)
    [message] = world.messages
    assert message.content is not None
    assert json.loads(message.content)["rule"] == "price_move"
    assert world.marks == {AAPL: 1}


def test_the_message_about_a_refused_alert_is_ascii_beside_a_foreign_record_as_well(
    world: World, shard: Shard, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.topic, "publish", refuse_all)
    shard.put_lines([make_quote(price="110", previous_close="100")])
    shard.put(b"x", "\uffff\x00")
    processor.process(shard.records)
    assert len(world.messages) == 2
    for message in world.messages:
        assert message.partition_key.isascii()


def test_a_function_that_dies_while_publishing_does_not_repeat_the_lanes_before(world: World, shard: Shard) -> None:
    shard.put_lines([make_quote(symbol, price="110", previous_close="100") for symbol in ("AAPL", "MSFT")])
    assert len(shard.records) == 2  # a lane each
    published = 0

    def die(call: str) -> None:
        nonlocal published
        published += call == "alerts.publish"
        if published == 2:
            raise TimeoutError

    world.fault = die
    with pytest.raises(TimeoutError):
        make_processor(world).process(shard.records)
    world.fault = lambda _: None
    make_processor(world).process(shard.records)
    assert sorted(alert.symbol for alert in world.alerts) == ["AAPL", "MSFT"]


def test_a_conflict_of_a_warm_copy_is_folded_again_in_the_same_invocation(world: World, shard: Shard) -> None:
    one, other = make_processor(world), make_processor(world)
    shard.put_lines([make_quote(second=0)])
    one.process(shard.records[:1])
    shard.put_lines([make_quote(second=10, price="120")])
    other.process(shard.records[1:2])
    shard.put_lines([make_quote(second=61)])
    assert one.process(shard.records[1:]).commit_conflicts == 1
    [bar] = world.bar_rows.values()
    assert (bar["high"], bar["quotes"]) == (120, 2)


def test_a_stale_warm_copy_does_not_fail_a_batch_that_is_committed_in_parts(
    world: World, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor_lambda.fold.MAX_PUBLICATIONS", 1)
    for second in (0, 10, 20, 30):
        shard.put_lines([make_quote(second=second)])
    stale = make_processor(world)
    stale.process(shard.records[:1])
    make_processor(world).process(shard.records[:3])
    assert stale.process(shard.records[1:]).commit_conflicts == 1
    assert_same_effects(world, one_pass(shard))


@pytest.mark.parametrize("adopted", [True, False])
def test_a_lane_takes_a_new_stream_with_lower_sequence_numbers_once_it_has_forgotten_its_position(
    world: World, shard: Shard, *, adopted: bool
) -> None:
    shard.put_lines([make_quote(second=1, price="100"), make_quote(second=2, price="101")])
    make_processor(world).process(shard.records)
    published = world.marks.copy()
    if adopted:
        world.states = {lane: move(state, ANOTHER_STREAM) for lane, state in world.states.items()}

    shard.put_lines([make_quote(second=3, price="102")])
    shard.put_lines(make_heartbeats(60))
    new = [replace(record, sequence_number=number) for number, record in enumerate(shard.records[1:], start=1)]
    make_processor(world).process(new)

    assert (("AAPL", "2026-11-23T14:30:03.000Z") in world.rows) is adopted
    assert [(bar["open"], bar["quotes"]) for bar in world.bar_rows.values()] == ([(100, 3)] if adopted else [])
    assert all(world.marks.get(lane, 0) >= mark for lane, mark in published.items())
    before = world.states.copy()
    make_processor(world).process(new)
    assert world.states == before, "a batch that comes again is dropped, as on the stream before"


@pytest.mark.parametrize("dies_at", [None, "alerts.publish", "states.raise_mark"])
def test_a_stream_that_is_replaced_at_any_record_has_the_effects_of_one_stream(
    shard: Shard, dies_at: str | None
) -> None:
    for second, price in ((0, "100"), (30, "101"), (60, "120"), (90, "80"), (120, "100")):
        shard.put_lines([make_quote(symbol, second, price, previous_close="100") for symbol in ("AAPL", "MSFT")])
        shard.put_lines(make_heartbeats(second))
    shard.put_lines(make_heartbeats(180))
    expected = one_pass(shard)
    assert expected.alerts
    for cut in range(2, len(shard.records)):
        world = World()
        make_processor(world).process(shard.records[: cut - 1])

        def die(call: str) -> None:
            if call == dies_at:
                raise TimeoutError

        world.fault = die
        with suppress(TimeoutError):  # the last invocation before the stage is destroyed
            make_processor(world).process(shard.records[:cut])
        world.fault = lambda _: None
        world.states = {lane: move(state, ANOTHER_STREAM) for lane, state in world.states.items()}
        # A producer that never saw the last answer sends its packet again.
        again = shard.records[cut - 1 :]
        make_processor(world).process([replace(record, sequence_number=9 + at) for at, record in enumerate(again)])
        assert world.bar_rows == expected.bar_rows
        assert world.rows == expected.rows
        assert {alert.id for alert in world.alerts} == {alert.id for alert in expected.alerts}


def test_a_conflict_of_a_fresh_read_fails_the_batch_and_publishes_nothing(world: World, shard: Shard) -> None:
    shard.put_lines([make_quote(second=0), make_quote(second=60)])
    rival = make_processor(world)
    raced = iter([True])

    def race(call: str) -> None:
        if call == "states.commit" and next(raced, False):
            rival.process(shard.records)

    world.fault = race
    with pytest.raises(Unavailable, match="another invocation"):
        make_processor(world).process(shard.records)
    assert len(world.bar_rows) == 1  # the rival's


def one_pass(shard: Shard) -> World:
    world = World()
    make_processor(world).process(shard.records)
    return world


def assert_same_effects(world: World, expected: World) -> None:
    assert world.rows == expected.rows
    assert world.bar_rows == expected.bar_rows
    assert {alert.id for alert in world.alerts} == {alert.id for alert in expected.alerts}
    assert {message.id for message in world.messages} == {message.id for message in expected.messages}
    in_archive = {json.dumps(line, sort_keys=True) for line in archived(world)}
    assert in_archive == {json.dumps(line, sort_keys=True) for line in archived(expected)}


@settings(max_examples=sized(20, 200), deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.sampled_from([AAPL, "AAPL", "lane-00-of-99"]))
def test_no_bytes_fail_a_batch(contents: list[bytes], key: str) -> None:
    shard = Shard()
    for content in contents:
        shard.put(content, key)
    shard.put_lines([make_quote()])
    world = one_pass(shard)
    assert len(world.rows) == 1
    assert sum(message.lines for message in world.messages) == sum(
        len(content.removesuffix(b"\n").split(b"\n")) for content in contents
    )


def test_a_lane_whose_state_is_of_the_future_goes_on_with_the_next_batch(
    world: World, shard: Shard, processor: Processor
) -> None:
    """S13: another program wrote them, on a stream whose own clock was fast by 90 days."""
    fast = 90 * 86_400
    future = [record_of_the_future(record, fast) for record in shard.put_lines(market(fast))]
    processor.process(future)
    before = set(world.bar_rows)
    shard.put_lines(market(60))
    report = processor.process(shard.records[len(future) :])
    assert (report.late, report.quarantined) == (0, 0)
    assert set(world.bar_rows) - before == {("AAPL", "1m#2026-11-23T14:31:00.000Z")}


def market(second: float) -> list[Line]:
    """A quote at this second, and a heartbeat that closes its minute."""
    return [make_quote(second=second), *make_heartbeats(second + 60)]


def record_of_the_future(record: Record, seconds: float) -> Record:
    return replace(record, arrival=record.arrival + timedelta(seconds=seconds))
