"""Yahoo as a source: batches of symbols, one request each, and when to leave Yahoo alone.

Yahoo's terms leave its API to personal use.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from producer_service.sources import Failure, FetchResult
from producer_service.sources.breaker import Breaker, BreakerPolicy
from producer_service.sources.token_bucket import TokenBucket
from producer_service.sources.yahoo import traits_of
from producer_service.sources.yahoo.batch_policy import Course, outcome_of
from producer_service.sources.yahoo.client import QuoteClient, YfinanceClient
from producer_service.sources.yahoo.inactive_symbols import Absences
from producer_service.sources.yahoo.parsing import Answer, Malformed, failure_of, fields, parse
from producer_service.sources.yahoo.request_limiter import Gate, Trouble
from producer_service.sources.yahoo.request_pool import Batch, Outcome, Volleys
from quotes import whole_milliseconds

MAX_BATCH = 50
"""Symbols a request. Yahoo fails above 99 (quantmod #433), and has answered 429 from 65 on (ticker #303)."""

MAX_IN_FLIGHT = 4
"""Requests at a time, as yahoo-finance2 has it, which was refused for more (#338)."""

TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 30.0
REQUESTS_PER_SECOND = 2.0
"""In the long run: 1,000 symbols every 10 seconds. Yahoo publishes no limit; `requests_burst` is for one such poll."""
REQUESTS_BURST = 20

MAX_STALENESS = timedelta(seconds=10)
"""Yahoo's caches may answer with what was true so long ago: `max-age=1, stale-while-revalidate=9`."""

_GRACE_SECONDS = 1.0
"""How much longer than its requests may take a poll waits for them."""

log = structlog.get_logger(__name__)


class YahooSource:
    """Polls Yahoo's v7 quotes through yfinance: one request per 50 symbols, at most four at a time.

    - A poll ends within `poll_seconds`, and gives up earlier once Yahoo refuses it (429; 401 after the crumb was
      renewed) or two batches in a row fail: the batches not asked are failures for the same reason, and the first to be
      asked in the next poll. After a 429 nothing more is sent.
    - A breaker leaves Yahoo alone for minutes after a refusal, or polls that fail: see `breaker`. Polls then ask
      nothing; the first one after that asks one batch, and the others if it was answered.
    - Symbols without a price for days are set aside and tried once a day: see `missing`. A failed batch is no miss.
    - `extended_hours`: prices before and after the regular session, see `yahoo_quotes`.

    Breaker, bucket and absences are in memory: a restart begins anew. One instance a process, since Yahoo counts by
    address and yfinance's caches are global; polls of several threads take turns. `close` may be called at any time
    from any thread: a fetch under way returns at once, and the requests in flight, whose answers nobody wants, end
    within `timeout_seconds`.
    """

    symbols: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        cache_directory: Path | None = None,
        extended_hours: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        poll_seconds: float = POLL_SECONDS,
        max_in_flight: int = MAX_IN_FLIGHT,
        requests_per_second: float = REQUESTS_PER_SECOND,
        requests_burst: int = REQUESTS_BURST,
        breaker_policy: BreakerPolicy | None = None,
        absences: Absences | None = None,
        client: QuoteClient | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.traits = traits_of(extended_hours=extended_hours)
        self._in_flight = max(1, min(max_in_flight, MAX_IN_FLIGHT))
        self._extended_hours = extended_hours
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic
        self._jitter = jitter
        self._breaker = Breaker(policy=breaker_policy or BreakerPolicy())
        self._absences = absences or Absences()
        self._client = client or YfinanceClient(
            cache_directory,
            Gate(TokenBucket(requests_per_second, requests_burst), timeout_seconds),
            fields(extended_hours=extended_hours),
        )
        self._volleys = Volleys(self._in_flight, monotonic)
        self._turn = threading.Lock()
        self._delays: dict[str, int] = {}
        """Minutes: the longest that each symbol ever declared."""
        self._resume: str | None = None
        """The symbol whose batch is the first to be asked, since the last poll did not come to it."""

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """The quotes of some symbols as Yahoo has them now; unchanged ones come again. Trouble with Yahoo is a value.

        In the order of the symbols. Complete to the start of the poll less the staleness of caches and the longest
        delay that any of the symbols ever declared: one that is missing today may come delayed in the next poll.
        """
        started = self._monotonic()

        def clock() -> datetime:
            return now + timedelta(seconds=self._monotonic() - started)

        with self._turn:
            permission = self._breaker.permits(clock())
            if permission == "none":
                return FetchResult(paused_until=self._breaker.paused_until, set_aside=self._absences.set_aside(symbols))
            due = self._absences.due(symbols, clock())
            batches = [tuple(due[first : first + MAX_BATCH]) for first in range(0, len(due), MAX_BATCH)]
            course = Course(
                len(batches), in_flight=self._in_flight, first=self._first(batches), probe=permission == "probe"
            )
            outcomes = self._fire(batches, course, clock)
            self._resume = batches[course.unasked[0]][0] if course.unasked else None
            self._judge(outcomes, clock())
            missing = self._note_missing(symbols, outcomes, now)
            answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
            failures = tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))
            return FetchResult(
                quotes=tuple(quote for answer in answers for quote in answer.quotes),
                rejected=tuple(rejected for answer in answers for rejected in answer.rejected),
                missing=missing,
                set_aside=self._absences.set_aside(symbols),
                failures=failures,
                paused_until=self._breaker.paused_until,
                complete_to=None if failures else self._complete_to(symbols, answers, now),
            )

    def _complete_to(self, symbols: Sequence[str], answers: Sequence[Answer], now: datetime) -> datetime:
        for answer in answers:
            for quote in answer.quotes:
                self._delays[quote.symbol] = max(self._delays.get(quote.symbol, 0), quote.delay_minutes or 0)
        longest = max((self._delays.get(symbol, 0) for symbol in symbols), default=0)
        return whole_milliseconds(now) - MAX_STALENESS - timedelta(minutes=longest)

    def _first(self, batches: Sequence[Batch]) -> int:
        return next((number for number, batch in enumerate(batches) if self._resume in batch), 0)

    def _fire(self, batches: Sequence[Batch], course: Course, clock: Callable[[], datetime]) -> list[Outcome]:
        """Ask the batches. One outcome each, in their order."""
        self._client.begin(self._poll_seconds)
        outcomes = self._volleys.fire(
            batches, lambda batch: self._ask(batch, clock), course, self._poll_seconds + _GRACE_SECONDS
        )
        return [outcomes.get(number) or _unheard(batch, course, number) for number, batch in enumerate(batches)]

    def _ask(self, batch: Batch, clock: Callable[[], datetime]) -> Outcome:
        try:
            reply = self._client.get(batch)
        except Trouble as trouble:
            return Failure(trouble.reason, trouble.detail, batch)
        reason = failure_of(reply.status)
        if reason is not None:
            return Failure(reason, f"HTTP {reply.status} {reply.body[:100]!r}", batch)
        try:
            return parse(reply.body, batch, whole_milliseconds(clock()), extended_hours=self._extended_hours)
        except Malformed as error:
            return Failure("malformed", f"{error}: {reply.body[:100]!r}", batch)

    def _judge(self, outcomes: Sequence[Outcome], ended: datetime) -> None:
        """Move the breaker, and say so."""
        outcome = outcome_of([each.reason if isinstance(each, Failure) else None for each in outcomes])
        if outcome is None:
            return
        before, self._breaker = self._breaker, self._breaker.after(outcome, ended, self._jitter())
        if self._breaker.paused_until != before.paused_until:
            if self._breaker.paused_until is None:
                log.info("yahoo_resumed", after_pauses=before.pauses)
            else:
                log.warning("yahoo_paused", why=outcome, until=self._breaker.paused_until.isoformat())

    def _note_missing(self, symbols: Sequence[str], outcomes: Sequence[Outcome], now: datetime) -> tuple[str, ...]:
        """Count the misses, say who is set aside or back, and return the missing."""
        before = {*self._absences.set_aside(symbols)}
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        missing = tuple(symbol for answer in answers for symbol in answer.missing)
        self._absences.note(missing, [symbol for answer in answers for symbol in answer.present], now)
        after = {*self._absences.set_aside(symbols)}
        if after - before:
            log.warning("symbols_set_aside", symbols=sorted(after - before), action="asked for once a day from now on")
        if before - after:
            log.info("symbols_back", symbols=sorted(before - after))
        return missing

    def close(self) -> None:
        """End a fetch under way, close the connections, and remove a temporary cache. A later fetch asks nothing."""
        self._volleys.stop()
        self._client.stop()
        with self._turn:
            self._volleys.close()
            self._client.close()


def _unheard(batch: Batch, course: Course, number: int) -> Failure:
    """The failure of a batch that has no outcome, for the reason that ended the poll."""
    assert course.ended_by is not None  # noqa: S101  (or each has one)
    if number not in course.unasked:
        return Failure(course.ended_by, "no answer by the end of the poll", batch)
    why = "the source is closed" if course.ended_by == "stopped" else "an earlier batch failed"
    return Failure(course.ended_by, f"not asked, as {why}", batch)
