"""The one module that imports yfinance: a batch of symbols in, the bytes of Yahoo's answer out.

yfinance is used for what it is good at, Yahoo's cookies and crumbs, through `yfinance.data.YfData`: one request for 50
symbols, where its documented calls make one or more a symbol and build data frames. `YfData` is not public, so the
version is pinned and tests/integration holds this module to it.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from producer_service.errors import ConfigurationError
from producer_service.sources import FailureReason
from producer_service.sources.yahoo_quotes import FIELDS

QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"

_UNAUTHORIZED, _TOO_MANY_REQUESTS = 401, 429


class Reply(msgspec.Struct, frozen=True):
    """What came back, good or bad."""

    status: int
    body: bytes


class Trouble(Exception):
    """Yahoo gave no reply, for a reason that a poll reports."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class QuoteClient(Protocol):
    """Asks Yahoo for the quotes of one batch of symbols."""

    def get(self, symbols: Sequence[str]) -> Reply:
        """Yahoo's reply, once cookies and crumb were renewed if need be. Raises `Trouble` and nothing else."""

    def close(self) -> None:
        """Give back connections and files."""


class YfinanceClient:
    """The real one. yfinance's caches are global to the process, so there is one such client at a time.

    `cache_directory` holds the cookie from one start to the next; None is a private temporary directory, removed on
    close. `timeout_seconds` is for each request; a renewal of the crumb takes up to six of them. Raises
    `ConfigurationError` if the directory cannot be written: yfinance would go on in silence, with a request for a
    cookie before every other.
    """

    def __init__(self, cache_directory: Path | None, timeout_seconds: float) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if cache_directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="stockstream-yfinance-", ignore_cleanup_errors=True)
            cache_directory = Path(self._temporary.name)
        _check_writable(cache_directory)
        self._directory = str(cache_directory)
        self._timeout_seconds = timeout_seconds
        self._open()

    def _open(self) -> None:
        import yfinance  # noqa: PLC0415  (0.6 s and 90 MB, which the other sources need not pay)
        from curl_cffi.requests import exceptions  # noqa: PLC0415
        from yfinance import cache, data  # noqa: PLC0415

        # Behind the import, which puts a filter of its own in front: nine lines on stderr a symbol with pandas 3.1.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="^yfinance")
        yfinance.config.debug.hide_exceptions = False
        yfinance.set_tz_cache_location(self._directory)
        cache._CookieCacheManager._Cookie_cache = None  # noqa: SLF001  (or it stays with an earlier client's directory)
        self._yfinance = yfinance
        self._exceptions = exceptions
        self._session = _session(self._timeout_seconds)
        # YfData is one instance per class, and yf.download replaces its session; a class of our own is left alone.
        self._data = type("OwnYfData", (data.YfData,), {})(session=self._session)

    def get(self, symbols: Sequence[str]) -> Reply:
        """Yahoo's reply, once yfinance has renewed cookies and crumb if need be. Raises `Trouble` and nothing else."""
        # One parameter joined by commas: of repeated ones Yahoo answers the last.
        parameters = {"symbols": ",".join(symbols), "fields": ",".join(FIELDS), "formatted": "false"}
        self._session.was_limited = False
        try:
            response = self._data.get(QUOTE_URL, params=parameters, timeout=self._timeout_seconds)
            reply = Reply(response.status_code, response.content)
        except self._yfinance.exceptions.YFRateLimitError as error:
            raise Trouble("rate_limited", str(error)) from error
        except self._exceptions.Timeout as error:
            raise Trouble("timeout", str(error)) from error
        except self._exceptions.RequestException as error:
            raise Trouble("connection", str(error)) from error
        except Exception as error:  # its reading of consent pages, cookies and SQLite files raises anything
            raise Trouble("malformed", f"yfinance: {type(error).__name__}: {error}") from error
        if reply.status == _UNAUTHORIZED and self._session.was_limited:
            # Refused a crumb, yfinance asks for quotes without one: the 401 is not the news.
            raise Trouble("rate_limited", "no crumb: HTTP 429")
        return reply

    def close(self) -> None:
        """Close the connections and the cache, and remove it if it is temporary."""
        self._session.close()
        self._yfinance.set_tz_cache_location(self._directory)  # closes the SQLite files
        if self._temporary is not None:
            self._temporary.cleanup()


def _session(timeout_seconds: float) -> Any:
    """A session whose every request is bounded, and that knows whether one of them met a 429.

    yfinance waits 30 s for a crumb, whatever the timeout of its caller, and keeps what became of it to itself.
    """
    from curl_cffi.requests import Session  # noqa: PLC0415

    class BoundedSession(Session[Any]):
        was_limited = False

        def request(self, *args: Any, **kwargs: Any) -> Any:
            response = super().request(*args, **{**kwargs, "timeout": timeout_seconds})
            self.was_limited |= response.status_code == _TOO_MANY_REQUESTS
            return response

    return BoundedSession(impersonate="chrome")


def _check_writable(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigurationError([f"{directory}: yfinance's caches cannot be kept there: {error.strerror}"]) from error
