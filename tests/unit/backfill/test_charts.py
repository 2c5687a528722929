"""A chunk from Yahoo: one request, and the bars in its answer."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.charts import YahooCharts, limit_of
from backfill.chunks import Chunk, SourceBar
from backfill.errors import Forgotten, OtherCurrency, UnknownSymbol
from backfill.plan import Limit
from bars.resolutions import Span, midnight
from yahoo_requests.chart_rows import Resolution
from yahoo_requests.errors import SourceError
from yahoo_requests.session import HttpResponse

NEW_YORK = ZoneInfo("America/New_York")
ALL_ZONES = st.sampled_from(
    ["UTC", "Europe/London", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Etc/GMT+12"]
).map(ZoneInfo)
ZONES = st.sampled_from(["UTC", "Europe/London", "America/New_York", "Asia/Tokyo"]).map(ZoneInfo)
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CHUNK = Chunk("AAPL", "1m", OPEN - timedelta(hours=9, minutes=30), OPEN + timedelta(minutes=3))
SESSIONS = [Span(OPEN, OPEN + timedelta(minutes=2))]
NOT_FOUND = {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}}
WHOLE = {
    "chart": {
        "result": [
            {
                "meta": {
                    "symbol": "AAPL",
                    "currency": "USD",
                    "dataGranularity": "1m",
                    "exchangeTimezoneName": "America/New_York",
                    "regularMarketTime": int(OPEN.timestamp()) + 120,
                },
                "timestamp": [int(OPEN.timestamp()), int(OPEN.timestamp()) + 60],
                "indicators": {
                    "quote": [
                        {
                            "open": [171.6199951171875, 172],
                            "high": [172, 172],
                            "low": [171.5, 172],
                            "close": [171.75, 172],
                            "volume": [0, 10],
                        }
                    ]
                },
            }
        ],
        "error": None,
    }
}


class Requests:
    """Answers every request with the same body, and notes what was asked for."""

    def __init__(self, status: int, body: object) -> None:
        self._response = HttpResponse(status, body if isinstance(body, bytes) else json.dumps(body).encode())
        self.asked: list[tuple[object, ...]] = []

    def chart(self, symbol: str, resolution: Resolution, start: datetime, end: datetime) -> HttpResponse:
        self.asked.append((symbol, resolution, start, end))
        return self._response


def charts(requests: Requests, currency: str | None = "USD") -> YahooCharts:
    return YahooCharts(
        requests, lambda: OPEN + timedelta(days=1, microseconds=1_700), lambda _: NEW_YORK, {"AAPL": currency}.get
    )


def test_a_chunk_is_one_request_and_has_the_exact_bars() -> None:
    requests = Requests(200, WHOLE)
    finished = charts(requests).fetch(CHUNK, SESSIONS, ())
    assert requests.asked == [("AAPL", "1m", CHUNK.start, CHUNK.end)]
    assert finished.bars[0].open == Decimal("171.62")
    assert finished.bars[1] == SourceBar(OPEN + timedelta(minutes=1), *[Decimal(172)] * 4, 10)  # type: ignore[arg-type,call-arg]
    assert finished.complete_to == CHUNK.end
    assert finished.fetched_at == OPEN + timedelta(days=1, milliseconds=1)


def test_a_symbol_that_yahoo_does_not_know_is_said() -> None:
    with pytest.raises(UnknownSymbol, match="No data found"):
        charts(Requests(404, NOT_FOUND)).fetch(CHUNK, SESSIONS, ())


def test_a_history_in_another_currency_than_the_quotes_is_refused() -> None:
    with pytest.raises(OtherCurrency, match="its history is in USD, but its quotes are in GBp"):
        charts(Requests(200, WHOLE), "GBp").fetch(CHUNK, SESSIONS, ())
    assert charts(Requests(200, WHOLE), None).fetch(CHUNK, SESSIONS, ()).bars


@pytest.mark.parametrize("body", [b"<html>busy</html>", json.dumps(WHOLE).encode()[:-20]])
def test_an_unusable_answer_is_a_failure_of_the_source(body: bytes) -> None:
    with pytest.raises(SourceError, match=r"malformed: HTTP 200: ") as error:
        charts(Requests(200, body)).fetch(CHUNK, SESSIONS, ())
    assert error.value.reason == "malformed"


def unprocessable(description: str) -> dict[str, object]:
    return {"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": description}}}


@pytest.mark.parametrize(
    ("span", "limit", "error"),
    [
        # yfinance #636, #1389 and FinRL #831
        ("1h 692634600 1616250522", "The requested range must be within the last 730 days.", Forgotten),
        ("5m 1669852800 1675209600", "The requested range must be within the last 60 days.", Forgotten),
        ("1m 1664596800 1664683200", "The requested range must be within the last 30 days.", Forgotten),
        # yfinance #2903 and #1671: the request itself was wrong
        (
            "1m 1752606940 1784142940",
            "Only 8 days worth of 1m granularity data are allowed to be fetched per request.",
            SourceError,
        ),
        (
            "1d -2208994789 1693575325",
            "Only 100 years worth of day granularity data are allowed to be fetched per request.",
            SourceError,
        ),
    ],
)
def test_a_window_that_is_too_old_is_told_from_one_that_is_too_long(
    span: str, limit: str, error: type[Exception]
) -> None:
    resolution, start, end = span.split()
    text = f"{resolution} data not available for startTime={start} and endTime={end}. {limit}"
    with pytest.raises(error, match=f"Unprocessable Entity: {text}"):
        charts(Requests(422, unprocessable(text))).fetch(CHUNK, SESSIONS, ())


def test_the_limits_are_those_of_yahoo() -> None:
    assert limit_of("1m") == Limit(timedelta(days=30), timedelta(days=7))
    assert limit_of("1d") == Limit(timedelta(days=36_135), timedelta(days=36_500))


@given(ZONES, ZONES, st.dates(date(2026, 1, 1), date(2026, 11, 20)))
def test_the_bar_of_a_day_begins_where_the_calendar_begins_the_day(own: ZoneInfo, charts: ZoneInfo, day: date) -> None:
    result: Any = WHOLE["chart"]["result"]
    result = result[0]
    meta = result["meta"] | {"dataGranularity": "1d", "exchangeTimezoneName": charts.key}
    times = [int(midnight(day + timedelta(days=each), charts).timestamp()) for each in range(2)]
    body = {"chart": {"result": [result | {"meta": meta, "timestamp": times}], "error": None}}
    chunk = Chunk("AAPL", "1d", midnight(day - timedelta(days=1), own), midnight(day + timedelta(days=3), own))
    fetched = YahooCharts(Requests(200, body), lambda: OPEN, lambda _: own, lambda _: None).fetch(chunk, [], ())
    assert [bar.start for bar in fetched.bars] == [midnight(day + timedelta(days=each), own) for each in range(2)]


class Days:
    """Answers as Yahoo does: with the rows of all days that begin within the request, at midnight in its own zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def chart(self, symbol: str, resolution: Resolution, start: datetime, end: datetime) -> HttpResponse:
        days = [start.date() + timedelta(days=each) for each in range(-2, (end - start).days + 3)]
        times = [int(each.timestamp()) for day in days if start <= (each := midnight(day, self._zone)) < end]
        meta = {
            "symbol": symbol,
            "currency": "USD",
            "dataGranularity": resolution,
            "exchangeTimezoneName": self._zone.key,
            "regularMarketTime": int(end.timestamp()) + 86_400,
        }
        prices = {name: [100] * len(times) for name in ("open", "high", "low", "close", "volume")}
        result = {"meta": meta, "timestamp": times, "indicators": {"quote": [prices]}}
        return HttpResponse(200, json.dumps({"chart": {"result": [result], "error": None}}).encode())


@given(ALL_ZONES, ALL_ZONES, st.dates(date(2026, 1, 1), date(2026, 10, 1)), st.integers(1, 9))
def test_every_day_of_a_chunk_has_its_bar_whatever_the_zone_of_the_chart_is(
    own: ZoneInfo, chart_zone: ZoneInfo, day: date, count: int
) -> None:
    days = [midnight(day + timedelta(days=each), own) for each in range(count + 1)]
    chunk = Chunk("EURUSD=X", "1d", days[0], days[-1] + timedelta(days=1))
    sessions = [Span(each, each + timedelta(days=1)) for each in days]
    finished = YahooCharts(Days(chart_zone), lambda: OPEN, lambda _: own, lambda _: None).fetch(chunk, sessions, ())
    assert [bar.start for bar in finished.bars][:count] == days[:count]
    assert finished.problems == ()
