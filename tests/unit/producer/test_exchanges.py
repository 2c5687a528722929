"""What the name of a symbol tells: its calendar, its margins, and how late its prices come."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from exchange_calendars import get_calendar_names

from producer_service.exchanges import BY_SUFFIX, EXCHANGES, FUND, HOME, INDEX, UNITED_STATES, WEEK, trading_of
from tests.support import exchange_page
from watchlist.groups import ALWAYS


@pytest.mark.parametrize(
    ("symbol", "calendar"),
    [
        ("AAPL", "XNYS"),
        ("BRK-B", "XNYS"),
        ("BAC-PL", "XNYS"),
        ("^GSPC", "XNYS"),
        ("^FTSE", "XLON"),
        ("^N225", "XTKS"),
        ("HSBA.L", "XLON"),
        ("7203.T", "XTKS"),
        ("0700.HK", "XHKG"),
        ("SAP.DE", "XETR"),
        ("MC.PA", "XPAR"),
        ("mc.pa", "XPAR"),
        ("BTC-USD", ALWAYS),
        ("ETH-BTC", ALWAYS),
        ("GC=F", WEEK),
        ("ZC=F", WEEK),
        ("BTC=F", ALWAYS),  # trades at weekends too
        ("EURUSD=X", WEEK),
        ("JPY=X", WEEK),
        ("DX-Y.NYB", WEEK),
        ("VTSAX", "XNYS"),
        ("0P000071W8.TO", "XTSE"),
        ("OTE.AT", ALWAYS),  # no calendar can be computed
        ("AAPL260116C00150000", ALWAYS),
        ("SOMETHING.NEW", ALWAYS),
    ],
)
def test_a_name_implies_a_calendar(symbol: str, calendar: str) -> None:
    assert trading_of(symbol).calendar == calendar


@pytest.mark.parametrize(
    ("symbol", "calendar"),
    [
        ("^TASI.SR", "XSAU"),  # the suffix comes first
        ("^J203.JO", "XJSE"),
        ("^SET.BK", "XBKK"),
        ("^NEW.XYZ", ALWAYS),
        ("^CASE30", ALWAYS),  # an index that is not listed
        ("^VIX", ALWAYS),  # computed nearly around the clock
        ("^VXAPL", ALWAYS),
        ("USDSAR=X", ALWAYS),  # a currency with another week
        ("ILS=X", ALWAYS),
        ("XAUUSD=X", ALWAYS),
        ("BTC-PLN", ALWAYS),  # a coin in a currency that no list names
        ("ETH-MXN", ALWAYS),
        ("SHIB-IDR", ALWAYS),
    ],
)
def test_r5_what_a_name_does_not_tell_is_polled_at_any_time(symbol: str, calendar: str) -> None:
    assert trading_of(symbol).calendar == calendar


@pytest.mark.parametrize(
    ("symbol", "is_known"),
    [("AAPL", True), ("BTC-USD", True), ("SHIB-IDR", True), ("EURUSD=X", True)]
    + [(name, False) for name in ("EMAAR.AE", "^VIX", "BTC=F", "USDSAR=X", "AAPL260116C00150000", "SOMETHING.NEW")],
)
def test_of_symbols_that_are_polled_at_any_time_only_coins_are_known_to_trade_so(
    symbol: str,
    is_known: bool,  # noqa: FBT001
) -> None:
    assert trading_of(symbol).is_known == is_known


@pytest.mark.parametrize("symbol", ["^GSPC", "^DJI", "^IXIC", "^RUT", "^NDX", "^TNX"])
def test_r5_known_american_indices_keep_new_yorks_hours_and_settle_longer_than_shares(symbol: str) -> None:
    index = trading_of(symbol)
    assert index.calendar == HOME
    assert index.settling >= INDEX.settling > trading_of("AAPL").settling


@pytest.mark.parametrize("symbol", ["VTSAX", "VFINX", "SWVXX", "0P0000XYZA", "0P000071W8.TO", "0P0000ABCD.L"])
def test_funds_settle_into_the_night(symbol: str) -> None:
    fund = trading_of(symbol)
    assert (fund.settling, fund.stamped_before_close) == (FUND.settling, FUND.stamped_before_close)


@pytest.mark.parametrize(
    ("symbol", "minutes"),
    [("AAPL", 15), ("1299.HK", 15), ("7203.T", 20), ("600519.SS", 30), ("GGAL.BA", 30), ("X.UNKNOWN", 30)],
)
def test_the_delay_of_a_symbol_is_that_of_its_exchange_until_it_declares_one(symbol: str, minutes: int) -> None:
    assert trading_of(symbol).delay == timedelta(minutes=minutes)


def test_no_recorded_symbol_declares_a_longer_delay_than_is_assumed(recordings: Path) -> None:
    declared: dict[str, int] = {}
    for file in sorted(recordings.glob("yahoo/**/*.json")):
        recorded = json.loads(file.read_bytes())
        document = recorded.get("response", recorded).get("bodyJson", recorded)
        for row in document.get("quoteResponse", {}).get("result", []):
            if "exchangeDataDelayedBy" in row:
                declared[row["symbol"]] = row["exchangeDataDelayedBy"]
    assert {"1299.HK", "005930.KS", "OCDO.L", "GC=F"} <= set(declared)
    for symbol, minutes in declared.items():
        assert trading_of(symbol).delay >= timedelta(minutes=minutes), symbol


def test_every_calendar_that_a_name_implies_exists() -> None:
    assert set(get_calendar_names()) >= {exchange.calendar for exchange in (UNITED_STATES, *BY_SUFFIX.values())}


def test_no_suffix_belongs_to_two_exchanges() -> None:
    suffixes = [suffix for exchange in EXCHANGES for suffix in exchange.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_the_page_about_exchanges_shows_the_tables_of_the_code() -> None:
    assert exchange_page.PAGE.read_text(encoding="utf-8") == exchange_page.with_tables(), (
        "docs/exchanges.md is out of date; run `python -m tests.support.exchange_page`"
    )
