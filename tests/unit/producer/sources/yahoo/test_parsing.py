from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.sources.yahoo.parsing import (
    EXTENDED_FIELDS,
    FIELDS,
    parse,
    requested_fields,
)
from quotes import Quote
from tests.support.sizes import sized
from yahoo_requests.json_values import MalformedResponse

RECEIVED = datetime(2026, 11, 23, 15, 0, 1, tzinfo=UTC)
EVENT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)

ROW: dict[str, Any] = {
    "language": "en-US",
    "quoteType": "EQUITY",
    "symbol": "OCDO.L",
    "currency": "GBp",
    "exchange": "LSE",
    "fullExchangeName": "LSE",
    "marketState": "REGULAR",
    "exchangeDataDelayedBy": 15,
    "regularMarketPrice": 308.8,
    "regularMarketTime": int(EVENT.timestamp()),
    "regularMarketOpen": 308.2,
    "regularMarketDayHigh": 315.4158,
    "regularMarketDayLow": 308.2,
    "regularMarketPreviousClose": 315.2,
    "regularMarketVolume": 113925,
}
DEAD = {
    "quoteType NONE": {"quoteType": "NONE", "symbol": "OCDO.L", "tradeable": False},
    "typed without a price": {
        "quoteType": "MUTUALFUND",
        "symbol": "OCDO.L",
        "regularMarketTime": 1561759658,
        "exchange": "YHD",
    },
    "price null": {**ROW, "regularMarketPrice": None},
}


def body(*rows: object) -> bytes:
    return json.dumps({"quoteResponse": {"result": rows, "error": None}}).encode()


def only(response: bytes) -> Quote:
    (quote,) = parse(response, ["OCDO.L"], RECEIVED).quotes
    return quote


def test_a_row_is_a_quote_of_exact_decimals() -> None:
    assert only(body(ROW)) == Quote(
        symbol="OCDO.L",
        event_time=EVENT,
        price=Decimal("308.8"),
        source="yahoo",
        ingest_time=RECEIVED,
        open=Decimal("308.2"),
        high=Decimal("315.4158"),
        low=Decimal("308.2"),
        previous_close=Decimal("315.2"),
        volume=113925,
        currency="GBp",
        exchange="LSE",
        market_state="REGULAR",
        delay_minutes=15,
    )


def test_a_price_keeps_the_digits_that_yahoo_printed() -> None:
    response = body(ROW).replace(b": 308.8,", b": 1.04898770,")

    assert only(response).price == Decimal("1.0489877")


def test_a_whole_price_and_a_negative_one_are_prices() -> None:
    assert only(body({**ROW, "regularMarketPrice": 202})).price == 202
    assert only(body({**ROW, "regularMarketPrice": -37.63})).price == Decimal("-37.63")


def test_rows_are_matched_by_symbol_and_not_by_position() -> None:
    response = body(
        {**ROW, "symbol": "MSFT", "regularMarketPrice": 2}, {**ROW, "symbol": "AAPL"}, {**ROW, "symbol": "X"}
    )

    quotes = parse(response, ["AAPL", "GONE", "MSFT"], RECEIVED).quotes

    assert [(quote.symbol, quote.price) for quote in quotes] == [("AAPL", Decimal("308.8")), ("MSFT", Decimal(2))]


def test_a_symbol_keeps_the_case_in_which_it_was_requested() -> None:
    assert [quote.symbol for quote in parse(body(ROW), ["ocdo.l", "OCDO.L"], RECEIVED).quotes] == ["ocdo.l", "OCDO.L"]


