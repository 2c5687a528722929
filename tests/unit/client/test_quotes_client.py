"""The client against a small API in the same process."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from urllib.parse import unquote

import httpx
import pandas as pd
import polars as pl
import pytest

import quotes_client
from quotes_client import QuotesClient, QuotesError

Answer = httpx.Response
PRICE = re.compile(r'"(\d+\.\d+)"')
"""A price as a text, which becomes a number with the same digits."""
BARS = [
    {"start": f"2026-11-27T14:{minute}:00.000Z", "open": "1.10", "close": f"1.{minute}", "volume": minute}
    | ({"indicators": {"sma_20": 1.25}} if minute > 31 else {})
    for minute in range(30, 37)
]


def client(answer: Callable[[httpx.Request], Answer], **options: object) -> QuotesClient:
    return QuotesClient("http://feed.test", transport=httpx.MockTransport(answer), **options)  # type: ignore[arg-type]


def body(text: str, **headers: str) -> Answer:
    return Answer(200, text=text, headers={"Content-Type": "application/json", **headers})


class PagedBars:
    """The bars of a symbol, three a page."""

    def __init__(self) -> None:
        self.queries: list[dict[str, str]] = []
        self.paths: list[str] = []

    def __call__(self, request: httpx.Request) -> Answer:
        query = dict(request.url.params)
        self.queries.append(query)
        self.paths.append(unquote(request.url.raw_path.decode().partition("?")[0]))
        at = int(query.get("cursor", 0))
        bars = (BARS if query["order"] == "asc" else BARS[::-1])[at : at + 3]
        following = at + 3 if at + 3 < len(BARS) else None
        return body(PRICE.sub(r"\1", json.dumps({"bars": bars, "next": None if following is None else str(following)})))


def test_bars_are_read_page_by_page_oldest_first() -> None:
    api = PagedBars()
    frame = client(api).bars("AAPL", "1m", datetime(2026, 11, 27, 14, 30, tzinfo=UTC), date(2026, 11, 28))
    assert len(frame) == len(BARS)
    assert frame["start"].is_monotonic_increasing
    assert frame["start"].iloc[0] == pd.Timestamp("2026-11-27T14:30:00Z")
    assert api.queries[0]["start"] == "2026-11-27T14:30:00+00:00"
    assert api.queries[0]["end"] == "2026-11-28"
    assert [query.get("cursor") for query in api.queries] == [None, "3", "6"]


def test_indicators_are_columns_and_are_missing_where_they_are_unknown() -> None:
    frame = client(PagedBars()).bars("AAPL", start="2026-11-27", indicators="all")
    assert frame["sma_20"].isna().tolist() == [True, True] + [False] * 5


def test_without_a_start_the_newest_bars_come_oldest_first() -> None:
    api = PagedBars()
    frame = client(api).bars("AAPL")
    assert frame["volume"].tolist() == [30, 31, 32, 33, 34, 35, 36]  # a page may be short: it reads on up to `PAGE`
    assert api.queries[0]["order"] == "desc"


def test_without_a_start_an_endless_history_ends_at_a_page() -> None:
    def answer(request: httpx.Request) -> Answer:
        at = int(request.url.params.get("cursor", 0))
        return body(json.dumps({"bars": [{"volume": -number} for number in range(at, at + 2_000)], "next": at + 2_000}))

    frame = client(answer).bars("AAPL")
    assert frame["volume"].tolist() == list(range(1 - quotes_client.PAGE, 1))


def test_coverage_is_a_row_for_each_day() -> None:
    days = [
        {
            "day": f"2026-11-{day}",
            "opens": f"2026-11-{day}T14:30:00.000Z",
            "expected": 390,
            "stored": 380,
            "missing": 10,
        }
        for day in (25, 27)
    ]
    asked: list[str] = []

    def answer(request: httpx.Request) -> Answer:
        asked.append(str(request.url))
        return body(json.dumps({"symbol": "^GSPC", "days": days}))

    frame = client(answer).coverage("^GSPC", start=date(2026, 11, 1))
    assert asked == ["http://feed.test/v1/coverage/%5EGSPC?start=2026-11-01"]
    assert (list(frame["day"]), int(frame["missing"].sum())) == (["2026-11-25", "2026-11-27"], 20)
    assert frame["opens"].iloc[1] == pd.Timestamp("2026-11-27T14:30:00Z")


def test_polars_frames_have_the_same_rows() -> None:
    frame = client(PagedBars(), frame="polars").bars("AAPL", start="2026-11-27")
    assert isinstance(frame, pl.DataFrame)
    assert frame["start"].dtype == pl.Datetime("ms", "UTC")
    assert frame["close"].to_list()[0] == 1.30


def test_exact_prices_keep_the_digits_of_the_row() -> None:
    frame = client(PagedBars(), exact=True).bars("AAPL", start="2026-11-27")
    assert isinstance(frame["open"].iloc[0], Decimal)
    assert str(frame["open"].iloc[0]) == "1.10"


@pytest.mark.parametrize("symbol", ["BRK-B", "^GSPC", "EURUSD=X", "BTC/USD", "M&M.NS"])
def test_any_symbol_fits_into_the_path(symbol: str) -> None:
    api = PagedBars()
    client(api).bars(symbol, start="2026-11-27")
    assert api.paths[0] == f"/v1/bars/{symbol}"


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_an_alert_about_a_revised_quote_has_its_time(frame: str) -> None:
    alert = '{"id": "a", "timestamp": "2026-11-27T14:30:01.000Z%s"}'
    answer = body(f'{{"alerts": [{alert % ""}, {alert % "#2"}], "next": null}}')
    times = client(lambda _: answer, frame=frame).alerts()["timestamp"]
    assert [str(time)[:19] for time in times] == ["2026-11-27 14:30:01"] * 2


def test_no_rows_are_an_empty_frame() -> None:
    assert client(lambda _: body('{"bars":[],"next":null}')).bars("AAPL").empty


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(QuotesError, match="no time zone"):
        client(PagedBars()).bars("AAPL", start=datetime(2026, 11, 27))  # noqa: DTZ001  (this is the point)


def test_a_problem_is_told_in_its_own_words() -> None:
    problem = Answer(404, json={"type": "urn:stockstream:symbol-unknown", "title": "Not found", "detail": "no NOPE"})
    with pytest.raises(QuotesError, match="no NOPE") as raised:
        client(lambda _: problem).bars("NOPE")
    assert raised.value.status == 404
    assert not raised.value.is_temporary


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"message":"Unauthorized"}', b"\xff"])
def test_an_error_of_something_else_is_told_too(content: bytes) -> None:
    with pytest.raises(QuotesError, match=r"Unauthorized|status 401"):
        client(lambda _: Answer(401, content=content)).latest()


def test_a_redirect_is_no_answer() -> None:
    with pytest.raises(QuotesError, match="status 301"):
        client(lambda _: Answer(301, content=b"<html>", headers={"Location": "https://feed.test"})).latest()


def test_a_token_is_sent_and_may_be_renewed() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> Answer:
        seen.append(request.headers["Authorization"])
        return body('{"quotes":[]}')

    tokens = iter(["first", "second"])
    feed = client(answer, token=lambda: next(tokens))
    feed.latest()
    feed.latest(["AAPL"])
    assert seen == ["Bearer first", "Bearer second"]


def test_requests_are_signed_for_iam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen: list[str] = []

    def answer(request: httpx.Request) -> Answer:
        seen.append(request.headers["Authorization"])
        return body('{"quotes":[]}')

    client(answer, auth=quotes_client.IamAuth("eu-west-1")).latest(["BTC/USD", "^GSPC"])
    assert seen[0].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/execute-api/" in seen[0]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that `stream` makes. Time passes only by them."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(made))
    return made


def quote(symbol: str, second: int, revision: int = 0) -> str:
    return f'{{"symbol":"{symbol}","event_time":"2026-11-27T14:30:0{second}.000Z","revision":{revision},"price":1}}'


def test_the_stream_yields_each_new_quote_once(pauses: list[float]) -> None:
    answers = iter(
        [
            body(f'{{"quotes":[{quote("A", 1)},{quote("B", 1)}]}}', ETag='"1"'),
            Answer(304),
            Answer(503, json={"detail": "throttled"}),
            body(f'{{"quotes":[{quote("A", 2)},{quote("B", 1)}]}}', ETag='"2"'),
            body(f'{{"quotes":[{quote("A", 2, 1)},{quote("B", 1)}]}}', ETag='"3"'),
        ]
    )
    tags: list[str | None] = []

    def answer(request: httpx.Request) -> Answer:
        tags.append(request.headers.get("If-None-Match"))
        return next(answers)

    got = [(each["symbol"], each["event_time"][17:19], each["revision"]) for each in islice(client(answer).stream(), 4)]
    assert got == [("A", "01", 0), ("B", "01", 0), ("A", "02", 0), ("A", "02", 1)]
    assert tags == [None, '"1"', '"1"', '"1"', '"2"']
    assert pauses == [1, 1, 2, 1]


def test_the_stream_gives_up_when_the_api_stays_away(pauses: list[float]) -> None:
    def refuse(_: httpx.Request) -> Answer:
        raise httpx.ConnectError("refused")

    with pytest.raises(QuotesError, match="does not answer"):
        next(client(refuse).stream())
    assert quotes_client.PATIENCE_SECONDS < sum(pauses) < quotes_client.PATIENCE_SECONDS * 1.5
    assert max(pauses) == quotes_client.MOST_PAUSE_SECONDS


def test_the_stream_ends_at_once_when_the_request_is_wrong(pauses: list[float]) -> None:
    with pytest.raises(QuotesError, match="symbols has 2,000"):
        next(client(lambda _: Answer(400, json={"detail": "symbols has 2,000 names"})).stream())
    assert pauses == []
