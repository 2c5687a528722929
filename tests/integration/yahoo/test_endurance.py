"""Polling Yahoo for days: memory, threads and open files do not grow.

A process of its own polls, because a test shares its memory with pytest. It runs `main` in this file. Each hundred
polls contain what a long life meets: expired crumbs, errors, lost connections, a 429 with its pause, dead symbols, and
a corrupt cookie file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from producer_service.sources.yahoo import source as source_module
from producer_service.sources.yahoo.inactive_symbols import InactiveSymbols
from producer_service.sources.yahoo.source import MAX_IN_FLIGHT, YahooSource
from tests.fakes.yahoo.local_yahoo import LocalYahoo
from tests.support.sizes import sized
from tests.support.yahoo_sources import OPEN, Uptime
from yahoo_requests.crumbs import COOKIE_FILE

ROOT = Path(__file__).parents[3]
BATCH = 10
"""The most symbols in a request. What could leak belongs to a request, a poll or a quote, so batches of 50 would take
three times the CPU and find nothing more."""
SYMBOLS = (*(f"S{number}" for number in range(3 * BATCH - 3)), "RIDE", "ADH", "ZZZZ")
"""Three batches with three dead symbols."""
POLLS = sized(300, 5_000)
MAX_BYTES_PER_POLL = sized(8_192, 256)
"""The most that memory may grow for each poll. A leak of its responses would be 21 KB, and one of a thread's stack
26 KB (yf.download has that leak). A short run cannot bind more tightly, since allocators keep or return a megabyte."""
CHUNK = 100
WARM_UP = 0.2
"""The fraction of the polls after which caches, pools and arenas have their size."""


def test_memory_threads_and_files_do_not_grow(yahoo: LocalYahoo, tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(POLLS), str(tmp_path / "cache")]
    environment = {**os.environ, **yahoo.environment, "PYTHONPATH": str(ROOT)}
    samples: list[dict[str, Any]] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            kind, _, text = line.partition(" ")
            if kind == "sample":
                samples.append(json.loads(text))
            elif kind != "fault":  # a line of its log
                continue
            _apply(yahoo, text.strip())
            process.stdin.write("\n")
            process.stdin.flush()
    assert process.returncode == 0

    warm = samples[int(len(samples) * WARM_UP) :]
    figures = {
        "bytes_per_poll": round(_slope([(each["polls"], each["rss"]) for each in warm]), 1),
        "rss": warm[-1]["rss"],
        "threads": max(each["threads"] for each in warm),
        "files": max(each["files"] for each in warm),
        "quotes": warm[-1]["quotes"],
        "cpu_milliseconds_per_poll": round(
            1e3 * (warm[-1]["cpu"] - warm[0]["cpu"]) / (warm[-1]["polls"] - warm[0]["polls"]), 1
        ),
    }
    print(json.dumps(figures))  # noqa: T201  (shown with -s, or when the test fails)
    assert samples[-1]["polls"] == POLLS
    assert samples[-1]["quotes"] > 0.7 * POLLS * len(SYMBOLS)
    assert figures["bytes_per_poll"] < MAX_BYTES_PER_POLL
    assert figures["threads"] <= samples[0]["threads"] + MAX_IN_FLIGHT  # the last thread of the pool may start late
    assert figures["files"] <= warm[0]["files"] + MAX_IN_FLIGHT  # each thread may have a connection to a cookie host
    assert samples[-1]["outcomes"].keys() >= {"rate_limited", "server_error", "connection", "paused", "set_aside"}


def _apply(yahoo: LocalYahoo, fault: str) -> None:
    """Make the fault that the process asks for."""
    match fault:
        case "expire":
            yahoo.expire_crumbs()
        case "fail":
            yahoo.add_fault(status=500)
        case "drop":
            yahoo.add_fault(drop=True, times=4)  # curl repeats a request when a kept connection ends
        case "limit":
            yahoo.add_fault(status=429)
        case _:  # a sample: empty the log, and stay in the session
            yahoo.reset()
            yahoo.set_clock(OPEN.timestamp())


def _slope(points: list[tuple[float, float]]) -> float:
    """The slope of the line through the points, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def main(polls: int, cache: Path) -> None:
    """Poll this many times, a simulated minute apart, and print samples of what the process holds."""

    def report(text: str) -> None:
        """Print a line to the test, and wait until it has acted on it."""
        print(text, flush=True)  # noqa: T201
        sys.stdin.readline()

    source_module.MAX_BATCH = BATCH
    uptime = Uptime()
    source = YahooSource(
        cache_directory=cache,
        extended_hours=True,
        monotonic=uptime,
        requests_per_second=1e6,
        requests_burst=1000,
        inactive_symbols=InactiveSymbols(min_misses=10, min_days=1),
        jitter=lambda: 0.0,
    )
    quotes, outcomes = 0, dict[str, int]()
    faults = {10: "expire", 30: "fail", 50: "drop", 70: "limit"}
    every = max(1, polls // 50)
    report(f"sample {json.dumps(_sample(0, quotes, outcomes))}")
    for number in range(1, polls + 1):
        if fault := faults.get(number % CHUNK):
            report(f"fault {fault}")
        if number % CHUNK == 90:
            (cache / COOKIE_FILE).write_bytes(b"not a database" * 1000)
            report("fault expire")
        uptime.skipped = 59.0 * number  # so that the poll after a refusal falls into the pause
        result = source.fetch(SYMBOLS, OPEN + number * timedelta(minutes=1))
        quotes += len(result.quotes)
        names: set[str] = {failure.reason for failure in result.failures}
        if result.paused_until is not None and not names:
            names.add("paused")
        if result.inactive:
            names.add("set_aside")
        for name in names:
            outcomes[name] = outcomes.get(name, 0) + 1
        if number % every == 0:
            report(f"sample {json.dumps(_sample(number, quotes, outcomes))}")
    source.close()


def _sample(polls: int, quotes: int, outcomes: dict[str, int]) -> dict[str, Any]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "polls": polls,
        "quotes": quotes,
        "outcomes": outcomes,
        "rss": int(status["VmRSS"].split()[0]) * 1024,
        "threads": int(status["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "cpu": time.process_time(),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
