"""The intake: the only way into the outbox, for the results of sources and for heartbeats. It closes at shutdown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from producer_service.accepted_log import AcceptedLog
from producer_service.deduplication import deduplicate
from producer_service.errors import JournalDamaged, JournalError, described
from producer_service.group_state import GroupState
from producer_service.handover_store import UndeliveredState
from producer_service.health import ACCEPTED_LOG, JOURNAL, Health
from producer_service.heartbeats import Heartbeats
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.poll_report import PollReport, report_of
from producer_service.sent_actions import SentActions
from producer_service.sources import FetchResult
from producer_service.supervisor import Supervisor
from quotes import Action

WAIT_SECONDS = 1.0
"""How often a poll that waits beats for the health check, and looks whether the producer is stopping."""

log = structlog.get_logger(__name__)


class Intake:
    """Thread-safe. Results, heartbeats, a restored state and the close exclude each other.

    So a heartbeat comes after every quote that its `complete_to` covers. `now` returns aware UTC in whole
    milliseconds. Once `stopping` is set, nothing waits for room any more.
    """

    def __init__(
        self,
        outbox: Outbox,
        accepted_log: AcceptedLog,
        heartbeats: Heartbeats,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        stopping: threading.Event,
        health: Health,
        supervisor: Supervisor,
    ) -> None:
        self._outbox = outbox
        self._accepted_log = accepted_log
        self._heartbeats = heartbeats
        self._metrics = metrics
        self._now = now
        self._stopping = stopping
        self._sent_actions = SentActions()
        self._health = health
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._closed = False

    def wait_for_room(self, group: str, beat: Callable[[], None]) -> bool:
        """Wait until the outbox has room for another result. False if the producer is stopping.

        Polls wait here before they fetch, so a full outbox delays quotes and drops none. `beat` is called meanwhile.
        """
        has_room = self._outbox.wait_for_room(0)
        if not has_room:
            log.warning("outbox_full", action="polling waits for Kinesis", group=group)
        while not (has_room or self._stopping.is_set()):
            started = time.monotonic()
            has_room = self._outbox.wait_for_room(WAIT_SECONDS)
            self._metrics.outbox_full_seconds.inc(time.monotonic() - started)
            beat()
        return not self._stopping.is_set()

    def accept(
        self, state: GroupState, asked_at: datetime, result: FetchResult, beat: Callable[[], None] = lambda: None
    ) -> PollReport | None:
        """Accept the new quotes of a result, and update the group's state. None if closed: then it accepts nothing.

        `asked_at` is when the fetch began, or when a pushed result came. If the journal fails, as on a full disk, this
        waits until it works or the producer stops, so nothing of the result is lost. `beat` is called meanwhile.
        """
        while True:
            with self._supervisor.step(f"intake of {state.group.name}"):
                try:
                    return self._accept(state, asked_at, result)
                except JournalError as error:
                    self._note_failure(error, "polling waits for the journal")
            if self._supervisor.has_given_up or self._stopping.wait(WAIT_SECONDS):
                return None
            beat()

    def _accept(self, state: GroupState, asked_at: datetime, result: FetchResult) -> PollReport | None:
        with self._lock:
            if self._closed:
                return None
            actions = self._sent_actions.new(result.actions)
            deduplicated = deduplicate(self._outbox.histories, result.quotes)
            entries = self._accepted_log.entries(accepted.identity for accepted in deduplicated.accepted)
            self._outbox.put(
                deduplicated,
                actions=actions,
                rejected=len(result.rejected),
                live=state.traits.is_live,
                log_entries=entries,
            )
            self._sent_actions.record(actions)
            self._health.works(JOURNAL)
            if entries:
                self._export_log_entries()
            state.progress = state.progress.after(asked_at, result)
        report = report_of(result, deduplicated)
        state.poll_status = state.poll_status.after(asked_at, result, report)
        self._count(state.group.name, report, result)
        self._count_actions(actions, result)
        return report

    def _export_log_entries(self) -> None:
        try:
            self._outbox.export_log_entries(self._accepted_log.write)
            self._health.works(ACCEPTED_LOG)
        except BaseException as error:  # noqa: BLE001  (delivery does not depend on it)
            if self._health.fails(ACCEPTED_LOG, described(error)):
                log.warning(
                    "accepted_log_failed", detail=described(error)[:300], action="the journal keeps the entries"
                )

    def restore(self, key: str, state: UndeliveredState) -> int | None:
        """Accept the state that another producer left. Returns how many quotes it added, or None if closed.

        Raises `JournalError` if the state has another number of lanes.
        """
        with self._lock:
            return None if self._closed else self._outbox.restore(key, state)

    def watch(self, states: Sequence[GroupState]) -> None:
        """State from the next heartbeats on how far these groups are complete."""
        with self._lock:
            self._heartbeats.watch(states)

    def beat(self) -> None:
        """Add a heartbeat to each lane, after every quote that was accepted before."""
        with self._lock:
            if not self._closed:
                self._add_heartbeats(closing=False)

    def close(self) -> None:
        """Accept nothing from now on, not even the result of a poll under way, and end each lane with a heartbeat."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._add_heartbeats(closing=True)

    def _add_heartbeats(self, *, closing: bool) -> None:
        try:
            self._outbox.put_heartbeats(self._heartbeats.round(self._now()).__getitem__, closing=closing)
            self._metrics.heartbeats.inc()
        except JournalError as error:  # the next round replaces them
            self._note_failure(error, "these heartbeats are not sent")

    def _note_failure(self, error: JournalError, action: str) -> None:
        self._metrics.journal_failures.inc()
        if isinstance(error, JournalDamaged):
            self._supervisor.give_up(str(error))
        if self._health.fails(JOURNAL, str(error)):
            log.warning("journal_failed", detail=str(error)[:300], action=action)

    def _count_actions(self, new: tuple[Action, ...], result: FetchResult) -> None:
        if not (result.actions or result.rejected_actions):
            return
        for outcome, count in (
            ("accepted", len(new)),
            ("suppressed", len(result.actions) - len(new)),
            ("rejected", len(result.rejected_actions)),
        ):
            self._metrics.actions.labels(outcome).inc(count)
        for action in new:
            log.info("action_accepted", symbol=action.symbol, action=action.action, at=action.event_time.isoformat())
        for rejected in result.rejected_actions:
            log.warning("action_rejected", symbol=rejected.symbol, reason=rejected.reason[:300])

    def _count(self, group: str, report: PollReport, result: FetchResult) -> None:
        self._metrics.polls.labels(report.outcome).inc()
        self._metrics.dropped_fields.inc(result.dropped_fields)
        for failure in result.failures:
            self._metrics.source_failures.labels(failure.reason).inc()
            log.warning(
                "source_failed",
                group=group,
                reason=failure.reason,
                detail=failure.detail[:300],
                symbols=len(failure.symbols),
            )
        for rejected in result.rejected:
            log.warning("quote_rejected", symbol=rejected.symbol, reason=rejected.reason[:300])
