"""Delivery through a Kinesis with faults, with the real boto3 and, in the second half, with the real process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.kinesis_standin.faults import ALL_FAULTS, Fate, Faults
from benchmarks.kinesis_standin.process import STREAM, Standin, running
from benchmarks.load import START, QuoteLoad
from producer_service.accepted_log import AcceptedLog, read
from producer_service.deduplication import deduplicate
from producer_service.errors import JournalError
from producer_service.health import Health
from producer_service.journal import FILE, Journal
from producer_service.kinesis import KinesisStream
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.packing import Row
from producer_service.sender import Sender
from quotes import encode, to_iso
from tests.fakes.load_source import LoadSource
from tests.support.waiting import wait_until

LANES = 8
TIMEOUT_SECONDS = 60.0
KILLS = 3


def test_through_every_fault_nothing_is_lost_or_reordered_and_only_lost_answers_make_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = QuoteLoad(50_000, 100)
    with running(ALL_FAULTS) as standin:
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        metrics = Metrics(CollectorRegistry())
        outbox = make_outbox(Journal(tmp_path, LANES))
        sender = make_sender(outbox, metrics)
        sender.start()
        accepted = accept_all(load, outbox)
        assert outbox.wait_until_empty(TIMEOUT_SECONDS)
        sender.stop()
        outbox.close()
        report, arrived = standin.report(), standin.identities()

    verdict = report.verdict
    assert set(report.requests) == set(Fate), "every fault occurred, and no request was invalid"
    assert accepted == load.quotes
    assert arrived == load.identities()
    assert (verdict.out_of_order, verdict.repeated_without_reason) == (0, 0)
    assert verdict.repeated_after_fault > 0
    assert outbox.counts().acknowledged == accepted
    hidden = packets(metrics, "timeout") + packets(metrics, "connection")
    assert hidden >= verdict.records - packets(metrics, "acknowledged"), "every repeated record was counted"


def make_outbox(journal: Journal) -> Outbox:
    return Outbox(
        journal,
        lanes=LANES,
        max_bytes=2**20,
        linger_seconds=0.01,
        clock=time.time,
        monotonic=time.monotonic,
        jitter=random.Random(1).random,
    )


def make_sender(outbox: Outbox, metrics: Metrics) -> Sender:
    return Sender(
        outbox,
        KinesisStream(STREAM, 4, read_timeout_seconds=0.5),
        metrics,
        Health(time.monotonic),
        threads=4,
        clock=time.time,
    )


def accept_all(load: QuoteLoad, outbox: Outbox) -> int:
    source = LoadSource(load, quotes_per_fetch=500)
    accepted = 0
    while True:
        assert outbox.wait_for_room(TIMEOUT_SECONDS)
        result = source.fetch(source.symbols, START)
        deduplicated = deduplicate(outbox.histories, result.quotes)
        outbox.put(deduplicated)
        accepted += len(deduplicated.accepted)
        if result.ended:
            return accepted


def packets(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value("stockstream_packets_total", {"outcome": outcome}) or 0


class Producer:
    """A process of `python -m producer_service run`, with its log, its endpoints and its accepted log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, accepted_log: Path) -> None:
        self.process = process
        self._log = log
        self._accepted_log = accepted_log

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The complete log lines of an event."""
        lines = [json.loads(line) for line in self._log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return [line for line in lines if line["event"] == event]

    def status(self, path: str) -> int:
        """The status that an endpoint answers."""
        try:
            with urllib.request.urlopen(self.logged("started")[0]["url"] + path, timeout=5) as response:
                status: int = response.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        return status

    def accepted_bytes(self) -> int:
        """The size of the accepted log."""
        return self._accepted_log.stat().st_size if self._accepted_log.exists() else 0


def wait_for(condition: Callable[[], object], what: str) -> None:
    wait_until(condition, what, seconds=TIMEOUT_SECONDS)


def accepted_in(directory: Path) -> set[tuple[str, str, int]]:
    """The accepted quotes, in the form of the stand-in."""
    identities = list(read(directory / "accepted_log.jsonl"))
    return {(identity.symbol, to_iso(identity.event_time), identity.revision) for identity in identities}


RUN = ("producer_service", "run")


@contextmanager
def producer(
    directory: Path, standin: Standin, settings: Mapping[str, str], command: Sequence[str] = RUN
) -> Iterator[Producer]:
    """Start a producer with its journal and accepted log in a directory. If it still runs at the end, it is killed."""
    log, accepted_log = directory / "log.jsonl", directory / "accepted_log.jsonl"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PRODUCER_")},
        **standin.environment,
        "PRODUCER_STREAM_NAME": STREAM,
        "PRODUCER_LANES": "4",
        "PRODUCER_JOURNAL_DIR": str(directory),
        "PRODUCER_ACCEPTED_LOG_PATH": str(accepted_log),
        "PRODUCER_HTTP_PORT": "0",
        "PRODUCER_POLL_INTERVAL_SECONDS": "0.1",
        **settings,
    }
    with (
        log.open("wb") as out,
        subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=out) as process,
    ):
        try:
            yield Producer(process, log, accepted_log)
        finally:
            process.kill()


SYNTHETIC = {"PRODUCER_SOURCE": "synthetic"}


def test_every_accepted_quote_arrives_although_the_process_is_killed_repeatedly(tmp_path: Path) -> None:
    load = QuoteLoad(30_000, 100)
    recording = tmp_path / "recording.jsonl"
    recording.write_bytes(encode(load.slice(0, load.quotes)))
    replay = {
        "PRODUCER_SOURCE": "replay",
        "PRODUCER_REPLAY_PATH": str(recording),
        "PRODUCER_OUTBOX_MAX_BYTES": str(2**20),  # so that Kinesis sets the pace
    }
    chance = random.Random(1)
    with running(Faults(slow=1, slow_seconds=0.1, records=0.1)) as standin:
        for _ in range(KILLS):
            with producer(tmp_path, standin, replay) as killed:
                before = killed.accepted_bytes()
                wait_for(lambda: killed.accepted_bytes() > before, "a quote is accepted")  # noqa: B023  (at once)
                time.sleep(chance.random() / 2)
                assert killed.process.poll() is None, "it ended before it could be killed"
        with producer(tmp_path, standin, replay) as last:
            assert last.process.wait(TIMEOUT_SECONDS) == 0
        report, arrived = standin.report(), standin.identities()

    assert arrived >= accepted_in(tmp_path)
    assert arrived == load.identities()
    assert report.verdict.out_of_order == 0
    assert max(report.verdict.repeats_by_key.values(), default=0) <= KILLS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_and_exits_0(tmp_path: Path, number: signal.Signals) -> None:
    with running(Faults(slow=1, slow_seconds=0.5)) as standin, producer(tmp_path, standin, SYNTHETIC) as stopped:
        wait_for(stopped.accepted_bytes, "a quote is accepted")
        stopped.process.send_signal(number)
        assert stopped.process.wait(TIMEOUT_SECONDS) == 0
        assert stopped.logged("stopped")[0]["undelivered"] == 0
        assert standin.identities() == accepted_in(tmp_path)


def test_a_second_sigterm_forces_and_leaves_the_rest_in_the_journal(tmp_path: Path) -> None:
    patient = SYNTHETIC | {"PRODUCER_DRAIN_SECONDS": "110"}
    with running(Faults(throttled=1)) as dead, producer(tmp_path, dead, patient) as forced:
        wait_for(forced.accepted_bytes, "a quote is accepted")
        forced.process.send_signal(signal.SIGTERM)
        wait_for(lambda: forced.logged("draining"), "it drains")
        assert forced.process.poll() is None
        forced.process.send_signal(signal.SIGTERM)
        assert forced.process.wait(10) == 0
        assert forced.logged("stopped")[0]["undelivered"] == len(accepted_in(tmp_path))

    left = accepted_in(tmp_path)
    with running() as standin, producer(tmp_path, standin, SYNTHETIC) as next_one:
        wait_for(lambda: standin.identities() >= left, "what was left is delivered")
        wait_for(lambda: next_one.logged("started"), "it starts")
        assert next_one.logged("started")[0]["recovered"] == len(left)


@pytest.mark.timed
def test_an_outage_fails_readiness_but_not_liveness_and_loses_nothing(tmp_path: Path) -> None:
    """The producer has to notice the outage while it lasts, which is 2 seconds."""
    with running() as standin, producer(tmp_path, standin, SYNTHETIC) as cut_off:
        wait_for(lambda: cut_off.logged("started") and cut_off.status("/readyz") == 200, "it is ready")
        standin.start_outage(2)
        wait_for(lambda: cut_off.status("/readyz") == 503, "it is not ready")
        assert cut_off.status("/healthz") == 200
        wait_for(lambda: cut_off.status("/readyz") == 200, "it is ready again")
        assert cut_off.status("/healthz") == 200
        cut_off.process.send_signal(signal.SIGTERM)
        assert cut_off.process.wait(TIMEOUT_SECONDS) == 0
        assert standin.identities() == accepted_in(tmp_path)
        assert standin.report().verdict.out_of_order == 0


class FullOnce(Journal):
    """A journal whose disk is full when the first acknowledged rows are removed, and not full afterwards."""

    was_full = False

    def remove(self, rows: Iterable[Row], *arguments: Any) -> None:
        if not self.was_full:
            self.was_full = True
            raise JournalError("database or disk is full")
        super().remove(rows, *arguments)


def test_a_disk_that_is_full_for_a_moment_blocks_no_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = QuoteLoad(1_000, 100)
    with running() as standin:
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        outbox = make_outbox(FullOnce(tmp_path, LANES))
        sender = make_sender(outbox, Metrics(CollectorRegistry()))
        accept_all(load, outbox)
        sender.start()
        is_delivered = outbox.wait_until_empty(5)
        sender.stop()
        outbox.close()
        assert standin.identities() == load.identities()
        assert standin.report().verdict.out_of_order == 0
    assert is_delivered, "lanes whose packets could not be removed were never sent again"


def test_a_damaged_journal_is_renamed_and_not_deleted(tmp_path: Path) -> None:
    outbox = make_outbox(Journal(tmp_path, LANES))
    accept_all(QuoteLoad(1_000, 100), outbox)
    outbox.close()
    file = tmp_path / FILE
    pages = bytearray(file.read_bytes())
    pages[8_192:-4_096] = b"\xff" * (len(pages) - 12_288)
    file.write_bytes(pages)
    outbox = make_outbox(Journal(tmp_path, LANES))
    assert outbox.counts().recovered == 0
    outbox.close()
    assert (tmp_path / f"{FILE}.set-aside-1").read_bytes() == pages


def test_an_accepted_log_that_a_kill_cut_short_can_be_read_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "accepted_log.jsonl"
    first, second, third = QuoteLoad(3, 100).slice(0, 3)
    for quotes in ([first, second], [third]):
        accepted_log = AcceptedLog(path)
        accepted_log.append(quote.identity for quote in quotes)
        accepted_log.close()
        path.write_bytes(path.read_bytes()[:-5])
    accepted_log = AcceptedLog(path)
    accepted_log.append([third.identity])
    accepted_log.close()
    assert [identity.symbol for identity in read(path)] == [first.symbol, third.symbol]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_kill_between_the_commit_and_the_accepted_log_leaves_no_gap(tmp_path: Path, share: float) -> None:
    with running() as standin:
        for call in (1, 3):
            command = ("tests.fakes.killed_producer", str(call), str(share))
            with producer(tmp_path, standin, SYNTHETIC, command) as killed:
                assert killed.process.wait(TIMEOUT_SECONDS) == -signal.SIGKILL
        with producer(tmp_path, standin, SYNTHETIC) as last:
            wait_for(lambda: last.logged("polled"), "it polls")
            last.process.send_signal(signal.SIGTERM)
            assert last.process.wait(TIMEOUT_SECONDS) == 0
        assert standin.identities() == accepted_in(tmp_path)
    identities = list(read(tmp_path / "accepted_log.jsonl"))
    assert len(identities) == len(set(identities))