@pytest.mark.parametrize("rows", [[], *([row] for row in DEAD.values())], ids=["omitted", *DEAD])
def test_a_dead_symbol_is_missing(rows: list[object]) -> None:
    response = parse(body(*rows), ["OCDO.L"], RECEIVED)

    assert response.missing == ("OCDO.L",)
    assert not response.quotes
    assert not response.rejected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"regularMarketPrice": float("nan")}, "regularMarketPrice"),
        ({"regularMarketPrice": float("inf")}, "regularMarketPrice"),
        ({"regularMarketPrice": 10**12}, "price"),
        ({"regularMarketPrice": "308.8"}, "regularMarketPrice"),
        ({"regularMarketPrice": True}, "regularMarketPrice"),
        ({"regularMarketPrice": {"raw": 308.8, "fmt": "308.80"}}, "regularMarketPrice"),
        ({"regularMarketPrice": 0}, "regularMarketPrice is 0"),
        ({"regularMarketPrice": 1e-27}, "price 1E-27 has more than 26 decimal places"),
        ({"regularMarketTime": None}, "regularMarketTime is missing"),
        ({"regularMarketTime": int(EVENT.timestamp() * 1000)}, "regularMarketTime"),
        ({"regularMarketTime": float("nan")}, "regularMarketTime"),
        ({"regularMarketTime": -1}, "regularMarketTime"),
        ({"regularMarketTime": int(RECEIVED.timestamp()) + 61}, "event_time"),
    ],
    ids=str,
)
def test_only_the_quote_without_a_usable_price_or_time_is_rejected(changes: dict[str, object], reason: str) -> None:
    response = parse(body({**ROW, **changes}, {**ROW, "symbol": "AAPL"}), ["OCDO.L", "AAPL"], RECEIVED)

    assert [quote.symbol for quote in response.quotes] == ["AAPL"]
    assert [rejected.symbol for rejected in response.rejected] == ["OCDO.L"]
    assert response.rejected[0].reason.startswith(reason)


def test_an_optional_price_with_too_many_places_is_counted() -> None:
    parsed = parse(body({**ROW, "regularMarketDayHigh": 1e-27}), ["OCDO.L"], RECEIVED)
    assert (parsed.quotes[0].high, parsed.dropped_fields) == (None, 1)
    unusable = {**ROW, "currency": "a\nb", "regularMarketVolume": -1, "regularMarketOpen": 0, "exchange": None}
    assert parse(body(unusable), ["OCDO.L"], RECEIVED).dropped_fields == 2
    assert parse(body(ROW), ["OCDO.L"], RECEIVED).dropped_fields == 0


@pytest.mark.parametrize("unusable", [None, float("nan"), float("inf"), "a\nb", "", " LSE", "é", True, -1e300, [], {}])
@pytest.mark.parametrize(
    ("field", "attribute"),
    [
        ("regularMarketOpen", "open"),
        ("regularMarketDayHigh", "high"),
        ("regularMarketDayLow", "low"),
        ("regularMarketPreviousClose", "previous_close"),
        ("regularMarketVolume", "volume"),
        ("currency", "currency"),
        ("exchange", "exchange"),
        ("marketState", "market_state"),
        ("exchangeDataDelayedBy", "delay_minutes"),
    ],
)
def test_an_unusable_optional_field_is_absent(field: str, attribute: str, unusable: object) -> None:
    quote = only(body({**ROW, field: unusable}))

    assert getattr(quote, attribute) is None
    assert quote.price == Decimal("308.8")


def test_zero_means_no_price_but_is_a_valid_volume() -> None:
    """Recorded: the index ^VXAPL has a price and a previous close, and its open, high, low and volume are 0."""
    quote = only(
        body(
            {
                **ROW,
                **dict.fromkeys(("regularMarketOpen", "regularMarketDayHigh", "regularMarketDayLow"), 0),
                "regularMarketVolume": 0,
            }
        )
    )

    assert quote.open is quote.high is quote.low is None
    assert quote.volume == 0


@pytest.mark.parametrize(
    ("quote_type", "period"),
    [
        ("CRYPTOCURRENCY", "24h"),
        ("CURRENCY", "24h"),
        *((other, None) for other in ("EQUITY", "ETF", "INDEX", "FUTURE", "MUTUALFUND", "OPTION", "crypto", None, 7)),
    ],
)
def test_the_volume_of_coins_and_currencies_is_that_of_24_hours(quote_type: object, period: str | None) -> None:
    assert only(body({**ROW, "quoteType": quote_type})).volume_period == period
    assert only(body({**ROW, "quoteType": quote_type, "regularMarketVolume": 0})).volume_period == period
    assert only(body({**ROW, "quoteType": quote_type, "regularMarketVolume": None})).volume_period is None


