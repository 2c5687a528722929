"""The bodies of the local Yahoo, beside recorded ones where they are available."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from producer_service.sources.yahoo.parsing import EXTENDED_FIELDS, FIELDS, parse
from tests.fakes.yahoo.charts import Charts
from tests.fakes.yahoo.prices import Prices
from tests.fakes.yahoo.quotes import ALWAYS, Quotes
from tests.fakes.yahoo.recordings import single
from tests.fakes.yahoo.tapes import Tapes

Body = dict[str, Any]

OPEN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
TIMES = {
    "PRE": datetime(2026, 11, 23, 13, 0, tzinfo=UTC),
    "REGULAR": OPEN,
    "POST": datetime(2026, 11, 23, 22, 0, tzinfo=UTC),
    "POSTPOST": datetime(2026, 11, 24, 3, 0, tzinfo=UTC),
    "CLOSED": datetime(2026, 11, 22, 15, 0, tzinfo=UTC),
}
SYMBOLS = {
    "EQUITY": "AAPL",
    "ETF": "QQQ",
    "INDEX": "^GSPC",
    "CRYPTOCURRENCY": "ZRC-USD",
    "CURRENCY": "AUDNZD=X",
    "FUTURE": "SI=F",
    "NONE": "RIDE",
}


TAPES = Tapes(Prices(1))
QUOTES = Quotes(TAPES)


def chart(symbol: str, parameters: Mapping[str, str] = MappingProxyType({}), time: datetime = OPEN) -> Body:
    response = Charts(TAPES).response(symbol, parameters, time.timestamp())
    body: Body = json.loads(response.body)["chart"]
    return body


def full(symbol: str, time: datetime) -> Body:
    quote = QUOTES.full_quote(symbol, time.timestamp())
    assert quote is not None
    return quote


@pytest.mark.parametrize(("state", "time"), TIMES.items())
def test_the_parser_reads_every_quote(state: str, time: datetime) -> None:
    symbols = ["aapl", "VOD.L", "7203.T", "^VIX", "^VXAPL", "ZRC-USD", "AUDNZD=X", "SI=F", "RIDE", "ADH", "ZZZZ"]
    body = QUOTES.body(symbols, {*FIELDS, *EXTENDED_FIELDS}, time.timestamp())

    response = parse(body, symbols, time, extended_hours=True)

    assert [quote.symbol for quote in response.quotes] == symbols[:-3]
    assert response.missing == ("RIDE", "ADH", "ZZZZ")
    expected = {"PRE": "PRE", "REGULAR": "REGULAR"}.get(state, "POST")
    assert response.quotes[0].market_state == expected
    assert [quote.delay_minutes for quote in response.quotes] == [0, 15, 20, 15, 15, 0, 0, 10]
    for quote in response.quotes:
        assert quote.low is None or quote.high is None or quote.low < quote.high


def test_indexes_may_lack_a_volume_and_the_prices_of_the_day() -> None:
    (vix,) = parse(QUOTES.body(["^VIX"], FIELDS, OPEN.timestamp()), ["^VIX"], OPEN).quotes
    (vxapl,) = parse(QUOTES.body(["^VXAPL"], FIELDS, OPEN.timestamp()), ["^VXAPL"], OPEN).quotes

    assert (vix.volume, vxapl.volume, vxapl.open, vxapl.high, vxapl.low) == (0, 0, None, None, None)
    assert vix.open is not None


def test_with_fields_a_quote_has_those_and_the_ones_that_yahoo_always_sends() -> None:
    body = json.loads(QUOTES.body(["AAPL"], {"regularMarketOpen", "beta"}, OPEN.timestamp()))

    assert body["quoteResponse"]["result"][0].keys() == ALWAYS | {"regularMarketOpen"}


def test_a_chart_has_a_row_for_each_minute_and_one_for_the_current_price() -> None:
    result = chart("AAPL", {"interval": "1m", "range": "1d"}, OPEN.replace(second=7))["result"][0]

    times, (columns,) = result["timestamp"], result["indicators"]["quote"]
    start = int(OPEN.timestamp()) - 1_800
    assert times == [*range(start, start + 1_801, 60), int(OPEN.timestamp()) + 6]
    assert columns["close"][-1] == single(result["meta"]["regularMarketPrice"])
    assert columns["volume"][-1] == 0
    assert sum(columns["volume"]) == result["meta"]["regularMarketVolume"]
    assert max(columns["high"]) == single(result["meta"]["regularMarketDayHigh"])
    assert result["meta"]["tradingPeriods"][0][0]["start"] == start


def test_a_minute_without_a_trade_is_null_in_a_chart() -> None:
    (columns,) = chart("UGA", {"interval": "1m", "range": "1d"})["result"][0]["indicators"]["quote"]

    assert [price is None for price in columns["close"][:5]] == [False, True, True, True, False]
    assert columns["volume"][1] is None


def test_a_chart_of_days_ends_with_today() -> None:
    result = chart("AAPL", {"interval": "1d", "range": "5d"})["result"][0]

    assert len(result["timestamp"]) == 5
    assert result["timestamp"][-1] == result["meta"]["regularMarketTime"]
    assert result["indicators"]["adjclose"][0]["adjclose"] == result["indicators"]["quote"][0]["close"]


def test_a_chart_of_a_weekend_has_no_rows() -> None:
    saturday, sunday = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    period = {"period1": str(saturday.timestamp()), "period2": str(sunday.timestamp())}

    result = chart("AAPL", {"interval": "1m", **period})["result"][0]

    assert "timestamp" not in result
    assert result["indicators"] == {"quote": [{}]}


def test_chart_errors_are_those_of_yahoo() -> None:
    assert chart("ZZZZ")["error"] == {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    assert "Only 8 days worth of 1m" in chart("AAPL", {"interval": "1m", "range": "1mo"})["error"]["description"]


def recorded_documents(recordings: Path) -> Iterator[tuple[str, Body]]:
    """The recorded JSON bodies with the URL of their request, where it is known."""
    for file in sorted(recordings.glob("yahoo/**/*.json")):
        recorded = json.loads(file.read_bytes())
        body = recorded.get("response", recorded).get("bodyJson", recorded)
        yield recorded.get("request", {}).get("url", ""), body


def kind(value: object) -> str:
    """The JSON type of a value."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case _:
            return type(value).__name__


