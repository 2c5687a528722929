"""What a user probably meant by a symbol that Yahoo writes in another way. Pure.

Nothing here changes a symbol: a wrong guess would store the prices of another instrument under a name that looks right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from quotes import is_symbol

_COINS = frozenset(
    {"ADA", "AVAX", "BCH", "BNB", "BTC", "DOGE", "DOT", "ETH", "LINK", "LTC", "SOL", "TRX", "XLM", "XMR", "XRP"}
)
_CURRENCIES = frozenset(
    {
        "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "INR", "JPY", "KRW", "MXN",
        "NOK", "NZD", "PLN", "SEK", "SGD", "TRY", "USD", "ZAR",
    }
)  # fmt: skip
_DOLLARS = frozenset({"USD", "USDC", "USDT"})
"""Names of the dollar in pairs of coins. Yahoo has the pair with USD."""

_OTHER_NAMES = {
    "SPX": "^GSPC", "SP500": "^GSPC", "S&P500": "^GSPC", "INX": "^GSPC", "US500": "^GSPC",
    "DJI": "^DJI", "DJIA": "^DJI", "US30": "^DJI",
    "IXIC": "^IXIC", "NASDAQ": "^IXIC", "NDX": "^NDX", "NASDAQ100": "^NDX", "US100": "^NDX",
    "RUT": "^RUT", "VIX": "^VIX", "TNX": "^TNX", "US10Y": "^TNX",
    "UKX": "^FTSE", "FTSE": "^FTSE", "FTSE100": "^FTSE", "UK100": "^FTSE",
    "GDAXI": "^GDAXI", "DAX40": "^GDAXI", "DE40": "^GDAXI", "CAC40": "^FCHI", "FCHI": "^FCHI",
    "SX5E": "^STOXX50E", "STOXX50": "^STOXX50E", "STOXX50E": "^STOXX50E",
    "N225": "^N225", "NI225": "^N225", "NIKKEI": "^N225", "HSI": "^HSI",
    "XAUUSD": "GC=F", "XAU/USD": "GC=F", "XAGUSD": "SI=F", "XAG/USD": "SI=F",
    "APPLE": "AAPL", "AMAZON": "AMZN", "GOOGLE": "GOOG", "MICROSOFT": "MSFT", "NVIDIA": "NVDA", "TESLA": "TSLA",
    "BITCOIN": "BTC-USD", "ETHEREUM": "ETH-USD",
}  # fmt: skip
"""Names of other services and of daily life. No name here is one of a share in the United States."""

_SUFFIX_OF_MARKET = {
    "NASDAQ": "", "NYSE": "", "NYSEARCA": "", "NYSEAMERICAN": "", "AMEX": "", "ARCA": "", "BATS": "", "US": "",
    "LON": ".L", "LSE": ".L", "ETR": ".DE", "XETRA": ".DE", "FRA": ".F", "EPA": ".PA", "AMS": ".AS", "EBR": ".BR",
    "BIT": ".MI", "BME": ".MC", "SWX": ".SW", "VIE": ".VI", "STO": ".ST", "CPH": ".CO", "HEL": ".HE",
    "TSE": ".TO", "TSX": ".TO", "CVE": ".V", "TYO": ".T", "HKG": ".HK", "HKEX": ".HK", "KRX": ".KS", "TPE": ".TW",
    "NSE": ".NS", "BOM": ".BO", "BSE": ".BO", "ASX": ".AX", "SGX": ".SI",
}  # fmt: skip
"""Yahoo's suffix for a market before a colon, as in NASDAQ:AAPL or LON:VOD."""
_SUFFIX_OF_SUFFIX = {
    "US": "", "O": "", "OQ": "", "N": "", "LN": ".L", "UK": ".L", "GR": ".DE", "GY": ".DE", "FP": ".PA", "NA": ".AS",
    "JP": ".T", "JT": ".T",
}  # fmt: skip
"""Yahoo's suffix for one of Reuters, Bloomberg or Stooq, as in AAPL.US or `VOD LN`."""