@pytest.mark.parametrize(
    ("quote_type", "has_actions"),
    [(kind, True) for kind in ("EQUITY", "ETF", "MUTUALFUND")]
    + [(kind, False) for kind in ("INDEX", "FUTURE", "CURRENCY", "CRYPTOCURRENCY", "OPTION", "NONE", None, ["EQUITY"])],
)
def test_shares_and_funds_have_corporate_actions(quote_type: object, has_actions: bool) -> None:  # noqa: FBT001
    row = {**ROW, "quoteType": quote_type}
    symbol = str(ROW["symbol"])
    response = parse(body(row), [symbol], RECEIVED)
    assert response.with_actions == (response.quotes if has_actions else ())


@pytest.mark.parametrize("volume", [21228961792, 21228961792.0])
def test_a_volume_may_be_written_as_a_float(volume: float) -> None:
    assert only(body({**ROW, "regularMarketVolume": volume})).volume == 21228961792


CLOSE = int(EVENT.timestamp()) - 3600
PRE: dict[str, Any] = {
    **ROW,
    "marketState": "PRE",
    "regularMarketTime": CLOSE,
    "preMarketPrice": 309.5,
    "preMarketTime": CLOSE + 1800,
}
POST: dict[str, Any] = {
    **ROW,
    "marketState": "POST",
    "regularMarketTime": CLOSE,
    "postMarketPrice": 310.25,
    "postMarketTime": CLOSE + 1800,
}


def only_extended(row: dict[str, Any]) -> Quote:
    (quote,) = parse(body(row), ["OCDO.L"], RECEIVED, extended_hours=True).quotes
    return quote


def test_prices_of_extended_hours_are_used_only_on_request() -> None:
    assert requested_fields(extended_hours=False) == FIELDS
    assert {*requested_fields(extended_hours=True)} - {*FIELDS} == {*EXTENDED_FIELDS}
    assert only(body(PRE)).price == Decimal("308.8")


@pytest.mark.parametrize(
    ("row", "price", "state", "previous_close"),
    [
        (PRE, Decimal("309.5"), "PRE", Decimal("308.8")),  # Yahoo compares it with the close of the last session
        (POST, Decimal("310.25"), "POST", Decimal("315.2")),
    ],
    ids=["pre", "post"],
)
def test_a_newer_price_of_extended_hours_replaces_the_regular_one(
    row: dict[str, Any], price: Decimal, state: str, previous_close: Decimal
) -> None:
    quote = only_extended(row)

    assert (quote.price, quote.market_state, quote.previous_close) == (price, state, previous_close)
    assert quote.event_time == datetime.fromtimestamp(CLOSE + 1800, UTC)
    assert (quote.open, quote.high, quote.low, quote.volume) == (
        Decimal("308.2"),
        Decimal("315.4158"),
        Decimal("308.2"),
        113925,
    )


@pytest.mark.parametrize("state", ["POSTPOST", "CLOSED", "PREPRE", "PRE"])
def test_the_last_price_of_the_evening_stays_until_a_newer_one_appears(state: str) -> None:
    """Otherwise the quote would go back to the time of the close, and count as late in every poll of the night."""
    assert only_extended({**POST, "marketState": state}) == only_extended(POST)


def test_the_newest_of_three_prices_is_the_price() -> None:
    both = {**POST, **PRE, "preMarketTime": CLOSE + 3000}

    assert only_extended(both).market_state == "PRE"
    assert only_extended({**both, "postMarketTime": CLOSE + 3001}).market_state == "POST"
    assert only_extended({**both, "regularMarketTime": CLOSE + 3002, "marketState": "REGULAR"}).price == Decimal(
        "308.8"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"preMarketPrice": None},
        {"preMarketPrice": 0},
        {"preMarketPrice": "309.5"},
        {"preMarketTime": None},
        {"preMarketTime": float("nan")},
        {"preMarketTime": CLOSE},
        {"preMarketTime": int(RECEIVED.timestamp()) + 61},
    ],
    ids=str,
)
def test_with_an_unusable_price_of_extended_hours_the_regular_one_stays(changes: dict[str, object]) -> None:
    quote = only_extended({**PRE, **changes})

    assert (quote.price, quote.market_state, quote.previous_close) == (Decimal("308.8"), "PRE", Decimal("315.2"))


