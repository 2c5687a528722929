"""The real `run` command of the producer, with a source that offers quotes by a fixed schedule, and a stopwatch.

    python -m benchmarks.offered_load '{"quotes":1000,"rate":100,"symbols":100}' puts.jsonl

Everything else comes from the environment, as always. The file receives a line for each packet that was sent: see
`SentPacket`. `benchmarks.pipeline` runs it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
from msgspec.structs import replace

from producer_service.cli import run_until_stopped
from producer_service.kinesis import KinesisStream
from producer_service.packing import Packet
from producer_service.sources import FetchResult, Market, SourceTraits
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.sources.registry import SOURCES
from producer_service.sources.replay.source import ReplaySource
from producer_service.stream import PutResult
from quotes import Quote, whole_milliseconds

NAME = "synthetic"
"""The name under which the producer knows this source. It takes the place of the simulated market."""
STEP_SECONDS = 0.01
"""Quotes are offered in steps of this length: at 5,000 quotes a second, 50 arrive together."""
MOST_AT_ONCE = 1_000
"""The most quotes of one delivery."""
NOMINAL_RATE = 1_000
"""How fast the market moves, in quotes a second, if quotes are offered as fast as the producer takes them."""


class OfferedLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Which quotes are offered, and when."""

    quotes: int
    """How many, from the first of the load on."""
    rate: float | None
    """Quotes a second. None offers each quote as soon as the producer takes it."""
    symbols: int
    """How many generated symbols take turns. Recordings have symbols of their own."""
    recordings: str | None = None
    """A directory of recordings. If it is given, they are offered instead of generated quotes, with their own times."""


class SentPacket(msgspec.Struct, frozen=True):
    """When a packet left the producer, and when the request with it was answered, in seconds since the epoch."""

    partition_key: str
    began: float
    ended: float


class OfferedSource:
    """Offers quotes when they are due, whatever the producer and the pipeline do.

    The ingest time of a quote is the time at which it is due. So if the producer takes it late, that is part of its
    latency, and a slow pipeline cannot hide behind a slow schedule. After the last quote, it waits to be closed.
    """

    def __init__(self, load: OfferedLoad) -> None:
        self._load = load
        self._recording = None if load.recordings is None else ReplaySource(Path(load.recordings))
        self.symbols = _names(load.symbols) if self._recording is None else self._recording.symbols
        self.traits = SourceTraits(is_live=self._recording is None)
        self._closed = threading.Event()

    def listen(self, deliver: Callable[[FetchResult], None], _market: Market) -> None:
        """See `PushedSource`."""
        begin, started = datetime.now(UTC), time.monotonic()
        quotes = self._quotes(begin)
        rate, offered = self._load.rate, 0
        while offered < self._load.quotes and not self._closed.is_set():
            due = self._load.quotes if rate is None else int((time.monotonic() - started) * rate) + 1
            due = min(due, self._load.quotes, offered + MOST_AT_ONCE)
            if due > offered:
                deliver(_result(_received(quotes, begin, rate, range(offered, due))))
                offered = due
            if rate is not None:
                self._closed.wait(STEP_SECONDS)
        self._closed.wait()

    def close(self) -> None:
        """See `PushedSource`."""
        self._closed.set()

    def _quotes(self, begin: datetime) -> Iterator[Quote]:
        if self._recording is None:
            return _generated(self._load, self.symbols, begin)
        return _recorded(self._recording, begin)


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"SYM{number:05d}" for number in range(count))


def _generated(load: OfferedLoad, symbols: Sequence[str], begin: datetime) -> Iterator[Quote]:
    """Quotes of symbols that take turns. Each differs from the one before and is accepted, and none raises an alert."""
    rate = load.rate or NOMINAL_RATE
    first = begin if load.rate else begin - timedelta(seconds=load.quotes / rate)
    for index in range(load.quotes):
        time_ = whole_milliseconds(first + timedelta(seconds=index / rate))
        yield Quote(
            symbol=symbols[index % len(symbols)],
            event_time=time_,
            price=Decimal(10_000 + index % 97) / 100,
            source=NAME,
            ingest_time=time_,
            open=Decimal("100.5"),
            high=Decimal("101.25"),
            low=Decimal("99.75"),
            previous_close=Decimal("100.5"),
            volume=1_000_000 + index,
            currency="USD",
            exchange="SYN",
            market_state="REGULAR",
            delay_minutes=0,
        )


def _recorded(recording: ReplaySource, begin: datetime) -> Iterator[Quote]:
    has_more = True
    while has_more:
        result = recording.fetch(recording.symbols, begin)
        yield from result.quotes
        has_more = result.more


def _received(quotes: Iterator[Quote], begin: datetime, rate: float | None, places: range) -> tuple[Quote, ...]:
    """The next quotes, received at the times that the schedule gives to their places."""
    now = datetime.now(UTC)
    return tuple(
        replace(
            quote,
            ingest_time=whole_milliseconds(now if rate is None else begin + timedelta(seconds=index / rate)),
        )
        for index, quote in zip(places, islice(quotes, len(places)), strict=False)
    )


def _result(quotes: tuple[Quote, ...]) -> FetchResult:
    return FetchResult(quotes=quotes, complete_to=quotes[-1].event_time if quotes else None)


def _time_requests(log: Path) -> None:
    """Note when each packet is sent."""
    put, file, lock = KinesisStream.put, log.open("ab"), threading.Lock()

    def timed_put(stream: KinesisStream, packets: Sequence[Packet]) -> PutResult:
        began = time.time()
        result = put(stream, packets)
        ended = time.time()
        sent = (SentPacket(packet.partition_key, began, ended) for packet in packets)
        with lock:
            file.write(msgspec.json.Encoder().encode_lines(list(sent)))
            file.flush()
        return result

    # The daemon makes its stream by itself, so the class is changed, in this process alone.
    KinesisStream.put = timed_put  # type: ignore[assignment,method-assign]


def main(load: OfferedLoad, log: Path) -> None:
    """Run until a signal."""

    def open_(_settings: SourceSettings, _symbols: tuple[str, ...]) -> OfferedSource:
        return OfferedSource(load)

    _time_requests(log)
    definition = SourceDefinition(
        name=NAME, description="the load", settings=SourceSettings, needs_symbols=False, open=open_
    )
    run_until_stopped({**SOURCES, NAME: definition})


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=OfferedLoad), Path(sys.argv[2]))
