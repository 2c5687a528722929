"""Listening: runs a pushed source on a thread of its own, and starts it again whenever it fails."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue

import structlog

from producer_service.backoff import pause
from producer_service.group_state import GroupState
from producer_service.intake import WAIT_SECONDS, Intake
from producer_service.metrics import Metrics
from producer_service.poll_report import PollReport, total
from producer_service.polling import failure_of, log_poll
from producer_service.sources import Failure, FetchResult, Market, PushedSource
from producer_service.supervisor import Supervisor

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""The bounds of the pause before a source is started again."""
SUMMARY_SECONDS = 10.0
"""How often the results of a group are logged. A line for each result would be a line for each quote."""
STOP_SECONDS = 5.0

log = structlog.get_logger(__name__)


class GroupMarket:
    """See `Market`: the hours of some groups."""

    def __init__(self, states: Sequence[GroupState], now: Callable[[], datetime]) -> None:
        self._states = states
        self.now = now

    def due(self) -> tuple[str, ...]:
        """See `Market`."""
        now = self.now()
        return tuple(symbol for state in self._states if state.is_due(now) for symbol in state.group.symbols)

    def trading(self) -> tuple[str, ...]:
        """See `Market`."""
        now = self.now()
        return tuple(symbol for state in self._states if state.is_trading(now) for symbol in state.group.symbols)


class OpenMarket:
    """See `Market`: some symbols that are always due, for a source that is asked once."""

    def __init__(self, symbols: Sequence[str], now: Callable[[], datetime]) -> None:
        self._symbols = tuple(symbols)
        self.now = now

    def due(self) -> tuple[str, ...]:
        """See `Market`."""
        return self._symbols

    trading = due


