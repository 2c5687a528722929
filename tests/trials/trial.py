"""One trial: a load through faults, and what came of it, as a row of a table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import msgspec

from tests.trials.arrivals import Verdict
from tests.trials.faults import Faults
from tests.trials.load import Load
from tests.trials.naive import Naive
from tests.trials.standin import STREAM, Standin, running

LANES = 16
LIMIT_SECONDS = 1_800.0
ACCEPTED_LOG = "accepted_log.jsonl"
ACCEPTED_LOG_LINE_BYTES = 75
LONGEST_DELAY_SECONDS = 0.3
"""Between the sight of progress and a kill: as long as anything that the kill might interrupt."""
_LOOK_SECONDS = 0.01


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial."""

    name: str
    load: Load
    lost: int
    """Quotes of the load that never arrived."""
    strange: int
    """What arrived and is not of the load."""
    verdict: Verdict
    requests: dict[str, int]
    seconds: float

    def row(self) -> str:
        """A row of the table under `HEAD`."""
        verdict = self.verdict
        cells: tuple[str | int, ...] = (
            self.name,
            self.load.quotes,
            self.lost,
            verdict.out_of_order,
            verdict.twice_by_fault,
            verdict.twice - verdict.twice_by_fault,
            max(verdict.repeats_by_key.values(), default=0),
            sum(self.requests.values()),
            round(self.seconds),
        )
        return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells) + " |"


HEAD = (
    "| through | quotes | lost | out of order | twice, the answer lost | twice, answered "
    "| …packets of one key | requests | seconds |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def try_producer(load: Load, faults: Faults, directory: Path, *, kills: int = 0) -> Outcome:
    """The real producer, its journal and accepted log in a directory, killed at random moments and started again."""

    def deliver(standin: Standin) -> None:
        environment = {
            **os.environ,
            **standin.environment,
            "PRODUCER_STREAM_NAME": STREAM,
            "PRODUCER_LANES": str(LANES),
            "PRODUCER_JOURNAL_DIR": str(directory),
            "PRODUCER_ACCEPTED_LOG_PATH": str(directory / ACCEPTED_LOG),
            "PRODUCER_HTTP_PORT": "0",
            "PRODUCER_LOG_LEVEL": "error",
        }
        chance = Random(faults.seed)
        for kill in range(kills):
            accepted = int((kill + chance.random()) / (kills + 1) * load.quotes)
            with _started(load, environment) as process:
                _wait_for(directory / ACCEPTED_LOG, accepted, process)
                time.sleep(chance.random() * LONGEST_DELAY_SECONDS)
                process.kill()
            if process.returncode != -signal.SIGKILL:
                raise subprocess.CalledProcessError(process.returncode, process.args)
        with _started(load, environment) as process:
            code = process.wait(LIMIT_SECONDS)
        if code:
            raise subprocess.CalledProcessError(code, process.args)

    name = f"stockstream, killed {kills} times" if kills else "stockstream"
    return _trial(name, load, faults, deliver)


def try_naive(load: Load, faults: Faults, naive: Naive) -> Outcome:
    """The same load without lanes."""
    name = f"`put_records`, {naive.in_flight} in flight, failed records resent {naive.resend}"
    return _trial(name, load, faults, lambda standin: naive.deliver(load, standin.environment))


def _trial(name: str, load: Load, faults: Faults, deliver: Callable[[Standin], None]) -> Outcome:
    with running(faults) as standin:
        started = time.monotonic()
        deliver(standin)
        seconds = time.monotonic() - started
        arrived, expected = standin.identities(), load.identities()
        report = standin.report()
    return Outcome(
        name=name,
        load=load,
        lost=len(expected - arrived),
        strange=len(arrived - expected),
        verdict=report.verdict,
        requests=report.requests,
        seconds=seconds,
    )


def _started(load: Load, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.trials.producer", msgspec.json.encode(load).decode()], env=environment
    )


def _wait_for(accepted_log: Path, accepted: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a producer has accepted something, and so many quotes of the load."""
    before = _size(accepted_log)
    enough = max(before + 1, accepted * ACCEPTED_LOG_LINE_BYTES)
    while process.poll() is None and _size(accepted_log) < enough:
        time.sleep(_LOOK_SECONDS)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
