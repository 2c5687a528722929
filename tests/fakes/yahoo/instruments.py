"""Which symbols the local Yahoo knows, and what each one is."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import msgspec

from tests.fakes.yahoo import markets
from tests.fakes.yahoo.markets import Market

QuoteType = Literal["EQUITY", "ETF", "INDEX", "CRYPTOCURRENCY", "CURRENCY", "FUTURE"]

DELISTED: dict[str, Literal["omitted", "none", "unpriced"]] = {
    "ZZZZ": "omitted",
    "RIDE": "none",
    "ADH": "unpriced",
}
"""Delisted symbols, in the three ways in which Yahoo answers for them: it omits them from the response, it gives them
`quoteType: NONE`, or it gives them a type and no price."""

ILLIQUID = {"UGA", "PPLT"}
"""Symbols that trade every few minutes. Their charts have minutes without a trade."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol that has prices."""

    symbol: str
    type: QuoteType
    market: Market
    name: str
    currency: str
    base_price: float
    """The level around which the price moves."""
    volatility: float
    """The standard deviation of a day's return."""
    decimals: int | None
    """The decimal places of a price. None means as many as a 32-bit float has."""
    price_hint: int
    """The decimal places that Yahoo suggests for display."""
    trade_seconds: int
    """The time from one trade to the next."""
    daily_volume: int
    """About how much trades in a day. 0 for an instrument without volume."""


_Known = tuple[str, float, int]

_COMPANIES: dict[str, _Known] = {
    "AAPL": ("Apple Inc.", 271.0, 45_000_000),
    "AMZN": ("Amazon.com, Inc.", 232.0, 40_000_000),
    "GOOG": ("Alphabet Inc.", 285.0, 22_000_000),
    "META": ("Meta Platforms, Inc.", 640.0, 15_000_000),
    "MSFT": ("Microsoft Corporation", 512.0, 20_000_000),
    "NVDA": ("NVIDIA Corporation", 187.0, 180_000_000),
    "TSLA": ("Tesla, Inc.", 420.0, 75_000_000),
}
_FUNDS: dict[str, _Known] = {
    "PPLT": ("abrdn Platinum ETF Trust", 145.0, 250_000),
    "QQQ": ("Invesco QQQ Trust", 610.0, 50_000_000),
    "SPY": ("SPDR S&P 500 ETF", 680.0, 70_000_000),
    "UGA": ("United States Gasoline Fund", 62.0, 40_000),
}
_INDEXES: dict[str, _Known] = {
    "^DJI": ("Dow Jones Industrial Average", 47_500.0, 500_000_000),
    "^GSPC": ("S&P 500", 6_800.0, 3_500_000_000),
    "^IXIC": ("NASDAQ Composite", 23_000.0, 8_000_000_000),
    "^VIX": ("CBOE Volatility Index", 18.0, 0),
}
_COINS: dict[str, _Known] = {
    "BTC": ("Bitcoin", 96_000.0, 40_000_000_000),
    "ETH": ("Ethereum", 3_400.0, 20_000_000_000),
    "SOL": ("Solana", 160.0, 5_000_000_000),
}
_RATES = {"EURUSD": 1.16, "GBPUSD": 1.32, "USDJPY": 154.0, "EURGBP": 0.88, "JPY": 154.0, "EUR": 0.86}
_FUTURES: dict[str, _Known] = {
    "CL": ("Crude Oil", 61.0, 250_000),
    "ES": ("E-Mini S&P 500", 6_820.0, 1_500_000),
    "GC": ("Gold", 4_050.0, 60_000),
}

_LIQUID_SECONDS, _USUAL_SECONDS, _ILLIQUID_SECONDS = 2, 5, 240
"""The time from one trade to the next. Prices of the instruments that are known by name change most often."""


@lru_cache(maxsize=65536)
def find(symbol: str) -> Instrument | None:
    """The instrument of a symbol in any case. None if Yahoo has no price for it: unknown and delisted symbols.

    Any symbol of a usual form exists: `AAPL`, `BRK-B`, `S123`, `VOD.L`, `^GSPC`, `BTC-USD`, `EURUSD=X`, `GC=F`. A word
    of seven letters or more does not, and neither does an unknown suffix.
    """
    symbol = symbol.upper()
    if symbol in DELISTED:
        return None
    for form, make in _FORMS:
        if match := form.fullmatch(symbol):
            return make(match)
    return None


def _number(text: str) -> int:
    """A number derived from a text. It is the same in every process."""
    return zlib.crc32(text.encode())


