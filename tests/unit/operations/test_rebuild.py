"""A day's bars from the archive are those of one undisturbed pass, whatever happened on the way there."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from operations.archive import Pick, arrived_between, in_order, read
from operations.errors import Unreadable, WrongUsage
from operations.rebuild import Rebuilder, Rebuilt, Span, span_of
from processor_lambda.records import Record
from processor_lambda.rows import Row
from processor_lambda.settings import Settings
from quotes import Heartbeat, Line, Quote, encode, encode_line, lane_of, partition_key
from tests.fakes.operations_ports import MemoryBars, MemoryObjects, MemoryRows
from tests.fakes.pipeline import SETTINGS, make_processor
from tests.fakes.processor_ports import World

LANES = 2
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
LATER = MONDAY + timedelta(days=10)
BUCKET = "memory"  # where the processor's fake says it writes


class Market:
    """A pipeline: quotes arrive in packets, the processor makes bars of them, and a rebuilder makes them anew."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.world = World()
        self.settings = settings
        self._processor = make_processor(self.world, settings=settings)
        self._number = 0
        self.told: dict[str, tuple[int, int]] = {}
        """What the last rebuild told of its progress: how much was done of each step, and of how much."""

    def arrive(self, lines: Sequence[Line], at: datetime, *, batches: int = 1) -> None:
        """Lines arrive in one record a lane, in one batch or more."""
        by_lane: dict[str, list[Line]] = {}
        for line in lines:
            by_lane.setdefault(lane(line), []).append(line)
        for key, of_lane in by_lane.items():
            size = -(-len(of_lane) // batches)
            for start in range(0, len(of_lane), size):
                self._processor.process([self.record(encode(of_lane[start : start + size]), key, at)])

    def close(self, to: datetime) -> None:
        """Heartbeats close every minute up to a time."""
        keys = [partition_key(number, LANES) for number in range(LANES)]
        self.arrive([Heartbeat(lane=key, clock=to, complete_to=to) for key in keys], to)

    def process(self, records: Sequence[Record]) -> None:
        """Records arrive in one batch."""
        self._processor.process(records)

    def record(self, data: bytes, key: str, at: datetime) -> Record:
        self._number += 1
        number = 9 + self._number  # of two digits soon, so text would sort them wrongly
        return Record(
            stream="quotes", shard="shardId-0", sequence_number=number, partition_key=key, arrival=at, data=data
        )

    def rebuild(
        self,
        day: datetime = MONDAY,
        symbols: frozenset[str] | None = None,
        *,
        now: datetime = LATER,
        arrived_until: datetime | None = None,
        dry_run: bool = False,
    ) -> list[Rebuilt]:
        objects = MemoryObjects()
        objects.objects = {f"s3://{BUCKET}/{key}": body for key, body in self.world.objects.items()}
        self.bars = MemoryBars(self.world.bar_rows)
        quotes = MemoryRows(self.world.rows, ("symbol", "timestamp"))
        rebuilder = Rebuilder(objects, BUCKET, self.bars, quotes, self.settings, progress=self._progress)
        span = span_of(day.date(), now)
        return list(rebuilder.rebuild(span, symbols, now=now, arrived_until=arrived_until, dry_run=dry_run))

    @contextmanager
    def _progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        done: list[int] = []
        yield done.append
        self.told[what] = (sum(done), total)


def lane(line: Line) -> str:
    return line.lane if isinstance(line, Heartbeat) else partition_key(lane_of(line.symbol, LANES), LANES)


def quotes_of(
    symbol: str, start: datetime, minutes: int, *, seed: int = 1, every: int = 20, volume: int = 0
) -> list[Quote]:
    """A random walk with a cumulative volume."""
    rng = random.Random(f"{symbol}{seed}")
    price, found = Decimal(100), []
    for second in range(0, minutes * 60, every):
        price += Decimal(rng.randrange(-20, 21)) / 100
        volume += rng.randrange(100)
        time = start + timedelta(seconds=second)
        found.append(
            Quote(
                symbol=symbol,
                event_time=time,
                price=price,
                volume=volume,
                previous_close=Decimal(99),
                source="synthetic",
                ingest_time=time,
            )
        )
    return found


def packets(quotes: Sequence[Quote], size: int = 6) -> list[list[Quote]]:
    in_time = sorted(quotes, key=lambda quote: quote.event_time)
    return [in_time[start : start + size] for start in range(0, len(in_time), size)]


def undisturbed(quotes: Sequence[Quote], close: datetime, settings: Settings = SETTINGS) -> Market:
    market = Market(settings)
    for packet in packets(quotes):
        market.arrive(packet, packet[-1].event_time + timedelta(seconds=1))
    market.close(close)
    return market


@pytest.fixture
def day() -> list[Quote]:
    """An hour and a half of two symbols."""
    start = MONDAY + timedelta(hours=14, minutes=30)
    return quotes_of("AAPL", start, 90) + quotes_of("MSFT", start, 90)


CLOSE = MONDAY + timedelta(hours=21)


def bars_of(rows: dict[tuple[str, ...], Row]) -> dict[tuple[str, ...], Row]:
    return {key: dict(row) for key, row in rows.items()}


def test_an_undisturbed_day_is_as_it_was_and_nothing_is_written(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    before = bars_of(market.world.bar_rows)
    assert market.rebuild() == [
        Rebuilt(symbol=symbol, bars=90, added=0, corrected=0, without_quotes=0, expired=0)
        for symbol in ("AAPL", "MSFT")
    ]
    assert market.bars.puts == 0
    assert market.world.bar_rows == before
    assert "z_score" in before["AAPL", "2026-11-23T15:59:00.000Z"]


def test_damaged_and_lost_bars_are_made_anew_and_a_second_time_changes_nothing(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    expected = bars_of(market.world.bar_rows)
    market.world.bar_rows["AAPL", "2026-11-23T14:40:00.000Z"]["high"] = Decimal(1)
    market.world.bar_rows["AAPL", "2026-11-23T14:41:00.000Z"]["sma_5"] = Decimal(1)
    market.world.bar_rows["MSFT", "2026-11-23T14:41:00.000Z"]["volume"] = Decimal(1)
    del market.world.bar_rows["AAPL", "2026-11-23T14:42:00.000Z"]
    aapl, msft = market.rebuild(dry_run=True)
    assert (aapl.corrected, aapl.added, msft.corrected, market.bars.puts) == (2, 1, 1, 0)
    (aapl,) = market.rebuild(symbols=frozenset({"AAPL"}))
    assert (aapl.corrected, aapl.added, market.bars.puts) == (2, 1, 3)
    assert market.world.bar_rows["MSFT", "2026-11-23T14:41:00.000Z"]["volume"] == 1
    market.rebuild()
    assert market.world.bar_rows == expected
    assert [(each.corrected, each.added) for each in market.rebuild()] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_late_repeated_and_recut_packets_come_to_the_bars_of_an_undisturbed_pass(day: list[Quote], seed: int) -> None:
    rng = random.Random(seed)
    expected = undisturbed(day, CLOSE).world.bar_rows
    market = Market()
    disturbed = packets(day)
    for _ in range(30):
        disturbed.insert(rng.randrange(len(disturbed)), rng.choice(disturbed))
    for _ in range(10):
        disturbed.append(disturbed.pop(rng.randrange(len(disturbed))))
    arrival = MONDAY + timedelta(hours=16)
    for packet in disturbed:
        arrival += timedelta(seconds=rng.randrange(200))
        market.arrive(packet, arrival, batches=rng.randint(1, 2))
    market.close(arrival)
    assert market.world.bar_rows != expected
    market.rebuild()
    assert market.world.bar_rows == expected


def test_of_two_contents_of_one_identity_the_last_arrival_counts_as_in_the_row() -> None:
    quotes = quotes_of("AAPL", MONDAY + timedelta(hours=14), 3)
    market = undisturbed(quotes, CLOSE)
    market.arrive([replace(quotes[1], price=Decimal(500))], CLOSE + timedelta(hours=1))
    market.rebuild()
    assert market.world.bar_rows["AAPL", "2026-11-23T14:00:00.000Z"]["high"] == 500


def test_a_day_starts_from_the_volume_and_the_indicators_of_the_day_before() -> None:
    """Round the clock: the volume goes on over midnight, and the first minutes already have every indicator."""
    whole = quotes_of("BTC-USD", MONDAY - timedelta(hours=3), 6 * 60)
    market = undisturbed(whole, MONDAY + timedelta(hours=4))
    expected = bars_of(market.world.bar_rows)
    assert "z_score" in expected["BTC-USD", "2026-11-23T00:00:00.000Z"]
    for key in list(market.world.bar_rows):
        if key[1] >= "2026-11-23":
            del market.world.bar_rows[key]
    (rebuilt,) = market.rebuild()
    assert rebuilt.added == 180
    assert market.world.bar_rows == expected


def test_a_day_after_a_weekend_starts_from_fridays_last_quotes_wherever_they_lie() -> None:
    friday = quotes_of("AAPL", MONDAY - timedelta(days=3) + timedelta(hours=20), 60)
    last = friday[-1].volume
    assert last is not None
    monday = quotes_of("AAPL", MONDAY + timedelta(hours=14), 30, seed=2, volume=last)
    market = undisturbed(friday + monday, CLOSE)
    expected = bars_of(market.world.bar_rows)
    first = expected["AAPL", "2026-11-23T14:00:00.000Z"]
    assert first["volume"] != 0
    first_key = ("AAPL", "2026-11-23T14:00:00.000Z")
    market.world.bar_rows[first_key] = {**first, "volume": Decimal(0), "sma_50": Decimal(1)}
    (rebuilt,) = market.rebuild()
    assert rebuilt.corrected == 1
    assert market.world.bar_rows == expected


def test_a_symbol_that_was_forgotten_meanwhile_starts_as_it_did() -> None:
    """Live, its first bar did not know the volume of a month before; nor may the rebuilt one."""
    before = quotes_of("AAPL", MONDAY - timedelta(days=40), 60)
    market = Market()
    for packet in packets(before):
        market.arrive(packet, packet[-1].event_time + timedelta(seconds=1))
    market.close(MONDAY)
    after = quotes_of("AAPL", MONDAY + timedelta(hours=14), 30, seed=2, volume=10**6)
    for packet in packets(after):
        market.arrive(packet, packet[-1].event_time + timedelta(seconds=1))
    market.close(CLOSE)
    expected = bars_of(market.world.bar_rows)
    assert int(expected["AAPL", "2026-11-23T14:00:00.000Z"]["volume"]) < 1_000
    for key in list(market.world.bar_rows):
        if key[1] >= "2026-11-23":
            del market.world.bar_rows[key]
    (rebuilt,) = market.rebuild()
    assert rebuilt.added == 30
    assert market.world.bar_rows == expected


def test_days_in_a_row_are_rebuilt_as_one_pass() -> None:
    whole = quotes_of("BTC-USD", MONDAY - timedelta(hours=2), 28 * 60, every=60)
    market = undisturbed(whole, MONDAY + timedelta(hours=30))
    expected = bars_of(market.world.bar_rows)
    for row in market.world.bar_rows.values():
        row["sma_20"] = Decimal(1)
    for offset in (-1, 0, 1):
        market.rebuild(MONDAY + timedelta(days=offset))
    assert market.world.bar_rows == expected


def test_a_symbol_without_a_past_starts_as_it_did(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    expected = bars_of(market.world.bar_rows)
    market.world.bar_rows.clear()
    market.rebuild()
    assert market.world.bar_rows == expected


def test_a_split_before_the_day_rescales_the_indicators_as_it_did() -> None:
    sunday = quotes_of("BTC-USD", MONDAY - timedelta(hours=2), 120)
    split = [
        replace(
            quote,
            price=quote.price / 4,
            previous_close=Decimal(str(round(sunday[-1].price / 4, 2))),
        )
        for quote in quotes_of("BTC-USD", MONDAY, 30, seed=2)
    ]
    split = [replace(quote, price=Decimal(str(round(quote.price, 2)))) for quote in split]
    market = undisturbed(sunday + split, CLOSE)
    expected = bars_of(market.world.bar_rows)
    assert expected["BTC-USD", "2026-11-23T00:00:00.000Z"]["sma_50"] < 30  # type: ignore[operator]  # a number
    for key in list(market.world.bar_rows):
        if key[1] >= "2026-11-23":
            del market.world.bar_rows[key]
    market.rebuild()
    assert market.world.bar_rows == expected


def test_quotes_that_arrived_days_later_count_when_they_are_asked_for(day: list[Quote]) -> None:
    expected = undisturbed(day, CLOSE).world.bar_rows
    market = Market()
    lost, rest = packets(day)[40:50], packets(day)[:40] + packets(day)[50:]
    for packet in rest:
        market.arrive(packet, packet[-1].event_time + timedelta(seconds=1))
    market.close(CLOSE)
    redriven = MONDAY + timedelta(days=5, hours=3)
    for packet in lost:
        market.arrive(packet, redriven)
    market.rebuild()
    assert market.world.bar_rows != expected
    market.rebuild(arrived_until=redriven)
    assert market.world.bar_rows == expected


def test_a_batch_of_a_backlog_is_found_though_it_lies_under_an_hour_of_the_day_before() -> None:
    quotes = quotes_of("BTC-USD", MONDAY - timedelta(hours=10), 11 * 60, every=60)
    expected = undisturbed(quotes, CLOSE).world.bar_rows
    market = Market()
    market.process(
        [
            market.record(encode(packet), lane(packet[0]), packet[-1].event_time + timedelta(seconds=1))
            for packet in packets(quotes)
        ]
    )
    market.close(CLOSE)
    assert next(iter(market.world.objects))[:30] == "raw-data/dt=2026-11-22/hour=14"
    for key in list(market.world.bar_rows):
        if key[1] >= "2026-11-23":
            del market.world.bar_rows[key]
    market.rebuild()
    assert market.world.bar_rows == expected


def test_progress_of_each_step_comes_to_its_end(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.rebuild()
    objects = sum(key.startswith("raw-data/") for key in market.world.objects)
    assert market.told.pop("warming up") == market.told.pop("rebuilding 2026-11-23") == (2, 2)
    assert market.told.pop("reading the archive") == (objects, objects)


def test_minutes_younger_than_an_hour_are_not_touched(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    now = MONDAY + timedelta(hours=16, minutes=10, seconds=30)
    assert span_of(MONDAY.date(), now) == Span(MONDAY, MONDAY + timedelta(hours=15, minutes=10))
    market.rebuild(now=now)
    assert max(minute for _, minute in market.world.bar_rows) == "2026-11-23T15:09:00.000Z"


@pytest.mark.parametrize("now", [MONDAY + timedelta(hours=1), MONDAY - timedelta(days=1)])
def test_a_day_without_a_minute_that_is_old_enough_is_refused(now: datetime) -> None:
    with pytest.raises(WrongUsage, match="2026-11-23: only minutes that ended over an hour ago"):
        span_of(date(2026, 11, 23), now)


def test_a_stored_bar_without_a_quote_in_the_archive_stays_and_is_told(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    stray = ("AAPL", "2026-11-23T13:00:00.000Z")
    market.world.bar_rows[stray] = {"symbol": "AAPL", "minute": stray[1], "close": Decimal(1)}
    assert market.rebuild()[0].without_quotes == 1
    assert stray in market.world.bar_rows


def test_bars_past_their_time_to_live_are_not_written(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    rebuilt = market.rebuild(now=MONDAY + timedelta(days=400))
    assert [each.expired for each in rebuilt] == [90, 90]
    assert market.world.bar_rows == {}


def test_a_symbol_without_a_quote_is_left_out(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    assert market.rebuild(symbols=frozenset({"NONE"})) == []
    assert market.rebuild(MONDAY + timedelta(days=1)) == []


def test_with_minute_resolution_the_rows_of_the_minutes_are_made_anew_too(day: list[Quote]) -> None:
    settings = replace(SETTINGS, row_resolution="minute")
    market = undisturbed(day, CLOSE, settings)
    expected = dict(market.world.rows)
    assert len(expected) == 180
    market.world.rows.clear()
    market.rebuild()
    assert market.world.rows == expected


def test_a_damaged_object_of_the_archive_stops_it_before_anything_is_written(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.bar_rows.clear()
    key = next(iter(market.world.objects))
    market.world.objects[key] = market.world.objects[key][:-20]
    with pytest.raises(Unreadable, match=f"s3://{BUCKET}/{key} is damaged"):
        market.rebuild()
    assert market.world.bar_rows == {}


def test_an_object_that_is_none_of_the_archives_stops_it_and_a_folder_does_not(day: list[Quote]) -> None:
    market = undisturbed(day, CLOSE)
    market.world.objects["raw-data/dt=2026-11-23/hour=14/"] = b""
    market.rebuild()
    market.world.objects["raw-data/dt=2026-11-23/hour=14/notes.txt"] = b""
    with pytest.raises(Unreadable, match=r"notes.txt is no object of the archive"):
        market.rebuild()


def test_objects_are_read_in_the_order_in_which_they_ended_on_the_stream() -> None:
    objects = MemoryObjects()
    for name in ("15/a-2-100", "14/a-1-2", "14/a-1-100", "15/a-3-99", "14/b-1-9"):
        objects.objects[f"s3://b/raw-data/dt=2026-11-23/hour={name}.jsonl.gz"] = b""
    first, last = MONDAY + timedelta(hours=14, minutes=59), MONDAY + timedelta(hours=15)
    names = [address.rpartition("/")[2] for address in in_order(arrived_between(objects, "b", first, last) * 2)]
    assert names == ["a-1-2.jsonl.gz", "b-1-9.jsonl.gz", "a-3-99.jsonl.gz", "a-1-100.jsonl.gz", "a-2-100.jsonl.gz"]


def test_a_line_of_another_encoder_is_told_by_its_content_and_not_by_its_first_bytes() -> None:
    quote = quotes_of("AAPL", MONDAY, 1)[0]
    line = encode_line(quote)
    escaped = line.replace(b'"AAPL"', b'"\\u0041APL"')
    spaced = line.replace(b'"symbol":', b'"symbol": ')
    other = encode_line(replace(quote, symbol="MSFT"))
    body = gzip.compress(b"".join([escaped, other, spaced, b'{"kind":"quarantined"}\n', line, b"\n"]))
    objects = MemoryObjects()
    objects.objects["s3://b/k"] = body
    pick = Pick(symbols=frozenset({"AAPL"}), before=LATER)
    (found,) = read(objects, ["s3://b/k"], pick)
    assert [each.symbol for each in found] == ["AAPL"] * 3
