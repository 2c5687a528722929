"""Where the CPU of a quote goes: each step of the delivery by itself, one thread and nothing beside it.

    python -m benchmarks.parts

Prints JSON lines `{name, figure, unit, baseline, ratio}`; the baseline is `whole`, the sum of what is not part of
another, and the ratio each one's share of it. What several threads cost beside is in `benchmarks.delivery` alone.
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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b, sha256
from pathlib import Path

import msgspec

from benchmarks.contenders import LANES, SYMBOLS
from benchmarks.delivery import Line
from producer_service.deduplication import DIGEST_BYTES, SymbolHistory, deduplicate
from producer_service.journal import Journal
from producer_service.kinesis import KinesisStream
from producer_service.outbox import Outbox
from producer_service.packing import Row
from quotes import encode_content
from tests.trials.load import Load
from tests.trials.standin import STREAM, running

QUOTES = 50_000
POLLS_A_REQUEST = 2
"""As it comes about in `benchmarks.contenders`: a request of 1,000 quotes, 16 packets of 20 KB."""
ROUNDS = 5
"""Of everything, in turn; the least of each is reported, since what disturbs a process only adds."""
OF_THE_WHOLE = ("deduplicate", "outbox", "request")


class Clock:
    """CPU by step."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, step: str) -> Iterator[None]:
        """Add what is done inside to a step."""
        started = time.process_time()
        yield
        self.seconds[step] += time.process_time() - started


class TimedJournal(Journal):
    """A journal that says what it takes."""

    clock: Clock

    def append(
        self, rows: Iterable[Row], histories: Mapping[int, Mapping[str, SymbolHistory]], *, restored: str | None = None
    ) -> list[Row]:
        """See `Journal.append`."""
        with self.clock.time("journal_in_outbox"):
            return super().append(rows, histories, restored=restored)

    def remove(self, rows: Iterable[Row]) -> None:
        """See `Journal.remove`."""
        with self.clock.time("journal_in_outbox"):
            super().remove(rows)


def measure(stream: KinesisStream, directory: Path) -> dict[str, float]:
    """CPU seconds of each step for `QUOTES` quotes, polled and put as `benchmarks.contenders` has them."""
    clock = Clock()
    quotes = list(Load(QUOTES, SYMBOLS).slice(0, QUOTES))
    gc.freeze()  # the quotes that wait are the benchmark's, and the collector need not go through them
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
            contents = [encode_content(quote) for quote in poll]
        with clock.time("digest_in_deduplicate"):
            for content in contents:
                blake2b(content, digest_size=DIGEST_BYTES).digest()
        with clock.time("deduplicate"):
            decision = deduplicate(outbox.histories, poll)
        with clock.time("outbox"):
            outbox.put(decision)
        if number % POLLS_A_REQUEST == 0:
            put_all(outbox, stream, clock)
    outbox.close()
    return dict(clock.seconds)


def put_all(outbox: Outbox, stream: KinesisStream, clock: Clock) -> None:
    """Put what is pending."""
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
    whole = sum(microseconds[step] for step in OF_THE_WHOLE)
    for step, figure in {"whole": whole, **microseconds}.items():
        line = Line(step, round(figure, 2), "us", round(whole, 2), round(figure / whole, 2))
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")


if __name__ == "__main__":
    main()
