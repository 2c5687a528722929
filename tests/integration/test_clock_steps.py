"""The real process under libfaketime, which sets its clock while it runs. See https://github.com/wolfcw/libfaketime."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from processor_lambda.records import parse_record
from producer_service.accepted_log import read
from quotes import Heartbeat, Quote
from tests.fakes.dated_kinesis import STREAM, DatedKinesis
from tests.fakes.pipeline import make_processor
from tests.fakes.processor_ports import World
from tests.support.waiting import wait_until

LIBRARIES = [
    path for place in ("/usr/lib", "/usr/local/lib") for path in Path(place).glob("**/faketime/libfaketime.so.1")
]
pytestmark = pytest.mark.skipif(
    not LIBRARIES, reason="libfaketime is not installed, which sets the clock of a process: apt-get install faketime"
)

HOUR, MONTHS = 3600, 90 * 86_400
POLL_SECONDS, HEARTBEAT_SECONDS = 0.1, 0.2
PATIENCE_SECONDS = 20.0


class HostClock:
    """The clock of a process that is started with this environment. It may be set at any time."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "faketime"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Set it this many seconds ahead of the clock of this machine."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}")
        written.replace(self._file)


def environment(directory: Path, kinesis: DatedKinesis, clock: HostClock) -> dict[str, str]:
    """The environment of a producer that keeps everything in a directory."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PRODUCER_", "AWS_"))},
        **clock.environment,
        "AWS_ENDPOINT_URL": kinesis.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "PRODUCER_SOURCE": "synthetic",
        "PRODUCER_SYMBOLS": "AAPL,MSFT,NVDA",
        "PRODUCER_STREAM_NAME": STREAM,
        "PRODUCER_LANES": "2",
        "PRODUCER_JOURNAL_DIR": str(directory),
        "PRODUCER_ACCEPTED_LOG_PATH": str(directory / "accepted_log.jsonl"),
        "PRODUCER_HTTP_PORT": "0",
        "PRODUCER_LINGER_SECONDS": "0.05",
        "PRODUCER_POLL_INTERVAL_SECONDS": str(POLL_SECONDS),
        "PRODUCER_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
    }


@contextmanager
def producer(directory: Path, kinesis: DatedKinesis, clock: HostClock) -> Iterator[Path]:
    """Run a producer, and yield the path of its log."""
    log = directory / "log.jsonl"
    command = [sys.executable, "-m", "producer_service", "run"]
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=environment(directory, kinesis, clock), stdout=out) as process,
    ):
        try:
            yield log
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()


def logged(log: Path, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [line for line in lines if line["event"] == event]


def is_at(log: Path, seconds: int) -> bool:
    """Whether the steps in the log add up to this. libfaketime adds steps of its own when it fails to read its file."""
    return abs(sum(float(str(line["seconds"])) for line in logged(log, "clock_stepped")) - seconds) < 1


def metric(log: Path, name: str) -> float:
    with urllib.request.urlopen(f"{logged(log, 'started')[0]['url']}/metrics", timeout=PATIENCE_SECONDS) as response:
        return next(float(line.split()[1]) for line in response.read().decode().splitlines() if line.startswith(name))


@pytest.mark.parametrize(
    ("errors", "kinesis"),
    [
        # The steps of R7, and S13: a clock that is fast from the start, and right a moment later.
        ((0, HOUR, 0, -HOUR, 0, MONTHS, 0, -MONTHS, 0), DatedKinesis()),
        ((HOUR, 0), DatedKinesis()),
        ((0, HOUR, 0, -MONTHS, 0), DatedKinesis(states_time=False)),
    ],
    ids=["forward and back", "fast from the start", "without the service's time"],
)
def test_the_clock_steps_and_everything_goes_on(tmp_path: Path, errors: tuple[int, ...], kinesis: DatedKinesis) -> None:
    # The true time is shifted, so that a minute ends soon.
    shift = int(48 - time.time() % 60)
    kinesis.clock = lambda: time.time() + shift
    clock = HostClock(tmp_path)
    clock.set(shift + errors[0])

    def wait_for_more() -> None:
        """Wait until some polls and heartbeats have arrived."""
        count = len(kinesis.records)
        wait_until(lambda: len(kinesis.records) >= count + 12, "polls go on", seconds=PATIENCE_SECONDS)

    with kinesis.running(), producer(tmp_path, kinesis, clock) as log:
        wait_for_more()
        minute = kinesis.clock() // 60
        for error in errors[1:]:
            clock.set(shift + error)
            wait_until(lambda: is_at(log, error - errors[0]), "the step is logged")  # noqa: B023  (at once)
            wait_for_more()
        wait_until(lambda: kinesis.clock() // 60 > minute, "the minute has ended", seconds=60)
        wait_for_more()
        assert metric(log, "stockstream_clock_steps_total") == len(logged(log, "clock_stepped")) >= len(errors) - 1
        assert metric(log, "stockstream_clock_error_seconds") == 0
        assert metric(log, "stockstream_outbox_oldest_age_seconds") < PATIENCE_SECONDS
        assert metric(log, "stockstream_delivery_seconds_sum") < 600
        assert not logged(log, "job_failed")

    arrivals = [record.arrival for record in kinesis.records]
    assert max(later - earlier for earlier, later in itertools.pairwise(arrivals)) < timedelta(seconds=3)
    parsed = [parse_record(record) for record in kinesis.records]
    assert not [refused for each in parsed for refused in each.refused]
    quotes, heartbeats = defaultdict[str, list[Quote]](list), defaultdict[str, list[Heartbeat]](list)
    for each in parsed:
        for line in each.lines:
            if isinstance(line, Quote):
                quotes[line.symbol].append(line)
                age = each.record.arrival - line.event_time
            else:
                assert isinstance(line, Heartbeat)
                heartbeats[line.lane].append(line)
                age = each.record.arrival - line.clock
            assert timedelta(seconds=-1) < age < timedelta(seconds=5)
    for of_symbol in quotes.values():
        assert all(earlier.event_time < later.event_time for earlier, later in itertools.pairwise(of_symbol))
    for of_lane in heartbeats.values():
        assert all(earlier.clock < later.clock for earlier, later in itertools.pairwise(of_lane))
    accepted = set(read(tmp_path / "accepted_log.jsonl"))
    assert accepted == {quote.identity for of_symbol in quotes.values() for quote in of_symbol}
    world = World()
    report = make_processor(world).process(kinesis.records)
    assert (report.late, report.quarantined, report.repeated_records) == (0, 0, 0)
    assert report.bars >= len(quotes)


@pytest.mark.parametrize("error", [HOUR, -HOUR])
def test_check_says_that_the_clock_is_wrong(tmp_path: Path, error: int) -> None:
    kinesis, clock = DatedKinesis(), HostClock(tmp_path)
    clock.set(error)
    with kinesis.running():
        checked = subprocess.run(
            [sys.executable, "-m", "producer_service", "check"],
            env=environment(tmp_path, kinesis, clock),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    found = re.search(r"^note  the clock of this host is ([+-]\d+) s away", checked.stdout, re.MULTILINE)
    assert found is not None, checked.stdout
    assert abs(int(found[1]) - error) <= 2
