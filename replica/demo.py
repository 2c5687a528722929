"""The demo: the pipeline runs for a while, is watched, drains, and is held to account."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

import msgspec

from analytics import local_archive
from costs import prices
from costs.usage import Usage, items, per_million
from producer_service import accepted_log
from replica.audit import Findings, audit
from replica.errors import ReplicaError
from replica.monitor import Snapshot
from replica.pipeline import Pipeline
from replica.producer_process import ProducerProcess, environment
from replica.view import PRICES, View

DRAIN = {"DRAIN_SECONDS": "110"}
STEP_SECONDS = 0.5
STALLED_SECONDS = 120.0
"""Nothing was stored for so long while something was still to come."""


class PipelineStalled(ReplicaError):
    """What was put on the stream was not processed, and nothing moves any more."""


class Latency(msgspec.Struct, frozen=True):
    """From the producer's receipt of a quote to the end of the invocation that stored it; None if none was stored."""

    p50: float | None
    p99: float | None


class Summary(Findings, frozen=True, kw_only=True):
    """The findings of a demo, and its figures."""

    batches: int
    latency_seconds: Latency
    seconds: float
    """From the producer's start to the last quote stored."""
    usage: Usage
    """What AWS would have billed by the call, counted from the calls."""
    usd_per_million_quotes: float | None
    """Of that usage, at list prices; what is paid by the hour comes on top."""


def run(
    view: View, *, seconds: float | None, settings: dict[str, str], archive: Path, policies_enforced: bool = False
) -> Summary:
    """Run the pipeline until the time is up, the source ends or Ctrl-C; then drain, read back and compare.

    What the producer holds when it is told to stop is delivered first, however long that takes within its limits.
    `settings` are the producer's, without their prefix; the pipeline's archive is left in the directory `archive`.
    Raises `ReplicaError` when something does not start or stop as it should; the findings may be bad without that.
    """
    interrupted = _interrupts()
    local_archive.prepare(archive)
    with (
        tempfile.TemporaryDirectory(prefix="stockstream-demo-") as scratch,
        Pipeline(view.say, policies_enforced=policies_enforced) as pipeline,
    ):
        directory = Path(scratch)
        stream_name = pipeline.outputs["StreamName"]
        base = pipeline.emulator.environment(os.environ)
        with ProducerProcess(environment(base, directory, stream_name, DRAIN | settings)) as producer:
            view.say(f"running: {producer.url}/metrics  {producer.url}/healthz  {producer.url}/readyz")
            began = time.monotonic()
            with view.shown():
                while not (interrupted.is_set() or producer.has_ended() or _is_over(began, seconds)):
                    _show(view, pipeline, producer, "running")
                    interrupted.wait(STEP_SECONDS)
                _show(view, pipeline, producer, "draining")
                producer.stop()
                _catch_up(view, pipeline, producer)
            took = time.monotonic() - began
            usage = pipeline.usage(pipeline.monitor.snapshot(0).stored, producer.log_bytes)
            view.say("reading back the stream, the tables, the archive and the queues")
            findings = audit(list(accepted_log.read(directory / "accepted_log.jsonl")), pipeline.reader.read())
            local_archive.download(pipeline.emulator.client("s3"), pipeline.outputs["ArchiveBucket"], archive)
        snapshot = pipeline.monitor.snapshot(PRICES)
        summary = _summary(findings, snapshot, took, usage)
        view.close(findings, snapshot, usage, summary.usd_per_million_quotes)
        view.say(f"the archive stays in {archive}: `make sql` asks it, `make sql QUERY=daily_ohlc` a saved query")
        return summary


def _summary(findings: Findings, snapshot: Snapshot, took: float, usage: Usage) -> Summary:
    usd = sum(item.usd for item in items(usage, prices.read()))
    return Summary(
        **msgspec.structs.asdict(findings),
        batches=snapshot.batches,
        latency_seconds=Latency(_rounded(snapshot.p50), _rounded(snapshot.p99)),
        seconds=round(took, 1),
        usage=usage,
        usd_per_million_quotes=_rounded(per_million(usd, usage.quotes)),
    )


def _show(view: View, pipeline: Pipeline, producer: ProducerProcess, state: str) -> None:
    view.show(
        pipeline.monitor.snapshot(PRICES),
        pipeline.reader.new_alerts(),
        state=state,
        url=producer.url,
        warning=producer.warning,
    )


def _catch_up(view: View, pipeline: Pipeline, producer: ProducerProcess) -> None:
    stored, moved_at = -1, time.monotonic()
    while not pipeline.runner.wait_until_caught_up(STEP_SECONDS * 4):
        now = pipeline.monitor.snapshot(0).stored
        if now != stored:
            stored, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > STALLED_SECONDS:
            raise PipelineStalled(f"nothing was stored for {STALLED_SECONDS:.0f} s, with records left on the stream")
        _show(view, pipeline, producer, "draining")


def _is_over(began: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - began >= seconds


def _interrupts() -> threading.Event:
    """Set by the first Ctrl-C or SIGTERM, which ends the run; a second one is Python's own and ends the program."""
    event = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        event.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return event


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
