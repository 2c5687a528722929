"""What delivery costs, compared with the alternatives: the same quotes, the same local sink, the same run.

    python -m benchmarks.delivery --peer-python PATH

PATH is a Python with async-kinesis. It needs an environment of its own, since its aiobotocore pins another botocore:

    python3 -m venv build/peer && build/peer/bin/pip install async-kinesis==3.0.1 msgspec==0.22.0

It prints JSON lines `{name, figure, unit, baseline, ratio}`. CPU is that of the whole process, with all threads and
system time; the sink is another process. In a line about cost, `ratio` is the baseline divided by our figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.kinesis_standin.process import STREAM, Standin, running

ROUNDS = 3
"""How often each contender runs, in turn. The lowest figure is reported, since disturbances only add CPU."""
COUNTS = {
    "stockstream": 100_000,
    "put_record": 2_000,
    "put_records": 50_000,
    "async_kinesis_1_shard": 5_000,
    "async_kinesis_10_shards": 20_000,
}
SYMBOLS = 10_000
INTERVAL_SECONDS = 0.95
"""A little less than a second, so that the jitter of the interval does not lower the rate below 10,000 a second."""
LANES = 40
MEMORY_MEGABYTES = 250
WARM_UP_SECONDS = 10.0


class Line(msgspec.Struct, frozen=True):
    """A figure, and the baseline that it is compared with."""

    name: str
    figure: float
    unit: str
    baseline: float
    ratio: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--peer-python", type=Path, help="a Python with async-kinesis 3.0.1 and msgspec")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to poll 10,000 quotes a second [30]")
    options = parser.parse_args()
    for line in (*compare(options.peer_python), *sustain(options.seconds)):
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()


def compare(peer_python: Path | None) -> list[Line]:
    """The CPU per quote of the producer, compared with each alternative."""
    interpreters = {name: peer_python if name.startswith("async") else Path(sys.executable) for name in COUNTS}
    least: dict[str, float] = {}
    with running() as standin:
        for _ in range(ROUNDS):
            for name, interpreter in interpreters.items():
                if interpreter is not None:
                    seconds = _cpu(interpreter, name, standin.environment)
                    least[name] = min(seconds, least.get(name, seconds))
    ours = least.pop("stockstream") * 1e6
    return [
        Line(
            f"cpu_of_a_quote_beside_{name}", round(ours, 2), "us", round(theirs * 1e6, 2), round(theirs * 1e6 / ours, 2)
        )
        for name, theirs in least.items()
    ]


def _cpu(interpreter: Path, name: str, environment: Mapping[str, str]) -> float:
    command = [str(interpreter), "-m", "benchmarks.contenders", name, str(COUNTS[name])]
    done = subprocess.run(  # noqa: S603  (our own module)
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def sustain(seconds: float) -> list[Line]:
    """The whole program with 10,000 symbols a second on one core: its throughput and its memory."""
    with running() as standin, tempfile.TemporaryDirectory(prefix="stockstream-benchmark-") as directory:
        log = Path(directory) / "log.jsonl"
        with log.open("wb") as out, _producer(standin, Path(directory), out.fileno()) as process:
            try:
                if hasattr(os, "sched_setaffinity"):  # only Linux can pin it to one core
                    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
                time.sleep(WARM_UP_SECONDS)
                before, started = _metrics(log), time.monotonic()
                time.sleep(seconds)
                after, elapsed = _metrics(log), time.monotonic() - started
            finally:
                process.terminate()
    rates = {name: (after[name] - before[name]) / elapsed for name in after}
    polled, accepted, acknowledged = rates["polled"], rates["accepted"], rates["stockstream_quotes_acknowledged_total"]
    cores = rates["process_cpu_seconds_total"]
    memory, memory_before = (found["process_resident_memory_bytes"] / 1e6 for found in (after, before))
    return [
        Line("sustained_polled", round(polled), "quotes/s", SYMBOLS, round(polled / SYMBOLS, 3)),
        Line(
            "sustained_acknowledged",
            round(acknowledged),
            "quotes/s",
            round(accepted),
            round(acknowledged / accepted, 3),
        ),
        Line("sustained_cores", round(cores, 3), "cores", 1, round(1 / cores, 2)),
        Line("sustained_memory", round(memory), "MB", MEMORY_MEGABYTES, round(MEMORY_MEGABYTES / memory, 2)),
        Line(
            "sustained_memory_growth", round(memory, 1), "MB", round(memory_before, 1), round(memory / memory_before, 3)
        ),
    ]


def _producer(standin: Standin, directory: Path, out: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **standin.environment,
        "PRODUCER_STREAM_NAME": STREAM,
        "PRODUCER_SOURCE": "synthetic",
        "PRODUCER_SYMBOLS": ",".join(f"SYM{number:05d}" for number in range(SYMBOLS)),
        "PRODUCER_POLL_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
        "PRODUCER_LANES": str(LANES),
        "PRODUCER_JOURNAL_DIR": str(directory),
        "PRODUCER_HTTP_PORT": "0",
    }
    return subprocess.Popen([sys.executable, "-m", "producer_service", "run"], env=environment, stdout=out)


def _metrics(log: Path) -> dict[str, float]:
    started = next(
        line for line in map(msgspec.json.decode, log.read_bytes().splitlines()) if line["event"] == "started"
    )
    with urllib.request.urlopen(f"{started['url']}/metrics", timeout=5) as response:  # noqa: S310  (a local address)
        families = text_string_to_metric_families(response.read().decode())
    samples = [sample for family in families for sample in family.samples]
    outcomes = {
        sample.labels["outcome"]: sample.value for sample in samples if sample.name == "stockstream_quotes_total"
    }
    found = {sample.name: sample.value for sample in samples if not sample.labels}
    return {**found, "polled": sum(outcomes.values()), "accepted": outcomes["accepted"]}


if __name__ == "__main__":
    main()
