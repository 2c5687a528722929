"""The outbox: order, retries, packing, the journal, and counts that add up."""

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_limits import KINESIS_RECORD_BYTES, KINESIS_REQUEST_BYTES, KINESIS_REQUEST_RECORDS
from producer_service.backoff import pause
from producer_service.deduplication import deduplicate
from producer_service.errors import JournalDamaged, JournalError, JournalUnavailable
from producer_service.handover_store import UndeliveredState
from producer_service.journal import FILE, Journal
from producer_service.outbox import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Outbox
from producer_service.packing import PACKET_BYTES, Packet, Row, chunks
from quotes import Heartbeat, Quote, decode, from_iso, lane_of
from tests.support.quotes import make_quote
from tests.support.sizes import sized

LANES = 4
BATCH = 25


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def new_outbox(
    clock: Callable[[], float], directory: Path | None = None, *, lanes: int = LANES, **changes: float
) -> Outbox:
    parameters = {"max_bytes": 2**20, "linger_seconds": 0.0} | changes
    return Outbox(
        Journal(directory, lanes),
        lanes=lanes,
        max_bytes=int(parameters["max_bytes"]),
        linger_seconds=parameters["linger_seconds"],
        clock=clock,
        monotonic=clock,
        jitter=lambda: 1.0,
    )


MakeOutbox = Callable[..., Outbox]


@pytest.fixture
def make_outbox() -> Iterator[MakeOutbox]:
    made: list[Outbox] = []

    def make(*arguments: Any, **options: Any) -> Outbox:
        made.append(new_outbox(*arguments, **options))
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()


def accept(outbox: Outbox, quotes: list[Quote]) -> None:
    outbox.put(deduplicate(outbox.histories, quotes))


def symbols_in(packets: tuple[Packet, ...] | list[Packet]) -> list[str]:
    lines = [good.line for packet in packets for good in decode(packet.data).good]
    return [line.symbol for line in lines if isinstance(line, Quote)]


def acknowledge(outbox: Outbox, packets: tuple[Packet, ...]) -> None:
    outbox.settle(packets, [True] * len(packets))


def test_a_lane_has_one_packet_in_flight_while_the_others_go_on(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock)
    accept(outbox, [make_quote("AAPL", 0)])
    first = outbox.take(0)
    accept(outbox, [make_quote("AAPL", 1), make_quote("MSFT", 1)])
    assert lane_of("AAPL", LANES) != lane_of("MSFT", LANES)
    assert symbols_in(outbox.take(0)) == ["MSFT"]
    acknowledge(outbox, first)
    assert symbols_in(outbox.take(0)) == ["AAPL"]


def test_resends_only_the_failed_packets_and_from_the_head_of_their_lane(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock)
    accept(outbox, [make_quote("AAPL", 0), make_quote("MSFT", 0)])
    packets = outbox.take(0)
    outbox.settle(packets, [packet.lane == lane_of("MSFT", LANES) for packet in packets])
    accept(outbox, [make_quote("AAPL", 1), make_quote("MSFT", 1)])
    assert symbols_in(outbox.take(0)) == ["MSFT"]
    clock.now += FIRST_PAUSE_SECONDS
    again = outbox.take(0)
    assert [good.line for packet in again for good in decode(packet.data).good] == [
        make_quote("AAPL", 0),
        make_quote("AAPL", 1),
    ]


def test_a_throttled_lane_slows_no_other(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock)
    throttled, tries, sent = lane_of("AAPL", LANES), 0, list[str]()
    for second in range(100):
        accept(outbox, [make_quote("AAPL", second), make_quote("MSFT", second)])
        packets = outbox.take(0)
        sent += symbols_in([packet for packet in packets if packet.lane != throttled])
        tries += sum(packet.lane == throttled for packet in packets)
        outbox.settle(packets, [packet.lane != throttled for packet in packets])
        clock.now += 1
    assert sent == ["MSFT"] * 100, "each is sent at once"
    assert 10 < tries < 20, "the pauses grow to the longest, 10 seconds"


