"""The one module that imports yfinance: it requests a batch of symbols and returns the bytes of Yahoo's response.

yfinance is used for Yahoo's cookies and crumbs, through `yfinance.data.YfData`. That takes one request for 50 symbols,
where yfinance's documented functions make one or more requests for each symbol and build data frames. `YfData` is not
public, so the version of yfinance is pinned, and tests/integration checks that this module works with it.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog

from producer_service.errors import ConfigurationError
from producer_service.private_files import make_directory
from producer_service.sources.yahoo.errors import SourceError
from producer_service.sources.yahoo.request_limiter import RequestLimiter
from producer_service.sources.yahoo.session import QUOTE_URL, HttpResponse, UnexpectedStatus, open_session, source_error

COOKIE_FILE = "cookies.db"

_UNAUTHORIZED = 401
_CRUMB_FAILURES = ("timeout", "connection", "malformed")
"""Failures on the way to a crumb after which the other cookie strategy may succeed."""
_COOKIE_KEY = "curlCffi"  # yfinance's name for its cookie in the file

log = structlog.get_logger(__name__)


class QuoteClient(Protocol):
    """Requests the quotes of one batch of symbols from Yahoo. Thread-safe."""

    def start_poll(self, seconds: float) -> None:
        """Start a poll whose requests must end within this many seconds."""

    def get(self, symbols: Sequence[str]) -> HttpResponse:
        """Yahoo's response, with cookies and crumb renewed if necessary. Raises `SourceError` and nothing else."""

    def stop(self) -> None:
        """Send nothing more. Every `get` from now on raises `SourceError`, and so does every `get` that waits."""

    def close(self) -> None:
        """Release connections and files."""


class _YfinanceError(SourceError):
    """yfinance itself failed. Its code for consent pages, cookies and SQLite files may raise any exception."""

    def __init__(self, error: Exception) -> None:
        super().__init__("malformed", f"yfinance failed: {type(error).__name__}: {error}")


