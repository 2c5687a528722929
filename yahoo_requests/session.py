"""The HTTP session that yfinance uses: it limits each request, and turns each failure into an error with a reason.

yfinance alone would wait 30 s for a crumb, whatever timeout its caller asks for. When Yahoo answers the request for a
crumb with 429, it would go on without a crumb. So this session raises an exception that yfinance does not know, and
therefore does not handle, wherever it must not send more requests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from yahoo_requests.errors import SourceError, failure_reason
from yahoo_requests.request_limiter import RequestLimiter

QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"
CHART_URL = "https://query1.finance.yahoo.com/v8/finance/chart/"
CONSENT_URL = "https://guce.yahoo.com/consent"

_CRUMB_PATH = "/v1/test/getcrumb"
_TOO_MANY = b"Too Many Requests"
_CONNECTIONS_PER_THREAD = 2
"""One connection for quotes, and one for the four hosts of cookies and crumbs, which are rarely needed."""
_MAX_REDIRECTS = 6
"""The consent pages take three. A loop of redirects must not become a storm of requests."""


class HttpResponse(msgspec.Struct, frozen=True):
    """A response of any status."""

    status: int
    body: bytes


def open_session(limiter: RequestLimiter, *, charts_are_counted: bool = False) -> Any:
    """A session of curl_cffi that looks like Chrome, as yfinance's own does. Safe to use from several threads.

    Its requests raise `SourceError` and nothing else: for a response that did not come, for a refusal, and for a crumb
    or a consent page with a status other than 200. After a refusal the limiter lets no more requests of the poll
    through. Other responses are returned, whatever their status: a cookie comes with a 404. Requests for charts need no
    token of the limiter, unless they are counted: the producer limits them elsewhere.
    """
    from curl_cffi import CurlOpt  # noqa: PLC0415  (importing it takes most of a second, and only this source needs it)
    from curl_cffi.requests import Session  # noqa: PLC0415

    class LimitedSession(Session[Any]):
        def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override]
            is_crumb = url.endswith(_CRUMB_PATH)
            options["timeout"] = limiter.acquire(counted=charts_are_counted or not url.startswith(CHART_URL))
            if is_crumb:
                options["allow_redirects"] = False  # wherever they lead, there is no crumb
            try:
                response = super().request(method, url, **options)
            except Exception as error:
                raise source_error(error) from error
            status = response.status_code
            reason = failure_reason(status)
            if reason == "rate_limited" or (is_crumb and _TOO_MANY in response.content):
                limiter.block("rate_limited")
                raise SourceError("rate_limited", f"HTTP {status} from {url}")
            if reason is not None and (is_crumb or url == CONSENT_URL):
                raise SourceError(reason, f"HTTP {status} from {url}")
            return response

    return LimitedSession(
        impersonate="chrome",
        max_redirects=_MAX_REDIRECTS,
        curl_options={CurlOpt.MAXCONNECTS: _CONNECTIONS_PER_THREAD},
    )


def source_error(error: Exception) -> SourceError:
    """The error of the source for an exception of curl_cffi."""
    from curl_cffi.requests import exceptions  # noqa: PLC0415

    match error:
        case exceptions.Timeout():
            return SourceError("timeout", str(error))
        case exceptions.IncompleteRead():
            return SourceError("malformed", f"the response was cut short: {error}")
        case _:  # connection refused or reset, unknown host, TLS or proxy error
            return SourceError("connection", f"Yahoo cannot be reached: {_reason(error)}")


def _reason(error: Exception) -> str:
    """What an error of curl says, without the name of its function and its advice to programmers."""
    text = str(error).removeprefix("Failed to perform, ").partition(" See https://curl.se/")[0]
    return text.rstrip(".") or type(error).__name__
