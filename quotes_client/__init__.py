"""A small client of the query API: bars, quotes, alerts and latest prices as data frames, and a stream of new prices.

    with QuotesClient("http://127.0.0.1:8000") as client:
        bars = client.bars("AAPL", "5m", start="2026-11-27")

It needs httpx, and pandas or polars. To use it elsewhere, copy this file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote as percent_encoded

import httpx

Moment = datetime | date | str | int
"""An aware datetime, a date (its midnight in UTC), a text in ISO 8601, or Unix seconds."""
Resolution = Literal["1m", "5m", "15m", "1h", "1d"]
Frame = Literal["pandas", "polars"]

PAGE = 5_000
"""How many rows one request asks for. It is the most that the API gives."""
TIMES = ("start", "event_time", "ingest_time", "source_time", "timestamp", "opens", "closes")
"""Columns that hold UTC times."""
PATIENCE_SECONDS = 60.0
"""For how long `stream` tries again while the API does not answer."""
MOST_PAUSE_SECONDS = 10.0
_BUSY = frozenset({429, 502, 503, 504})


class QuotesError(Exception):
    """The API refused a request, or did not answer. The message says what is wrong and what to do."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status. None if there was no answer."""

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is None or self.status in _BUSY


class IamAuth(httpx.Auth):
    """Signs requests to an API that asks for IAM, with the credentials that the AWS SDK finds. It needs botocore."""

    requires_request_body = True

    def __init__(self, region: str) -> None:
        from botocore.session import get_session  # noqa: PLC0415  (only this class needs it)

        self._credentials, self._region = get_session().get_credentials(), region
        if self._credentials is None:
            raise QuotesError("there are no AWS credentials: log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature. httpx calls it for each request."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        signed = AWSRequest(request.method, str(request.url), {"host": request.url.netloc.decode()})
        SigV4Auth(self._credentials, "execute-api", self._region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request


class QuotesClient:
    """Reads one feed. Every method raises `QuotesError`.

    `url` is the address of the dashboard or of the API. If the API asks for a login, give a token of the OIDC issuer, a
    function that returns one, or `auth=IamAuth(region)`. Prices are float64, and exact `Decimal` objects with
    `exact=True`. Times are UTC.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | Callable[[], str] | None = None,
        auth: httpx.Auth | None = None,
        frame: Frame = "pandas",
        exact: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._token, self._frame, self._exact = token, frame, exact
        self._http = httpx.Client(base_url=url, auth=auth, timeout=30, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def symbols(self) -> Any:
        """One row for each symbol, sorted: exchange, currency, calendar, time of the last quote, freshness."""
        return self._table(self._get("/v1/symbols", {})["symbols"])

    def latest(self, symbols: Collection[str] | None = None) -> Any:
        """The latest quote of each symbol, one row each; of all symbols if none are named.

        A symbol of which nothing is stored has no row.
        """
        return self._table(self._get("/v1/latest", _latest_of(symbols))["quotes"])

    def bars(
        self,
        symbol: str,
        resolution: Resolution = "1m",
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        indicators: Collection[str] | Literal["all"] = (),
    ) -> Any:
        """Bars from `start` up to, but without, `end`, oldest first: one row each, with a column for each indicator.

        A minute without quotes has no bar. The bar of the current minute is there with `is_open`. `provenance` is
        `stream`, `backfill` or `rebuild`. Without `start`, only the newest `PAGE` bars.
        """
        names = indicators if isinstance(indicators, str) else ",".join(indicators) or None
        query = {"resolution": resolution, "indicators": names}
        rows = self._rows(f"/v1/bars/{_in_path(symbol)}", "bars", query, start, end)
        return self._table([{**row, **row.pop("indicators", {})} for row in rows])

    def coverage(self, symbol: str, start: Moment | None = None, end: Moment | None = None) -> Any:
        """How many minutes are stored and missing, a row for each day of the exchange, by default of the last 30 days.

        `expected` is the sum of `stored`, `without_trades` (the source has no bar either) and `missing`. `stored` is
        the sum of `stream`, `backfill` and `rebuild`. A range has at most 60 days.
        """
        query = {"start": _text(start), "end": _text(end)}
        return self._table(self._get(f"/v1/coverage/{_in_path(symbol)}", query)["days"])

    def quotes(self, symbol: str, start: Moment | None = None, end: Moment | None = None) -> Any:
        """The stored quotes of a symbol, oldest first, one row each. Without `start`, only the newest `PAGE`."""
        return self._table(self._rows(f"/v1/quotes/{_in_path(symbol)}", "quotes", {}, start, end))

    def alerts(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        rule: str | None = None,
        severity: str | None = None,
        symbol: str | None = None,
    ) -> Any:
        """Alerts, oldest first, one row each. Without `start`, those of the last seven days, at most 1,000."""
        query = {"rule": rule, "severity": severity, "symbol": symbol}
        rows = self._rows("/v1/alerts", "alerts", query, start, end, page=1_000)
        # The timestamp of an alert about a revised quote is the quote's key, which ends with `#` and the revision.
        return self._table([{**row, "timestamp": row["timestamp"].partition("#")[0]} for row in rows])

    def stream(self, symbols: Collection[str] | None = None, interval: float = 1.0) -> Iterator[dict[str, Any]]:
        """Each new quote of `latest`, as it comes, for ever. Quotes between two looks are skipped: `quotes` has them.

        It looks every `interval` seconds, and an unchanged answer has no body (ETag). While the API does not answer, it
        tries again, and raises `QuotesError` after `PATIENCE_SECONDS`.
        """
        seen: dict[str, tuple[str, int]] = {}
        etag, pause, failed_since = "", interval, None
        while True:
            try:
                answer = self._request("/v1/latest", _latest_of(symbols), {"If-None-Match": etag} if etag else {})
            except QuotesError as error:
                failed_since = time.monotonic() if failed_since is None else failed_since
                if not error.is_temporary or time.monotonic() - failed_since > PATIENCE_SECONDS:
                    raise
                pause = min(pause * 2, MOST_PAUSE_SECONDS)
            else:
                pause, failed_since = interval, None
                if answer.status_code != httpx.codes.NOT_MODIFIED:
                    etag = answer.headers.get("ETag", "")
                    for quote in self._decoded(answer)["quotes"]:
                        identity = (quote["event_time"], quote["revision"])
                        if seen.get(quote["symbol"]) != identity:
                            seen[quote["symbol"]] = identity
                            yield quote
            time.sleep(pause)

    def _rows(
        self,
        path: str,
        name: str,
        query: Mapping[str, Any],
        start: Moment | None,
        end: Moment | None,
        *,
        page: int = PAGE,
    ) -> list[dict[str, Any]]:
        """All rows of a range, oldest first, page by page. Without a start, the newest page."""
        order = "desc" if start is None else "asc"
        asked = {**query, "start": _text(start), "end": _text(end), "order": order, "limit": page}
        rows: list[dict[str, Any]] = []
        while True:
            answer = self._get(path, asked)
            rows += answer[name]
            if answer["next"] is None or (start is None and len(rows) >= page):
                return rows if order == "asc" else rows[:page][::-1]
            asked["cursor"] = answer["next"]

    def _get(self, path: str, query: Mapping[str, Any]) -> Any:
        return self._decoded(self._request(path, query, {}))

    def _request(self, path: str, query: Mapping[str, Any], headers: dict[str, str]) -> httpx.Response:
        if self._token is not None:
            token = self._token if isinstance(self._token, str) else self._token()
            headers = {**headers, "Authorization": f"Bearer {token}"}
        asked = {name: value for name, value in query.items() if value is not None}
        try:
            answer = self._http.get(path, params=asked, headers=headers)
        except httpx.HTTPError as error:
            raise QuotesError(f"{self._http.base_url} does not answer ({error}): check the address") from error
        if not answer.is_success and answer.status_code != httpx.codes.NOT_MODIFIED:
            raise QuotesError(_problem(answer), answer.status_code)
        return answer

    def _decoded(self, answer: httpx.Response) -> Any:
        return json.loads(answer.content, parse_float=Decimal) if self._exact else answer.json()

    def _table(self, rows: list[dict[str, Any]]) -> Any:
        """A data frame of the chosen kind. Its times are of type datetime in UTC."""
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
        if self._frame == "polars":
            import polars as pl  # noqa: PLC0415  (a user needs only one of the two)

            table = pl.DataFrame(columns, strict=False)
            times = [name for name in TIMES if name in columns]
            return table.with_columns(pl.col(times).str.to_datetime(time_unit="ms", time_zone="UTC"))
        import pandas as pd  # noqa: PLC0415

        frame = pd.DataFrame(columns)
        for name in (name for name in TIMES if name in columns):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        return frame


def _latest_of(symbols: Collection[str] | None) -> dict[str, str | None]:
    return {"symbols": None if symbols is None else symbols if isinstance(symbols, str) else ",".join(symbols)}


def _in_path(symbol: str) -> str:
    """A symbol as a part of a path. Symbols may contain a slash."""
    return percent_encoded(symbol, safe="")


def _text(moment: Moment | None) -> str | int | None:
    """A moment as the API reads it. Raises `QuotesError` for a time without a zone, which would be a guess."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise QuotesError(f"{moment} has no time zone: use datetime(…, tzinfo=UTC)")
        return moment.isoformat()
    return moment.isoformat() if isinstance(moment, date) else moment


def _problem(answer: httpx.Response) -> str:
    """What an error says of itself, in one sentence."""
    try:
        found = answer.json()
        return str(found.get("detail") or found.get("message") or found["title"])
    except (ValueError, KeyError, AttributeError):
        return f"{answer.request.url} answered with status {answer.status_code}"
