"""A market whose quotes are processed and archived, and whose bars can be rebuilt from the archive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from backfill.refold import Refolder
from bars.keys import ONE_MINUTE, is_bar
from operations.live_lanes import LiveLanes
from operations.rebuild import Rebuilder, RebuildResult, span_of
from processor_lambda.records import Record
from processor_lambda.rows import Row
from processor_lambda.settings import Settings
from quotes import Heartbeat, Line, Quote, encode, lane_of, partition_key
from tests.fakes.backfill_ports import MemoryBars, MemoryChunks, Process
from tests.fakes.lane_states import MemoryLaneStates
from tests.fakes.operations_ports import MemoryBarTable, MemoryObjectStore, MemoryTable
from tests.fakes.pipeline import SETTINGS, make_processor
from tests.fakes.processor_ports import World
from tests.support.stored_bars import without_provenance

LANES = 2
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
"""The day that the tests rebuild."""
CLOSE = MONDAY + timedelta(hours=21)
LATER = MONDAY + timedelta(days=10)
BUCKET = "memory"
"""The bucket in the addresses that the processor's fakes return."""

Bars = dict[tuple[str, ...], Row]


class ArchivedMarket:
    """Quotes arrive in packets, the processor makes bars and an archive of them, and a rebuilder repeats the bars."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.world = World()
        self.settings = settings
        self.bars = MemoryBarTable(self.world.bar_rows)
        """The table of bars as the last rebuild saw it."""
        self.progress: dict[str, tuple[int, int]] = {}
        """The progress that the last rebuild reported: how many parts of each step were done, and of how many."""
        self._processor = make_processor(self.world, settings=settings)
        self._number = self._runs = 0
        self.refold_process = Process()
        """The process that computes indicators."""

    def arrive(self, lines: Sequence[Line], at: datetime, *, batches: int = 1) -> None:
        """Let lines arrive in one record for each lane, or in as many records and batches as given."""
        by_lane: dict[str, list[Line]] = {}
        for line in lines:
            by_lane.setdefault(lane_key(line), []).append(line)
        for key, of_lane in by_lane.items():
            size = -(-len(of_lane) // batches)
            for start in range(0, len(of_lane), size):
                self.process([self.record(encode(of_lane[start : start + size]), key, at)])

    def arrive_in_order(self, quotes: Sequence[Quote]) -> None:
        """Let quotes arrive in small packets, each a second after its last quote."""
        for packet in packets(quotes):
            self.arrive(packet, packet[-1].event_time + timedelta(seconds=1))

    def close(self, to: datetime) -> None:
        """Let heartbeats close every minute up to a time."""
        keys = [partition_key(number, LANES) for number in range(LANES)]
        self.arrive([Heartbeat(lane=key, clock=to, complete_to=to) for key in keys], to)

    def process(self, records: Sequence[Record]) -> None:
        """Let records arrive in one batch."""
        self._processor.process(records)

    def record(self, data: bytes, key: str, at: datetime) -> Record:
        """A record. Sequence numbers start at 10, and soon have more digits, so they do not sort as text."""
        self._number += 1
        return Record(
            stream="quotes",
            shard="shardId-0",
            sequence_number=9 + self._number,
            partition_key=key,
            arrival=at,
            data=data,
        )

    def rebuild(
        self,
        day: datetime = MONDAY,
        symbols: frozenset[str] | None = None,
        *,
        now: datetime = LATER,
        arrived_until: datetime | None = None,
        dry_run: bool = False,
    ) -> list[RebuildResult]:
        """Rebuild a day."""
        store = MemoryObjectStore()
        store.objects = {f"s3://{BUCKET}/{key}": body for key, body in self.world.objects.items()}
        self.bars = MemoryBarTable(self.world.bar_rows)
        quotes = MemoryTable(self.world.rows, ("symbol", "timestamp"))
        bars = MemoryBars(self.refold_process, rows=self.world.bar_rows)
        live = LiveLanes(MemoryLaneStates(self.world), bars, LANES)
        self._runs += 1
        refolder = Refolder(bars, MemoryChunks(), live, run=f"run {self._runs}", now=lambda: now)
        rebuilder = Rebuilder(
            store, BUCKET, self.bars, quotes, self.settings, mark=refolder.mark, progress=self._report
        )
        span = span_of(day.date(), now)
        results = list(rebuilder.rebuild(span, symbols, now=now, arrived_until=arrived_until, dry_run=dry_run))
        if not dry_run:
            for result in results:
                refolder.refold(result.symbol)
        return results

    def contents(self) -> dict[tuple[str, ...], Row]:
        """The stored bars without their provenance."""
        return {key: without_provenance(row) for key, row in self.world.bar_rows.items() if is_bar(key[1])}

    def copied_bars(self) -> Bars:
        """A copy of the stored bars."""
        return {key: dict(row) for key, row in self.world.bar_rows.items() if is_bar(key[1])}

    def delete_bars_since(self, day: str) -> None:
        """Delete the stored bars of a day and of all later ones."""
        for key in list(self.world.bar_rows):
            if key[1] >= f"{ONE_MINUTE}#{day}":
                del self.world.bar_rows[key]

    @contextmanager
    def _report(self, step: str, total: int) -> Iterator[Callable[[int], None]]:
        done: list[int] = []
        yield done.append
        self.progress[step] = (sum(done), total)


def undisturbed(quotes: Sequence[Quote], close: datetime, settings: Settings = SETTINGS) -> ArchivedMarket:
    """A market in which every quote arrived once and in order."""
    market = ArchivedMarket(settings)
    market.arrive_in_order(quotes)
    market.close(close)
    return market


def lane_key(line: Line) -> str:
    """The partition key of a line's lane."""
    return line.lane if isinstance(line, Heartbeat) else partition_key(lane_of(line.symbol, LANES), LANES)


def quotes_of(
    symbol: str, start: datetime, minutes: int, *, seed: int = 1, every: int = 20, volume: int = 0
) -> list[Quote]:
    """A random walk with a cumulative volume, with a quote every `every` seconds."""
    rng = random.Random(f"{symbol}{seed}")
    price, quotes = Decimal(100), []
    for second in range(0, minutes * 60, every):
        price += Decimal(rng.randrange(-20, 21)) / 100
        volume += rng.randrange(100)
        time = start + timedelta(seconds=second)
        quotes.append(
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
    return quotes


def packets(quotes: Sequence[Quote], size: int = 6) -> list[list[Quote]]:
    """Quotes in the order of their times, a few at a time."""
    in_time = sorted(quotes, key=lambda quote: quote.event_time)
    return [in_time[start : start + size] for start in range(0, len(in_time), size)]
