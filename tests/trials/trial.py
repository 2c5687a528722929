"""One trial: a load is sent through faults, and its outcome is a row of a table."""

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

from benchmarks.kinesis_standin.arrivals import Verdict
from benchmarks.kinesis_standin.faults import Faults
from benchmarks.kinesis_standin.process import STREAM, Standin, running
from benchmarks.load import QuoteLoad
from tests.trials.naive import NaiveSender

LANES = 16
LIMIT_SECONDS = 1_800.0
ACCEPTED_LOG = "accepted_log.jsonl"
ACCEPTED_LOG_LINE_BYTES = 75
LONGEST_DELAY_SECONDS = 0.3
"""The longest time from progress to a kill. It is as long as anything that the kill may interrupt."""
_LOOK_SECONDS = 0.01


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a trial."""

    name: str
    load: QuoteLoad
    lost: int
    """Quotes of the load that never arrived."""
    unexpected: int
    """Quotes that arrived and are not part of the load."""
    verdict: Verdict
    requests: dict[str, int]
    seconds: float

    def row(self) -> str:
        """A row of the table under `TABLE_HEAD`."""
        verdict = self.verdict
        cells: tuple[str | int, ...] = (
            self.name,
            self.load.quotes,
            self.lost,
            verdict.out_of_order,
            verdict.repeated_after_fault,
            verdict.repeated - verdict.repeated_after_fault,
            max(verdict.repeats_by_key.values(), default=0),
            sum(self.requests.values()),
            round(self.seconds),
        )
        return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells) + " |"


TABLE_HEAD = (
    "| sender | quotes | lost | out of order | repeated, answer lost | repeated, answered "
    "| packets of one lane | requests | seconds |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def try_producer(load: QuoteLoad, faults: Faults, directory: Path, *, kills: int = 0) -> Outcome:
    """Try the real producer. It is killed at random moments, and started again with the same journal."""

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


def try_naive(load: QuoteLoad, faults: Faults, sender: NaiveSender) -> Outcome:
    """Try a naive sender on the same load."""
    name = f"`put_records`, {sender.in_flight} in flight, failed records resent {sender.resend}"
    return _trial(name, load, faults, lambda standin: sender.deliver(load, standin.environment))


def _trial(name: str, load: QuoteLoad, faults: Faults, deliver: Callable[[Standin], None]) -> Outcome:
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
        unexpected=len(arrived - expected),
        verdict=report.verdict,
        requests=report.requests,
        seconds=seconds,
    )


def _started(load: QuoteLoad, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.trials.producer", msgspec.json.encode(load).decode()], env=environment
    )


def _wait_for(accepted_log: Path, accepted: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a producer has accepted another quote, and at least `accepted` quotes of the load in total."""
    before = _size(accepted_log)
    enough = max(before + 1, accepted * ACCEPTED_LOG_LINE_BYTES)
    while process.poll() is None and _size(accepted_log) < enough:
        time.sleep(_LOOK_SECONDS)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
