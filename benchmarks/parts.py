"""Where the CPU of a quote is spent: each step of the delivery by itself, in one thread.

    python -m benchmarks.parts

It prints JSON lines `{name, figure, unit, baseline, ratio}`. The baseline is `whole`, the sum of the main steps, and
the ratio is a step's share of it. A step with `_in_` in its name is part of a main step. Several threads cost more,
which only `benchmarks.delivery` measures.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from benchmarks.contenders import LANES, SYMBOLS
from benchmarks.delivery import Line
from benchmarks.kinesis_standin.process import STREAM, running
from benchmarks.load import QuoteLoad
from producer_service.deduplication import SymbolHistory, deduplicate
from producer_service.journal import Journal
from producer_service.kinesis import KinesisStream
from producer_service.outbox import Outbox
from producer_service.packing import Row
from quotes import encode_content

QUOTES = 50_000
POLLS_A_REQUEST = 2
"""The same number as in `benchmarks.contenders`: a request of 1,000 quotes in 16 packets of 20 KB."""
ROUNDS = 5
"""How often everything is measured. The lowest figure is reported, since disturbances only add CPU."""
MAIN_STEPS = ("deduplicate", "outbox", "request")


class Clock:
    """The CPU seconds of each step."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Add the CPU of the block to a step."""
        started = time.process_time()
        yield
        self.seconds[step] += time.process_time() - started


class TimedJournal(Journal):
    """A journal that measures its CPU."""

    clock: Clock

    def append(
        self,
        rows: Iterable[Row],
        histories: Mapping[int, Mapping[str, SymbolHistory]],
        *,
        restored: str | None = None,
        log_entries: bytes = b"",
    ) -> list[Row]:
        """See `Journal.append`."""
        with self.clock.time("journal_in_outbox"):
            return super().append(rows, histories, restored=restored, log_entries=log_entries)

    def remove(self, rows: Iterable[Row], histories_of: Callable[[int], Mapping[str, SymbolHistory]]) -> None:
        """See `Journal.remove`."""
        with self.clock.time("journal_in_outbox"):
            super().remove(rows, histories_of)


def measure(stream: KinesisStream, directory: Path) -> dict[str, float]:
    """The CPU seconds of each step for `QUOTES` quotes, polled and sent as in `benchmarks.contenders`."""
    clock = Clock()
    quotes = list(QuoteLoad(QUOTES, SYMBOLS).slice(0, QUOTES))
    gc.freeze()  # the waiting quotes belong to the benchmark, so the garbage collector should not visit them
    journal = TimedJournal(directory, LANES)
    journal.clock = clock
    outbox = Outbox(
        journal,
        lanes=LANES,
        max_bytes=64 * 2**20,
        linger_seconds=0,
        clock=time.time,
        monotonic=time.monotonic,
        jitter=random.random,
    )
    for number, first in enumerate(range(0, QUOTES, SYMBOLS), start=1):
        poll = quotes[first : first + SYMBOLS]
        with clock.time("encode_in_deduplicate"):
            for quote in poll:
                encode_content(quote)
        with clock.time("deduplicate"):
            deduplicated = deduplicate(outbox.histories, poll)
        with clock.time("outbox"):
            outbox.put(deduplicated)
        if number % POLLS_A_REQUEST == 0:
            put_all(outbox, stream, clock)
    outbox.close()
    return dict(clock.seconds)


def put_all(outbox: Outbox, stream: KinesisStream, clock: Clock) -> None:
    """Send everything that is pending."""
    while True:
        with clock.time("outbox"):
            packets = outbox.take(0)
        if not packets:
            return
        with clock.time("base64_in_request"):
            for packet in packets:
                b64encode(packet.data)
        body = msgspec.json.encode([packet.data for packet in packets])
        with clock.time("sha256_in_request"):
            sha256(body).digest()
        with clock.time("request"):
            result = stream.put(packets)
        with clock.time("outbox"):
            outbox.settle(packets, [failure is None for failure in result.failures])


def main() -> None:
    """Measure and print."""
    least: dict[str, float] = {}
    with running() as standin:
        os.environ.update(standin.environment)
        stream = KinesisStream(STREAM, 1, read_timeout_seconds=5)
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(prefix="stockstream-benchmark-") as directory:
                for step, seconds in measure(stream, Path(directory)).items():
                    least[step] = min(seconds, least.get(step, seconds))
    microseconds = {step: seconds / QUOTES * 1e6 for step, seconds in least.items()}
    whole = sum(microseconds[step] for step in MAIN_STEPS)
    for step, figure in {"whole": whole, **microseconds}.items():
        line = Line(step, round(figure, 2), "us", round(whole, 2), round(figure / whole, 2))
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")


if __name__ == "__main__":
    main()
