"""Polls: fetch, have what is news accepted, say what was done. One poller a group; groups share their sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from producer_service.deduplication import Deduplicated
from producer_service.group_state import GroupState
from producer_service.intake import Intake
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.sources import Failure, FetchResult, Source

WAIT_SECONDS = 1.0
"""How often a poll that waits says that it is alive, and looks whether it shall stop."""

log = structlog.get_logger(__name__)


class PollReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll did. fetched = accepted + suppressed + late + rejected."""

    fetched: int = 0
    accepted: int = 0
    suppressed: int = 0
    late: int = 0
    rejected: int = 0
    missing: int = 0
    failures: int = 0
    paused: bool = False
    """The source's breaker is open, so nothing was asked for."""
    more: bool = False
    ended: bool = False


class PollStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a group after its last poll."""

    polled_at: datetime | None = None
    report: PollReport | None = None
    missing: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    paused_until: datetime | None = None
    failed_at: datetime | None = None
    failure: Failure | None = None
    """The last one, however long ago."""


class Fetch(NamedTuple):
    """What a source answered, and when it was asked."""

    asked_at: datetime
    result: FetchResult


class Feed:
    """A source, shared by the groups that it serves: one fetch at a time, and none once `stopping` is set."""

    def __init__(
        self, source: Source, metrics: Metrics, *, now: Callable[[], datetime], stopping: threading.Event
    ) -> None:
        self._source = source
        self._metrics = metrics
        self._now = now
        self._stopping = stopping
        self._turn = threading.Lock()

    def fetch(self, symbols: Sequence[str], advance: Callable[[], None]) -> Fetch | None:
        """Wait for one's turn, saying so by `advance`, and fetch. None if stopped before."""
        while not self._turn.acquire(timeout=WAIT_SECONDS):
            advance()
            if self._stopping.is_set():
                return None
        try:
            if self._stopping.is_set():
                return None
            advance()
            asked_at = self._now()
            started = time.perf_counter()
            result = self._source.fetch(symbols, asked_at)
            self._metrics.poll_seconds.observe(time.perf_counter() - started)
            return Fetch(asked_at, result)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the source: a fetch under way ends at once."""
        self._source.close()


class Poller:
    """Polls one group into the intake. One poll at a time; `stopping` cuts a poll short."""

    def __init__(
        self,
        state: GroupState,
        feed: Feed,
        intake: Intake,
        outbox: Outbox,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        stopping: threading.Event,
        advance: Callable[[], None],
    ) -> None:
        self.state = state
        self.poll_status = PollStatus()
        self._feed = feed
        self._intake = intake
        self._outbox = outbox
        self._metrics = metrics
        self._now = now
        self._stopping = stopping
        self._advance = advance

    def poll_if_due(self) -> PollReport | None:
        """Poll, if the group's hours make it worth it. None if they do not, or if it was stopped."""
        self._advance()
        return self.poll_all() if self.state.is_due(self._now()) else None

    def poll_all(self) -> PollReport | None:
        """Poll until the source has nothing more that is due at once. Returns the last report."""
        while (report := self.poll()) is not None and report.more:
            pass
        return report

    def poll(self) -> PollReport | None:
        """Poll once, when the outbox has room for it. None if it was stopped, and nothing of it accepted."""
        self._wait_for_room()
        if self._stopping.is_set():
            return None
        fetch = self._feed.fetch(self.state.group.symbols, self._advance)
        if fetch is None:
            return None
        decision = self._intake.accept(self.state, fetch.asked_at, fetch.result)
        if decision is None:
            return None
        report = _report(fetch.result, decision)
        self._remember(fetch, report)
        self._account(report, fetch.result)
        return report

    def _wait_for_room(self) -> None:
        has_room = self._outbox.wait_for_room(0)
        if not has_room:
            log.warning("outbox_full", action="polling waits for Kinesis", group=self.state.group.name)
        while not (has_room or self._stopping.is_set()):
            began = time.monotonic()
            has_room = self._outbox.wait_for_room(WAIT_SECONDS)
            self._metrics.outbox_full_seconds.inc(time.monotonic() - began)
            self._advance()

    def _remember(self, fetch: Fetch, report: PollReport) -> None:
        result = fetch.result
        poll_status = replace(
            self.poll_status,
            polled_at=fetch.asked_at,
            report=report,
            missing=self.poll_status.missing if report.paused else result.missing,
            set_aside=result.set_aside,
            paused_until=result.paused_until,
        )
        if result.failures:
            poll_status = replace(poll_status, failed_at=fetch.asked_at, failure=result.failures[-1])
        self.poll_status = poll_status

    def _account(self, report: PollReport, result: FetchResult) -> None:
        metrics = self._metrics
        metrics.polls.labels(_outcome(report)).inc()
        for failure in result.failures:
            metrics.source_failures.labels(failure.reason).inc()
            log.warning(
                "source_failed",
                group=self.state.group.name,
                reason=failure.reason,
                detail=failure.detail[:300],
                symbols=len(failure.symbols),
            )
        for rejected in result.rejected:
            log.warning("quote_rejected", symbol=rejected.symbol, reason=rejected.reason[:300])
        fields = msgspec.structs.asdict(report)
        if result.missing:
            fields["missing"] = list(result.missing[:20])
        log.info("polled", group=self.state.group.name, **fields)


def total(reports: Iterable[PollReport]) -> PollReport:
    """What some polls did together. It is paused or has more if one of them is, and ended if all are."""
    listed = list(reports)
    counts = ("fetched", "accepted", "suppressed", "late", "rejected", "missing", "failures")
    return PollReport(
        **{name: sum(getattr(report, name) for report in listed) for name in counts},
        paused=any(report.paused for report in listed),
        more=any(report.more for report in listed),
        ended=bool(listed) and all(report.ended for report in listed),
    )


def _report(result: FetchResult, decision: Deduplicated) -> PollReport:
    is_empty = not (result.quotes or result.rejected or result.missing or result.failures)
    return PollReport(
        fetched=len(result.quotes) + len(result.rejected),
        accepted=len(decision.accepted),
        suppressed=decision.suppressed,
        late=decision.late,
        rejected=len(result.rejected),
        missing=len(result.missing),
        failures=len(result.failures),
        paused=is_empty and result.complete_to is None and result.paused_until is not None,
        more=result.more,
        ended=result.ended,
    )


def _outcome(report: PollReport) -> str:
    if report.paused:
        return "paused"
    if not report.failures:
        return "complete"
    return "partial" if report.fetched + report.missing else "failed"
