"""One run of the whole pipeline under an offered load, and its figures."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks import cpu
from benchmarks.latency import HandledBatch, Journey, Percentiles, journeys, latency, parts, stored_rate
from benchmarks.offered_load import OfferedLoad, SentPacket
from costs import prices
from costs.usage import GIGABYTE, Usage, items, per_million
from producer_service import accepted_log
from replica.audit import audit
from replica.event_source import InvocationReport
from replica.monitor import Monitor
from replica.pipeline import LatencyMode, Pipeline
from replica.producer_process import ProducerProcess, environment
from replica.scratch import Scratch

Quotes = Literal["synthetic", "recorded"]

WARM_UP_SECONDS = 5.0
"""How long quotes are not measured by default: the function starts cold, and reads the stored bars of new symbols."""
CATCH_UP_SECONDS = 60.0
"""How long a run waits at its end for quotes that are not stored yet. A pipeline that is further behind is cut off."""
MOST_SYMBOLS = 250
QUOTES_A_SECOND_AT_ONCE = 2_000
"""How many quotes are offered at once, for each second that a run may take."""
BEHIND_SECONDS = 2.0
"""A pipeline does not keep up if the quotes of more than this time wait at the end. One poll waits for a second."""
_SETTINGS: Mapping[LatencyMode, Mapping[str, str]] = {
    "cheap": {"LINGER_SECONDS": "0.05"},
    "fast": {"LINGER_SECONDS": "0.005"},
}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is run."""

    mode: LatencyMode
    quotes: Quotes
    rate: float | None
    """Quotes a second. None: as fast as it goes."""


def quotes_of(rate: float | None, seconds: float, warm_up_seconds: float) -> int:
    """How many quotes a run offers."""
    return int(seconds * QUOTES_A_SECOND_AT_ONCE if rate is None else (warm_up_seconds + seconds) * rate)


class PartCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The CPU of each part of the pipeline."""

    producer: float
    event_source: float
    emulator: float
    function: float


CPU_PARTS = PartCosts.__struct_fields__


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run."""

    mode: LatencyMode
    quotes: Quotes
    asked_rate: float | None
    """Quotes a second that were offered. None: as fast as it goes."""
    rate: float
    """Quotes a second that were stored."""
    keeps_up: bool | None
    """Whether the pipeline stored the quotes as fast as they came. None if they came at once."""
    backlog: int
    """The quotes that were received and not stored, when the last one had been offered."""
    measured: int
    """The number of quotes that the latency is of."""
    latency_seconds: Percentiles | None
    """From receipt to row. None if the pipeline did not keep up: then it only says how long the run was."""
    part_seconds: Mapping[str, Percentiles]
    """The latency of each part, as `latency.Journey` lists them. Empty if there is no latency."""
    cpu_microseconds: PartCosts | None
    """The CPU of each part for a stored quote. None where there is no /proc."""
    cpu_cores: PartCosts | None
    """The CPU of each part, as a share of one core."""
    quotes_a_batch: float
    """How many quotes an invocation stored on average."""
    calls_per_million: float | None
    """Calls that AWS bills, for a million stored quotes."""
    usd_per_million: float | None
    """What AWS would bill for them, without what it bills by the hour."""
    accepted: int
    lost: int | None
    """Accepted quotes that are not in the table or not in the archive. None if the run was cut off."""

    @property
    def is_cut_off(self) -> bool:
        """Whether some quotes were not stored in time, so that nobody knows whether they would have been."""
        return self.lost is None


class _Recorder(Monitor):
    """Keeps what the event source reports, so that nothing is computed while the pipeline runs."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[InvocationReport] = []

    def on_batch(self, report: InvocationReport) -> None:
        self.reports.append(report)


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What has been used so far."""

    seconds: float
    cpu: PartCosts | None
    usage: Usage
    calls: int


