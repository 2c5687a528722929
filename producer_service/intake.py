"""The intake: the one door through which what was polled, and heartbeats, enter the outbox; closed on shutdown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from producer_service.accepted_log import AcceptedLog
from producer_service.deduplication import Deduplicated, deduplicate
from producer_service.errors import JournalError
from producer_service.group_state import GroupState, Progress
from producer_service.handover_store import UndeliveredState
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
        self,
        outbox: Outbox,
        accepted_log: AcceptedLog,
        heartbeats: Heartbeats,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._accepted_log = accepted_log
        self._heartbeats = heartbeats
        self._metrics = metrics
        self._now = now
        self._lock = threading.Lock()
        self._closed = False

    def accept(self, state: GroupState, asked_at: datetime, result: FetchResult) -> Deduplicated | None:
        """Accept what is news in a poll that began at some moment. None once closed, and nothing of it accepted."""
        with self._lock:
            if self._closed:
                return None
            decision = deduplicate(self._outbox.histories, result.quotes)
            is_live = state.group.source != "replay"  # whose quotes are as old as the recording
            self._outbox.put(decision, rejected=len(result.rejected), live=is_live)
            self._accepted_log.append(accepted.identity for accepted in decision.accepted)
            state.progress = _advanced(state.progress, asked_at, result)
            return decision

    def restore(self, key: str, state: UndeliveredState) -> int | None:
        """Take over what another producer left, between two polls. Returns its quotes; None once closed.

        Raises `JournalError` if it is of another number of lanes.
        """
        with self._lock:
            return None if self._closed else self._outbox.restore(key, state)

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
