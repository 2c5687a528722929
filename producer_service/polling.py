"""Polling: fetch from a source, have the new quotes accepted, and log what was done. Each group has one poller."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from producer_service.errors import described
from producer_service.group_state import GroupState
from producer_service.intake import WAIT_SECONDS, Intake
from producer_service.metrics import Metrics
from producer_service.poll_report import PollReport
from producer_service.sources import Failure, FetchResult, ForgettingSource, PolledSource
from yahoo_requests.errors import FailureReason

MAX_LOGGED_SYMBOLS = 20

log = structlog.get_logger(__name__)


class Fetch(NamedTuple):
    """When a source was asked, and what it returned."""

    asked_at: datetime
    result: FetchResult


class SharedSource:
    """A polled source that several groups share. It runs one fetch at a time, and none once `stopping` is set."""

    def __init__(
        self, source: PolledSource, metrics: Metrics, *, now: Callable[[], datetime], stopping: threading.Event
    ) -> None:
        self._source = source
        self._metrics = metrics
        self._now = now
        self._stopping = stopping
        self._lock = threading.Lock()
        self._crash = ""  # what the source raised last time; the same again is logged without a traceback

    def fetch(self, symbols: Sequence[str], beat: Callable[[], None]) -> Fetch | None:
        """Wait until no other fetch is under way, then fetch. `beat` is called meanwhile. None if stopped before."""
        while not self._lock.acquire(timeout=WAIT_SECONDS):
            beat()
            if self._stopping.is_set():
                return None
        try:
            if self._stopping.is_set():
                return None
            beat()
            asked_at = self._now()
            started = time.perf_counter()
            result = self._result(symbols, asked_at)
            self._metrics.poll_seconds.observe(time.perf_counter() - started)
            return Fetch(asked_at, result)
        finally:
            self._lock.release()

    def _result(self, symbols: Sequence[str], asked_at: datetime) -> FetchResult:
        """The source's result. Whatever the source raises is a failure of the source, as one that it returns."""
        try:
            result = self._source.fetch(symbols, asked_at)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = failure_of(error, symbols)
            if failure.detail != self._crash and not isinstance(error, OSError):
                log.exception("fetch_crashed")
            self._crash = failure.detail
            return FetchResult(failures=(failure,))
        self._crash = ""
        return result

    def close(self) -> None:
        """Close the source, which ends a fetch under way."""
        self._source.close()

    def forget(self, symbols: Collection[str]) -> None:
        """Have the source forget symbols that are no longer polled, as soon as no fetch is under way."""
        if not isinstance(self._source, ForgettingSource):
            return
        while not self._lock.acquire(timeout=WAIT_SECONDS):
            if self._stopping.is_set():
                return
        try:
            self._source.forget(symbols)
        finally:
            self._lock.release()


class Poller:
    """Polls one group, one poll at a time. Once `stopping` is set, a poll accepts nothing more.

    `beat` reports to the health check that this group's polls advance.
    """

    def __init__(
        self,
        state: GroupState,
        source: SharedSource,
        intake: Intake,
        *,
        now: Callable[[], datetime],
        stopping: threading.Event,
        beat: Callable[[], None],
    ) -> None:
        self.state = state
        self._source = source
        self._intake = intake
        self._now = now
        self._stopping = stopping
        self._beat = beat
        self._polling = threading.Lock()
        self._is_retired = False

    def poll_if_due(self) -> PollReport | None:
        """Poll if the group's hours make it worth it. None if not, or if stopped or retired."""
        with self._polling:
            if self._is_retired:
                return None
            self._beat()
            return self.poll_all() if self.state.is_due(self._now()) else None

    def poll_all(self) -> PollReport | None:
        """Poll until the source has nothing more that is due now. Returns the last report, or None if stopped."""
        while (report := self.poll()) is not None and report.more and not self._is_retired:
            pass
        return report

    def retire(self) -> bool:
        """Begin no more polls, and wait a moment for a poll under way. Returns whether none is under way any more.

        Only then a poller may replace this one, so that a quote of this poll comes before those of the other's polls.
        """
        self._is_retired = True
        is_idle = self._polling.acquire(timeout=WAIT_SECONDS)
        if is_idle:
            self._polling.release()
        return is_idle

    def poll(self) -> PollReport | None:
        """Poll once, as soon as the outbox has room. None if stopped: then it accepts nothing."""
        group = self.state.group
        if not self._intake.wait_for_room(group.name, self._beat):
            return None
        fetch = self._source.fetch(group.symbols, self._beat)
        if fetch is None:
            return None
        report = self._intake.accept(self.state, fetch.asked_at, fetch.result, self._beat)
        if report is not None:
            log_poll(self.state, report, fetch.asked_at, fetch.result.missing)
        return report


def failure_of(error: BaseException, symbols: Sequence[str]) -> Failure:
    """The failure of a source that raised an error."""
    reason: FailureReason = "malformed"
    if isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, OSError):
        reason = "connection"
    return Failure(reason, described(error), tuple(symbols))


def log_poll(state: GroupState, report: PollReport, at: datetime, missing: Sequence[str] = ()) -> None:
    """Log a poll. An alarm on AWS counts the field `accepted` of the lines with `trading`: see producer-alarms.yaml."""
    fields = msgspec.structs.asdict(report)
    if missing:
        fields["missing"] = list(missing[:MAX_LOGGED_SYMBOLS])
        hints = {symbol: state.traits.hint(symbol, is_missing=True) for symbol in fields["missing"]}
        if found := {symbol: hint for symbol, hint in hints.items() if hint is not None}:
            fields["hints"] = found
    log.info("polled", group=state.group.name, trading=state.is_trading(at), **fields)
