"""The daemon: starts the producer, runs until it is stopped or its sources end, drains, and reports what is left."""

from __future__ import annotations

import signal
import threading
import time
from functools import partial
from types import FrameType

import structlog

from producer_service.clock_watch import ClockWatch
from producer_service.errors import HandoverUnavailable, StreamUnreachable
from producer_service.http import Server
from producer_service.polling import Poller
from producer_service.schedule import Schedule
from producer_service.sources import MAX_SILENCE
from producer_service.wiring import Producer, listen_loop, poll_loop

POLL_LIMIT_SECONDS = 120
"""A poll that has not advanced for this long is stuck, since every request inside it times out within seconds."""
REFRESH_SECONDS = 86_400
"""How often calendars are loaded again."""
HEARTBEAT = "heartbeat"
TAKE_OVER_SECONDS = 60
"""How often the daemon looks for what other producers left."""
WATCH_CLOCK_SECONDS = 1
"""How often the daemon looks whether the host's clock has stepped."""
WAKE_SECONDS = 0.1
DRAIN_STEP_SECONDS = 0.2

log = structlog.get_logger(__name__)


class Daemon:
    """The running producer. `run` blocks until a signal, or the end of all sources, and returns an exit code."""

    def __init__(self, producer: Producer, server: Server) -> None:
        self._producer = producer
        self._settings = producer.settings
        self._intake = producer.intake
        self._handover = producer.handover
        self._outbox = producer.outbox
        self._stream = producer.stream
        self._sender = producer.sender
        self._schedule = Schedule(producer.metrics, polls=len(producer.pollers))
        self._health = producer.health
        self._server = server
        self._stopping = producer.stopping
        self._forced = threading.Event()
        self._ended = threading.Event()

    def run(self) -> int:
        """Run until stopped. Returns 0 if everything accepted was delivered or outlives the process, else 1."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._server.start()
        self._sender.start()
        self._take_over()
        self._check_stream()  # before the first poll, since its answer tells the time
        self._start_loops()
        settings = self._settings
        log.info(
            "started",
            source=settings.source,
            groups=[state.group.name for state in self._producer.groups],
            symbols=sum(len(state.group.symbols) for state in self._producer.groups),
            stream=settings.stream_name,
            lanes=settings.lanes,
            recovered=self._outbox.counts().recovered,
            url=settings.http_url(self._server.port),
        )
        # It does not wait for `_stopping`: the signal handler, which sets it, runs in this thread and would deadlock if
        # it interrupted the wait while that holds the event's lock.
        while not (self._stopping.is_set() or self._ended.wait(WAKE_SECONDS)):
            pass
        return self._stop()

    def _start_loops(self) -> None:
        for number in range(self._settings.requests_in_flight):
            self._health.expect(f"sender {number}", POLL_LIMIT_SECONDS)
        for poller in self._producer.pollers:
            group = poller.state.group
            self._health.expect(poll_loop(group.name), group.interval_seconds * 2 + POLL_LIMIT_SECONDS)
            self._schedule.poll(group.interval_seconds, poll_loop(group.name), partial(self._poll, poller))
        for listener in self._producer.listeners:
            self._health.expect(listen_loop(listener.name), MAX_SILENCE.total_seconds() * 2 + POLL_LIMIT_SECONDS)
            listener.start(partial(self._on_listener_end, listener.name))
        self._health.expect(HEARTBEAT, self._settings.heartbeat_seconds * 2 + POLL_LIMIT_SECONDS)
        self._schedule.every(self._settings.heartbeat_seconds, HEARTBEAT, self._beat)
        if self._settings.journal_dir is not None:
            self._schedule.every(self._settings.journal_sync_seconds, "journal sync", self._outbox.sync)
        if self._handover is not None:
            self._schedule.every(TAKE_OVER_SECONDS, "handover", self._take_over)
        self._schedule.every(REFRESH_SECONDS, "calendars", self._refresh_calendars)
        watch = ClockWatch(self._producer.clock, self._producer.metrics, self._refresh_calendars)
        self._schedule.every(WATCH_CLOCK_SECONDS, "clock", watch.look)
        self._schedule.start()

    def _refresh_calendars(self) -> None:
        self._producer.market_hours.refresh(self._producer.clock.now())

    def _take_over(self) -> None:
        if self._handover is not None:
            self._handover.take_over()

    def _beat(self) -> None:
        self._health.beat(HEARTBEAT)
        self._intake.beat()

    def _poll(self, poller: Poller) -> None:
        poller.poll_if_due()
        self._end_if_all_have()

    def _on_listener_end(self, name: str) -> None:
        self._health.release(listen_loop(name))
        self._end_if_all_have()

    def _end_if_all_have(self) -> None:
        if all(state.progress.ended for state in self._producer.groups):
            self._ended.set()

    def _check_stream(self) -> None:
        """Set readiness before the senders have sent their first request."""
        try:
            log.info("stream_answers", detail=self._stream.check())
            self._health.stream_answered(is_alive=True)
        except StreamUnreachable as error:
            log.warning("stream_unreachable", detail=str(error))
            self._health.stream_answered(is_alive=False, detail=str(error))

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    def _stop(self) -> int:
        ended = self._ended.is_set() and not self._stopping.is_set()
        self._schedule.stop()
        self._intake.close()
        self._producer.close_sources()
        self._health.release(HEARTBEAT)
        for poller in self._producer.pollers:
            self._health.release(poll_loop(poller.state.group.name))
        pending = self._outbox.counts().pending
        log.info("draining", pending=pending, why="all sources have ended" if ended else "a signal")
        drained = self._drain()
        outlive_process = self._outbox.durable
        place = "in the journal" if outlive_process else "nowhere: set PRODUCER_JOURNAL_DIR to keep them"
        if not self._forced.is_set():
            self._sender.stop()
        undelivered = self._outbox.counts().pending
        if not self._forced.is_set() and self._hand_over():
            outlive_process, place = True, "handed over"
        self._server.stop()
        if drained:
            log.info("stopped", undelivered=0)
        else:
            log.warning("stopped", undelivered=undelivered, kept=place)
        return 0 if drained or (outlive_process and not ended) else 1

    def _drain(self) -> bool:
        """Deliver everything pending. After a signal that may take `drain_seconds`, otherwise as long as it takes.

        Returns whether everything was delivered.
        """
        deadline: float | None = None
        while not self._forced.is_set():
            if self._outbox.wait_until_empty(DRAIN_STEP_SECONDS):
                return True
            if self._stopping.is_set():
                deadline = deadline or time.monotonic() + self._settings.drain_seconds
                if time.monotonic() > deadline:
                    break
        return self._outbox.wait_until_empty(0)

    def _hand_over(self) -> bool:
        """Leave everything undelivered, and the histories, to the next producer. Returns whether that worked."""
        if self._handover is None:
            return False
        try:
            self._handover.store()
        except HandoverUnavailable as error:
            log.warning("handover_failed", detail=str(error)[:300])
            return False
        return True
