"""The daemon: starts the producer, runs until it is stopped or its sources end, drains, and reports what is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

import structlog

from producer_service.clock_watch import ClockWatch
from producer_service.errors import ProducerError, described
from producer_service.groups import Groups, listen_loop, poll_loop
from producer_service.health import SYNC, Health
from producer_service.http import Server
from producer_service.listener import Listener
from producer_service.polling import Poller
from producer_service.schedule import Schedule
from producer_service.session_writer import LOOK_SECONDS, SessionWriter
from producer_service.sources import MAX_SILENCE
from producer_service.wiring import Producer

POLL_LIMIT_SECONDS = 120
"""A poll that has not advanced for this long is stuck, since every request inside it times out within seconds."""
REFRESH_SECONDS = 86_400
"""How often calendars are loaded again."""
HEARTBEAT = "heartbeat"
SESSIONS = "sessions"
"""The thread that writes the exchanges' sessions."""
SESSIONS_SECONDS = 30
"""How long the end of a recording waits until its sessions are written."""
TAKE_OVER_SECONDS = 60
"""How often the daemon looks for what other producers left."""
WATCH_CLOCK_SECONDS = 1
"""How often the daemon looks whether the host's clock has stepped."""
START_SECONDS = 30
"""How long the start waits for the handover store. After that it goes on, and the store is asked every minute."""
CHECK_SECONDS = 15
STUCK_SECONDS = 60
"""How long the process stays after the health check has failed. An orchestrator has replaced it by then."""
HAND_OVER_SECONDS = 45
"""How long a stop waits for the handover store."""
SPARE_SECONDS = 15
"""How much longer than the sum of its parts a stop may take. After that the process ends as it is."""
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
        self._schedule = Schedule(producer.metrics)
        self._loops = _Loops(self._schedule, producer.health, self._run_poll, self._on_listener_end)
        self._health = producer.health
        self._server = server
        self._stopping = producer.stopping
        self._supervisor = producer.supervisor
        self._forced = threading.Event()
        self._ended = threading.Event()

    def run(self) -> int:
        """Run until stopped. Returns 0 if everything accepted was delivered or outlives the process, else 1.

        It also returns 1 if it gave up: then only a new process may help.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._supervisor.watch_other_threads()
        try:
            self._start()
            self._wait()
        except BaseException as error:
            log.exception("crashed")
            self._supervisor.give_up(described(error))
        return self._stop()

    def _start(self) -> None:
        self._server.start()
        self._sender.start()
        # The answer of the stream tells the time, which everything after it needs.
        self._attempt("stream check", self._check_stream, CHECK_SECONDS, unless=self._stopping)
        # What another producer left comes before new quotes.
        self._attempt("handover", self._take_over, START_SECONDS, unless=self._stopping)
        if self._producer.watch is not None and not self._producer.groups.states:
            self._attempt("watchlist", self._look, START_SECONDS, unless=self._stopping)
        self._start_loops()
        settings = self._settings
        groups = self._producer.groups.states
        log.info(
            "started",
            source=settings.source,
            groups=[state.group.name for state in groups],
            symbols=sum(len(state.group.symbols) for state in groups),
            stream=settings.stream_name,
            lanes=settings.lanes,
            recovered=self._outbox.counts().recovered,
            url=settings.http_url(self._server.port),
        )

    def _wait(self) -> None:
        """Wait for a signal, for the end of all sources, or until only a new process may help."""
        stuck_since: float | None = None
        # It does not wait for `_stopping`: the signal handler, which sets it, runs in this thread and would deadlock if
        # it interrupted the wait while that holds the event's lock.
        while not (self._stopping.is_set() or self._supervisor.has_given_up or self._ended.wait(WAKE_SECONDS)):
            liveness = self._health.liveness()
            if liveness.ok:
                stuck_since = None
            elif stuck_since is None:
                stuck_since = time.monotonic()
            elif time.monotonic() - stuck_since > STUCK_SECONDS:
                self._supervisor.give_up(liveness.reason)

    def _attempt(self, activity: str, action: Callable[[], object], seconds: float, *, unless: threading.Event) -> bool:
        """Do something on another thread, and wait until it is done, but no longer than some seconds or an event.

        Returns whether it is done. It may hang, and this thread must not.
        """
        done = threading.Event()

        def attempt() -> None:
            with self._supervisor.step(activity):
                action()
            done.set()

        threading.Thread(target=attempt, name=activity, daemon=True).start()
        deadline = time.monotonic() + seconds
        while not (done.wait(WAKE_SECONDS) or unless.is_set() or time.monotonic() > deadline):
            pass
        return done.is_set()

    def _start_loops(self) -> None:
        for number in range(self._settings.requests_in_flight):
            self._health.expect(f"sender {number}", POLL_LIMIT_SECONDS)
        self._loops.begin_all(self._producer.groups)
        self._health.expect(HEARTBEAT, self._settings.heartbeat_seconds * 2 + POLL_LIMIT_SECONDS)
        self._schedule.every(self._settings.heartbeat_seconds, HEARTBEAT, partial(self._job, HEARTBEAT, self._beat))
        if self._settings.journal_dir is not None:
            self._schedule.every(self._settings.journal_sync_seconds, "journal sync", self._sync)
        if self._handover is not None:
            self._schedule.every(TAKE_OVER_SECONDS, "handover", partial(self._job, "handover", self._take_over))
        if self._producer.watch is not None:
            seconds = self._settings.watchlist_seconds
            self._schedule.watch(seconds, "watchlist", partial(self._job, "watchlist", self._look))
        self._schedule.every(REFRESH_SECONDS, "calendars", self._refresh_calendars)
        watch = ClockWatch(self._producer.clock, self._producer.metrics, self._refresh_calendars)
        self._schedule.every(WATCH_CLOCK_SECONDS, "clock", watch.look)
        self._schedule.start()
        if (sessions := self._producer.sessions) is not None:
            self._supervisor.thread(SESSIONS, partial(self._write_sessions, sessions), self._is_ending).start()

    def _refresh_calendars(self) -> None:
        self._producer.market_hours.refresh(self._producer.clock.now())

    def _write_sessions(self, sessions: SessionWriter) -> None:
        sessions.look()
        self._stopping.wait(LOOK_SECONDS)

    def _is_ending(self) -> bool:
        return self._stopping.is_set() or self._supervisor.has_given_up

    def _job(self, activity: str, action: Callable[[], object]) -> None:
        """A run of a job of the schedule. None begins once the process is about to end."""
        if not self._supervisor.has_given_up:
            self._step(activity, action)

    def _step(self, activity: str, action: Callable[[], object]) -> None:
        with self._supervisor.step(activity):
            action()

    def _sync(self) -> None:
        try:
            self._outbox.sync()
            self._health.works(SYNC)
        except BaseException as error:  # noqa: BLE001  (whatever it raises, the next sync tries again)
            if self._health.fails(SYNC, described(error)):
                log.warning("journal_sync_failed", detail=described(error)[:300], action="a power cut would lose more")

    def _take_over(self) -> None:
        if self._handover is not None:
            self._handover.take_over()

    def _beat(self) -> None:
        self._health.beat(HEARTBEAT)
        self._intake.beat()

    def _look(self) -> None:
        if self._producer.watch is not None:
            self._producer.watch.look(self._loops)

    def _run_poll(self, poller: Poller) -> None:
        self._job(poll_loop(poller.state.group.name), partial(self._poll, poller))

    def _poll(self, poller: Poller) -> None:
        poller.poll_if_due()
        self._end_if_all_have()

    def _on_listener_end(self, name: str) -> None:
        self._health.release(listen_loop(name))
        self._end_if_all_have()

    def _end_if_all_have(self) -> None:
        states = self._producer.groups.states
        if states and all(state.progress.ended for state in states):
            self._ended.set()

    def _check_stream(self) -> None:
        """Set readiness before the senders have sent their first request."""
        try:
            log.info("stream_answers", detail=self._stream.check())
            self._health.stream_answered(is_alive=True)
        except BaseException as error:  # noqa: BLE001  (the senders ask again at once, whatever it was)
            log.warning("stream_unreachable", detail=described(error))
            self._health.stream_answered(is_alive=False, detail=described(error))

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    def _stop(self) -> int:
        last_request = self._settings.kinesis_timeout_seconds + CHECK_SECONDS
        has_given_up = self._supervisor.has_given_up
        ended = self._ended.is_set() and not (self._stopping.is_set() or has_given_up)
        if not ended:
            self._stopping.set()
            watchdog = threading.Timer(
                self._settings.drain_seconds + last_request + HAND_OVER_SECONDS + SPARE_SECONDS, os._exit, (1,)
            )
            watchdog.daemon = True
            watchdog.start()
        elif (sessions := self._producer.sessions) is not None:
            self._attempt(
                SESSIONS, lambda: sessions.has_written.wait(SESSIONS_SECONDS), SESSIONS_SECONDS, unless=self._stopping
            )
        self._step("stopping the schedule", self._schedule.stop)
        self._step("closing the intake", self._intake.close)
        self._producer.groups.close()
        self._health.release(HEARTBEAT)
        for poller in self._producer.groups.pollers:
            self._health.release(poll_loop(poller.state.group.name))
        pending = self._outbox.counts().pending
        log.info("draining", pending=pending, why=_reason(ended=ended, has_given_up=has_given_up))
        drained = self._drain()
        outlive_process = self._outbox.durable
        place = "in the journal" if outlive_process else "nowhere: set PRODUCER_JOURNAL_DIR to keep them"
        if not self._forced.is_set():
            self._sender.stop(last_request)
        undelivered = self._outbox.counts().pending
        if not self._forced.is_set() and self._hand_over():
            outlive_process, place = True, "handed over"
        self._step("stopping the server", self._server.stop)
        if not ended:
            watchdog.cancel()
        if drained:
            log.info("stopped", undelivered=0)
        else:
            log.warning("stopped", undelivered=undelivered, kept=place)
        is_safe = drained or (outlive_process and not ended)
        return 0 if is_safe and not has_given_up else 1

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
        handover, stored = self._handover, threading.Event()
        if handover is None:
            return False

        def store() -> None:
            try:
                handover.store()
                stored.set()
            except ProducerError as error:
                log.warning("handover_failed", detail=str(error)[:300])

        self._attempt("handing over", store, HAND_OVER_SECONDS, unless=self._forced)
        return stored.is_set()


class _Loops:
    """See `Loops`: on the schedule, with the health check expecting each loop to advance."""

    def __init__(
        self, schedule: Schedule, health: Health, poll: Callable[[Poller], None], on_end: Callable[[str], None]
    ) -> None:
        self._schedule = schedule
        self._health = health
        self._poll = poll
        self._on_end = on_end
        self._lock = threading.Lock()
        self._jobs: dict[Poller | Listener, str | None] = {}
        self._is_begun = False

    def begin_all(self, groups: Groups) -> None:
        """Begin the loops of all groups. Until then, `begin` begins nothing."""
        self._is_begun = True
        loops: list[Poller | Listener] = [*groups.pollers, *groups.listeners]
        for loop in loops:
            self.begin(loop)

    def begin(self, loop: Poller | Listener) -> None:
        """See `Loops.begin`."""
        with self._lock:
            if self._is_begun and loop not in self._jobs:
                self._jobs[loop] = self._begun(loop)

    def end(self, loop: Poller | Listener) -> None:
        """See `Loops.end`."""
        if (job := self._jobs.pop(loop, None)) is not None:
            self._schedule.end(job)

    def release(self, loop: Poller | Listener) -> None:
        """See `Loops.release`."""
        self._health.release(listen_loop(loop.name) if isinstance(loop, Listener) else poll_loop(loop.state.group.name))

    def _begun(self, loop: Poller | Listener) -> str | None:
        if isinstance(loop, Listener):
            self._health.expect(listen_loop(loop.name), MAX_SILENCE.total_seconds() * 2 + POLL_LIMIT_SECONDS)
            loop.start(partial(self._on_end, loop.name))
            return None
        group, name = loop.state.group, poll_loop(loop.state.group.name)
        self._health.expect(name, group.interval_seconds * 2 + POLL_LIMIT_SECONDS)
        return self._schedule.poll(group.interval_seconds, name, partial(self._poll, loop))


def _reason(*, ended: bool, has_given_up: bool) -> str:
    if has_given_up:
        return "it gave up"
    return "all sources have ended" if ended else "a signal"
