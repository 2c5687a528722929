"""Requests the charts of symbols from Yahoo, one after another. Charts need neither cookie nor crumb."""

from __future__ import annotations

import math
from datetime import datetime
from urllib.parse import quote

from yahoo_requests.chart_rows import Resolution
from yahoo_requests.errors import SourceError, failure_reason
from yahoo_requests.request_limiter import REQUESTS_PER_SECOND, RequestLimiter
from yahoo_requests.session import CHART_URL, HttpResponse, open_session
from yahoo_requests.token_bucket import TokenBucket

CHARTS_PER_SECOND = REQUESTS_PER_SECOND / 4
"""A quarter of the producer's rate, because Yahoo counts the requests of both."""
CHART_TIMEOUT_SECONDS = 30.0
"""The longest that a request may take. A week of minutes has 200 KB."""

_ANSWERS = (200, 400, 404, 422)
"""The statuses with which Yahoo says something about the symbol or the window."""


def chart_limiter(
    per_second: float = CHARTS_PER_SECOND, *, timeout_seconds: float = CHART_TIMEOUT_SECONDS
) -> RequestLimiter:
    """Lets one request through at a time, at this rate. Raises `ValueError` for a rate that is not positive."""
    return RequestLimiter(TokenBucket(per_second, 1), timeout_seconds)


class ChartClient:
    """Requests charts, each of which waits for the limiter. Not thread-safe, except for `stop`.

    The first refusal (429) ends it: every request after it raises at once, and nothing more is sent. For other failures
    the caller keeps a `breaker`.
    """

    def __init__(self, limiter: RequestLimiter) -> None:
        self._limiter = limiter
        self._session = open_session(limiter, charts_are_counted=True)
        limiter.start_poll(math.inf)

    def chart(self, symbol: str, resolution: Resolution, start: datetime, end: datetime) -> HttpResponse:
        """Yahoo's answer for the bars that begin from `start` on and before `end`, with the events of that time.

        The answer may be an error about the symbol or the window, which `charts.parse_chart` reads. Raises
        `SourceError` if there is no answer.
        """
        parameters = {
            "period1": str(int(start.timestamp())),
            "period2": str(int(end.timestamp())),
            "interval": resolution,
            "events": "div,split",
            "includePrePost": "false",
        }
        url = CHART_URL + quote(symbol, safe="")
        response = self._session.get(url, params=parameters, allow_redirects=False)
        status, body = response.status_code, response.content
        if status not in _ANSWERS:
            raise SourceError(failure_reason(status) or "malformed", f"HTTP {status} {body[:100]!r}")
        return HttpResponse(status, body)

    def stop(self) -> None:
        """Send nothing more, from any thread. A request that waits raises `SourceError`."""
        self._limiter.stop()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
