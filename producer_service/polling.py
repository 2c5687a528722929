"""One poll: fetch, decide what is news, accept it, say what was done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from producer_service.acceptance import decide
from producer_service.ledger import Ledger
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.sources import FetchResult, Source
from quotes import Heartbeat

ROOM_SECONDS = 1.0

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
    more: bool = False
    ended: bool = False


class Poller:
    """Polls one source for some symbols into the outbox. One poll at a time; `stopping` cuts a poll short."""

    def __init__(
        self,
        source: Source,
        symbols: Sequence[str],
        outbox: Outbox,
        ledger: Ledger,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        stopping: threading.Event,
        advance: Callable[[], None],
    ) -> None:
        self._source = source
        self._symbols = symbols
        self._outbox = outbox
        self._ledger = ledger
        self._metrics = metrics
        self._now = now
        self._stopping = stopping
        self._advance = advance
        self.is_fetching = False
        """Whether a fetch is under way: then the source must not be closed."""
        self._complete_to: datetime | None = None
        self._heartbeat_clock: datetime | None = None
        self._accepting = threading.Lock()
        self._closed = False

    def poll(self) -> PollReport | None:
        """Poll once, when the outbox has room for it. None if it was stopped, and nothing of it accepted."""
        self._wait_for_room()
        if self._stopping.is_set():
            return None
        self._advance()
        result = self._fetch()
        with self._accepting:
            if self._closed:
                return None
            report = self._accept(result)
        self._account(report, result)
        return report

    def poll_all(self) -> PollReport | None:
        """Poll until the source has nothing more that is due at once. Returns the last report."""
        while (report := self.poll()) is not None and report.more:
            pass
        return report

    def beat(self) -> None:
        """Add a heartbeat to each lane, behind every quote that was accepted before it."""
        with self._accepting:
            if not self._closed:
                self._beat()

    def close(self) -> None:
        """Accept nothing from now on, not even of a poll under way, and end each lane with a heartbeat."""
        with self._accepting:
            if not self._closed:
                self._beat()
            self._closed = True

    def _beat(self) -> None:
        now = self._now()
        if self._heartbeat_clock is not None:  # a lane takes a heartbeat only if it is later than its last
            now = max(now, self._heartbeat_clock + timedelta(milliseconds=1))
        self._heartbeat_clock = now
        complete_to = self._complete_to
        self._outbox.put_heartbeats(lambda key: Heartbeat(lane=key, clock=now, complete_to=complete_to))
        self._metrics.heartbeats.inc()

    def _fetch(self) -> FetchResult:
        started = time.perf_counter()
        self.is_fetching = True
        try:
            return self._source.fetch(self._symbols, self._now())
        finally:
            self.is_fetching = False
            self._metrics.poll_seconds.observe(time.perf_counter() - started)

    def _accept(self, result: FetchResult) -> PollReport:
        decision = decide(self._outbox.memories, result.quotes)
        self._outbox.put(decision)
        self._ledger.append(accepted.quote for accepted in decision.accepted)
        if result.complete_to is not None:
            self._complete_to = result.complete_to
        return PollReport(
            fetched=len(result.quotes) + len(result.rejected),
            accepted=len(decision.accepted),
            suppressed=decision.suppressed,
            late=decision.late,
            rejected=len(result.rejected),
            missing=len(result.missing),
            failures=len(result.failures),
            more=result.more,
            ended=result.ended,
        )

    def _wait_for_room(self) -> None:
        has_room = self._outbox.wait_for_room(0)
        if not has_room:
            log.warning("outbox_full", action="polling waits for Kinesis")
        while not (has_room or self._stopping.is_set()):
            began = time.monotonic()
            has_room = self._outbox.wait_for_room(ROOM_SECONDS)
            self._metrics.outbox_full_seconds.inc(time.monotonic() - began)
            self._advance()

    def _account(self, report: PollReport, result: FetchResult) -> None:
        metrics = self._metrics
        answered = report.fetched + report.missing
        outcome = "complete" if not report.failures else "partial" if answered else "failed"
        metrics.polls.labels(outcome).inc()
        metrics.missing.set(report.missing)
        for name in ("accepted", "suppressed", "late", "rejected"):
            metrics.quotes.labels(name).inc(getattr(report, name))
        for failure in result.failures:
            metrics.source_failures.labels(failure.reason).inc()
            log.warning(
                "source_failed", reason=failure.reason, detail=failure.detail[:300], symbols=len(failure.symbols)
            )
        for rejected in result.rejected:
            log.warning("quote_rejected", symbol=rejected.symbol, reason=rejected.reason[:300])
        fields = msgspec.structs.asdict(report)
        if result.missing:
            fields["missing"] = list(result.missing[:20])
        log.info("polled", **fields)
