"""Gets the crumb that quotes need, and the cookie that it belongs to, in yfinance's two ways.

yfinance calls them strategies: `basic` takes the cookie of fc.yahoo.com, and `csrf` submits the form of the consent
pages. Each way ends with a request for the crumb. Any of these pages may fail, and then the other way may work: some
blocklists name fc.yahoo.com (yfinance #2386), and the consent pages differ by country.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import structlog

from yahoo_requests.errors import SourceError

COOKIE_FILE = "cookies.db"
MAX_CRUMB = 64
"""The most characters of a crumb. Yahoo's have 11."""

_COOKIE_KEY = "curlCffi"  # yfinance's name for its cookie in the file
_FINAL = ("rate_limited", "stopped")
"""Failures after which nothing more may be requested, in no way."""

Way = Literal["basic", "csrf"]

log = structlog.get_logger(__name__)


class Crumbs:
    """Keeps one crumb for all threads, and gets another one when Yahoo refuses it. Thread-safe.

    - In one poll each way is tried at most once, however many threads need a crumb. After a refusal (429) none is.
    - A way that fails leaves nothing behind: its cookie is removed from the session and from the file, or yfinance
      would load it again until it expires after a year.
    - A cookie file that yfinance cannot read is moved aside.

    `session` is a session of ours, and `directory` keeps yfinance's cookie file. yfinance's caches are global to the
    process.
    """

    def __init__(self, session: Any, directory: Path) -> None:
        import peewee  # noqa: PLC0415  (with yfinance it takes 0.6 s and 90 MB, which other sources must not pay)
        from yfinance import cache, data  # noqa: PLC0415

        self._session = session
        self._directory = directory
        self._cache: Any = cache
        self._database_error = peewee.PeeweeException
        # YfData has one instance for each class, and yf.download replaces that instance's session. A class of our own
        # keeps its session.
        self._data: Any = type("OwnYfData", (data.YfData,), {})(session=session)
        self._lock = threading.Lock()
        self._crumb: str | None = None
        self._way: Way = "basic"
        self._tried: set[Way] = set()
        """The ways that were tried in this poll."""
        self._failure: SourceError | None = None
        """The last failure of a way in this poll."""
        self._reset_cache()

    def start_poll(self) -> None:
        """Allow each way to be tried again."""
        with self._lock:
            self._tried.clear()
            self._failure = None

    def get(self) -> str:
        """The crumb, requested if there is none. Raises `SourceError`."""
        with self._lock:
            if self._crumb is None:
                try:
                    self._crumb = self._new_crumb()
                finally:
                    self._close_cache()
            return self._crumb

    def refuse(self, crumb: str) -> None:
        """Discard a crumb that Yahoo refused, with its cookie, unless another thread did. The next way is the other."""
        with self._lock:
            if self._crumb == crumb:
                self._discard()
                self._way = _other(self._way)

    def discard(self) -> None:
        """Discard the crumb and its cookie, because the responses to them are of no use. Never raises."""
        with self._lock:
            try:
                self._discard()
            except SourceError as error:
                log.warning("yahoo_cookies_kept", error=error.detail[:300])

    def close(self) -> None:
        """Close the cookie file. A thread's own connection to it closes when the thread ends."""
        self._reset_cache()

    def _new_crumb(self) -> str:
        for way in (self._way, _other(self._way)):
            if way in self._tried:
                continue
            self._tried.add(way)
            self._way = way
            try:
                return self._crumb_by(way)
            except SourceError as error:
                if error.reason in _FINAL:
                    self._failure = error
                    raise
                earlier = f"{self._failure.detail}; " if self._failure else ""
                self._failure = SourceError(error.reason, f"{earlier}no crumb by {way}: {error.detail}")
            self._discard()
        raise self._failure or SourceError("unauthorized", "Yahoo refused the crumbs of both ways")

    def _crumb_by(self, way: Way) -> str:
        data = self._data
        data._crumb = None  # noqa: SLF001
        by_way: dict[Way, tuple[Callable[[], bool], Callable[[], str | None]]] = {
            "basic": (data._get_cookie_basic, data._get_crumb_basic),  # noqa: SLF001
            "csrf": (lambda: data._get_cookie_csrf(None), data._get_crumb_csrf),  # noqa: SLF001  (ours is the timeout)
        }
        get_cookie, get_crumb = by_way[way]
        try:
            if not self._load_cookie():
                self._request_cookie(get_cookie)
            crumb = (get_crumb() or "").strip()
        except SourceError:
            raise
        except Exception as error:  # yfinance takes the pages of Yahoo for what they should be
            raise SourceError("malformed", f"yfinance failed: {type(error).__name__}: {error}") from error
        if not is_crumb(crumb):
            raise SourceError("malformed", f"{crumb[:40]!r} is not a crumb")
        return crumb

    def _load_cookie(self) -> bool:
        """Whether the file has a cookie. yfinance may raise anything for a file that is not as it should be."""
        try:
            return bool(self._data._load_cookie_curlCffi())  # noqa: SLF001
        except Exception as error:  # noqa: BLE001
            self._move_file_aside(error)
            return False

    def _request_cookie(self, get_cookie: Callable[[], bool]) -> None:
        try:
            found = get_cookie()
        except self._database_error as error:  # Yahoo gave a cookie, and it cannot be kept
            self._move_file_aside(error)
            found = True
        if not found or not list(self._session.cookies.jar):
            raise SourceError("malformed", "Yahoo gave no cookie")
        self._data._cookie = True  # noqa: SLF001  (otherwise yfinance requests the cookie once more)

    def _discard(self) -> None:
        self._crumb = self._data._cookie = None  # noqa: SLF001
        self._session.cookies.clear()
        try:
            self._cache.get_cookie_cache().store(_COOKIE_KEY, None)
        except Exception as error:  # noqa: BLE001  (as in `_load_cookie`)
            self._move_file_aside(error)
        finally:
            self._close_cache()

    def _move_file_aside(self, error: Exception) -> None:
        self._close_cache()
        self._reset_cache()
        try:
            moved = move_aside(self._directory / COOKIE_FILE)
        except OSError as failure:
            raise SourceError("malformed", f"yfinance's cookie file cannot be moved aside: {failure}") from failure
        log.warning(
            "yahoo_cookies_set_aside",
            file=str(moved),
            error=f"{type(error).__name__}: {error}"[:300],
            action="requesting new cookies; the old file is kept for inspection",
        )

    def _close_cache(self) -> None:
        """Close this thread's connection to SQLite: yfinance leaves one open in each thread that looks for a cookie."""
        database = self._cache._CookieDBManager._db  # noqa: SLF001
        if database is not None:
            database.close()

    def _reset_cache(self) -> None:
        """Close the caches, and make yfinance open them in our directory when it needs them."""
        self._cache.set_cache_location(str(self._directory))
        self._cache._CookieCacheManager._Cookie_cache = None  # noqa: SLF001  (it would keep its first directory)


def is_crumb(text: str) -> bool:
    """Whether a text can be a crumb: one short printable word, and not the beginning of a page or of JSON.

    Yahoo says nothing about the characters of a crumb, so any other text is for Yahoo to refuse.
    """
    return 0 < len(text) <= MAX_CRUMB and text.isprintable() and " " not in text and text[0] not in '<{["'


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


def _other(way: Way) -> Way:
    return "csrf" if way == "basic" else "basic"
