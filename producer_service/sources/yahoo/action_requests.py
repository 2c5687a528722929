"""Asks Yahoo for the corporate actions of symbols, in the background and gently."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import NamedTuple

import structlog

from producer_service.sources import Failure, Rejected
from producer_service.sources.yahoo.action_schedule import ActionSchedule
from producer_service.sources.yahoo.request_pool import RequestPool
from quotes import Action, Quote, whole_milliseconds
from yahoo_requests.actions import ParsedActions, parse_actions
from yahoo_requests.client import QuoteClient
from yahoo_requests.errors import FailureReason, SourceError, failure_reason
from yahoo_requests.json_values import MalformedResponse

REFUSED_SECONDS = 3_600.0
"""How long no actions are requested after Yahoo refused them with 401 or 403."""

_OF_THE_SYMBOL: FailureReason = "malformed"
"""The one failure that may concern a symbol alone. After any other, the next symbol would fail too."""

log = structlog.get_logger(__name__)


class CollectedActions(NamedTuple):
    """What the requests brought since the last time."""

    actions: tuple[Action, ...]
    rejected: tuple[Rejected, ...]
    is_rate_limited: bool
    """Yahoo refused a request because there were too many."""


class ActionRequests:
    """Asks for the actions of a few symbols after each poll, one request at a time.

    The requests run on one thread of the pool while the source waits for its next poll, and their results are part of
    that poll's. When it begins, no more of them are sent. So they delay no quote, and no failure of theirs is one of a
    poll. Their rate is limited apart from that of quotes. The methods are called from one thread at a time.
    """

    def __init__(
        self, client: QuoteClient, pool: RequestPool, monotonic: Callable[[], float], schedule: ActionSchedule
    ) -> None:
        self._client = client
        self._pool = pool
        self._monotonic = monotonic
        self._schedule = schedule
        self._running: Future[None] | None = None
        self._enough = threading.Event()
        """Set when the requests under way should be the last."""
        self._lock = threading.Lock()
        self._answers: list[tuple[str, ParsedActions | Failure, datetime]] = []
        self._refused_until = 0.0

    def collect(self) -> CollectedActions:
        """What the requests brought since the last time. Call it when a poll begins: it ends the requests."""
        self._enough.set()
        with self._lock:
            answers, self._answers = self._answers, []
        now = self._monotonic()
        actions: list[Action] = []
        rejected: list[Rejected] = []
        reasons: set[FailureReason] = set()
        for symbol, answer, asked_at in answers:
            if isinstance(answer, Failure):
                reasons.add(answer.reason)
                self._schedule.failed(symbol, now)
                log.warning("actions_failed", symbol=symbol, reason=answer.reason, detail=answer.detail[:300])
                continue
            actions += answer.actions
            rejected += [Rejected(symbol, reason) for reason in answer.rejected]
            again_at = answer.ask_again_at
            self._schedule.answered(symbol, now, None if again_at is None else (again_at - asked_at).total_seconds())
        if "unauthorized" in reasons:
            self._refused_until = now + REFUSED_SECONDS
        return CollectedActions(tuple(actions), tuple(rejected), "rate_limited" in reasons)

    def start(self, quotes: Sequence[Quote], clock: Callable[[], datetime]) -> None:
        """Ask for the actions of symbols that are due, among those of some quotes, which may have actions."""
        now = self._monotonic()
        if now < self._refused_until or not (self._running is None or self._running.done()):
            return
        if symbols := self._schedule.choose(quotes, now):
            enough = self._enough = threading.Event()
            try:
                self._running = self._pool.run_aside(lambda: self._ask_all(symbols, clock, enough))
            except RuntimeError as error:  # there is no thread for it, and the quotes are worth more
                log.warning("actions_not_requested", error=str(error))

    def _ask_all(self, symbols: Sequence[str], clock: Callable[[], datetime], enough: threading.Event) -> None:
        for symbol in symbols:
            if enough.is_set():
                return
            asked_at = whole_milliseconds(clock())
            answer = self._ask(symbol, asked_at)
            with self._lock:
                self._answers.append((symbol, answer, asked_at))
            if isinstance(answer, Failure) and answer.reason != _OF_THE_SYMBOL:
                return

    def _ask(self, symbol: str, asked_at: datetime) -> ParsedActions | Failure:
        try:
            return self._response(symbol, asked_at)
        except Exception as error:  # otherwise the symbol would be asked again with each poll
            log.exception("actions_request_broken", symbol=symbol)
            return Failure("malformed", f"{type(error).__name__}: {error}", (symbol,))

    def _response(self, symbol: str, asked_at: datetime) -> ParsedActions | Failure:
        try:
            response = self._client.chart(symbol)
        except SourceError as error:
            return Failure(error.reason, error.detail, (symbol,))
        reason = failure_reason(response.status)
        if reason is not None:
            return Failure(reason, f"HTTP {response.status} {response.body[:100]!r}", (symbol,))
        try:
            return parse_actions(response.body, symbol, asked_at)
        except MalformedResponse as error:
            return Failure("malformed", f"{error}: {response.body[:100]!r}", (symbol,))
