"""The session that yfinance asks Yahoo through: each request bounded, and each failure called by its name.

yfinance waits 30 s for a crumb, whatever the timeout of its caller; it takes a 429 for a crumb as a reason to ask
without one, an error page for a crumb, and every status from 400 on as a reason to throw its crumb away, walk through
the consent pages and ask again: three requests more where Yahoo asked for none. So what must not be answered with more
requests leaves this session as an exception that yfinance does not know, and lets pass.
"""

from __future__ import annotations

from typing import Any

import msgspec

from producer_service.sources.yahoo.parsing import failure_of
from producer_service.sources.yahoo.request_limiter import Gate, Trouble

QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"

_COOKIE_URL = "https://fc.yahoo.com"
_CRUMB_PATH = "/v1/test/getcrumb"
_OK = 200
_KEPT_CONNECTIONS = 2
"""A thread: that for quotes, and one to a host of cookies or crumbs, of which there are four, for as good as never."""


class Reply(msgspec.Struct, frozen=True):
    """What came back, good or bad."""

    status: int
    body: bytes


class NotOk(Exception):
    """The request for quotes, or for the crumb that it needs, was answered with another status than 200."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.reply = reply


def open_session(gate: Gate) -> Any:
    """A session of curl_cffi that looks like Chrome, as yfinance's own does. Safe to use from several threads.

    Raises `NotOk` and `Trouble`; but that the host of the cookie cannot be reached is yfinance's to know, which then
    takes another way (blocklists name it: yfinance #2386).
    """
    from curl_cffi import CurlOpt  # noqa: PLC0415  (most of a second, for this source alone)
    from curl_cffi.requests import Session, exceptions  # noqa: PLC0415

    class GatedSession(Session[Any]):
        def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override]
            timeout_seconds = gate.enter()
            try:
                response = super().request(method, url, **{**options, "timeout": timeout_seconds})
            except exceptions.RequestException as error:
                if url == _COOKIE_URL:
                    raise
                raise trouble_of(error) from error
            status = response.status_code
            if failure_of(status) == "rate_limited":
                gate.refuse("rate_limited")
                raise Trouble("rate_limited", f"HTTP {status} from {url}")
            if status != _OK and (url == QUOTE_URL or url.endswith(_CRUMB_PATH)):
                raise NotOk(Reply(status, response.content))
            return response

    return GatedSession(impersonate="chrome", curl_options={CurlOpt.MAXCONNECTS: _KEPT_CONNECTIONS})


def trouble_of(error: Exception) -> Trouble:
    """What an exception of curl_cffi means to a poll."""
    from curl_cffi.requests import exceptions  # noqa: PLC0415

    match error:
        case exceptions.Timeout():
            return Trouble("timeout", str(error))
        case exceptions.IncompleteRead():
            return Trouble("malformed", f"cut short: {error}")
        case _:  # refused, reset, no such host, no TLS, no proxy
            return Trouble("connection", str(error))
