"""Requests quotes and charts from Yahoo: symbols go in, and the bytes of Yahoo's response come out.

yfinance is used for Yahoo's cookies and crumbs alone (`crumbs`). A batch then takes one request for 50 symbols, where
yfinance's documented functions make one or more requests for each symbol and build data frames. The parts of yfinance
that are used are not public, so its version is pinned, and tests/integration checks that `crumbs` works with it.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from yahoo_requests import actions
from yahoo_requests.crumbs import Crumbs
from yahoo_requests.request_limiter import RequestLimiter
from yahoo_requests.session import CHART_URL, QUOTE_URL, HttpResponse, open_session


class QuoteClient(Protocol):
    """Requests quotes, a batch of symbols at a time, and the chart of a symbol from Yahoo. Thread-safe."""

    def start_poll(self, seconds: float) -> None:
        """Start a poll whose requests must end within this many seconds."""

    def get(self, symbols: Sequence[str]) -> HttpResponse:
        """Yahoo's response, with cookies and crumb renewed if necessary. Raises `SourceError` and nothing else."""

    def chart(self, symbol: str) -> HttpResponse:
        """Yahoo's response with the corporate actions of a symbol. Raises `SourceError` and nothing else."""

    def discard_cookies(self) -> None:
        """Get a new cookie and crumb in the next poll, because nothing usable came with these. Never raises."""

    def stop(self) -> None:
        """Send nothing more. Every `get` from now on raises `SourceError`, and so does every `get` that waits."""

    def close(self) -> None:
        """Release connections and files."""


class YfinanceClient:
    """The real client. yfinance's caches are global to the process, so use one client at a time.

    `cache_directory` keeps the cookie from one start to the next. It must belong to this process alone, and it must be
    writable: otherwise yfinance would silently request a cookie before every other request. None means a private
    temporary directory, which `close` removes.

    - Every request passes the limiter.
    - A crumb that Yahoo refuses is renewed once, however many batches are refused. A second refusal blocks the limiter.
    """

    def __init__(self, cache_directory: Path | None, limiter: RequestLimiter, fields: Sequence[str]) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if cache_directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="stockstream-yfinance-", ignore_cleanup_errors=True)
            cache_directory = Path(self._temporary.name)
        self._limiter = limiter
        self._fields = ",".join(fields)
        import yfinance  # noqa: PLC0415  (see `Crumbs`)

        # After the import, because yfinance puts a filter of its own in front. With pandas 3.1 its warnings would fill
        # nine lines on stderr for each symbol.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="^yfinance")
        yfinance.config.debug.hide_exceptions = False
        self._session = open_session(limiter)
        self._crumbs = Crumbs(self._session, cache_directory)

    def start_poll(self, seconds: float) -> None:
        """Start a poll whose requests must end within this many seconds."""
        self._limiter.start_poll(seconds)
        self._crumbs.start_poll()

    def get(self, symbols: Sequence[str]) -> HttpResponse:
        """Yahoo's response, with cookies and crumb renewed if necessary. Raises `SourceError` and nothing else."""
        # One parameter, joined by commas: of repeated parameters Yahoo reads only the last.
        parameters = {"symbols": ",".join(symbols), "fields": self._fields, "formatted": "false"}
        crumb = self._crumbs.get()
        response = self._request(parameters, crumb)
        if _is_crumb_refused(response):
            self._crumbs.refuse(crumb)
            response = self._request(parameters, self._crumbs.get())
            if _is_crumb_refused(response):
                self._limiter.block("unauthorized")
        return response

    def chart(self, symbol: str) -> HttpResponse:
        """Yahoo's response with the corporate actions of a symbol. Charts need no crumb.

        Raises `SourceError` and nothing else.
        """
        url = CHART_URL + quote(symbol, safe="")
        response = self._session.get(url, params=actions.PARAMETERS, allow_redirects=False)
        return HttpResponse(response.status_code, response.content)

    def _request(self, parameters: Mapping[str, str], crumb: str) -> HttpResponse:
        response = self._session.get(QUOTE_URL, params={**parameters, "crumb": crumb}, allow_redirects=False)
        return HttpResponse(response.status_code, response.content)

    def discard_cookies(self) -> None:
        """Get a new cookie and crumb in the next poll, because nothing usable came with these. Never raises."""
        self._crumbs.discard()

    def stop(self) -> None:
        """Send nothing more. Every `get` from now on raises `SourceError`, and so does every `get` that waits."""
        self._limiter.stop()

    def close(self) -> None:
        """Close the connections and the cookie file, and remove a temporary cache."""
        self._session.close()
        self._crumbs.close()
        if self._temporary is not None:
            self._temporary.cleanup()


def _is_crumb_refused(response: HttpResponse) -> bool:
    """Whether Yahoo refuses the crumb or its cookie. A redirect leads to the consent pages."""
    return response.status == 401 or 300 <= response.status < 400  # noqa: PLR2004  (defined by HTTP)
