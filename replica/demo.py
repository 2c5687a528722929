"""The demo: runs the pipeline, shows its figures, drains it, and compares what it stored with what it accepted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from analytics import local_archive, local_tables
from analytics.local_archive import NoArchive
from costs import prices
from costs.usage import Usage, items, per_million
from producer_service import accepted_log
from producer_service.sources.registry import SOURCES
from replica import dashboard_process, guide, kept_archive
from replica.audit import Findings, audit
from replica.dashboard_process import DashboardProcess
from replica.emulator import REGION
from replica.errors import ReplicaError
from replica.interrupts import Interrupts
from replica.monitor import Breakdown, Snapshot
from replica.parameters import Parameters
from replica.pipeline import LatencyMode, Pipeline
from replica.producer_process import ProducerProcess, environment
from replica.producer_status import Group, prices_in_words
from replica.scratch import Scratch, remove_leftovers
from replica.steps import Steps
from replica.view import View
from replica.watchlist import with_watchlist
from workspace import demo_record
from workspace.demo_record import Claim, DemoRecord

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
    p99_9: float | None
    breakdown: Breakdown | None
    """The median of each part: producer, event source and function."""


class Summary(Findings, frozen=True, kw_only=True):
    """The result of a demo: the findings of the audit, and the figures of the run."""

    prices: str
    """What kind of prices these are, such as `simulated prices`."""
    groups: tuple[Group, ...]
    """The watch groups, and why they had no new prices at the end. Empty if the producer ended before it said so."""
    batches: int
    mode: LatencyMode
    """How the function read the stream."""
    latency_seconds: Latency
    seconds: float
    """The time from the producer's start to the last stored quote."""
    usage: Usage
    """What AWS would bill for the calls of the run."""
    usd_per_million_quotes: float | None
    """The list price of this usage. What AWS bills by the hour is not included."""


def run_demo(view: View, steps: Steps, interrupts: Interrupts, wanted: Parameters) -> Summary:
    """Run the pipeline until the time is up, the source ends or Ctrl-C, and check what it stored.

    The producer first delivers what it has accepted, within its own limits of time. While it runs, a record of the demo
    leads other programs to it. Raises `ReplicaError` or `DeploymentError` if a part does not start or stop cleanly, and
    `KeyboardInterrupt` as `interrupts` says. Bad findings raise nothing.
    """
    for found in (*remove_leftovers(), *map(_in_words, demo_record.remove_stale())):
        view.report(found)
    with ExitStack() as stack:
        claim = stack.enter_context(_claim())
        if claim.stage != demo_record.STAGE:
            view.report(f"another demo runs, so the stage of this one is {claim.stage}")
        scratch = stack.enter_context(Scratch("demo"))
        with steps:
            pipeline = stack.enter_context(
                Pipeline(
                    steps,
                    stage=claim.stage,
                    policies_enforced=wanted.policies_enforced,
                    latency=wanted.latency,
                    serves_api=True,
                    parameters=_lanes(os.environ),
                    rules=wanted.rules,
                )
            )
            base = pipeline.emulator.environment(os.environ)
            dashboard = stack.enter_context(_dashboard(claim, pipeline, scratch, wanted.port))
            of_producer = environment(
                base,
                scratch.path,
                pipeline.outputs["StreamName"],
                {"CALENDARS_TABLE": pipeline.outputs["CalendarsTable"], **wanted.settings},
            )
            bucket = pipeline.outputs["ArchiveBucket"]
            of_producer = with_watchlist(of_producer, pipeline.emulator.client("s3"), bucket)
            steps("starting the producer")
            producer = stack.enter_context(ProducerProcess(of_producer, scratch.end_with_us))
            url = dashboard.url
        started_at = time.monotonic()
        archive = wanted.archive or kept_archive.default_directory(claim.stage)
        source = of_producer["PRODUCER_SOURCE"]
        record = _record(claim, pipeline, producer, dashboard_url=url, source=source, archive=archive)
        _introduce(view, claim, record)
        with view.live():
            with interrupts.draining():
                view.report(f"running: stage {claim.stage}, {_prices(source)}, {wanted.latency} mode")
                while not (interrupts.asked_to_drain or producer.has_ended() or _is_over(started_at, wanted.seconds)):
                    _update(view, pipeline, producer, url, "running")
                    time.sleep(STEP_SECONDS)
            _update(view, pipeline, producer, url, "draining")
            producer.stop()
            _catch_up(view, pipeline, producer, url)
        took = time.monotonic() - started_at
        snapshot = pipeline.monitor.snapshot()
        usage = pipeline.usage(snapshot.stored, producer.log_bytes)
        view.report("reading back the stream, the tables, the archive and the queues")
        findings = audit(list(accepted_log.read(scratch.path / "accepted_log.jsonl")), pipeline.reader.read())
        summary = _summary(findings, snapshot, took, usage, producer, mode=wanted.latency)
        notes = producer.status.notes()
        view.summarize(
            findings,
            snapshot,
            usage,
            summary.usd_per_million_quotes,
            prices=summary.prices,
            mode=wanted.latency,
            notes=notes,
        )
        if wanted.summary is not None:
            _write(wanted.summary, summary)
        _keep(pipeline, archive)
        claim.end(datetime.now(UTC))
    view.report(guide.closing_line(archive, os.environ))
    return summary


