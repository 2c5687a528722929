"""The one module that imports yfinance: a batch of symbols in, the bytes of Yahoo's answer out.

yfinance is used for what it is good at, Yahoo's cookies and crumbs, through `yfinance.data.YfData`: one request for 50
symbols, where its documented calls make one or more a symbol and build data frames. `YfData` is not public, so the
version is pinned and tests/integration holds this module to it.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog

from producer_service.errors import ConfigurationError
from producer_service.sources.yahoo.request_limiter import Gate, Trouble
from producer_service.sources.yahoo.session import QUOTE_URL, NotOk, Reply, open_session, trouble_of

COOKIE_FILE = "cookies.db"

_UNAUTHORIZED = 401
_UNREACHABLE = ("timeout", "connection", "malformed")
_COOKIE_KEY = "curlCffi"  # yfinance's own

log = structlog.get_logger(__name__)


class QuoteClient(Protocol):
    """Asks Yahoo for the quotes of one batch of symbols. Thread-safe."""

    def begin(self, seconds: float) -> None:
        """A poll begins: what it asks shall have ended after so many seconds."""

    def get(self, symbols: Sequence[str]) -> Reply:
        """Yahoo's reply, once cookies and crumb were renewed if need be. Raises `Trouble` and nothing else."""

    def stop(self) -> None:
        """Send nothing more: every `get` from now on, and those that wait, raise `Trouble`."""

    def close(self) -> None:
        """Give back connections and files."""


class _Broken(Trouble):
    """yfinance failed of itself: its reading of consent pages, cookies and SQLite files raises anything."""

    def __init__(self, error: Exception) -> None:
        super().__init__("malformed", f"yfinance: {type(error).__name__}: {error}")


