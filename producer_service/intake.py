"""The intake: the one door through which what was polled, and heartbeats, enter the outbox; closed on shutdown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from producer_service.accepted_log import Ledger
from producer_service.deduplication import Decision, decide
from producer_service.errors import JournalError
from producer_service.group_state import Progress, Watch
from producer_service.handover_store import Leftover
from producer_service.heartbeats import Heartbeats
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.sources import FetchResult

log = structlog.get_logger(__name__)


class Intake:
    """Thread-safe: acceptance, heartbeats and the close exclude each other, so that a heartbeat follows what it claims.

    `now` is aware UTC of whole milliseconds.
    """

    def __init__(
        self, outbox: Outbox, ledger: Ledger, heartbeats: Heartbeats, metrics: Metrics, *, now: Callable[[], datetime]
    ) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._heartbeats = heartbeats
        self._metrics = metrics
        self._now = now
        self._lock = threading.Lock()
        self._closed = False

    def accept(self, watch: Watch, asked_at: datetime, result: FetchResult) -> Decision | None:
        """Accept what is news in a poll that began at some moment. None once closed, and nothing of it accepted."""
        with self._lock:
            if self._closed:
                return None
            decision = decide(self._outbox.memories, result.quotes)
            is_live = watch.group.source != "replay"  # whose quotes are as old as the recording
            self._outbox.put(decision, rejected=len(result.rejected), live=is_live)
            self._ledger.append(accepted.identity for accepted in decision.accepted)
            watch.progress = _advanced(watch.progress, asked_at, result)
            return decision

    def adopt(self, key: str, leftover: Leftover) -> int | None:
        """Take over what another producer left, between two polls. Returns its quotes; None once closed.

        Raises `JournalError` if it is of another number of lanes.
        """
        with self._lock:
            return None if self._closed else self._outbox.adopt(key, leftover)

    def beat(self) -> None:
        """Add a heartbeat to each lane, behind every quote that was accepted before it."""
        with self._lock:
            if not self._closed:
                self._beat(closing=False)

    def close(self) -> None:
        """Accept nothing from now on, not even of a poll under way, and end each lane with a heartbeat."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._beat(closing=True)
            except JournalError as error:  # a full disk shall not keep what is pending from being delivered
                log.warning("closing_heartbeat_failed", detail=str(error))

    def _beat(self, *, closing: bool) -> None:
        self._outbox.put_heartbeats(self._heartbeats.round(self._now()).__getitem__, closing=closing)
        self._metrics.heartbeats.inc()


def _advanced(progress: Progress, asked_at: datetime, result: FetchResult) -> Progress:
    if result.complete_to is None:  # a request failed: what was known before stays true
        return Progress(
            completed_at=progress.completed_at,
            complete_to=progress.complete_to,
            delay=progress.delay,
            ended=result.ended,
        )
    delays = (timedelta(minutes=quote.delay_minutes or 0) for quote in result.quotes)
    return Progress(
        completed_at=asked_at,
        complete_to=result.complete_to,
        delay=max([progress.delay, *delays]),
        ended=result.ended,
    )