def test_recorded_prices_of_extended_hours_agree_with_the_recorded_change(recordings: Path) -> None:
    seen = set()
    for file in sorted(recordings.glob("yahoo/**/*.json")):
        recorded = json.loads(file.read_bytes())
        document = recorded.get("response", recorded).get("bodyJson", recorded)
        for row in document.get("quoteResponse", {}).get("result", []):
            for field, state in (("preMarket", "PRE"), ("postMarket", "POST")):
                if f"{field}Price" not in row:
                    continue
                response = parse(
                    json.dumps(document).encode(),
                    [row["symbol"]],
                    datetime(2027, 1, 1, tzinfo=UTC),
                    extended_hours=True,
                )
                quote = response.quotes[0]
                seen.add((state, row["marketState"]))
                assert (quote.price, quote.market_state) == (Decimal(str(row[f"{field}Price"])), state), file.name
                if state == "PRE":
                    assert quote.previous_close is not None
                    change = float(quote.price - quote.previous_close)
                    assert change == pytest.approx(row["preMarketChange"], abs=0.005), file.name
    assert seen == {("PRE", "PRE"), ("POST", "CLOSED"), ("POST", "POSTPOST")}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"Too Many Requests\r\n", "the body is not JSON"),
        (b"<!DOCTYPE html><html></html>", "the body is not JSON"),
        (body(ROW)[:-20], "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"null", "the body has no quoteResponse"),
        (b'{"quoteResponse":{"result":null,"error":null}}', "the body has no quoteResponse"),
        (
            b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}',
            "Unauthorized: Inv",
        ),
    ],
    ids=["empty", "text", "html", "truncated", "bytes", "deep", "null", "no result", "error"],
)
def test_a_body_without_a_list_of_quotes_is_malformed(response: bytes, reason: str) -> None:
    with pytest.raises(MalformedResponse, match=reason):
        parse(response, ["OCDO.L"], RECEIVED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
near_times = st.integers(int(EVENT.timestamp()) - 10**6, int(EVENT.timestamp()))
rows = st.fixed_dictionaries(
    {"symbol": st.sampled_from(["AAPL", "msft", "^GSPC"]) | json_values},
    optional={field: json_values | st.floats(1, 1000) | near_times for field in (*FIELDS, *EXTENDED_FIELDS)},
)


@settings(max_examples=sized(20, 100))
@given(st.lists(rows | json_values, max_size=4), st.booleans())
def test_every_symbol_has_exactly_one_result_for_any_list_of_rows(
    some: list[object],
    extended_hours: bool,  # noqa: FBT001
) -> None:
    requested = ["AAPL", "MSFT", "^GSPC"]

    response = parse(body(*some), requested, RECEIVED, extended_hours=extended_hours)

    with_price = [quote.symbol for quote in response.quotes] + [each.symbol for each in response.rejected]
    assert sorted([*with_price, *response.missing]) == sorted(requested)
    assert sorted([*response.priced, *response.missing]) == sorted(requested)
    assert all(quote.event_time <= RECEIVED + timedelta(seconds=60) for quote in response.quotes)


@given(st.builds(json.dumps, json_values) | st.text() | st.sampled_from(["1e99999999999999999999", "9" * 5000]))
def test_any_other_body_is_malformed_at_worst(text: str) -> None:
    for response in (text.encode(), f'{{"quoteResponse":{{"result":[{{"symbol":"A","currency":{text}}}]}}}}'.encode()):
        try:
            parse(response, ["A"], RECEIVED)
        except MalformedResponse:
            continue


def test_every_recorded_response_is_parsed(recordings: Path) -> None:
    read = 0
    dead: set[str] = set()
    for file in sorted(recordings.glob("yahoo/**/*.json")):
        recorded = json.loads(file.read_bytes())
        document = recorded.get("response", recorded).get("bodyJson", recorded)
        if "quoteResponse" not in document:
            continue
        read += 1
        priced = {row["symbol"]: "regularMarketPrice" in row for row in document["quoteResponse"]["result"]}
        response = parse(json.dumps(document).encode(), [*priced, "NONEXISTENT"], datetime(2027, 1, 1, tzinfo=UTC))
        assert [quote.symbol for quote in response.quotes] == [symbol for symbol in priced if priced[symbol]], file.name
        assert response.rejected == (), file.name
        dead |= {*response.missing}
    assert read > 40
    assert dead == {"RIDE", "ADH", "BRKS", "SI", "SIMP", "NONEXISTENT"}
