"""Which calendars the name of a symbol tells."""

from __future__ import annotations

import pytest
from exchange_calendars import get_calendar_names

from producer_service.exchanges import ALWAYS, NAMES, calendars_of, calendars_of_symbol


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("AAPL", ("XNYS",)),
        ("BRK-B", ("XNYS",)),
        ("BAC-PL", ("XNYS",)),
        ("^GSPC", ("XNYS",)),
        ("^FTSE", ("XLON",)),
        ("^N225", ("XTKS",)),
        ("HSBA.L", ("XLON",)),
        ("7203.T", ("XTKS",)),
        ("0700.HK", ("XHKG",)),
        ("SAP.DE", ("XETR",)),
        ("MC.PA", ("XPAR",)),
        ("mc.pa", ("XPAR",)),
        ("BTC-USD", (ALWAYS,)),
        ("ETH-BTC", (ALWAYS,)),
        ("GC=F", ("CMES",)),
        ("EURUSD=X", ("24/5", "us_futures")),
        ("OTE.AT", (ALWAYS,)),  # an unknown suffix: a poll too many loses nothing
    ],
)
def test_a_name_implies_its_calendars(symbol: str, names: tuple[str, ...]) -> None:
    assert calendars_of_symbol(symbol) == names


def test_several_symbols_follow_all_their_calendars_unless_one_never_closes() -> None:
    assert calendars_of(["MSFT", "HSBA.L", "AAPL"]) == ("XLON", "XNYS")
    assert calendars_of(["MSFT", "BTC-USD"]) == (ALWAYS,)


def test_every_calendar_that_a_name_implies_exists() -> None:
    assert set(get_calendar_names()) >= NAMES
