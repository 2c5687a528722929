"""The function's handler in a process of its own, and batches to invoke it with."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from quotes import Heartbeat, Line, Quote, encode, lane_of, partition_key, to_iso

MINUTE = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
"""The minute of every quote of a batch."""
LANES = 2
HANDLER_SCRIPT = """
import json, os, sys
from processor_lambda import current_rules
from processor_lambda.app import handler
current_rules.RULES_REFRESH_SECONDS = float(os.environ.get("REFRESH_SECONDS", current_rules.RULES_REFRESH_SECONDS))
for line in sys.stdin:
    print("ANSWER " + json.dumps(handler(json.loads(line), None)), flush=True)
"""


class HandlerProcess:
    """Runs the handler in a child process, as Lambda does, until it is killed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HANDLER_SCRIPT],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        """The lines that the handler printed."""

    def invoke(self, event: object) -> list[str]:
        """Invoke the handler, and return the sequence numbers that it reports as failed."""
        self.send(event)
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return [failure["itemIdentifier"] for failure in json.loads(line[7:])["batchItemFailures"]]
            self.log.append(line)
        raise AssertionError("the function died")

    def send(self, event: object) -> None:
        """Start an invocation without waiting for its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(event) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End the process like a crash."""
        self._process.kill()
        self._process.communicate()


class Batch:
    """A batch of one shard, with symbols that no other test uses, and the rows that it should become."""

    def __init__(self, name: str, quotes: int = 60) -> None:
        self.symbols = [f"{name}{number}" for number in range(quotes)]
        lines: list[Line] = [_quote(symbol, second) for symbol in self.symbols for second in (1, 2)]
        self.key = name
        records = []
        for lane in range(LANES):
            key = partition_key(lane, LANES)
            of_lane = [line for line in lines if isinstance(line, Quote) and lane_of(line.symbol, LANES) == lane]
            end = MINUTE + timedelta(minutes=1)
            records += [
                (key, encode(of_lane[:50])),
                (key, encode([*of_lane[50:], Heartbeat(lane=key, clock=end, complete_to=end)])),
            ]
        self.event = {"Records": [event_record(name, number, key, data) for number, (key, data) in enumerate(records)]}
        self.identities = {(quote.symbol, to_iso(quote.event_time)) for quote in lines if isinstance(quote, Quote)}


def event_record(shard: str, number: int, key: str, data: bytes) -> dict[str, Any]:
    """A record of an event, as Lambda passes it to the handler."""
    return {
        "eventID": f"shardId-{shard}:{10**50 + number}",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/quotes",
        "kinesis": {
            "sequenceNumber": str(10**50 + number),
            "partitionKey": key,
            "approximateArrivalTimestamp": (MINUTE + timedelta(hours=1)).timestamp(),
            "data": base64.b64encode(data).decode(),
        },
    }


def _quote(symbol: str, second: int) -> Quote:
    time = MINUTE + timedelta(seconds=second)
    return Quote(
        symbol=symbol,
        event_time=time,
        price=Decimal(110),
        previous_close=Decimal(100),
        source="synthetic",
        ingest_time=time,
    )
