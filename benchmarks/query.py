"""What an answer costs, compared with the usual design: the same bars, the same local DynamoDB, the same run.

    python -m benchmarks.query

Prints JSON lines `{name, figure, unit, baseline, ratio}`. CPU is that of this process, system time included, and
DynamoDB is another process. The baseline of a day of bars is boto3 with `json`, as a first version would be written.
That of the latest prices is the limit of 50 ms. Each of these requests reads and decodes all lanes, as after a second
without requests.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import boto3
import msgspec
from boto3.dynamodb.conditions import Key

from bars.keys import ONE_MINUTE, bar_keys
from benchmarks.canned_dynamodb import BARS, CLOSE, OPEN, SYMBOLS, running
from quotes import to_iso

ROUNDS = 3
"""How often each is measured, in turn. The smallest result is reported, because disturbances only add to it."""
REQUESTS = 10
LATEST = 100
P99_MILLISECONDS = 50.0
_IMPORTS = {
    "query": "import query_api.app",
    "boto3": "import boto3; boto3.client('dynamodb'); boto3.client('sqs')",
}

Ask = Callable[[], Mapping[str, Any]]


class Line(msgspec.Struct, frozen=True):
    """One figure and its baseline."""

    name: str
    figure: float
    unit: str
    baseline: float
    ratio: float


def main() -> None:
    """Measure and print."""
    with running() as environment:
        os.environ.update(environment)
        application = importlib.import_module("query_api.app")
        for line in (_bars(application), _latest(application), _import(environment)):
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
            sys.stdout.flush()


def event_of(path: str, query: str) -> dict[str, Any]:
    """A request of an HTTP API."""
    return {
        "rawPath": path,
        "rawQueryString": query,
        "headers": {},
        "requestContext": {"stage": "$default", "http": {"method": "GET"}},
    }


def _bars(application: Any) -> Line:
    """The CPU of a day of minute bars with all indicators."""
    query = f"indicators=all&limit={BARS}&start={to_iso(OPEN)}&end={to_iso(CLOSE)}"
    event = event_of("/v1/bars/SYM00000", query)
    table = boto3.resource("dynamodb").Table("bars")

    def ours() -> Mapping[str, Any]:
        answer: Mapping[str, Any] = application.handler(event, None)
        return answer

    def usual() -> Mapping[str, Any]:
        return {"statusCode": 200, "body": _usual_body(table)}

    for ask in (ours, usual):
        found = json.loads(ask()["body"])["bars"]
        assert len(found) == BARS, found  # noqa: S101  (a benchmark of another answer is worth nothing)
    least = [min(figures) for figures in zip(*([_cpu(ours), _cpu(usual)] for _ in range(ROUNDS)), strict=True)]
    return _line("cpu_of_a_day_of_bars", least[0], "ms", least[1])


def _usual_body(table: Any) -> str:
    between = Key("key").between(*bar_keys(ONE_MINUTE, OPEN, CLOSE))
    items = table.query(
        KeyConditionExpression=Key("symbol").eq("SYM00000") & between, ScanIndexForward=False, Limit=BARS
    )["Items"]
    names = ("symbol", "key", "open", "high", "low", "close", "volume", "quotes", "expires_at")
    bars = [
        {
            "start": item["key"].partition("#")[2],
            **{name: item[name] for name in names[2:-1]},
            "indicators": {name: value for name, value in item.items() if name not in names},
        }
        for item in items
    ]
    return json.dumps({"symbol": "SYM00000", "bars": bars, "next": None}, default=_number)


def _number(value: Decimal) -> float:
    return float(value)


def _latest(application: Any) -> Line:
    """The 99th percentile of the time for the latest prices of all symbols, each time with new states."""
    event = event_of("/v1/latest", "")
    lanes = application.stores.lanes
    p99 = []
    for _ in range(ROUNDS):
        times = []
        for _ in range(LATEST):
            lanes.forget()
            started = time.perf_counter()
            answer = application.handler(event, None)
            times.append((time.perf_counter() - started) * 1e3)
        assert len(json.loads(answer["body"])["quotes"]) == SYMBOLS  # noqa: S101  (as above)
        p99.append(sorted(times)[LATEST * 99 // 100])
    return _line("p99_of_the_latest_prices_of_500_symbols", min(p99), "ms", P99_MILLISECONDS)


def _import(environment: Mapping[str, str]) -> Line:
    """The CPU of the import of the function, beside that of boto3 and its two clients."""
    least = {
        name: min(_import_milliseconds(statement, environment) for _ in range(ROUNDS))
        for name, statement in _IMPORTS.items()
    }
    return _line("import_beside_boto3_and_two_clients", least["query"], "ms", least["boto3"])


def _import_milliseconds(statement: str, environment: Mapping[str, str]) -> float:
    timed = f"import time; t = time.process_time(); {statement}; print(time.process_time() - t)"
    done = subprocess.run(  # noqa: S603  (our own code)
        [sys.executable, "-c", timed], env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
    )
    return float(done.stdout) * 1e3


def _cpu(ask: Ask) -> float:
    """The CPU milliseconds of one request."""
    started = time.process_time()
    for _ in range(REQUESTS):
        ask()
    return (time.process_time() - started) / REQUESTS * 1e3


def _line(name: str, figure: float, unit: str, baseline: float) -> Line:
    return Line(name, round(figure, 2), unit, round(baseline, 2), round(baseline / figure, 2))


if __name__ == "__main__":
    main()