class Run:
    """Runs a case once."""

    def __init__(self, case: Case, *, seconds: float, warm_up_seconds: float, recordings: Path | None) -> None:
        self._case = case
        self._seconds = seconds
        self._warm_up_seconds = warm_up_seconds
        rate = case.rate
        self._load = OfferedLoad(
            quotes=quotes_of(rate, seconds, warm_up_seconds),
            rate=rate,
            symbols=int(min(MOST_SYMBOLS, max(1, rate or MOST_SYMBOLS))),
            recordings=str(recordings) if case.quotes == "recorded" else None,
        )
        self._recorder = _Recorder()
        self._pids: list[int] = []

    def __call__(self) -> Result:
        """Run it. Raises `ReplicaError`, `DeploymentError` or `TimeoutError`."""
        result: Result | None = None
        try:
            with ExitStack() as stack:
                result = self._measured(stack)
        except TimeoutError:  # the event source waits for an invocation that is under way
            if result is None or not result.is_cut_off:
                raise
        return result

    def _measured(self, stack: ExitStack) -> Result:
        """Start everything, measure, and compare. The parts end with the stack."""
        scratch = stack.enter_context(Scratch("benchmark"))
        self._pipeline = Pipeline(lambda _: None, latency=self._case.mode, parameters={"BatchingWindowSeconds": "0"})
        self._pipeline.monitor = self._recorder
        stack.enter_context(self._pipeline)
        puts = scratch.path / "puts.jsonl"
        self._producer = stack.enter_context(self._new_producer(scratch, puts))
        begin, end = self._offer()
        has_caught_up = self._catch_up(puts)
        last = self._mark()
        self._producer.stop()
        found = list(journeys(self._recorder.reports, _sent(puts), self._handled()))
        accepted = list(accepted_log.read(scratch.path / "accepted_log.jsonl"))
        lost = audit(accepted, self._pipeline.reader.read()).lost if has_caught_up else None
        return self._result(found, begin, end or last, last, accepted=len(accepted), lost=lost)

    def _new_producer(self, scratch: Scratch, puts: Path) -> ProducerProcess:
        def on_start(pid: int) -> None:
            self._pids.append(pid)
            scratch.end_with_us(pid)

        return ProducerProcess(
            environment(
                self._pipeline.emulator.environment(os.environ),
                scratch.path,
                self._pipeline.outputs["StreamName"],
                {"SOURCE": "synthetic", "DRAIN_SECONDS": "110", **_SETTINGS[self._case.mode]},
            ),
            on_start,
            command=("benchmarks.offered_load", msgspec.json.encode(self._load).decode(), str(puts)),
        )

    def _offer(self) -> tuple[_Mark, _Mark | None]:
        """Wait while the load is offered. Returns the marks at the begin and at the end of what is measured."""
        if self._case.rate is None:
            return self._mark(), None
        started = time.monotonic()
        time.sleep(self._warm_up_seconds)
        begin = self._mark()
        time.sleep(max(0.0, started + self._warm_up_seconds + self._seconds - time.monotonic()))
        return begin, self._mark()

    def _catch_up(self, puts: Path) -> bool:
        """Wait until all is stored, but not for ever. False if it took too long."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        sent = -1
        while not (now := puts.stat().st_size) or now != sent:  # the producer sent nothing yet, or more meanwhile
            sent = now
            if not self._pipeline.runner.wait_until_caught_up(max(0.0, deadline - time.monotonic())):
                return False
        return True

    def _mark(self) -> _Mark:
        pipeline = self._pipeline
        return _Mark(
            seconds=time.monotonic(),
            cpu=self._cpu(),
            usage=pipeline.usage(0, self._producer.log_bytes),
            calls=pipeline.emulator.calls.read_bytes().count(b"\n"),
        )

    def _cpu(self) -> PartCosts | None:
        emulator, producer = cpu.of_session(self._pipeline.emulator.pid), cpu.of_session(self._pids[0])
        if emulator is None or producer is None:
            return None
        return PartCosts(
            producer=producer.leader + producer.others,
            event_source=time.process_time(),
            emulator=emulator.leader,
            function=emulator.others,
        )

    def _handled(self) -> list[HandledBatch]:
        """The batches that the function logged, in their order."""
        found: list[HandledBatch] = []
        group = self._pipeline.outputs["LogGroup"]
        for page in (
            self._pipeline.emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        ):
            for event in page["events"]:
                if '"batch_processed"' in event["message"]:
                    line = msgspec.json.decode(event["message"])
                    ended_at = datetime.fromtimestamp(line["_aws"]["Timestamp"] / 1000, UTC)
                    found.append(HandledBatch(ended_at, line["batch_seconds"]))
        return sorted(found, key=lambda batch: batch.ended_at)

    def _result(
        self, found: list[Journey], begin: _Mark, end: _Mark, last: _Mark, *, accepted: int, lost: int | None
    ) -> Result:
        rate = self._case.rate
        first = min((each.received_at for each in found), default=datetime.now(UTC))
        if rate is None:
            since, until = first, max((each.stored_at for each in found), default=first)
        else:
            since = first + timedelta(seconds=self._warm_up_seconds)
            until = since + timedelta(seconds=self._seconds)
        backlog = 0 if rate is None else accepted - sum(each.stored_at <= until for each in found)
        keeps_up = None if rate is None else backlog <= BEHIND_SECONDS * rate
        measured = [each for each in found if keeps_up and since <= each.received_at < until]
        # One batch of a pipeline that is behind may take longer than the run, so the rest counts too.
        counted_until = until if keeps_up else max((each.stored_at for each in found), default=until)
        usage = _difference(last.usage, begin.usage)
        usd = _dollars(usage, self._case.mode)
        calls = last.calls - begin.calls + usage.invocations
        return Result(
            mode=self._case.mode,
            quotes=self._case.quotes,
            asked_rate=rate,
            rate=round(stored_rate(found, since, counted_until), 1),
            keeps_up=keeps_up,
            backlog=backlog,
            measured=len(measured),
            latency_seconds=latency(measured),
            part_seconds=parts(measured),
            cpu_microseconds=_divided(begin.cpu, last.cpu, usage.row_writes / 1e6),
            cpu_cores=_divided(begin.cpu, end.cpu, end.seconds - begin.seconds),
            quotes_a_batch=round(usage.row_writes / max(1, usage.invocations), 1),
            calls_per_million=per_million(calls, usage.row_writes),
            usd_per_million=per_million(usd, usage.row_writes),
            accepted=accepted,
            lost=lost,
        )


def _sent(puts: Path) -> list[SentPacket]:
    return msgspec.json.Decoder(SentPacket).decode_lines(puts.read_bytes())


def _dollars(usage: Usage, mode: LatencyMode) -> float:
    """The list price of the calls, with what a consumer retrieves in fast mode."""
    listed = prices.read()
    retrieved = usage.stream_bytes / GIGABYTE * listed.usd("kinesis_consumer_gb") if mode == "fast" else 0.0
    return sum(item.usd for item in items(usage, listed)) + retrieved


def _difference(after: Usage, before: Usage) -> Usage:
    return Usage(**{name: getattr(after, name) - getattr(before, name) for name in Usage.__struct_fields__})


def _divided(before: PartCosts | None, after: PartCosts | None, divisor: float) -> PartCosts | None:
    """What was used between two instants, for each unit of something."""
    if before is None or after is None or not divisor:
        return None
    return PartCosts(**{part: round((getattr(after, part) - getattr(before, part)) / divisor, 3) for part in CPU_PARTS})