def _step(known: object) -> int:
    return _LIQUID_SECONDS if known else _USUAL_SECONDS


def _foreign(match: re.Match[str]) -> Instrument | None:
    market = markets.BY_SUFFIX.get(match["suffix"])
    return None if market is None else _share(match[0], market)


def _american(match: re.Match[str]) -> Instrument:
    symbol = match[0]
    return _share(symbol, markets.NASDAQ if symbol in _COMPANIES or _number(symbol) % 2 else markets.NYSE)


def _share(symbol: str, market: Market) -> Instrument:
    is_fund = symbol in _FUNDS
    known = _FUNDS.get(symbol) or _COMPANIES.get(symbol)
    name, price, volume = known or (
        f"{symbol} Inc.",
        20.0 + _number(symbol) % 380,
        100_000 * (1 + _number(symbol) % 90),
    )
    return Instrument(
        symbol=symbol,
        type="ETF" if is_fund else "EQUITY",
        market=markets.ARCA if is_fund else market,
        name=name,
        currency=market.currency,
        base_price=price,
        volatility=0.015,
        decimals=2,
        price_hint=2,
        trade_seconds=_ILLIQUID_SECONDS if symbol in ILLIQUID else _step(known),
        daily_volume=volume,
    )


def _index(match: re.Match[str]) -> Instrument:
    symbol = match[0]
    known = _INDEXES.get(symbol)
    name, price, volume = known or (f"{symbol[1:]} Index", 100.0 + _number(symbol) % 5_000, 0)
    return Instrument(
        symbol=symbol,
        type="INDEX",
        market=markets.INDEXES if volume else markets.OPTIONS_INDEXES,
        name=name,
        currency="USD",
        base_price=price,
        volatility=0.01,
        decimals=2,
        price_hint=2,
        trade_seconds=_step(known),
        daily_volume=volume,
    )


def _coin(match: re.Match[str]) -> Instrument:
    symbol, coin, currency = match[0], match["coin"], match["currency"]
    known = _COINS.get(coin)
    name, price, volume = known or (coin, 0.5 + _number(coin) % 100, 50_000_000)
    return Instrument(
        symbol=symbol,
        type="CRYPTOCURRENCY",
        market=markets.COINS,
        name=f"{name} {currency}",
        currency=currency,
        base_price=price,
        volatility=0.025,
        decimals=None,
        price_hint=2,
        trade_seconds=_step(known),
        daily_volume=volume,
    )


def _currency(match: re.Match[str]) -> Instrument:
    symbol, pair = match[0], match["pair"]
    quoted = pair[3:] or pair  # `JPY=X` is the price of a dollar in yen
    return Instrument(
        symbol=symbol,
        type="CURRENCY",
        market=markets.CURRENCIES,
        name=f"{pair[:3] if pair[3:] else 'USD'}/{quoted}",
        currency=quoted,
        base_price=_RATES.get(pair, 1.0 + _number(pair) % 100 / 50),
        volatility=0.005,
        decimals=None,
        price_hint=4,
        trade_seconds=_step(_RATES.get(pair)),
        daily_volume=0,
    )


def _future(match: re.Match[str]) -> Instrument:
    symbol, root = match[0], match["root"]
    known = _FUTURES.get(root)
    name, price, volume = known or (f"{root} Future", 50.0 + _number(root) % 2_000, 50_000)
    return Instrument(
        symbol=symbol,
        type="FUTURE",
        market=markets.FUTURES,
        name=name,
        currency="USD",
        base_price=price,
        volatility=0.012,
        decimals=1,
        price_hint=2,
        trade_seconds=_step(known),
        daily_volume=volume,
    )


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Instrument | None]], ...] = (
    (re.compile(r"(?P<coin>[A-Z0-9]{2,10})-(?P<currency>[A-Z]{3})"), _coin),
    (re.compile(r"(?P<pair>[A-Z]{3}|[A-Z]{6})=X"), _currency),
    (re.compile(r"(?P<root>[A-Z]{2,3})=F"), _future),
    (re.compile(r"[A-Z0-9-]{1,12}\.(?P<suffix>[A-Z]{1,2})"), _foreign),
    (re.compile(r"\^[A-Z0-9]{1,10}"), _index),
    (re.compile(r"[A-Z][A-Z0-9]{0,5}(-[A-Z]{1,2})?"), _american),
)
"""The forms of symbols, and what makes an instrument of each."""
