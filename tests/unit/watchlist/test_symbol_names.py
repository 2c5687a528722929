"""Names that Yahoo writes in another way lead to a question, and usual names to none."""

import pytest

from producer_service.exchanges import BY_SUFFIX
from producer_service.sources.synthetic import SYMBOLS
from watchlist.symbol_names import similar, usual_name, yahoo_hint


@pytest.mark.parametrize(
    ("written", "usual"),
    [
        ("aapl", "AAPL"),
        ("vod.l", "VOD.L"),
        ("btc-usd", "BTC-USD"),
        ("eurusd=x", "EURUSD=X"),
        ("$AAPL", "AAPL"),
        ("$brk.b", "BRK-B"),
        ('"AAPL', "AAPL"),
        ("BRK.B", "BRK-B"),
        ("BRK/B", "BRK-B"),
        ("BRK B", "BRK-B"),
        ("SPX", "^GSPC"),
        ("S&P500", "^GSPC"),
        ("vix", "^VIX"),
        ("BTCUSD", "BTC-USD"),
        ("BTC/USD", "BTC-USD"),
        ("BTC / USD", "BTC-USD"),
        ("BTCUSDT", "BTC-USD"),
        ("ETH-EUR", None),
        ("ETHEUR", "ETH-EUR"),
        ("EURUSD", "EURUSD=X"),
        ("EUR/USD", "EURUSD=X"),
        ("EUR-USD", "EURUSD=X"),
        ("XAUUSD", "GC=F"),
        ("NASDAQ:AAPL", "AAPL"),
        ("NYSE:BRK.B", "BRK-B"),
        ("LON:VOD", "VOD.L"),
        ("AAPL.US", "AAPL"),
        ("VOD LN", "VOD.L"),
        ("tesla", "TSLA"),
        ("AAPL MSFT", None),
        ("{}", None),
        ("", None),
    ],
)
def test_the_name_that_yahoo_has_is_found(written: str, usual: str | None) -> None:
    assert usual_name(written) == usual


@pytest.mark.parametrize(
    "symbol",
    [
        *SYMBOLS,
        *("^GSPC", "^SPX", "^VIX", "BTC-USD", "DOGE-USD", "EURUSD=X", "JPY=X", "GC=F", "ES=F", "BTC=F", "0P0000A.TO"),
        *(
            "VOD",
            "VOD.L",
            "7203.T",
            "0700.HK",
            "BAC-PL",
            "BF-B",
            "DOW",
            "GOLD",
            "BTC",
            "ETH",
            "FTSE-X",
            "X",
            "F",
            "USD",
        ),
        *(f"ABC.{suffix}" for suffix in BY_SUFFIX),
    ],
)
def test_a_usual_name_is_left_alone(symbol: str) -> None:
    assert yahoo_hint(symbol, is_missing=False) is None


@pytest.mark.parametrize(
    ("symbol", "hint"),
    [
        ("aapl", "did you mean AAPL?"),
        ("APPL", "did you mean AAPL?"),
        ("^SPX", "did you mean ^GSPC?"),
        ("VOD", "a share outside the United States is named with its exchange, such as VOD.L in London"),
        ("7203", "a share is named with its exchange, such as 7203.T in Tokyo or 7203.HK in Hong Kong"),
        ("AAPL", None),
        ("^GSPCC", None),
        ("^GSPC", None),
        ("QQQQ.XX", None),
        ("NOSUCHTHING", None),
    ],
)
def test_a_symbol_without_a_price_leads_to_more_guesses(symbol: str, hint: str | None) -> None:
    assert yahoo_hint(symbol, is_missing=True) == hint


def test_a_similar_name_is_found_whatever_its_letter_case() -> None:
    assert similar("Vodd.l", ["AAPL", "Vod.L"]) == "Vod.L"
    assert similar("zzz", ["AAPL", "MSFT"]) is None
