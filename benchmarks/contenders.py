"""The programs that the benchmark compares. Each delivers the same quotes to the same sink, in a process of its own.

    python -m benchmarks.contenders stockstream 200000

It prints the CPU seconds per quote, from `Quote` to acknowledgement, of all threads of the process. The clock starts
after the client is created and the first requests are answered.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.kinesis_standin.process import STREAM
from benchmarks.load import QuoteLoad
from quotes import Quote, encode_line

SYMBOLS = 500
WARM_UP = 1_000
BATCH = 500
LANES = 16
TIMEOUT_SECONDS = 120.0


def stockstream(warm_up: Sequence[Quote], quotes: Sequence[Quote]) -> float:
    """The parts of the producer, with the journal on disk. Each poll has one quote of every symbol."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415  (the environment of async-kinesis lacks it)

    from producer_service import logs  # noqa: PLC0415  (as above)
    from producer_service.deduplication import deduplicate  # noqa: PLC0415  (as above)
    from producer_service.health import Health  # noqa: PLC0415  (as above)
    from producer_service.journal import Journal  # noqa: PLC0415  (as above)
    from producer_service.kinesis import KinesisStream  # noqa: PLC0415  (as above)
    from producer_service.metrics import Metrics  # noqa: PLC0415  (as above)
    from producer_service.outbox import Outbox  # noqa: PLC0415  (as above)
    from producer_service.sender import Sender  # noqa: PLC0415  (as above)

    logs.configure("info")
    with tempfile.TemporaryDirectory(prefix="stockstream-benchmark-") as directory:
        outbox = Outbox(
            Journal(Path(directory), LANES),
            lanes=LANES,
            max_bytes=64 * 2**20,
            linger_seconds=0.05,
            clock=time.time,
            monotonic=time.monotonic,
            jitter=random.random,
        )
        stream, metrics = KinesisStream(STREAM, 4, read_timeout_seconds=5), Metrics(CollectorRegistry())
        sender = Sender(outbox, stream, metrics, Health(time.monotonic), threads=4, clock=time.time)
        sender.start()

        def deliver(some: Sequence[Quote]) -> None:
            for poll in _batches(some, SYMBOLS):
                outbox.wait_for_room(TIMEOUT_SECONDS)
                outbox.put(deduplicate(outbox.histories, poll))
            if not outbox.wait_until_empty(TIMEOUT_SECONDS):
                raise TimeoutError

        deliver(warm_up)
        started = time.process_time()
        deliver(quotes)
        seconds = time.process_time() - started
        sender.stop()
        outbox.close()
    return seconds


def put_record(warm_up: Sequence[Quote], quotes: Sequence[Quote]) -> float:
    """boto3 with one request per quote."""
    client = _boto3()

    def deliver(some: Sequence[Quote]) -> None:
        for quote in some:
            client.put_record(StreamName=STREAM, Data=encode_line(quote), PartitionKey=quote.symbol)

    deliver(warm_up)
    started = time.process_time()
    deliver(quotes)
    return time.process_time() - started


def put_records(warm_up: Sequence[Quote], quotes: Sequence[Quote]) -> float:
    """boto3 with 500 quotes per request, each as a record."""
    client = _boto3()

    def deliver(some: Sequence[Quote]) -> None:
        for batch in _batches(some, BATCH):
            records = [{"Data": encode_line(quote), "PartitionKey": quote.symbol} for quote in batch]
            if client.put_records(StreamName=STREAM, Records=records)["FailedRecordCount"]:
                raise RuntimeError

    deliver(warm_up)
    started = time.process_time()
    deliver(quotes)
    return time.process_time() - started


def async_kinesis(warm_up: Sequence[Quote], quotes: Sequence[Quote], *, shards: int) -> float:
    """async-kinesis 3.0.1 with the symbol as the key, so one record per quote.

    It limits itself to its defaults, 1,000 records and 1,024 KB a second, times the number of shards.
    """
    from kinesis import Producer, StringProcessor  # type: ignore[import-not-found]  # noqa: PLC0415  (as above)

    async def run() -> float:
        async with Producer(
            STREAM,
            processor=StringProcessor(),
            skip_describe_stream=True,
            put_rate_limit_per_shard=1_000 * shards,
            put_bandwidth_limit_per_shard=1_024 * shards,
            batch_size=BATCH - 1,  # with 500 its requests have 501 records, which Kinesis refuses
        ) as producer:

            async def deliver(some: Sequence[Quote]) -> None:
                for quote in some:
                    await producer.put(encode_line(quote).decode(), partition_key=quote.symbol)
                await producer.flush()

            await deliver(warm_up)
            started = time.process_time()
            await deliver(quotes)
            return time.process_time() - started

    return asyncio.run(run())


CONTENDERS: dict[str, Callable[[Sequence[Quote], Sequence[Quote]], float]] = {
    "stockstream": stockstream,
    "put_record": put_record,
    "put_records": put_records,
    "async_kinesis_1_shard": partial(async_kinesis, shards=1),
    "async_kinesis_10_shards": partial(async_kinesis, shards=10),  # as many as 10,000 records a second need
}


def _boto3() -> Any:
    import boto3  # noqa: PLC0415  (as above)

    return boto3.client("kinesis")


def _batches(quotes: Sequence[Quote], size: int) -> Iterator[list[Quote]]:
    rest = iter(quotes)
    while batch := list(islice(rest, size)):
        yield batch


def main(name: str, count: int) -> None:
    """Run one contender, and print the CPU seconds per quote."""
    quotes = list(QuoteLoad(WARM_UP + count, SYMBOLS).slice(0, WARM_UP + count))
    gc.freeze()  # the waiting quotes belong to the benchmark, so the garbage collector should not visit them
    seconds = CONTENDERS[name](quotes[:WARM_UP], quotes[WARM_UP:])
    sys.stdout.write(f"{seconds / count!r}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