class YfinanceClient:
    """The real client. yfinance's caches are global to the process, so use one client at a time.

    `cache_directory` keeps the cookie from one start to the next. It must belong to this process alone. None means a
    private temporary directory, which `close` removes. Raises `ConfigurationError` if the directory is not writable:
    yfinance would silently request a cookie before every other request.

    - Every request passes the limiter.
    - A 401 renews cookie and crumb once, however many batches receive it. A second 401 blocks the limiter.
    - A cookie file that yfinance cannot read is moved aside. Otherwise every later poll would fail on it.
    """

    def __init__(self, cache_directory: Path | None, limiter: RequestLimiter, fields: Sequence[str]) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if cache_directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="stockstream-yfinance-", ignore_cleanup_errors=True)
            cache_directory = Path(self._temporary.name)
        _check_writable(cache_directory)
        self._directory = cache_directory
        self._limiter = limiter
        self._fields = ",".join(fields)
        self._switches = 0
        """How often the cookie strategy was switched. It lets batches in flight together switch it only once."""
        self._open()

    def _open(self) -> None:
        import peewee  # noqa: PLC0415  (with yfinance it takes 0.6 s and 90 MB, which other sources must not pay)
        import yfinance  # noqa: PLC0415
        from curl_cffi.requests import exceptions  # noqa: PLC0415
        from yfinance import cache, data  # noqa: PLC0415

        # After the import, because yfinance puts a filter of its own in front. With pandas 3.1 its warnings would fill
        # nine lines on stderr for each symbol.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="^yfinance")
        yfinance.config.debug.hide_exceptions = False
        self._cache: Any = cache
        self._exceptions = exceptions
        self._database_error = peewee.PeeweeException
        self._reset_cache()
        self._session = open_session(self._limiter)
        # YfData has one instance for each class, and yf.download replaces that instance's session. A class of our own
        # keeps its session.
        self._data: Any = type("OwnYfData", (data.YfData,), {})(session=self._session)

    def start_poll(self, seconds: float) -> None:
        """Start a poll whose requests must end within this many seconds."""
        self._limiter.start_poll(seconds)

    def get(self, symbols: Sequence[str]) -> HttpResponse:
        """Yahoo's response, with cookies and crumb renewed if necessary. Raises `SourceError` and nothing else."""
        # One parameter, joined by commas: of repeated parameters Yahoo reads only the last.
        parameters = {"symbols": ",".join(symbols), "fields": self._fields, "formatted": "false"}
        try:
            return self._get_renewing(parameters)
        except OSError as error:  # the cookie file could not be moved
            raise SourceError("malformed", f"yfinance's cookie file cannot be moved aside: {error}") from error
        finally:
            self._close_cache()

    def _get_renewing(self, parameters: Mapping[str, str]) -> HttpResponse:
        """Request once, and once more after yfinance failed or Yahoo refused the crumb."""
        switches = self._switches
        try:
            response = self._request(parameters)
        except _YfinanceError as failure:
            self._close_cache()
            self._switch_cookie_strategy(switches, failure=failure)
            switches = self._switches
            response = self._request(parameters)
        if response.status == _UNAUTHORIZED:
            self._switch_cookie_strategy(switches, cookie_refused=True)
            response = self._request(parameters)
            if response.status == _UNAUTHORIZED:
                self._limiter.block("unauthorized")
        return response

    def _request(self, parameters: Mapping[str, str]) -> HttpResponse:
        switches = self._switches
        try:
            response = self._data.get(QUOTE_URL, params=parameters)
        except UnexpectedStatus as unexpected:
            return unexpected.response
        except SourceError as error:
            if error.reason in _CRUMB_FAILURES and self._data._crumb is None:  # noqa: SLF001
                self._switch_cookie_strategy(switches)  # the next request uses it
            raise
        except self._exceptions.RequestException as error:
            raise source_error(error) from error
        except Exception as error:
            raise _YfinanceError(error) from error
        return HttpResponse(response.status_code, response.content)

    def _switch_cookie_strategy(
        self, seen: int, *, cookie_refused: bool = False, failure: _YfinanceError | None = None
    ) -> None:
        """Discard the crumb, and make yfinance get the next one by its other strategy, as it does itself after a 401.

        yfinance gets cookies by two strategies: `basic` (fc.yahoo.com) and `csrf` (the consent pages). A cookie that
        Yahoo refused is removed from memory and disk too, or yfinance would load it again. After a failure of yfinance
        the cookie file is moved aside. Does nothing if another thread has switched since the count was `seen`. Holds
        yfinance's own lock, which guards the cookie and its file.
        """
        data = self._data
        with data._cookie_lock:  # noqa: SLF001
            if self._switches != seen:
                return
            self._switches += 1
            data._set_cookie_strategy("basic" if data._cookie_strategy == "csrf" else "csrf", have_lock=True)  # noqa: SLF001
            if failure is not None:
                self._move_cookies_aside(failure)
            elif cookie_refused:
                self._session.cookies.clear()
                self._delete_stored_cookie()

    def _delete_stored_cookie(self) -> None:
        try:
            self._cache.get_cookie_cache().store(_COOKIE_KEY, None)
        except self._database_error as error:
            self._close_cache()
            self._move_cookies_aside(_YfinanceError(error))

    def _close_cache(self) -> None:
        """Close this thread's connection to SQLite: yfinance leaves one open in each thread that looks for a cookie."""
        database = self._cache._CookieDBManager._db  # noqa: SLF001
        if database is not None:
            database.close()

    def _move_cookies_aside(self, failure: _YfinanceError) -> None:
        self._reset_cache()
        moved = move_aside(self._directory / COOKIE_FILE)
        log.warning(
            "yahoo_cookies_set_aside",
            file=str(moved),
            error=failure.detail[:300],
            action="requesting new cookies; the old file is kept for inspection",
        )

    def _reset_cache(self) -> None:
        """Close the caches, and make yfinance open them in our directory when it needs them."""
        self._cache.set_cache_location(str(self._directory))
        self._cache._CookieCacheManager._Cookie_cache = None  # noqa: SLF001  (it would keep its first directory)

    def stop(self) -> None:
        """Send nothing more. Every `get` from now on raises `SourceError`, and so does every `get` that waits."""
        self._limiter.stop()

    def close(self) -> None:
        """Close the connections and the cache, and remove a temporary cache.

        A thread's own connection to SQLite closes when the thread ends.
        """
        self._session.close()
        self._reset_cache()
        if self._temporary is not None:
            self._temporary.cleanup()


def move_aside(file: Path) -> Path | None:
    """Rename a SQLite file and its logs to `*.unreadable`, and return its new path. None if there was no file.

    A file that was moved earlier is replaced. One is enough for inspection, and more would fill the disk.
    """
    moved = None
    for suffix in ("-wal", "-shm", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            moved = part.replace(part.with_name(f"{part.name}.unreadable"))
    return moved


def _check_writable(directory: Path) -> None:
    try:
        make_directory(directory)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigurationError(
            [f"{directory}: yfinance cannot keep its caches there: {error.strerror}; name a writable directory"]
        ) from error