_WELL_KNOWN = (
    "AAPL", "ADBE", "AMD", "AMZN", "AVGO", "BABA", "BAC", "BRK-B", "COST", "CRM", "CSCO", "DIS", "GOOG", "GOOGL",
    "IBM", "INTC", "JNJ", "JPM", "KO", "LLY", "MA", "MCD", "META", "MSFT", "NFLX", "NKE", "NVDA", "ORCL", "PEP", "PFE",
    "PLTR", "QQQ", "SPY", "TSLA", "UBER", "UNH", "V", "VTI", "WMT", "XOM",
    "BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "EURUSD=X", "GBPUSD=X", "USDJPY=X",
    "^GSPC", "^DJI", "^IXIC", "^NDX", "^RUT", "^VIX", "^FTSE", "^GDAXI", "^N225", "^HSI",
)  # fmt: skip

_PAIR = re.compile(r"([A-Z0-9]{2,6}?)[/:_.-]?([A-Z]{3}|USDT|USDC)")
_CLASS_OF_SHARES = re.compile(r"([A-Z]{1,5})[ ./:_]([A-C])")
_MARKET_BEFORE = re.compile(r"([A-Z]+):([A-Z0-9.-]+)")
_SUFFIX_BEHIND = re.compile(r"([A-Z0-9-]+)[ .]([A-Z]{1,2})")
_DIGITS = re.compile(r"\d{4,5}")
_TICKER = re.compile(r"[A-Z][A-Z0-9]{0,4}")
_QUOTATION = " \t'\"`()[]{}"


def usual_name(text: str) -> str | None:
    """The name that Yahoo has for what the text seems to name. None if the text is a usual name, or not understood."""
    name = text.strip(_QUOTATION).removeprefix("$").strip(_QUOTATION).upper()
    found = _translated(name)
    return found if found != text and is_symbol(found) else None


def yahoo_hint(symbol: str, *, is_missing: bool) -> str | None:
    """What to ask a user about a symbol: see `SymbolHint`."""
    name = usual_name(symbol)
    if name is None and is_missing and symbol not in _WELL_KNOWN:
        name = _OTHER_NAMES.get(symbol[1:]) if symbol.startswith("^") else similar(symbol, _WELL_KNOWN)
        if name is None and _DIGITS.fullmatch(symbol):
            return f"a share is named with its exchange, such as {symbol}.T in Tokyo or {symbol}.HK in Hong Kong"
        if name is None and _TICKER.fullmatch(symbol):
            return f"a share outside the United States is named with its exchange, such as {symbol}.L in London"
    return None if name in (None, symbol) else f"did you mean {name}?"


def refused(text: str) -> str:
    """A text that is no symbol, in quotation marks, with what it may stand for."""
    name = usual_name(text)
    return f"{text!r:.60}" if name is None else f"{text!r:.60} (did you mean {name}?)"


def similar(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a name, whatever their letter case. None if none is like it."""
    by_capitals = {each.upper(): each for each in known}
    close = difflib.get_close_matches(name.upper(), by_capitals, n=1, cutoff=0.75)
    return by_capitals[close[0]] if close else None


def _translated(name: str) -> str:
    """A name in capitals as Yahoo writes it, or the same name."""
    if match := _MARKET_BEFORE.fullmatch(name):
        market, stem = match.groups()
        if market in _SUFFIX_OF_MARKET:
            suffix = _SUFFIX_OF_MARKET[market]
            return stem + suffix if suffix else _translated(stem)
    if match := _CLASS_OF_SHARES.fullmatch(name):
        return f"{match[1]}-{match[2]}"
    if match := _SUFFIX_BEHIND.fullmatch(name):
        stem, suffix = match.groups()
        if suffix in _SUFFIX_OF_SUFFIX:
            return stem + _SUFFIX_OF_SUFFIX[suffix]
    return _OTHER_NAMES.get(name) or _pair(name.replace(" ", "")) or name


def _pair(name: str) -> str | None:
    """Yahoo's name of a pair of currencies, or of a coin and a currency."""
    match = _PAIR.fullmatch(name)
    if match is None:
        return None
    first, second = match.groups()
    if first in _COINS and (second in _CURRENCIES or second in _DOLLARS):
        return f"{first}-{'USD' if second in _DOLLARS else second}"
    if first in _CURRENCIES and second in _CURRENCIES and first != second:
        return f"{first}{second}=X"
    return None
