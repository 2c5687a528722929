"""Polling Yahoo for days on end: no growth of memory, threads or open files.

The polls are made by a process of their own, which runs this file: a test's memory is pytest's. Every hundred of them
hold what a long life meets: expired crumbs, errors, lost connections, a 429 and its pause, dead symbols, a rotten file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from producer_service.sources.yahoo.source import MAX_IN_FLIGHT
from tests.integration.yahoo_standin import YahooStandin

ROOT = Path(__file__).parents[2]
OPEN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SYMBOLS = (*(f"S{number}" for number in range(147)), "RIDE", "ADH", "ZZZZ")
"""Three batches, each with a dead symbol or none."""
POLLS = 5_000
"""40 seconds. A shorter run cannot bind as tightly: allocators give a megabyte back or not."""
BYTES_A_POLL = 256
"""A leak of one answer a poll would be 30 KB, one of a thread's stack 26 KB (yfinance's own, in yf.download)."""
CHUNK = 100
WARM_UP = 0.2
"""The share of the polls after which caches, pools and arenas have their size."""


def test_polling_for_long_grows_nothing(yahoo: YahooStandin, tmp_path: Path) -> None:
    yahoo.reset()
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
            elif kind != "trouble":  # a line of its log
                continue
            _trouble(yahoo, text.strip())
            process.stdin.write("\n")
            process.stdin.flush()
    assert process.returncode == 0

    warm = samples[int(len(samples) * WARM_UP) :]
    figures = {
        "bytes_a_poll": round(_slope([(each["polls"], each["rss"]) for each in warm]), 1),
        "rss": warm[-1]["rss"],
        "threads": max(each["threads"] for each in warm),
        "files": max(each["files"] for each in warm),
        "quotes": warm[-1]["quotes"],
        "cpu_microseconds_a_quote": round(
            1e6 * (warm[-1]["cpu"] - warm[0]["cpu"]) / (warm[-1]["quotes"] - warm[0]["quotes"]), 1
        ),
    }
    print(json.dumps(figures))  # noqa: T201  (with -s, or in the report of a failure)
    assert samples[-1]["polls"] == POLLS
    assert samples[-1]["quotes"] > 0.7 * POLLS * len(SYMBOLS)
    assert figures["bytes_a_poll"] < BYTES_A_POLL
    assert figures["threads"] <= samples[0]["threads"] + MAX_IN_FLIGHT  # the pool's last one may start late
    assert figures["files"] <= warm[0]["files"] + MAX_IN_FLIGHT  # a thread's connection to a host of cookies
    assert samples[-1]["outcomes"].keys() >= {"rate_limited", "server_error", "connection", "paused", "set_aside"}


def _trouble(yahoo: YahooStandin, what: str) -> None:
    """Do to the stand-in what the process asks for."""
    match what:
        case "expire":
            yahoo.forget_crumbs()
        case "fail":
            yahoo.misbehave(status=500)
        case "drop":
            yahoo.misbehave(drop=True, times=4)  # curl tries anew where a kept connection ended
        case "limit":
            yahoo.misbehave(status=429)
        case _:  # a sample: forget what was logged, and keep the book's cache of quotes by the second small
            yahoo.reset()
            yahoo.set_clock(OPEN.timestamp())


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def main(polls: int, cache: Path) -> None:
    """Poll so many times, a simulated minute apart, and print what the process holds after every few."""
    from producer_service.sources.yahoo.client import COOKIE_FILE  # noqa: PLC0415
    from producer_service.sources.yahoo.inactive_symbols import InactiveSymbols  # noqa: PLC0415  (after the measurement's own imports)
    from producer_service.sources.yahoo.source import YahooSource  # noqa: PLC0415

    def tell(text: str) -> None:
        print(text, flush=True)  # noqa: T201
        sys.stdin.readline()

    source = YahooSource(
        cache_directory=cache,
        extended_hours=True,
        requests_per_second=1e6,
        requests_burst=1000,
        inactive_symbols=InactiveSymbols(min_misses=10, min_days=1),
        jitter=lambda: 0.0,
    )
    quotes, outcomes = 0, dict[str, int]()
    troubles = {10: "expire", 30: "fail", 50: "drop", 70: "limit"}
    every = max(1, polls // 50)
    tell(f"sample {json.dumps(_sample(0, quotes, outcomes))}")
    for number in range(1, polls + 1):
        if trouble := troubles.get(number % CHUNK):
            tell(f"trouble {trouble}")
        if number % CHUNK == 90:
            (cache / COOKIE_FILE).write_bytes(b"not a database" * 1000)
            tell("trouble expire")
        result = source.fetch(SYMBOLS, OPEN + number * timedelta(minutes=1))
        quotes += len(result.quotes)
        names: set[str] = {failure.reason for failure in result.failures}
        if result.paused_until is not None and not names:
            names.add("paused")
        if result.set_aside:
            names.add("set_aside")
        for name in names:
            outcomes[name] = outcomes.get(name, 0) + 1
        if number % every == 0:
            tell(f"sample {json.dumps(_sample(number, quotes, outcomes))}")
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