class Listener:
    """Hands each result of a pushed source to the intake: each group of the source gets its part of the result.

    When the source returns or raises, that is counted and logged as a failure of the source, and the source is started
    again after a pause with full jitter. The bound of the pause doubles until the source has run for longer than the
    longest pause. `beat` reports to the health check that results come in. `jitter` is uniform from 0 to 1.
    """

    def __init__(
        self,
        name: str,
        source: PushedSource,
        states: Sequence[GroupState],
        intake: Intake,
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        stopping: threading.Event,
        beat: Callable[[], None],
        jitter: Callable[[], float],
        supervisor: Supervisor,
    ) -> None:
        self.name = name
        self.states = states
        self._source = source
        self._intake = intake
        self._metrics = metrics
        self._now = now
        self._stopping = stopping
        self._beat = beat
        self._jitter = jitter
        self._supervisor = supervisor
        self._all_symbols = tuple(symbol for state in states for symbol in state.group.symbols)
        self._symbols = {state.group.name: frozenset(state.group.symbols) for state in states}
        self._reports: defaultdict[str, list[PollReport]] = defaultdict(list)
        self._summarized_at = time.monotonic()
        self._has_reported_failure = False
        self._is_over = False
        self._is_retired = False
        self._thread: threading.Thread | None = None

    def start(self, on_end: Callable[[], None]) -> None:
        """Start listening. `on_end` is called from the thread when it ends."""
        self._thread = self._supervisor.thread(f"listen {self.name}", partial(self._run, on_end), lambda: self._is_over)
        self._thread.start()

    def stop(self) -> None:
        """Close the source, and wait a moment for the thread to end. Call it when the listening is to end."""
        self._source.close()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def retire(self) -> bool:
        """Stop listening while the producer goes on. `on_end` of `start` is not called. Returns True, as it is over."""
        self._is_retired = True
        self.stop()
        return True

    @property
    def _is_leaving(self) -> bool:
        return self._stopping.is_set() or self._is_retired

    @property
    def _has_ended(self) -> bool:
        return all(state.progress.ended for state in self.states)

    def _run(self, on_end: Callable[[], None]) -> None:
        failures = 0
        while not (self._is_leaving or self._has_ended):
            started = time.monotonic()
            self._listen()
            if time.monotonic() - started > LONGEST_PAUSE_SECONDS:
                failures = 0
            if not self._has_ended:
                seconds = pause(failures, self._jitter(), first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
                self._pause(seconds)
            failures += 1
        self._is_over = True
        self._log_summary()
        if not self._is_retired:
            on_end()

    def _pause(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while not self._is_leaving and (rest := ends_at - time.monotonic()) > 0:
            self._stopping.wait(min(rest, WAIT_SECONDS))

    def _listen(self) -> None:
        """Run the source until it returns or raises, and report why."""
        self._beat()
        self._has_reported_failure = False
        try:
            self._source.listen(self._deliver, GroupMarket(self.states, self._now))
        except BaseException as error:
            if not isinstance(error, OSError):  # not the network's trouble, so the stack trace is needed
                log.exception("listener_crashed", source=self.name)
            self._report(failure_of(error, self._all_symbols))
            return
        if not (self._is_leaving or self._has_ended or self._has_reported_failure):
            self._report(Failure("connection", "the source ended its connection", self._all_symbols))

    def _report(self, failure: Failure) -> None:
        """Have a failure of the source counted and logged, as one that it delivers itself."""
        self._accept(FetchResult(failures=(failure,)))

    def _deliver(self, result: FetchResult) -> None:
        """Take a result from the source. Blocks while the outbox is full."""
        self._beat()
        self._has_reported_failure = bool(result.failures)
        for state in self.states:
            if not self._intake.wait_for_room(state.group.name, self._beat):
                return
        self._accept(result)

    def _accept(self, result: FetchResult) -> None:
        asked_at = result.asked_at or self._now()
        if result.connection is not None:
            self._metrics.pushed.count(result.connection)
        for state in self.states:
            name = state.group.name
            report = self._intake.accept(state, asked_at, result.for_symbols(self._symbols[name]), self._beat)
            if report is not None:
                self._reports[name].append(report)
        if time.monotonic() - self._summarized_at >= SUMMARY_SECONDS:
            self._log_summary()

    def _log_summary(self) -> None:
        for state in self.states:
            if reports := self._reports.get(state.group.name):
                log_poll(state, total(reports), self._now())
        self._reports.clear()
        self._summarized_at = time.monotonic()


def first_result(
    source: PushedSource, symbols: Sequence[str], now: Callable[[], datetime], seconds: float
) -> FetchResult:
    """The first result of a source, or a failure if it raises, returns or delivers nothing in time. Then closes it."""
    results: list[FetchResult] = []

    def take(result: FetchResult) -> bool:
        results.append(result)
        return True

    listen_until(take, source, OpenMarket(symbols, now), seconds)
    return results[0]


def listen_until(
    is_enough: Callable[[FetchResult], bool], source: PushedSource, market: Market, seconds: float
) -> None:
    """Hand each result of a source to `is_enough`, until that says so or the time is over. Then close the source.

    The last result is a failure if the source raises or returns before, and the only one if it delivers nothing.
    """
    deliveries: SimpleQueue[tuple[FetchResult, bool]] = SimpleQueue()

    def listen() -> None:
        try:
            source.listen(lambda result: deliveries.put((result, False)), market)
            failure = Failure("connection", "the source ended its connection", source.symbols)
        except BaseException as error:  # noqa: BLE001  (whatever a client library raises)
            failure = failure_of(error, source.symbols)
        deliveries.put((FetchResult(failures=(failure,)), True))

    threading.Thread(target=listen, name="listen-until", daemon=True).start()
    deadline = time.monotonic() + seconds
    is_silent, is_over = True, False
    try:
        while not is_over:
            result, is_last = deliveries.get(timeout=max(0.0, deadline - time.monotonic()))
            is_silent = False
            is_over = is_enough(result) or is_last
    except Empty:
        if is_silent:
            failure = Failure("timeout", f"the source delivered nothing within {seconds:.0f} s", source.symbols)
            is_enough(FetchResult(failures=(failure,)))
    finally:
        source.close()