@contextmanager
def _claim() -> Iterator[Claim]:
    """A stage for this demo. Raises `ReplicaError` if no record can be written."""
    with ExitStack() as stack:
        try:
            claim = stack.enter_context(demo_record.claim())
        except OSError as error:
            raise ReplicaError(
                f"the record of the demo cannot be written to {demo_record.DIRECTORY}: {error}"
            ) from error
        yield claim


def _write(file: Path, summary: Summary) -> None:
    """Write the result as JSON. Raises `ReplicaError`."""
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    except OSError as error:
        raise ReplicaError(f"the result cannot be written to {file}: {error}") from error


def _lanes(variables: Mapping[str, str]) -> dict[str, str]:
    """The number of lanes, for the function that reads their states, if it is not the usual one."""
    lanes = variables.get("PRODUCER_LANES")
    return {"Lanes": lanes} if lanes else {}


def _dashboard(claim: Claim, pipeline: Pipeline, scratch: Scratch, port: int | None) -> DashboardProcess:
    options = {"api": pipeline.api_url, "stage": claim.stage}
    if port is not None:
        options["port"] = str(port)
    if pipeline.emulator.ca_bundle is not None:
        options["ca-bundle"] = pipeline.emulator.ca_bundle
    variables = dashboard_process.environment(os.environ, scratch.path)
    return DashboardProcess(options, variables, scratch.path / "dashboard.log", scratch.end_with_us)


def _record(
    claim: Claim, pipeline: Pipeline, producer: ProducerProcess, *, dashboard_url: str, source: str, archive: Path
) -> DemoRecord:
    return DemoRecord(
        stage=claim.stage,
        process=os.getpid(),
        started_at=datetime.now(UTC),
        endpoint_url=pipeline.emulator.endpoint_url,
        region=REGION,
        ca_bundle=pipeline.emulator.ca_bundle,
        producer_url=producer.url,
        dashboard_url=dashboard_url,
        source=source,
        outputs=dict(pipeline.outputs),
        archive=str(archive),
    )


def _introduce(view: View, claim: Claim, record: DemoRecord) -> None:
    """Lead other programs and people to the demo."""
    claim.write(record)
    shell_file = claim.write_beside(".env", guide.shell_variables(record))
    page = claim.write_beside(".md", guide.page(record, _prices(record.source), shell_file))
    for line in guide.lines(record, shell_file, page):
        view.report(line)


def _keep(pipeline: Pipeline, archive: Path) -> None:
    """Leave the archive, the bars and the alerts in a directory, in place of what an earlier demo left there.

    Raises `NoArchive`.
    """
    if problem := kept_archive.problem_of(archive):  # somebody may have written there meanwhile
        raise NoArchive(problem)
    local_archive.download(pipeline.emulator.client("s3"), pipeline.outputs["ArchiveBucket"], archive)
    local_tables.keep(archive, pipeline.reader.bars(), pipeline.reader.alerts())
    kept_archive.mark(archive)


def _in_words(stale: DemoRecord) -> str:
    return f"removed the record of stage {stale.stage}, a demo that was killed (process {stale.process})"


def _prices(source: str) -> str:
    """What kind of prices these are, such as `simulated prices (source synthetic)`."""
    return f"{SOURCES[source].prices} (source {source})"


def _summary(
    findings: Findings, snapshot: Snapshot, took: float, usage: Usage, producer: ProducerProcess, *, mode: LatencyMode
) -> Summary:
    usd = sum(item.usd for item in items(usage, prices.read()))
    return Summary(
        **msgspec.structs.asdict(findings),
        prices=_prices_now(snapshot, producer),
        groups=producer.status.groups,
        batches=snapshot.batches,
        mode=mode,
        latency_seconds=Latency(
            _rounded(snapshot.p50), _rounded(snapshot.p99), _rounded(snapshot.p99_9), snapshot.breakdown
        ),
        seconds=round(took, 1),
        usage=usage,
        usd_per_million_quotes=_rounded(per_million(usd, usage.quotes)),
    )


def _update(view: View, pipeline: Pipeline, producer: ProducerProcess, dashboard_url: str, state: str) -> None:
    snapshot = pipeline.monitor.snapshot()
    producer.read_status()
    view.update(
        snapshot,
        pipeline.reader.new_alerts(),
        state=state,
        prices=_prices_now(snapshot, producer),
        dashboard_url=dashboard_url,
        notes=producer.status.notes(),
        warning=producer.warning,
    )


def _prices_now(snapshot: Snapshot, producer: ProducerProcess) -> str:
    return prices_in_words(producer.status, producer.source, snapshot.delay_minutes, SOURCES)


def _catch_up(view: View, pipeline: Pipeline, producer: ProducerProcess, url: str) -> None:
    """Wait until the processor has processed the whole stream. Raises `PipelineStalled`."""
    stored, changed_at = -1, time.monotonic()
    while not pipeline.runner.wait_until_caught_up(STEP_SECONDS * 4):
        now = pipeline.monitor.snapshot().stored
        if now != stored:
            stored, changed_at = now, time.monotonic()
        elif time.monotonic() - changed_at > STALLED_SECONDS:
            raise PipelineStalled(
                f"the stream has unprocessed records, but nothing was stored for {STALLED_SECONDS:.0f} s"
            )
        _update(view, pipeline, producer, url, "draining")


def _is_over(started_at: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - started_at >= seconds


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
