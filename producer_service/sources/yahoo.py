"""Yahoo as a source: batches of symbols, one request each, and what to do when one of them fails.

Yahoo's terms leave its API to personal use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from producer_service.sources import Failure, FetchResult
from producer_service.sources.yahoo_client import QuoteClient, Trouble, YfinanceClient
from producer_service.sources.yahoo_quotes import Answer, Malformed, failure_of, parse
from quotes import whole_milliseconds

MAX_BATCH = 50
"""Symbols a request. Yahoo fails above 99 (quantmod #433), and has answered 429 from 65 on (ticker #303)."""

TIMEOUT_SECONDS = 5.0

MAX_STALENESS = timedelta(seconds=10)
"""Yahoo's caches may answer with what was true so long ago: `max-age=1, stale-while-revalidate=9`."""

_REFUSALS = ("rate_limited", "unauthorized")
_FAILURES_IN_A_ROW = 2


class YahooSource:
    """Polls Yahoo's v7 quotes through yfinance. A poll makes one request per 50 symbols, one after the other.

    A poll gives up once Yahoo refuses it (429; 401 after yfinance renewed the crumb) or two batches in a row fail:
    the batches that were not asked are failures for the same reason. So a poll of an unreachable Yahoo ends within two
    batches' timeouts, and one that is told to slow down sends nothing more.
    """

    symbols: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        cache_directory: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        client: QuoteClient | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client or YfinanceClient(cache_directory, timeout_seconds)
        self._monotonic = monotonic

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """The quotes of some symbols as Yahoo has them now; unchanged ones come again. Trouble with Yahoo is a value.

        Complete to the start of the poll less the staleness of caches and the largest delay that a quote declares.
        """
        started = self._monotonic()
        answers: list[Answer] = []
        failures: list[Failure] = []
        failed_in_a_row = 0
        for first in range(0, len(symbols), MAX_BATCH):
            batch = tuple(symbols[first : first + MAX_BATCH])
            if failures and (failed_in_a_row >= _FAILURES_IN_A_ROW or failures[-1].reason in _REFUSALS):
                failures.append(Failure(failures[-1].reason, "not asked, as an earlier batch failed", batch))
                continue
            outcome = self._ask(batch, now, started)
            if isinstance(outcome, Failure):
                failures.append(outcome)
                failed_in_a_row += 1
            else:
                answers.append(outcome)
                failed_in_a_row = 0
        return FetchResult(
            quotes=tuple(quote for answer in answers for quote in answer.quotes),
            rejected=tuple(rejected for answer in answers for rejected in answer.rejected),
            missing=tuple(symbol for answer in answers for symbol in answer.missing),
            failures=tuple(failures),
            complete_to=None if failures else _complete_to(answers, now),
        )

    def _ask(self, batch: tuple[str, ...], now: datetime, started: float) -> Answer | Failure:
        try:
            reply = self._client.get(batch)
        except Trouble as trouble:
            return Failure(trouble.reason, trouble.detail, batch)
        reason = failure_of(reply.status)
        if reason is not None:
            return Failure(reason, f"HTTP {reply.status} {reply.body[:100]!r}", batch)
        received = whole_milliseconds(now + timedelta(seconds=self._monotonic() - started))
        try:
            return parse(reply.body, batch, received)
        except Malformed as error:
            return Failure("malformed", f"{error}: {reply.body[:100]!r}", batch)

    def close(self) -> None:
        """Close the connections, and remove a temporary cache."""
        self._client.close()


def _complete_to(answers: Sequence[Answer], now: datetime) -> datetime:
    delays = (quote.delay_minutes or 0 for answer in answers for quote in answer.quotes)
    return whole_milliseconds(now) - MAX_STALENESS - timedelta(minutes=max(delays, default=0))
