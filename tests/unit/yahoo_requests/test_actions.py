"""Corporate actions in a chart: what is delivered, what is rejected, and that nothing raises."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quotes import Action, decode, encode_line
from tests.support.sizes import sized
from yahoo_requests.actions import MAX_AGE, ParsedActions, parse_actions
from yahoo_requests.json_values import MalformedResponse

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
DATE = int(OPEN.timestamp())


def chart(events: object, **meta: object) -> bytes:
    result = {"meta": {"symbol": "AAPL", "currency": "USD", **meta}, "timestamp": [], "events": events}
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def split(numerator: object = 4, denominator: object = 1, date: object = DATE) -> dict[str, Any]:
    return {"splits": {str(date): {"date": date, "numerator": numerator, "denominator": denominator}}}


def dividend(amount: object = 0.26, date: object = DATE, **fields: object) -> dict[str, Any]:
    return {"dividends": {str(date): {"date": date, "amount": amount, **fields}}}


def parsed(events: object, **meta: object) -> ParsedActions:
    return parse_actions(chart(events, **meta), "AAPL", NOW)


def test_a_split_and_a_dividend() -> None:
    found = parsed({**split(31, 1000), **dividend(3.225806, DATE - 86_400)})

    assert found.actions == (
        Action(
            symbol="AAPL",
            action="dividend",
            event_time=OPEN - timedelta(days=1),
            source="yahoo",
            ingest_time=NOW,
            amount=Decimal("0.1"),
            currency="USD",
        ),
        Action(
            symbol="AAPL",
            action="split",
            event_time=OPEN,
            source="yahoo",
            ingest_time=NOW,
            numerator=31,
            denominator=1000,
        ),
    )
    assert (found.rejected, found.ask_again_at) == ((), None)


@given(numerator=st.integers(1, 2**63 - 1), denominator=st.integers(1, 2**63 - 1))
def test_any_ratio_is_exact(numerator: int, denominator: int) -> None:
    (action,) = parsed(split(numerator, denominator)).actions
    assert (action.numerator, action.denominator) == (numerator, denominator)


def test_whole_numbers_written_as_floats_are_shares() -> None:
    (action,) = parsed(split(4.0, 1.0)).actions
    assert (action.numerator, action.denominator) == (4, 1)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (split("4:1", "4:1"), "split: numerator '4:1' is not a whole number of shares"),
        (split("4"), "split: numerator '4' is not a whole number of shares"),
        (split(None), "split: numerator is missing"),
        (split(4, None), "split: denominator is missing"),
        (split(0), "split: numerator of a split is 0, but must be a positive number of shares"),
        (split(4, 0), "split: denominator of a split is 0"),
        (split(-4), "split: numerator of a split is -4"),
        (split(1.281), "split: numerator Decimal('1.281') is not a whole number of shares"),
        (split(4, 0.5), "split: denominator Decimal('0.5') is not a whole number of shares"),
        (split(float("nan")), "split: numerator Decimal('NaN') is not a whole number of shares"),
        (split(float("inf")), "split: numerator Decimal('Infinity') is not a whole number of shares"),
        (split(1e300), "split: numerator Decimal('1E+300') is not a whole number of shares"),
        (split(2**63), "split: numerator of a split is 9223372036854775808"),
        (split([4]), "split: numerator [4] is not a whole number of shares"),
        (split(date="1795444200"), "split: date '1795444200' is not a number"),
        (split(date="2026-11-23"), "split: date '2026-11-23' is not a number"),
        (split(date=None), "split: date is missing"),
        (split(date=-1), "split: date -1 is not a time in seconds since 1970"),
        (split(date=DATE * 1000), "is not a time in seconds since 1970"),
        (split(date=DATE + 86_400), "split: date 2026-11-24 14:30:00+00:00 is in the future"),
        (split(date=DATE + 86_400 * 30), "ingest_time"),
        ({"splits": {"1": "4:1"}}, "split: event '4:1' is not an object"),
        ({"splits": {"1": None}}, "split: event None is not an object"),
        ({"splits": [split()]}, "split: event"),
        ({"splits": "none"}, "split: event 'none' is not an object"),
        (dividend(-0.26), "dividend: amount of a dividend is -0.26, but must be positive"),
        (dividend(0), "dividend: amount of a dividend is 0, but must be positive"),
        (dividend("0.26"), "dividend: amount '0.26' is not a finite number"),
        (dividend(None), "dividend: amount None is not a finite number"),
        (dividend(float("nan")), "dividend: amount Decimal('NaN') is not a finite number"),
        (dividend(date=DATE + 86_400), "dividend: date 2026-11-24 14:30:00+00:00 is in the future"),
        (dividend(date=[DATE]), "is not a number"),
    ],
)
def test_an_action_in_another_form_is_rejected_and_the_others_are_not(events: dict[str, Any], problem: str) -> None:
    good = {**split(date=DATE - 86_400), **dividend(date=DATE - 86_400)}
    both: dict[str, Any] = {**good}
    for name, declared in events.items():
        both[name] = {**good[name], **declared} if isinstance(declared, dict) else declared

    found = parsed(both)

    assert len(found.rejected) == 1
    assert problem in found.rejected[0]
    assert len(found.actions) == (2 if isinstance(next(iter(events.values())), dict) else 1)


def test_an_action_in_the_future_is_asked_for_again_when_it_takes_effect() -> None:
    tomorrow = DATE + 86_400
    found = parsed({**split(date=tomorrow + 60), **dividend(date=tomorrow)})

    assert found.actions == ()
    assert len(found.rejected) == 2
    assert found.ask_again_at == OPEN + timedelta(days=1)
    assert len(parse_actions(chart(split(date=tomorrow)), "AAPL", NOW + timedelta(days=1)).actions) == 1


def test_the_second_action_of_a_kind_at_one_time_is_rejected() -> None:
    events = {"dividends": {"1": {"date": DATE, "amount": 0.5}, "2": {"date": DATE, "amount": 0.7}}}

    found = parsed(events)

    assert [action.amount for action in found.actions] == [Decimal("0.5")]
    assert "is that of another dividend" in found.rejected[0]


def test_old_actions_are_left_out() -> None:
    oldest = int((NOW - MAX_AGE).timestamp())
    found = parsed({"dividends": {str(date): {"date": date, "amount": 1} for date in (0, oldest - 1, oldest, DATE)}})

    assert [action.event_time for action in found.actions] == [NOW - MAX_AGE, OPEN]
    assert found.rejected == ()


@pytest.mark.parametrize("events", [None, {}, {"splits": {}}, {"splits": None, "dividends": {}}, {"capitalGains": {}}])
def test_a_chart_without_actions(events: object) -> None:
    assert parsed(events) == ParsedActions((), ())


@pytest.mark.parametrize(
    ("fields", "meta", "currency"),
    [
        ({}, {}, "USD"),
        ({}, {"currency": "GBp"}, "GBp"),
        ({"currency": "GBP"}, {"currency": "GBp"}, "GBP"),
        ({"currency": ""}, {}, "USD"),
        ({"currency": 7}, {"currency": None}, None),
    ],
)
def test_the_currency_of_a_dividend_is_its_own_or_that_of_the_chart(
    fields: dict[str, object], meta: dict[str, object], currency: str | None
) -> None:
    (action,) = parsed(dividend(**fields), **meta).actions
    assert action.currency == currency


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"null",
        b'{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found"}}}',
        b'{"finance":{"error":{"code":"Unauthorized","description":"Invalid Cookie"}}}',
        b'{"chart":{"result":[],"error":null}}',
        chart({}, symbol="MSFT"),
        chart({}, symbol=None),
        chart([1]),
        chart("none"),
    ],
)
def test_a_body_that_is_no_chart_of_the_symbol_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        parse_actions(body, "AAPL", NOW)


def test_the_letter_case_of_the_symbol_does_not_matter() -> None:
    (action,) = parse_actions(chart(split()), "aapl", NOW).actions
    assert action.symbol == "aapl"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([DATE, "4:1", 0]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=5,
)
EVENT = st.dictionaries(st.sampled_from(["date", "numerator", "denominator", "amount", "currency"]), JSON) | JSON
EVENTS = st.dictionaries(
    st.sampled_from(["splits", "dividends"]), st.dictionaries(st.text(max_size=3), EVENT, max_size=3) | JSON
)


@settings(max_examples=sized(12, 200))
@given(EVENTS)
def test_whatever_the_events_are_the_actions_are_valid_lines(events: dict[str, Any]) -> None:
    found = parsed(events)

    lines = b"".join(encode_line(action) for action in found.actions)
    if lines:
        decoded = decode(lines)
        assert [good.line for good in decoded.good] == list(found.actions)
        assert decoded.bad == ()


@settings(max_examples=sized(12, 200))
@given(st.binary() | JSON.map(lambda value: json.dumps({"chart": {"result": [value]}}).encode()))
def test_any_other_body_is_malformed_at_worst(body: bytes) -> None:
    with suppress(MalformedResponse):
        parse_actions(body, "AAPL", NOW)


APPLE_2020 = "node-yahoo-finance2/chart-AAPL-2020-08-31-to-2020-11-07.json"


@pytest.mark.parametrize(
    ("file", "symbol", "now", "expected"),
    [
        ("yfinance-rs/history_chart_AAPL.json", "AAPL", datetime(2025, 8, 12, tzinfo=UTC), ["0.26"]),
        ("yfinance-rs/history_chart_MSFT.json", "MSFT", datetime(2025, 8, 22, tzinfo=UTC), ["0.83"]),
        (APPLE_2020, "AAPL", datetime(2020, 9, 1, tzinfo=UTC), ["4:1"]),
        (APPLE_2020, "AAPL", datetime(2020, 11, 7, tzinfo=UTC), ["0.205"]),
    ],
)
def test_recorded_charts(recordings: Path, file: str, symbol: str, now: datetime, expected: list[str]) -> None:
    body = (recordings / "yahoo" / file).read_bytes()
    if "response" in (recorded := json.loads(body)):
        body = json.dumps(recorded["response"]["bodyJson"]).encode()

    found = parse_actions(body, symbol, now)

    texts = [str(action.amount or f"{action.numerator}:{action.denominator}") for action in found.actions]
    assert texts == expected
