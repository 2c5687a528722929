"""Yahoo Finance as a source of quotes: requests batches of symbols, and backs off when Yahoo refuses them.

Yahoo's terms limit its API to personal use.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from producer_service.errors import ConfigurationError
from producer_service.private_files import make_directory
from producer_service.sources import Failure, FetchResult
from producer_service.sources.yahoo import traits_of
from producer_service.sources.yahoo.action_requests import ActionRequests
from producer_service.sources.yahoo.action_schedule import ActionSchedule
from producer_service.sources.yahoo.batch_policy import BatchPolicy, poll_outcome
from producer_service.sources.yahoo.empty_responses import LastAnswers, with_reference
from producer_service.sources.yahoo.inactive_symbols import InactiveSymbols
from producer_service.sources.yahoo.parsing import ParsedResponse, parse, requested_fields
from producer_service.sources.yahoo.request_pool import Batch, BatchResult, RequestPool
from quotes import whole_milliseconds
from yahoo_requests.breaker import Breaker, BreakerPolicy, PollOutcome
from yahoo_requests.client import QuoteClient, YfinanceClient
from yahoo_requests.errors import SourceError, failure_reason
from yahoo_requests.json_values import MalformedResponse
from yahoo_requests.request_limiter import REQUESTS_PER_SECOND, TIMEOUT_SECONDS, RequestLimiter
from yahoo_requests.token_bucket import TokenBucket

MAX_BATCH = 50
"""The most symbols in a request. Yahoo fails above 99 (quantmod #433), and sometimes answers 429 from 65 on (ticker
#303)."""

MAX_IN_FLIGHT = 4
"""The most requests at a time. yahoo-finance2 uses this limit, because Yahoo refused more (#338)."""

POLL_SECONDS = 30.0
REQUESTS_BURST = 20
"""The most requests at once: one poll of 1,000 symbols."""

MAX_STALENESS = timedelta(seconds=10)
"""The oldest state that Yahoo's caches may return. Responses say `max-age=1, stale-while-revalidate=9`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRACE_SECONDS = 1.0
"""How much longer a poll waits for its requests than they may take."""

log = structlog.get_logger(__name__)


class YahooSource:
    """Polls Yahoo's v7 quotes through yfinance: one request for 50 symbols, and at most four requests at a time.

    - A poll ends within `poll_seconds`. It stops early when Yahoo refuses it (429, or 401 after the crumb was renewed),
      or when two batches in a row fail. The batches that it did not request fail for the same reason, and the next poll
      starts with them. After a 429 nothing more is sent.
    - After a refusal, or after several failed polls, a breaker pauses the source for minutes: see `breaker`. Polls
      during the pause request nothing. The first poll after it requests one batch, and the others if that succeeds.
    - A response without a quote is a failure, unless its symbols have no price: see `empty_responses`.
    - Symbols without a price for days are requested once a day: see `inactive_symbols`. A failed batch is not a miss.
    - After each poll a few symbols are asked for their corporate actions, which the next poll delivers: see
      `action_requests`. A failure of these requests fails no poll, but a 429 opens the breaker.
    - With `extended_hours`, quotes include prices from before and after the regular session: see `parsing`.

    The state of breaker, bucket and inactive symbols is in memory, and a restart resets it. Use one instance in a
    process, because Yahoo counts requests by address and yfinance's caches are global. Polls from several threads take
    turns. `close` may be called at any time from any thread. A fetch in progress then returns at once. Its requests end
    within `timeout_seconds`, and their responses are dropped.
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
        inactive_symbols: InactiveSymbols | None = None,
        action_schedule: ActionSchedule | None = None,
        client: QuoteClient | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.traits = traits_of(extended_hours=extended_hours)
        self._max_in_flight = max(1, min(max_in_flight, MAX_IN_FLIGHT))
        self._extended_hours = extended_hours
        self._poll_seconds = poll_seconds
        self._monotonic = monotonic
        self._jitter = jitter
        self._breaker = Breaker(policy=breaker_policy or BreakerPolicy())
        self._inactive_symbols = inactive_symbols or InactiveSymbols()
        self._last_answers = LastAnswers()
        if cache_directory is not None:
            _check_writable(cache_directory)
        self._client = client or YfinanceClient(
            cache_directory,
            RequestLimiter(TokenBucket(requests_per_second, requests_burst), timeout_seconds),
            requested_fields(extended_hours=extended_hours),
        )
        self._pool = RequestPool(MAX_IN_FLIGHT, monotonic)
        self._actions = ActionRequests(self._client, self._pool, monotonic, action_schedule or ActionSchedule())
        self._turn = threading.Lock()
        self._delays: dict[str, int] = {}
        """The longest delay in minutes that each symbol ever declared. Symbols that declared none are absent."""
        self._start_with: str | None = None
        """The symbol whose batch the next poll requests first, because the last poll stopped before it."""

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """The quotes that Yahoo has for some symbols, in their order, unchanged ones included. Failures are values.

        The result is complete up to the start of the poll, minus the staleness of Yahoo's caches and minus the longest
        delay of any of the symbols: the longest that it ever declared, or that of its exchange if it declared none. A
        delayed symbol that is missing today may return in the next poll. An inactive symbol counts only if it declared
        a delay, so a name that never existed does not hold the others back for ever.
        """
        started = self._monotonic()

        def clock() -> datetime:
            return now + timedelta(seconds=self._monotonic() - started)

        with self._turn:
            collected = self._actions.collect()
            if collected.is_rate_limited and self._breaker.permits(self._steady()) != "none":
                self._record_outcome("rate_limited", clock())
            permission = self._breaker.permits(self._steady())
            if permission == "none":
                return FetchResult(
                    paused_until=self._paused_until(clock()),
                    inactive=self._inactive_symbols.inactive(symbols),
                    actions=collected.actions,
                    rejected_actions=collected.rejected,
                )
            requested = self._inactive_symbols.to_request(symbols, self._steady())
            batches = [tuple(requested[first : first + MAX_BATCH]) for first in range(0, len(requested), MAX_BATCH)]
            policy = BatchPolicy(
                len(batches),
                max_in_flight=self._max_in_flight,
                first=self._first_batch(batches),
                probe=permission == "probe",
            )
            results = self._request_all(batches, policy, clock)
            self._start_with = batches[policy.waiting[0]][0] if policy.waiting else None
            self._update_breaker(results, clock())
            responses = [result for result in results if isinstance(result, ParsedResponse)]
            failures = tuple(result for result in results if isinstance(result, Failure))
            missing = self._record_missing(symbols, responses)
            if not failures:
                self._actions.start([quote for response in responses for quote in response.with_actions], clock)
            return FetchResult(
                quotes=tuple(quote for response in responses for quote in response.quotes),
                rejected=tuple(rejected for response in responses for rejected in response.rejected),
                dropped_fields=sum(response.dropped_fields for response in responses),
                missing=missing,
                inactive=self._inactive_symbols.inactive(symbols),
                failures=failures,
                paused_until=self._paused_until(clock()),
                complete_to=None if failures else self._complete_to(symbols, responses, now),
                actions=collected.actions,
                rejected_actions=collected.rejected,
            )

    def _steady(self) -> datetime:
        """The time by which pauses and retries go. It does not step, and it has no fixed origin."""
        return _EPOCH + timedelta(seconds=self._monotonic())

    def _paused_until(self, now: datetime) -> datetime | None:
        """When the breaker's pause ends, by the clock that says `now`."""
        until = self._breaker.paused_until
        return None if until is None else now + (until - self._steady())

    def _complete_to(self, symbols: Sequence[str], responses: Sequence[ParsedResponse], now: datetime) -> datetime:
        for response in responses:
            for quote in response.quotes:
                if quote.delay_minutes is not None:
                    self._delays[quote.symbol] = max(self._delays.get(quote.symbol, 0), quote.delay_minutes)
        longest = timedelta(minutes=max((self._delays.get(symbol, 0) for symbol in symbols), default=0))
        inactive = set(self._inactive_symbols.inactive(symbols))
        undeclared = (symbol for symbol in symbols if symbol not in self._delays and symbol not in inactive)
        assumed = max((self.traits.trading(symbol).delay for symbol in undeclared), default=timedelta())
        return whole_milliseconds(now) - MAX_STALENESS - max(longest, assumed)

    def _first_batch(self, batches: Sequence[Batch]) -> int:
        return next((number for number, batch in enumerate(batches) if self._start_with in batch), 0)

    def _request_all(
        self, batches: Sequence[Batch], policy: BatchPolicy, clock: Callable[[], datetime]
    ) -> list[BatchResult]:
        """Request the batches. The results are in the order of the batches, one for each."""
        self._client.start_poll(self._poll_seconds)
        results = self._pool.run(
            batches, lambda batch: self._request(batch, clock), policy, self._poll_seconds + _GRACE_SECONDS
        )
        return [results.get(number) or _unanswered(batch, policy, number) for number, batch in enumerate(batches)]

    def _request(self, batch: Batch, clock: Callable[[], datetime]) -> BatchResult:
        """What Yahoo says about a batch. If it has no quotes, a second request may settle what that means."""
        requested = self._last_answers.to_request(batch)
        while True:
            result = self._response(requested, clock)
            if isinstance(result, Failure):
                return Failure(result.reason, result.detail, batch)
            quoted = [quote.symbol for quote in result.quotes]
            match self._last_answers.judge(batch, requested, quoted, self._monotonic()):
                case "answered":
                    return result if requested == batch else result.for_symbols(batch)
                case "failed":
                    return Failure("malformed", f"HTTP 200 without a quote of {len(batch)} symbols", batch)
                case "ask with reference":
                    requested = with_reference(batch)

    def _response(self, symbols: Sequence[str], clock: Callable[[], datetime]) -> BatchResult:
        try:
            response = self._client.get(symbols)
        except SourceError as error:
            return Failure(error.reason, error.detail, ())
        reason = failure_reason(response.status)
        if reason is not None:
            return Failure(reason, f"HTTP {response.status} {response.body[:100]!r}", ())
        try:
            return parse(response.body, symbols, whole_milliseconds(clock()), extended_hours=self._extended_hours)
        except MalformedResponse as error:
            return Failure("malformed", f"{error}: {response.body[:100]!r}", ())

    def _update_breaker(self, results: Sequence[BatchResult], now: datetime) -> None:
        """Record the poll in the breaker."""
        outcome = poll_outcome([result.reason if isinstance(result, Failure) else None for result in results])
        if outcome is not None:
            self._record_outcome(outcome, now)

    def _record_outcome(self, outcome: PollOutcome, now: datetime) -> None:
        """Record an outcome in the breaker, and log when it opens or closes."""
        before, self._breaker = self._breaker, self._breaker.after(outcome, self._steady(), self._jitter())
        if self._breaker.paused_until != before.paused_until:
            until = self._paused_until(now)
            if until is None:
                log.info("yahoo_resumed", after_pauses=before.pauses)
            else:
                log.warning("yahoo_paused", why=outcome, until=until.isoformat())
                if outcome != "rate_limited":  # the responses may be wrong because a cookie or crumb is
                    self._client.discard_cookies()

    def _record_missing(self, symbols: Sequence[str], responses: Sequence[ParsedResponse]) -> tuple[str, ...]:
        """Count the misses, log which symbols became inactive or active, and return the missing symbols."""
        before = {*self._inactive_symbols.inactive(symbols)}
        missing = tuple(symbol for response in responses for symbol in response.missing)
        priced = [symbol for response in responses for symbol in response.priced]
        self._inactive_symbols.record(missing, priced, self._steady())
        quoted = [quote.symbol for response in responses for quote in response.quotes]
        self._last_answers.record(quoted, {*missing, *priced} - {*quoted}, self._monotonic())
        after = {*self._inactive_symbols.inactive(symbols)}
        if after - before:
            log.warning("symbols_set_aside", symbols=sorted(after - before), action="requested once a day from now on")
        if before - after:
            log.info("symbols_back", symbols=sorted(before - after))
        return missing

    def forget(self, symbols: Iterable[str]) -> None:
        """See `ForgettingSource`. A symbol that was removed because it had no price is asked for when it is back."""
        with self._turn:
            self._inactive_symbols.forget(symbols)

    def close(self) -> None:
        """End a fetch in progress, close connections, and remove a temporary cache. Later fetches request nothing."""
        self._pool.stop()
        self._client.stop()
        with self._turn:
            self._pool.close()
            self._client.close()


def _unanswered(batch: Batch, policy: BatchPolicy, number: int) -> Failure:
    """The failure of a batch without a result. Its reason is what stopped the poll."""
    assert policy.stopped_by is not None  # noqa: S101  (otherwise every batch has a result)
    if number not in policy.waiting:
        return Failure(policy.stopped_by, "no response by the end of the poll", batch)
    why = "the source is closed" if policy.stopped_by == "stopped" else "an earlier batch failed"
    return Failure(policy.stopped_by, f"not requested because {why}", batch)


def _check_writable(directory: Path) -> None:
    try:
        make_directory(directory)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigurationError(
            [f"{directory}: yfinance cannot keep its caches there: {error.strerror}; name a writable directory"]
        ) from error
