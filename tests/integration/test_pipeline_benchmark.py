"""The benchmark of the whole pipeline runs, prints every figure, and loses nothing."""

from __future__ import annotations

import os
import subprocess

import msgspec

from benchmarks.cpu import PROC
from benchmarks.latency import PARTS
from benchmarks.pipeline_run import BEHIND_SECONDS, CPU_PARTS, Result
from deployment.functions import ROOT

PATIENCE = 120.0
RATE = 10
SECONDS, WARM_UP_SECONDS = 3, 2


def test_a_run_prints_every_figure_and_loses_nothing(replica_python: str) -> None:
    options = ["--rates", str(RATE), "--mode", "cheap", "--quotes", "synthetic", "--json"]
    times = ["--seconds", str(SECONDS), "--warm-up", str(WARM_UP_SECONDS)]
    done = subprocess.run(
        [replica_python, "-m", "benchmarks.pipeline", *options, *times],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "STOCKSTREAM_RECORDINGS"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    result = msgspec.json.decode(line, type=Result)
    assert "[1/1] cheap, synthetic quotes, 10 quotes/s" in done.stderr
    assert (result.lost, result.accepted) == (0, RATE * (WARM_UP_SECONDS + SECONDS))
    assert (result.mode, result.quotes, result.asked_rate) == ("cheap", "synthetic", RATE)
    assert result.rate > 0
    assert result.quotes_a_batch > 0
    assert result.calls_per_million is not None
    assert result.usd_per_million is not None
    assert result.usd_per_million > 0.625  # a write unit for each row
    if PROC.exists():
        assert result.cpu_microseconds is not None
        assert all(getattr(result.cpu_microseconds, part) > 0 for part in CPU_PARTS), result.cpu_microseconds
    # A machine that is too busy has a backlog in place of a latency.
    assert result.keeps_up == (result.backlog <= BEHIND_SECONDS * RATE)
    assert set(result.part_seconds) == (set(PARTS) if result.keeps_up else set())
    if (latency := result.latency_seconds) is not None:
        assert result.measured == RATE * SECONDS
        assert 0 < latency.p50 <= latency.p99 <= latency.p99_9
        assert all(part.p50 <= part.p99 <= part.p99_9 <= latency.p99_9 for part in result.part_seconds.values())
