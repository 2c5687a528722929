"""The functions that the processing benchmark compares. Each processes the same quotes in a process of its own.

    python -m benchmarks.functions stockstream EVENTS

EVENTS is a file with one Kinesis event a line, as JSON. The Lambda runtime decodes it with `json`, so that time counts
too. The results are printed as JSON. The environment names the sink that stands for AWS.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path

import msgspec

from benchmarks.sink import counts

PER_RECORD_QUOTES = 400
_ANOMALY = Decimal(5)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one run."""

    seconds: float = 0.0
    """The CPU time of the process, including system time."""
    quotes: int = 0
    calls: dict[str, int] = {}
    memory_megabytes: float = 0.0
    """The largest amount of memory that the process ever used."""


def stockstream(events: Path) -> Figures:
    """The deployed handler in a steady state. The events of the first minute are not counted."""
    from processor_lambda.app import handler  # noqa: PLC0415  (importing it wires the function)

    warm_up = _minute_of(next(_lines(events)))
    seconds, quotes, calls_before = 0.0, 0, Counter[str]()
    for event in _lines(events):
        started = time.process_time()
        failed = handler(json.loads(event), None)["batchItemFailures"]
        elapsed = time.process_time() - started
        if failed:
            raise RuntimeError(failed)
        if _minute_of(event) == warm_up:
            calls_before = counts(_endpoint())
        else:
            seconds += elapsed
            quotes += _quotes_in(event)
    return Figures(seconds=seconds, quotes=quotes, calls=counts(_endpoint()) - calls_before)


def per_record(events: Path) -> Figures:
    """The usual design: boto3, with a PutItem and a PutObject for every quote. Row and line are the same as ours."""
    import boto3  # noqa: PLC0415  (the other functions must not import it)

    from processor_lambda.rows import quote_row  # noqa: PLC0415  (as above)
    from quotes import Quote, decode  # noqa: PLC0415  (as above)

    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    event = json.loads(next(_lines(events)))
    lines = [
        (f"raw-data/{record['kinesis']['sequenceNumber']}-{good.number}.json", good.content, good.line)
        for record in event["Records"]
        for good in decode(b64decode(record["kinesis"]["data"])).good
        if isinstance(good.line, Quote)
    ][: 2 * PER_RECORD_QUOTES]
    started, calls_before = 0.0, counts(_endpoint())
    for number, (key, content, quote) in enumerate(lines):
        if number == PER_RECORD_QUOTES:  # connections are open and caches are full
            calls_before = counts(_endpoint())
            started = time.process_time()
        row = quote_row(quote, _ANOMALY, 30)
        dynamodb.put_item(TableName=os.environ["QUOTES_TABLE"], Item={name: _typed(row[name]) for name in row})
        s3.put_object(Bucket="sink", Key=key, Body=content)
    seconds = time.process_time() - started
    return Figures(seconds=seconds, quotes=len(lines) - PER_RECORD_QUOTES, calls=counts(_endpoint()) - calls_before)


def fresh(events: Path) -> Figures:
    """The deployed handler in a new process, with one event."""
    from processor_lambda.app import handler  # noqa: PLC0415  (as above)

    started = time.process_time()
    if failed := handler(json.loads(next(_lines(events))), None)["batchItemFailures"]:
        raise RuntimeError(failed)
    return Figures(seconds=time.process_time() - started, memory_megabytes=_peak_memory_megabytes())


def _lines(events: Path) -> Iterator[bytes]:
    with events.open("rb") as file:
        yield from file


def _endpoint() -> str:
    return os.environ["AWS_ENDPOINT_URL"]


def _minute_of(event: bytes) -> float:
    arrival: float = json.loads(event)["Records"][0]["kinesis"]["approximateArrivalTimestamp"]
    return arrival // 60


def _quotes_in(event: bytes) -> int:
    return sum(b64decode(record["kinesis"]["data"]).count(b'"kind":"quote"') for record in json.loads(event)["Records"])


def _typed(value: str | int | Decimal) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _peak_memory_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage includes the memory of the process that forked this one
        kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS reports bytes


FUNCTIONS: dict[str, Callable[[Path], Figures]] = {
    function.__name__: function for function in (stockstream, per_record, fresh)
}


def main(name: str, events: Path) -> None:
    """Run a function and print its figures. The log of the handler is discarded."""
    with redirect_stdout(StringIO()):
        figures = FUNCTIONS[name](events)
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
