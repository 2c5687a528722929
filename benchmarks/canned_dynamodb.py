"""A local server in place of DynamoDB: a day of minute bars for every query of bars, and the states of all lanes.

    python -m benchmarks.canned_dynamodb

It runs in a process of its own, so that its CPU does not count as the function's. It prints its port, and ends when its
standard input ends.
"""

from __future__ import annotations

import asyncio
import base64
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import IO, cast

import msgspec

from bars.keys import ONE_MINUTE, bar_key
from indicators import NAMES
from lane_state import Bar, LaneState, SymbolState, pack
from quotes import lane_of, partition_key

HOST = "127.0.0.1"
LANES, SYMBOLS, BARS = 16, 500, 390
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CLOSE = OPEN + BARS * MINUTE
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)", re.IGNORECASE)


def symbols() -> list[str]:
    """The symbols of the feed."""
    return [f"SYM{number:05d}" for number in range(SYMBOLS)]


def bars() -> bytes:
    """The answer to a query: a day of minute bars with all indicators, the newest first."""
    random = Random(1)  # noqa: S311  (not a secret)
    items = []
    for number in reversed(range(BARS)):
        numbers = {name: f"{random.uniform(100, 300):.2f}" for name in ("open", "high", "low", "close")}
        numbers |= {name: f"{random.uniform(100, 300):.12g}" for name in NAMES}
        numbers |= {"volume": str(random.randrange(100_000)), "quotes": "60", "expires_at": "1826000000"}
        item = {"symbol": {"S": "SYM00000"}, "key": {"S": bar_key(ONE_MINUTE, OPEN + number * MINUTE)}}
        items.append({**item, **{name: {"N": value} for name, value in numbers.items()}})
    return msgspec.json.encode({"Items": items, "Count": len(items), "ScannedCount": len(items)})


def states() -> bytes:
    """The answer to a request for the states of all lanes."""
    lanes: dict[str, dict[str, SymbolState]] = {partition_key(lane, LANES): {} for lane in range(LANES)}
    price = Decimal("271.49")
    for symbol in symbols():
        bar = Bar(
            symbol=symbol,
            minute=CLOSE,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=7,
            quotes=3,
            ingest_time=CLOSE,
        )
        lanes[partition_key(lane_of(symbol, LANES), LANES)][symbol] = SymbolState(
            event_time=CLOSE,
            revision=0,
            price=price,
            previous_close=Decimal("270.1"),
            volume=1_234_567,
            is_open=True,
            delay_minutes=0,
            bar=bar,
            currency="USD",
            exchange="NMS",
            open_since=OPEN,
        )
    items = [
        {"lane": {"S": key}, "state": {"B": base64.b64encode(pack(state)).decode()}}
        for key, of_lane in lanes.items()
        for state in [LaneState(clock=CLOSE, complete_to=CLOSE, symbols=of_lane)]
    ]
    return msgspec.json.encode({"Responses": {"states": items}, "UnprocessedKeys": {}})


class _Connection(asyncio.Protocol):
    """One persistent connection."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the responses."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Respond to every request that is complete."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if not end or found is None or len(body) < int(found[1]):
            return
        self._received = b""
        target = _TARGET.search(head)
        answer = self._answers[target[1] if target else b""]
        if b'"calendars"' in body:
            answer = b'{"Items":[]}'
        kind = b"Content-Type: application/x-amz-json-1.0"
        self._transport.write(b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(answer), answer))


async def serve() -> None:
    """Listen on a free port, print it, and respond until standard input ends."""
    answers = {b"Query": bars(), b"BatchGetItem": states()}
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(answers), HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def running() -> Iterator[Mapping[str, str]]:
    """Start the server, and end it after the block. Yields the environment that makes the query function use it."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canned_dynamodb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        try:
            yield {
                "QUOTES_TABLE": "quotes",
                "BARS_TABLE": "bars",
                "STATE_TABLE": "states",
                "ALERTS_TABLE": "alerts",
                "CALENDARS_TABLE": "calendars",
                "QUARANTINE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/quarantine",
                "LANES": str(LANES),
                "AWS_ENDPOINT_URL": f"http://{HOST}:{int(stdout.readline())}",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_SESSION_TOKEN": "a token, as every function has",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            }
        finally:
            stdin.close()


if __name__ == "__main__":
    asyncio.run(serve())
