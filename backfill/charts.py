"""Yahoo's history as the backfill reads it: one request for a chunk, and the bars in its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, cast
from zoneinfo import ZoneInfo

from backfill.chunks import Chunk, FinishedChunk, SourceBar
from backfill.errors import Forgotten, OtherCurrency, UnknownSymbol
from backfill.plan import Limit
from bars.resolutions import ONE_DAY, Span
from quotes import Action, whole_milliseconds
from yahoo_requests import SOURCE
from yahoo_requests.chart_body import ChartError
from yahoo_requests.chart_rows import Resolution
from yahoo_requests.charts import LIMITS, ChartWindow, parse_chart
from yahoo_requests.errors import SourceError
from yahoo_requests.json_values import MalformedResponse
from yahoo_requests.session import HttpResponse

ZONES_APART = timedelta(hours=26)
"""How much earlier than in the calendar's zone a day may begin in that of Yahoo's chart: zones are from 12 hours behind
UTC to 14 ahead of it. An answer has no row of a day that begins before the request."""


class ChartRequests(Protocol):
    """Sends requests for charts: `yahoo_requests.chart_client.ChartClient`."""

    def chart(self, symbol: str, resolution: Resolution, start: datetime, end: datetime) -> HttpResponse:
        """Yahoo's answer. Raises `SourceError` if there is none."""


class YahooCharts:
    """See `ports.Charts`."""

    def __init__(
        self,
        client: ChartRequests,
        now: Callable[[], datetime],
        zone_of: Callable[[str], ZoneInfo],
        currency_of: Callable[[str], str | None],
    ) -> None:
        self._client, self._now = client, now
        self._zone_of = zone_of
        """The time zone of a symbol's calendar, in which its days begin."""
        self._currency_of = currency_of
        """The currency of a symbol's quotes, or None if it is not known."""

    def fetch(self, chunk: Chunk, sessions: Sequence[Span], splits: Sequence[Action]) -> FinishedChunk:
        """See `ports.Charts.fetch`."""
        resolution = cast("Resolution", chunk.resolution)
        start = chunk.start - ZONES_APART if resolution == ONE_DAY.name else chunk.start
        response = self._client.chart(chunk.symbol, resolution, start, chunk.end)
        fetched_at = whole_milliseconds(self._now())
        window = ChartWindow(chunk.start, chunk.end, tuple(sessions), self._zone_of(chunk.symbol))
        try:
            chart = parse_chart(response.body, chunk.symbol, resolution, window, fetched_at, splits=splits)
        except ChartError as error:
            if error.is_too_old:
                raise Forgotten(str(error)) from error
            raise SourceError("malformed", f"HTTP {response.status}: {error}") from error
        except MalformedResponse as error:
            raise SourceError("malformed", f"HTTP {response.status}: {error}") from error
        if not chart.is_known:
            raise UnknownSymbol("; ".join(chart.problems))
        known = self._currency_of(chunk.symbol)
        if None not in (known, chart.currency) and chart.currency != known:
            raise OtherCurrency(f"its history is in {chart.currency}, but its quotes are in {known}")
        return FinishedChunk(
            chunk=chunk,
            fetched_at=fetched_at,
            complete_to=chart.complete_to,
            source=SOURCE,
            bars=tuple(SourceBar(*bar) for bar in chart.bars),
            actions=chart.actions,
            problems=chart.problems,
        )


def limit_of(resolution: str) -> Limit:
    """What Yahoo says of a resolution."""
    limit = LIMITS[cast("Resolution", resolution)]
    return Limit(limit.kept, limit.per_request)
