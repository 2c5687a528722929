"""The rows of quotes and bars: which attributes they have, and that DynamoDB accepts their numbers."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from aws_limits import DYNAMODB_PAGE_BYTES
from costs.sizes import item_bytes
from indicators import Indicators, significant
from lane_state import Bar
from processor_lambda.rows import Row, bar_row, quote_row, timestamp_of
from tests.fakes.pipeline import OPEN, make_quote

THRESHOLD = Decimal(5)


def row(**changes: object) -> Row:
    return quote_row(replace(make_quote(), **changes), THRESHOLD, 30)


def test_a_row_has_what_the_source_gave_and_what_is_computed_from_it_exactly() -> None:
    assert row(
        open=Decimal("100.1"),
        high=Decimal("104.25"),
        low=Decimal("99.95"),
        price=Decimal("103.5"),
        previous_close=Decimal("98.7"),
        volume=12_345,
        currency="USD",
        exchange="NMS",
        market_state="REGULAR",
        delay_minutes=0,
        source_time=OPEN - timedelta(seconds=2),
        volume_period="24h",
        provenance="backfill",
    ) == {
        "symbol": "AAPL",
        "timestamp": "2026-11-23T14:30:00.000Z",
        "open": Decimal("100.1"),
        "high": Decimal("104.25"),
        "low": Decimal("99.95"),
        "price": Decimal("103.5"),
        "previous_close": Decimal("98.7"),
        "change": Decimal("4.8"),
        "change_percent": Decimal("4.863222"),
        "moving_average": Decimal("101.95"),
        "anomaly": "No",
        "volume": 12_345,
        "currency": "USD",
        "exchange": "NMS",
        "market_state": "REGULAR",
        "delay_minutes": 0,
        "source_time": "2026-11-23T14:29:58.000Z",
        "volume_period": "24h",
        "provenance": "backfill",
        "source": "synthetic",
        "ingest_time": "2026-11-23T14:30:00.000Z",
        "expires_at": 1_798_036_200,
    }


def test_what_the_source_did_not_give_is_absent() -> None:
    assert set(row()) == {"symbol", "timestamp", "price", "source", "ingest_time", "expires_at"}


def test_a_moving_average_needs_all_four_prices_and_a_price_may_be_zero() -> None:
    four = {"open": Decimal(0), "high": Decimal(4), "low": Decimal(-4), "price": Decimal(1)}
    assert row(**four)["moving_average"] == Decimal("0.25")
    assert "moving_average" not in row(**{**four, "low": None})


@pytest.mark.parametrize(("price", "anomaly"), [("105", "No"), ("105.01", "Yes"), ("95", "No"), ("94.99", "Yes")])
def test_an_anomaly_is_a_change_beyond_the_threshold(price: str, anomaly: str) -> None:
    assert row(price=Decimal(price), previous_close=Decimal(100))["anomaly"] == anomaly


@pytest.mark.parametrize(("price", "change_percent"), [("10", "200"), ("-5", "50"), ("-15", "-50")])
def test_a_rise_from_below_zero_is_a_rise(price: str, change_percent: str) -> None:
    """Crude oil once closed at -37.63. The day after it was up by 126 %, not down."""
    attributes = row(price=Decimal(price), previous_close=Decimal(-10))
    assert attributes["change_percent"] == Decimal(change_percent)


def test_a_previous_close_of_zero_gives_a_change_but_no_percentage() -> None:
    attributes = row(previous_close=Decimal(0))
    assert attributes["change"] == Decimal(100)
    assert not {"change_percent", "anomaly"} & set(attributes)


def test_a_later_revision_has_its_own_key_that_sorts_after() -> None:
    quote = make_quote()
    keys = [timestamp_of(replace(quote, revision=revision)) for revision in (0, 1, 2)]
    assert keys == ["2026-11-23T14:30:00.000Z", "2026-11-23T14:30:00.000Z#1", "2026-11-23T14:30:00.000Z#2"]
    assert keys == sorted(keys)


MOST = Decimal("999999999999." + 26 * "9")
LEAST = Decimal("1E-26")


@given(st.decimals(MOST.copy_negate(), MOST, places=26), st.decimals(MOST.copy_negate(), MOST, places=26))
@example(MOST, LEAST)
@example(MOST.copy_negate(), LEAST.copy_negate())
@example(MOST.copy_negate(), MOST)
@example(Decimal(999999999999), Decimal("0.00000000000000000001"))
def test_every_number_of_a_row_fits_dynamodb(price: Decimal, previous_close: Decimal) -> None:
    """38 digits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html."""
    four = {"open": price, "high": price, "low": price, "price": price, "previous_close": previous_close}
    for value in row(**four).values():
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert len(value.as_tuple().digits) <= 38
            assert not value or -130 <= value.adjusted() <= 125


def test_a_coin_of_many_places_and_a_share_of_many_digits_are_exact_in_a_row() -> None:
    coin = row(price=Decimal("0.000000000123"), previous_close=Decimal("0.00000000012300000000000001"))
    assert (coin["price"], coin["change"]) == (Decimal("1.23e-10"), Decimal("-1e-26"))
    share = row(price=Decimal("741971.39"), previous_close=Decimal("741971.3899999999999999999999"))
    assert (share["price"], share["change"]) == (Decimal("741971.39"), Decimal("1e-22"))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.1 + 0.2, "0.3"),
        (1234567.890123456, "1234567.89012"),
        (1e20, "1" + "0" * 20),
        (-3e-140, "0"),
        (1e-7, "0.0000001"),
    ],
)
def test_a_computed_number_is_stored_in_a_form_that_dynamodb_accepts(value: float, written: str) -> None:
    assert format(significant(value), "f") == written


def test_the_bars_of_a_whole_day_are_one_page_of_a_query() -> None:
    """The symbol trades round the clock, and all indicators are known."""
    indicators = Indicators()
    for minute in range(60):
        indicators = indicators.advanced(OPEN + timedelta(minutes=minute), 1607.5301 + minute % 7 / 3, 427_888 + minute)
    price = Decimal("60123.45678901")
    bar = Bar(
        symbol="BTC-USD",
        minute=OPEN,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=10**10 + 1,
        quotes=60,
        ingest_time=OPEN,
        indicators=indicators.values(),
    )
    assert len(bar.indicators) > 15
    assert 24 * 60 * item_bytes(bar_row(bar, 365)) < DYNAMODB_PAGE_BYTES