class YfinanceClient:
    """The real one. yfinance's caches are global to the process, so there is one such client at a time.

    `cache_directory` holds the cookie from one start to the next, of this process alone; None is a private temporary
    directory, removed on close. Every request passes the gate. A 401 renews cookie and crumb once, whatever the number
    of batches that met it; one that stays shuts the gate. A cookie file that yfinance cannot read is moved aside, since
    it would fail every poll for ever. Raises `ConfigurationError` if the directory cannot be written: yfinance would go
    on in silence, with a request for a cookie before every other.
    """

    def __init__(self, cache_directory: Path | None, gate: Gate, fields: Sequence[str]) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if cache_directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="stockstream-yfinance-", ignore_cleanup_errors=True)
            cache_directory = Path(self._temporary.name)
        _check_writable(cache_directory)
        self._directory = cache_directory
        self._gate = gate
        self._fields = ",".join(fields)
        self._ways_taken = 0
        """How often the crumb was given up, for the batches in flight together to do so once."""
        self._open()

    def _open(self) -> None:
        import peewee  # noqa: PLC0415  (0.6 s and 90 MB with yfinance, which the other sources need not pay)
        import yfinance  # noqa: PLC0415
        from curl_cffi.requests import exceptions  # noqa: PLC0415
        from yfinance import cache, data  # noqa: PLC0415

        # Behind the import, which puts a filter of its own in front: nine lines on stderr a symbol with pandas 3.1.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="^yfinance")
        yfinance.config.debug.hide_exceptions = False
        self._cache: Any = cache
        self._exceptions = exceptions
        self._database_error = peewee.PeeweeException
        self._reset_cache()
        self._session = open_session(self._gate)
        # YfData is one instance per class, and yf.download replaces its session; a class of our own is left alone.
        self._data: Any = type("OwnYfData", (data.YfData,), {})(session=self._session)

    def begin(self, seconds: float) -> None:
        """A poll begins: what it asks shall have ended after so many seconds."""
        self._gate.begin(seconds)

    def get(self, symbols: Sequence[str]) -> Reply:
        """Yahoo's reply, once cookies and crumb were renewed if need be. Raises `Trouble` and nothing else."""
        # One parameter joined by commas: of repeated ones Yahoo answers the last.
        parameters = {"symbols": ",".join(symbols), "fields": self._fields, "formatted": "false"}
        try:
            return self._get(parameters)
        except OSError as error:  # the file of cookies could not be moved
            raise Trouble("malformed", f"yfinance's cache: {error}") from error
        finally:
            self._close_cache()

    def _get(self, parameters: Mapping[str, str]) -> Reply:
        seen = self._ways_taken
        try:
            reply = self._ask(parameters)
        except _Broken as broken:
            self._close_cache()
            self._take_other_way(seen, broken=broken)
            seen = self._ways_taken
            reply = self._ask(parameters)
        if reply.status == _UNAUTHORIZED:
            self._take_other_way(seen, refused=True)
            reply = self._ask(parameters)
            if reply.status == _UNAUTHORIZED:
                self._gate.refuse("unauthorized")
        return reply

    def _ask(self, parameters: Mapping[str, str]) -> Reply:
        seen = self._ways_taken
        try:
            response = self._data.get(QUOTE_URL, params=parameters)
        except NotOk as answer:
            return answer.reply
        except Trouble as trouble:
            if trouble.reason in _UNREACHABLE and self._data._crumb is None:  # noqa: SLF001
                self._take_other_way(seen)  # to a crumb, by the next request
            raise
        except self._exceptions.RequestException as error:
            raise trouble_of(error) from error
        except Exception as error:
            raise _Broken(error) from error
        return Reply(response.status_code, response.content)

    def _take_other_way(self, seen: int, *, refused: bool = False, broken: _Broken | None = None) -> None:
        """Give up the crumb, for the next to be got in yfinance's other way (its own rule after a 401).

        A cookie that was refused goes too, from memory and disk: yfinance would load it again. Does nothing if another
        thread has done so since `seen`. Under yfinance's own lock, under which it touches the cookie and its file.
        """
        data = self._data
        with data._cookie_lock:  # noqa: SLF001
            if self._ways_taken != seen:
                return
            self._ways_taken += 1
            data._set_cookie_strategy("basic" if data._cookie_strategy == "csrf" else "csrf", have_lock=True)  # noqa: SLF001
            if broken is not None:
                self._set_cache_aside(broken)
            elif refused:
                self._session.cookies.clear()
                self._forget_stored_cookie()

    def _forget_stored_cookie(self) -> None:
        try:
            self._cache.get_cookie_cache().store(_COOKIE_KEY, None)
        except self._database_error as error:
            self._close_cache()
            self._set_cache_aside(_Broken(error))

    def _close_cache(self) -> None:
        """Close this thread's connection to SQLite: yfinance leaves one in each that looked for the cookie."""
        database = self._cache._CookieDBManager._db  # noqa: SLF001
        if database is not None:
            database.close()

    def _set_cache_aside(self, broken: _Broken) -> None:
        self._reset_cache()
        moved = move_aside(self._directory / COOKIE_FILE)
        log.warning("yahoo_cookies_set_aside", file=str(moved), error=broken.detail[:300], action="asking for new ones")

    def _reset_cache(self) -> None:
        """Close the caches, and open them in our directory when they are wanted."""
        self._cache.set_cache_location(str(self._directory))
        self._cache._CookieCacheManager._Cookie_cache = None  # noqa: SLF001  (it keeps to its first directory)

    def stop(self) -> None:
        """Send nothing more: every `get` from now on, and those that wait, raise `Trouble`."""
        self._gate.stop()

    def close(self) -> None:
        """Close the connections and the cache, and remove it if it is temporary.

        The connection of another thread is closed by the end of that thread.
        """
        self._session.close()
        self._reset_cache()
        if self._temporary is not None:
            self._temporary.cleanup()


def move_aside(file: Path) -> Path | None:
    """Move a SQLite file out of the way, with its log, over the one that was moved before; where it is now, if it was.

    One is kept, to be looked at; more would fill the disk.
    """
    moved = None
    for suffix in ("-wal", "-shm", ""):
        part = file.with_name(file.name + suffix)
        if part.exists():
            moved = part.replace(part.with_name(f"{part.name}.unreadable"))
    return moved


def _check_writable(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ConfigurationError([f"{directory}: yfinance's caches cannot be kept there: {error.strerror}"]) from error
