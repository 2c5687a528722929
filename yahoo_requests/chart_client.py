"""Requests the charts of symbols from Yahoo, one after another. Charts need neither cookie nor crumb."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from yahoo_requests.breaker import Breaker, BreakerPolicy, PollOutcome
from yahoo_requests.chart_rows import Resolution
from yahoo_requests.errors import FailureReason, SourceError, failure_reason
from yahoo_requests.request_limiter import REQUESTS_PER_SECOND, RequestLimiter
from yahoo_requests.session import CHART_URL, HttpResponse, open_session
from yahoo_requests.token_bucket import TokenBucket

CHARTS_PER_SECOND = REQUESTS_PER_SECOND / 4
"""A quarter of the producer's rate, because Yahoo counts the requests of both."""
CHART_TIMEOUT_SECONDS = 30.0
"""The longest that a request may take. A week of minutes has 200 KB."""

_ANSWERS = (200, 400, 404, 422)
"""The statuses with which Yahoo says something about the symbol or the window. See `charts.parse_chart`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES: dict[FailureReason, PollOutcome] = {"rate_limited": "rate_limited", "unauthorized": "unauthorized"}


def chart_limiter(
    per_second: float = CHARTS_PER_SECOND, *, timeout_seconds: float = CHART_TIMEOUT_SECONDS
) -> RequestLimiter:
    """Lets one request through at a time, at this rate. Raises `ValueError` for a rate that is not positive."""
    return RequestLimiter(TokenBucket(per_second, 1), timeout_seconds)


class ChartClient:
    """Requests charts, and stops when Yahoo refuses them. Not thread-safe, except for `stop`.

    The first refusal (429) ends it: every request after it raises at once, and nothing more is sent. Other failures in
    a row open a breaker, and nothing is sent during its pause.
    """

    def __init__(
        self,
        limiter: RequestLimiter,
        *,
        breaker_policy: BreakerPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limiter = limiter
        self._breaker = Breaker(policy=breaker_policy or BreakerPolicy())
        self._last_failure: FailureReason = "stopped"
        self._monotonic = monotonic
        self._jitter = jitter
        self._session = open_session(limiter, charts_are_counted=True)
        limiter.start_poll(math.inf)

    @property
    def pause_seconds(self) -> float:
        """How long nothing is sent, because several requests in a row failed. 0 if the next request may be sent."""
        until = self._breaker.paused_until
        return 0.0 if until is None else max(0.0, (until - self._now()).total_seconds())

    def chart(self, symbol: str, resolution: Resolution, start: datetime, end: datetime) -> HttpResponse:
        """Yahoo's answer for the bars that begin from `start` on and before `end`, with the events of that time.

        It waits until the request may be sent. The answer may be an error about the symbol or the window, which
        `charts.parse_chart` reads. Raises `SourceError` if there is none.
        """
        if (seconds := self.pause_seconds) > 0:
            detail = f"not sent because earlier requests failed; try again in {math.ceil(seconds)} seconds"
            raise SourceError(self._last_failure, detail)
        parameters = {
            "period1": str(int(start.timestamp())),
            "period2": str(int(end.timestamp())),
            "interval": resolution,
            "events": "div,split",
            "includePrePost": "false",
        }
        try:
            response = self._request(CHART_URL + quote(symbol, safe=""), parameters)
        except SourceError as error:
            if error.reason != "stopped":
                self._last_failure = error.reason
                self._record(_OUTCOMES.get(error.reason, "failed"))
            raise
        self._record("answered")
        return response

    def _request(self, url: str, parameters: dict[str, str]) -> HttpResponse:
        response = self._session.get(url, params=parameters, allow_redirects=False)
        status, body = response.status_code, response.content
        if status not in _ANSWERS:
            raise SourceError(failure_reason(status) or "malformed", f"HTTP {status} {body[:100]!r}")
        return HttpResponse(status, body)

    def _record(self, outcome: PollOutcome) -> None:
        self._breaker = self._breaker.after(outcome, self._now(), self._jitter())

    def _now(self) -> datetime:
        """The time of the breaker. It does not step, and it has no fixed origin."""
        return _EPOCH + timedelta(seconds=self._monotonic())

    def stop(self) -> None:
        """Send nothing more, from any thread. A request that waits raises `SourceError`."""
        self._limiter.stop()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