def test_quotes_have_the_shape_of_recorded_ones(recordings: Path) -> None:
    """Each key was recorded for the type with the same JSON type, and each key that was always recorded is there."""
    recorded: dict[str, list[Body]] = defaultdict(list)
    for url, body in recorded_documents(recordings):
        if "fields=" not in url:
            for row in body.get("quoteResponse", {}).get("result", []):
                recorded[row["quoteType"]].append(row)

    for type_, symbol in SYMBOLS.items():
        ours: Body = {}
        for time in TIMES.values():
            ours |= full(symbol, time)
        kinds = {name: kind(value) for row in recorded[type_] for name, value in row.items()}
        if type_ == "ETF":  # the one that was recorded had no price before the open
            kinds |= {name: "number" for name in ours if name.startswith("preMarket")}
        always = set.intersection(*({*row} for row in recorded[type_]))
        assert {name: kind(value) for name, value in ours.items()}.items() <= kinds.items(), type_
        assert always <= ours.keys(), type_
    (unpriced,) = (row for row in recorded["MUTUALFUND"] if "regularMarketPrice" not in row)
    assert full("ADH", OPEN).keys() == unpriced.keys()


def test_quotes_with_fields_have_the_shape_of_recorded_ones(recordings: Path) -> None:
    requested = [row for url, body in recorded_documents(recordings) if "fields=" in url for row in _rows(body)]

    assert requested
    assert set.intersection(*({*row} for row in requested)) == ALWAYS


def test_charts_have_the_shape_of_recorded_ones(recordings: Path) -> None:
    compared = set()
    for _, body in recorded_documents(recordings):
        for result in (body.get("chart") or {}).get("result") or []:
            interval, symbol = result["meta"]["dataGranularity"], result["meta"]["symbol"]
            if interval not in ("1d", "1m") or result["meta"]["instrumentType"] == "MUTUALFUND":
                continue
            ours = chart(symbol, {"interval": interval, "range": "1d"})["result"][0]
            missing = {*_types(result["meta"]).items()} - {*_types(ours["meta"]).items()}
            assert not missing, symbol
            assert _types(ours["meta"]).keys() - _types(result["meta"]).keys() <= {"longName", "tradingPeriods"}
            assert ours["indicators"].keys() == result["indicators"].keys()
            compared.add(interval)
    assert compared == {"1d", "1m"}


def _rows(body: Body) -> list[Body]:
    rows: list[Body] = body.get("quoteResponse", {}).get("result", [])
    return rows


def _types(meta: Body) -> dict[str, str]:
    return {name: kind(value) for name, value in meta.items()}