def test_a_quote_lingers_for_others_only_so_long(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock, linger_seconds=0.5)
    accept(outbox, [make_quote("AAPL", 0)])
    assert outbox.take(0) == ()
    clock.now += 0.25
    accept(outbox, [make_quote("AAPL", 1)])
    assert outbox.take(0) == ()
    clock.now += 0.25
    assert symbols_in(outbox.take(0)) == ["AAPL", "AAPL"]


def test_a_full_packet_does_not_wait(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock, linger_seconds=10)
    accept(outbox, [make_quote("AAPL", second) for second in range(300)])
    [packet] = outbox.take(0)
    assert PACKET_BYTES * 0.9 < len(packet.data) <= PACKET_BYTES


def test_draining_does_not_wait(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock, linger_seconds=10)
    accept(outbox, [make_quote("AAPL")])
    assert not outbox.wait_until_empty(0)
    acknowledge(outbox, outbox.take(0))
    assert outbox.wait_until_empty(0)


def test_polling_waits_while_the_outbox_is_full(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock, max_bytes=1_000)
    assert outbox.wait_for_room(0)
    accept(outbox, [make_quote("AAPL", second) for second in range(20)])
    assert not outbox.wait_for_room(0)
    acknowledge(outbox, outbox.take(0))
    assert outbox.wait_for_room(0)


def test_heartbeats_go_to_every_lane_behind_what_is_pending(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock)
    accept(outbox, [make_quote("AAPL")])
    outbox.put_heartbeats(lambda key: Heartbeat(lane=key, clock=from_iso("2026-11-23T14:31:00.000Z")))
    packets = outbox.take(0)
    for packet in packets:
        last = decode(packet.data).good[-1].line
        assert isinstance(last, Heartbeat)
        assert last.lane == packet.partition_key
    assert len(packets) == LANES
    assert outbox.counts().pending == 1


def test_a_request_keeps_to_the_limits_of_kinesis(make_outbox: MakeOutbox, clock: Clock) -> None:
    outbox = make_outbox(clock, lanes=99)
    accept(outbox, [make_quote(f"S{number}", second) for number in range(800) for second in range(20)])
    sizes = []
    while packets := outbox.take(0):
        assert len(packets) <= KINESIS_REQUEST_RECORDS
        assert sum(packet.size for packet in packets) <= KINESIS_REQUEST_BYTES
        assert max(packet.size for packet in packets) <= KINESIS_RECORD_BYTES
        assert len({packet.lane for packet in packets}) == len(packets)
        sizes += [len(packet.data) for packet in packets]
        acknowledge(outbox, packets)
    assert max(sizes) <= PACKET_BYTES
    assert outbox.counts().bytes == 0


def test_chunks_are_whole_lines_in_order_and_a_giant_line_is_its_own() -> None:
    lines = [b"a" * 10_000, b"b" * 10_000, b"c" * 10_000, b"d" * 40_000, b"e"]
    assert chunks(lines) == [(lines[0] + lines[1], 2), (lines[2], 1), (lines[3], 1), (lines[4], 1)]
    assert chunks([]) == []


@pytest.mark.parametrize(("failures", "bound"), [(0, 0.1), (1, 0.2), (5, 3.2), (7, 10.0), (10_000, 10.0)])
def test_pauses_are_full_jitter_under_an_exponential_bound(failures: int, bound: float) -> None:
    assert pause(failures, 1.0, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS) == pytest.approx(bound)
    assert pause(failures, 0.0, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS) == 0
    assert bound <= LONGEST_PAUSE_SECONDS


