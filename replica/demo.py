"""The demo: runs the pipeline, shows its figures, drains it, and compares what it stored with what it accepted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from analytics import local_archive, local_tables
from costs import prices
from costs.usage import Usage, items, per_million
from producer_service import accepted_log
from replica.audit import Findings, audit
from replica.errors import ReplicaError
from replica.interrupts import Interrupts
from replica.monitor import Snapshot
from replica.pipeline import Pipeline
from replica.producer_process import ProducerProcess, environment
from replica.scratch import Scratch, remove_leftovers
from replica.view import PRICES, View

DRAIN = {"DRAIN_SECONDS": "110"}
STEP_SECONDS = 0.5
STALLED_SECONDS = 120.0
"""The demo fails if the stream still has records and nothing has been stored for this long."""


class PipelineStalled(ReplicaError):
    """The stream has unprocessed records, and the processor makes no progress."""


class Latency(msgspec.Struct, frozen=True):
    """Seconds from the producer's receipt of a quote to the end of the invocation that stored it.

    None if no quote was stored.
    """

    p50: float | None
    p99: float | None


class Summary(Findings, frozen=True, kw_only=True):
    """The result of a demo: the findings of the audit, and the figures of the run."""

    batches: int
    latency_seconds: Latency
    seconds: float
    """The time from the producer's start to the last stored quote."""
    usage: Usage
    """What AWS would bill for the calls of the run."""
    usd_per_million_quotes: float | None
    """The list price of this usage. What AWS bills by the hour is not included."""


def run_demo(
    view: View,
    interrupts: Interrupts,
    *,
    seconds: float | None,
    settings: dict[str, str],
    archive: Path,
    policies_enforced: bool = False,
) -> Summary:
    """Run the pipeline until the time is up, the source ends or Ctrl-C, and check what it stored.

    The producer first delivers what it has accepted, within its own limits of time. `settings` are settings of the
    producer without their prefix. The archive is copied to the directory `archive`. Raises `ReplicaError` or
    `DeploymentError` if a part does not start or stop cleanly, and `KeyboardInterrupt` as `interrupts` says. Bad
    findings raise nothing.
    """
    for found in remove_leftovers():
        view.report(found)
    local_archive.prepare(archive)
    with Scratch("demo") as scratch, Pipeline(view.report, policies_enforced=policies_enforced) as pipeline:
        directory = scratch.path
        stream_name = pipeline.outputs["StreamName"]
        base = pipeline.emulator.environment(os.environ)
        of_producer = environment(base, directory, stream_name, DRAIN | settings)
        with ProducerProcess(of_producer, scratch.end_with_us) as producer:
            started_at = time.monotonic()
            with interrupts.draining(), view.live():
                view.report(f"running: {producer.url}/metrics  {producer.url}/healthz  {producer.url}/readyz")
                while not (interrupts.asked_to_drain or producer.has_ended() or _is_over(started_at, seconds)):
                    _update(view, pipeline, producer, "running")
                    time.sleep(STEP_SECONDS)
            with view.live():
                _update(view, pipeline, producer, "draining")
                producer.stop()
                _catch_up(view, pipeline, producer)
            took = time.monotonic() - started_at
            usage = pipeline.usage(pipeline.monitor.snapshot(0).stored, producer.log_bytes)
            view.report("reading back the stream, the tables, the archive and the queues")
            findings = audit(list(accepted_log.read(directory / "accepted_log.jsonl")), pipeline.reader.read())
            local_archive.download(pipeline.emulator.client("s3"), pipeline.outputs["ArchiveBucket"], archive)
            local_tables.keep(archive, pipeline.reader.bars(), pipeline.reader.alerts())
        snapshot = pipeline.monitor.snapshot(PRICES)
        summary = _summary(findings, snapshot, took, usage)
        view.summarize(findings, snapshot, usage, summary.usd_per_million_quotes)
        view.report(
            f"The archive is in {archive}. Query it with `make sql`, or run a saved query: `make sql QUERY=daily_ohlc`."
        )
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


def _update(view: View, pipeline: Pipeline, producer: ProducerProcess, state: str) -> None:
    view.update(
        pipeline.monitor.snapshot(PRICES),
        pipeline.reader.new_alerts(),
        state=state,
        url=producer.url,
        warning=producer.warning,
    )


def _catch_up(view: View, pipeline: Pipeline, producer: ProducerProcess) -> None:
    """Wait until the processor has processed the whole stream. Raises `PipelineStalled`."""
    stored, changed_at = -1, time.monotonic()
    while not pipeline.runner.wait_until_caught_up(STEP_SECONDS * 4):
        now = pipeline.monitor.snapshot(0).stored
        if now != stored:
            stored, changed_at = now, time.monotonic()
        elif time.monotonic() - changed_at > STALLED_SECONDS:
            raise PipelineStalled(
                f"the stream has unprocessed records, but nothing was stored for {STALLED_SECONDS:.0f} s"
            )
        _update(view, pipeline, producer, "draining")


def _is_over(started_at: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - started_at >= seconds


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
