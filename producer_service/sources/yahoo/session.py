"""The HTTP session that yfinance uses: it limits each request, and turns each failure into an error with a reason.

yfinance alone would do the following:

- It waits 30 s for a crumb, whatever timeout its caller asks for.
- When Yahoo answers the request for a crumb with 429, it requests quotes without a crumb.
- It takes an error page for a crumb.
- On every status from 400 on it discards its crumb, goes through the consent pages and asks again. That is three more
  requests when Yahoo has just asked for none.

So this session raises exceptions that yfinance does not know, and therefore does not handle, wherever it must not send
more requests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from producer_service.sources.yahoo.errors import SourceError
from producer_service.sources.yahoo.parsing import failure_reason
from producer_service.sources.yahoo.request_limiter import RequestLimiter

QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"

_COOKIE_URL = "https://fc.yahoo.com"
_CRUMB_PATH = "/v1/test/getcrumb"
_OK = 200
_CONNECTIONS_PER_THREAD = 2
"""One connection for quotes, and one for the four hosts of cookies and crumbs, which are rarely needed."""


class HttpResponse(msgspec.Struct, frozen=True):
    """A response of any status."""

    status: int
    body: bytes


class UnexpectedStatus(Exception):
    """A request for quotes, or for the crumb that they need, was answered with a status other than 200."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response


def open_session(limiter: RequestLimiter) -> Any:
    """A session of curl_cffi that looks like Chrome, as yfinance's own does. Safe to use from several threads.

    Its requests raise `UnexpectedStatus` and `SourceError`. There is one exception: an error of the connection to the
    cookie host stays as it is, since yfinance handles it by getting a cookie elsewhere. Some blocklists name that host
    (yfinance #2386).
    """
    from curl_cffi import CurlOpt  # noqa: PLC0415  (importing it takes most of a second, and only this source needs it)
    from curl_cffi.requests import Session, exceptions  # noqa: PLC0415

    class LimitedSession(Session[Any]):
        def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override]
            timeout_seconds = limiter.acquire()
            try:
                response = super().request(method, url, **{**options, "timeout": timeout_seconds})
            except exceptions.RequestException as error:
                if url == _COOKIE_URL:
                    raise
                raise source_error(error) from error
            status = response.status_code
            if failure_reason(status) == "rate_limited":
                limiter.block("rate_limited")
                raise SourceError("rate_limited", f"HTTP {status} from {url}")
            if status != _OK and (url == QUOTE_URL or url.endswith(_CRUMB_PATH)):
                raise UnexpectedStatus(HttpResponse(status, response.content))
            return response

    return LimitedSession(impersonate="chrome", curl_options={CurlOpt.MAXCONNECTS: _CONNECTIONS_PER_THREAD})


def source_error(error: Exception) -> SourceError:
    """The error of the source for an exception of curl_cffi."""
    from curl_cffi.requests import exceptions  # noqa: PLC0415

    match error:
        case exceptions.Timeout():
            return SourceError("timeout", str(error))
        case exceptions.IncompleteRead():
            return SourceError("malformed", f"the response was cut short: {error}")
        case _:  # connection refused or reset, unknown host, TLS or proxy error
            return SourceError("connection", str(error))