@settings(max_examples=sized(12, 60), deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_no_order_of_failures_loses_or_reorders_a_quote(seed: int, failing: float) -> None:
    """Three senders at once, requests that are answered in any order, and packets that fail at random."""
    rng = random.Random(seed)
    clock = Clock()
    outbox = new_outbox(clock, linger_seconds=0.05)
    symbols = [f"S{number}" for number in range(12)]
    second = 0
    stored: list[tuple[str, str]] = []
    under_way: list[tuple[Packet, ...]] = []
    accepted = 0
    while second < BATCH or outbox.counts().bytes:
        if second < BATCH and rng.random() < 0.5:
            second += 1
            quotes = [_quote(symbol, second) for symbol in symbols if rng.random() < 0.7]
            accept(outbox, quotes)
            accepted += len(quotes)
        clock.now += rng.random()
        if len(under_way) < 3 and (packets := outbox.take(0)):
            under_way.append(packets)
        if under_way and rng.random() < 0.6:
            packets = under_way.pop(rng.randrange(len(under_way)))
            acknowledged = [rng.random() >= failing for _ in packets]
            for packet, is_stored in zip(packets, acknowledged, strict=True):
                if is_stored:
                    stored += [(good.line.symbol, str(good.line.event_time)) for good in decode(packet.data).good]  # type: ignore[union-attr]  # no heartbeats here
            outbox.settle(packets, acknowledged)
    outbox.close()
    assert len(stored) == len(set(stored)) == accepted
    for symbol in symbols:
        times = [time for found, time in stored if found == symbol]
        assert times == sorted(times)


def _undelivered_state(symbol: str) -> UndeliveredState:
    """One quote that another producer left."""
    deduplicated = deduplicate({}, [_quote(symbol, 50)])
    row = Row(0, lane_of(symbol, LANES), deduplicated.accepted[0].line, 1, 0.0)
    return UndeliveredState(LANES, (row,), deduplicated.histories)


def _quote(symbol: str, second: int) -> Quote:
    line = (
        f'{{"kind":"quote","v":1,"symbol":"{symbol}","event_time":"2026-11-23T14:30:{second:02d}.000Z","price":1,'
        f'"source":"synthetic","ingest_time":"2026-11-23T14:31:00.000Z"}}'
    )
    quote = decode(line.encode()).good[0].line
    assert isinstance(quote, Quote)
    return quote


def test_what_was_accepted_and_not_acknowledged_is_pending_again_after_a_crash(
    make_outbox: MakeOutbox, clock: Clock, tmp_path: Path
) -> None:
    before = make_outbox(clock, tmp_path)
    accept(before, [make_quote("AAPL", 0), make_quote("MSFT", 0)])
    packets = before.take(0)
    before.settle(packets, [packet.lane == lane_of("AAPL", LANES) for packet in packets])
    before.close()  # MSFT is not acknowledged. A kill leaves the same file, as tests/integration shows

    after = make_outbox(clock, tmp_path)
    assert after.counts().recovered == 1
    accept(after, [make_quote("AAPL", 0), make_quote("MSFT", 1)])
    assert symbols_in(after.take(0)) == ["MSFT", "MSFT"]
    after.close()


def test_another_number_of_lanes_is_refused_with_advice(make_outbox: MakeOutbox, clock: Clock, tmp_path: Path) -> None:
    make_outbox(clock, tmp_path).close()
    with pytest.raises(JournalError, match=r"has 4 lanes, and PRODUCER_LANES is 8.*set PRODUCER_LANES=4"):
        make_outbox(clock, tmp_path, lanes=8)


def test_a_second_producer_on_one_journal_is_refused(make_outbox: MakeOutbox, clock: Clock, tmp_path: Path) -> None:
    first = make_outbox(clock, tmp_path)
    with pytest.raises(JournalUnavailable, match="another process uses it"):
        make_outbox(clock, tmp_path)
    first.close()


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be looked at" * 100, b"\x07" * 4096])
def test_a_file_that_is_not_a_journal_is_renamed_and_a_new_journal_created(
    make_outbox: MakeOutbox, clock: Clock, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE).write_bytes(content)
    accept(make_outbox(clock, tmp_path), [make_quote("AAPL")])
    assert (tmp_path / f"{FILE}.set-aside-1").read_bytes() == content


def test_the_database_of_another_program_is_renamed(make_outbox: MakeOutbox, clock: Clock, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as foreign:
        foreign.execute("CREATE TABLE theirs (value)")
    make_outbox(clock, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / f"{FILE}.set-aside-1")) as kept:
        assert kept.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_damaged_journal_is_renamed_beside_earlier_ones(
    make_outbox: MakeOutbox, clock: Clock, tmp_path: Path
) -> None:
    for number in (1, 2):
        outbox = make_outbox(clock, tmp_path)
        accept(outbox, [make_quote("AAPL", second, str(number)) for second in range(300)])
        outbox.close()
        damaged = bytearray((tmp_path / FILE).read_bytes())
        damaged[4096:-4096] = b"\xff" * (len(damaged) - 8192)
        (tmp_path / FILE).write_bytes(damaged)
        assert make_outbox(clock, tmp_path).counts().recovered == 0
        assert (tmp_path / f"{FILE}.set-aside-{number}").read_bytes() == damaged
        for made in tmp_path.glob(f"{FILE}*"):
            if "set-aside" not in made.name:
                made.unlink()


def test_committed_rows_can_be_synced_to_disk(make_outbox: MakeOutbox, clock: Clock, tmp_path: Path) -> None:
    outbox = make_outbox(clock, tmp_path)
    before = outbox.journal_bytes()
    accept(outbox, [make_quote("AAPL", second) for second in range(50)])
    outbox.sync()
    assert outbox.journal_bytes() > before
    assert make_outbox(clock).journal_bytes() == 0


@settings(max_examples=sized(12, 60), deadline=None)
@given(st.integers(0, 2**32))
def test_the_counts_add_up_at_every_instant(seed: int) -> None:
    rng, clock = random.Random(seed), Clock()
    outbox, fetched, under_way = new_outbox(clock), 0, list[tuple[Packet, ...]]()
    for _ in range(80):
        match rng.randrange(4):
            case 0:
                quotes = [_quote(f"S{rng.randrange(6)}", rng.randrange(40)) for _ in range(rng.randrange(20))]
                rejected = rng.randrange(3)
                outbox.put(deduplicate(outbox.histories, quotes), rejected=rejected)
                fetched += len(quotes) + rejected
            case 1 if packets := outbox.take(0):
                under_way.append(packets)
            case 2 if under_way:
                packets = under_way.pop(rng.randrange(len(under_way)))
                outbox.settle(packets, [rng.random() < 0.7 for _ in packets])
            case 3:
                clock.now += 1
                outbox.restore(str(rng.random()), _undelivered_state(f"S{rng.randrange(6)}"))
        counts = outbox.counts()
        assert fetched == counts.accepted + counts.suppressed + counts.late + counts.rejected
        assert counts.recovered + counts.accepted == counts.acknowledged + counts.pending + counts.handed_over
    outbox.forget(outbox.undelivered())
    counts = outbox.counts()
    assert counts.pending == 0
    assert counts.recovered + counts.accepted == counts.acknowledged + counts.handed_over
    outbox.close()


@pytest.mark.parametrize("since", [-3600.0, 0.0, 5.0, 90 * 86_400.0])
def test_the_age_of_a_line_is_never_negative(
    clock: Clock, make_outbox: MakeOutbox, tmp_path: Path, since: float
) -> None:
    clock.now = 1e9
    first = make_outbox(clock, tmp_path)
    first.put(deduplicate({}, [make_quote()]))
    first.close()
    now = 1e9 + since  # the clock of the process before may have been fast
    outbox = make_outbox(lambda: now, tmp_path)
    assert outbox.counts().oldest_age_seconds == max(0.0, since)
    [packet] = outbox.take(0)
    assert outbox.age_of(packet) == max(0.0, since)


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    journal = Journal(tmp_path, LANES)
    journal._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(JournalUnavailable, match="full"):
        journal.append([Row(0, 0, b"x" * 100_000, 1, 0.0)], {})
    journal._db.execute("PRAGMA max_page_count = 1000000")
    assert len(journal.append([Row(0, 0, b"x" * 100_000, 1, 0.0)], {})) == 1
    journal.close()


def test_damage_of_an_open_file_is_told_from_other_failures(tmp_path: Path) -> None:
    journal = Journal(tmp_path, LANES)
    rows = journal.append([Row(0, 0, b"x" * 10_000, 1, 0.0) for _ in range(50)], {})
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal._db.execute("PRAGMA shrink_memory")
    file = tmp_path / FILE
    with file.open("r+b") as pages:
        pages.seek(4_096)
        pages.write(b"\xff" * (file.stat().st_size - 4_096))
    with pytest.raises(JournalDamaged, match="malformed"):
        journal.remove(rows, lambda _: {})
    journal.close()
