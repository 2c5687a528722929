"""The fields of a quote that hardly change: a company's figures, a fund's, a coin's and a future's."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.fakes.yahoo.instruments import Instrument
from tests.fakes.yahoo.prices import DAY, float32
from tests.fakes.yahoo.sessions import Session

Fields = dict[str, Any]
"""Fields of a quote by name."""

FIRST_TRADE = 946_909_800
"""When every instrument was first traded: the first session of 2000 in New York, in seconds since 1970."""

_ADVICE = ("1.6 - Strong Buy", "2.1 - Buy", "2.9 - Hold")


def fundamentals(instrument: Instrument, session: Session, price: float, volume: int) -> Fields:
    """The fields that only instruments of this type have."""
    chance = random.Random(instrument.symbol)
    match instrument.type:
        case "EQUITY":
            return _company(instrument, session, price, chance)
        case "ETF":
            return _fund(instrument, price, chance)
        case "CRYPTOCURRENCY":
            return _coin(instrument, price, volume, chance)
        case "FUTURE":
            return _future(instrument, session, chance)
        case _:
            return {}


def _company(instrument: Instrument, session: Session, price: float, chance: random.Random) -> Fields:
    shares = chance.randrange(50_000_000, 15_000_000_000)
    earnings = float32(instrument.base_price * chance.uniform(0.01, 0.06))
    forward = float32(earnings * chance.uniform(0.9, 1.4))
    current = float32(earnings * chance.uniform(0.95, 1.2))
    book = float32(instrument.base_price * chance.uniform(0.05, 0.8))
    dividend = round(instrument.base_price * chance.uniform(0.001, 0.03), 2)
    reported = _quarter_day(session.day)
    return {
        "displayName": instrument.name.split(",")[0].removesuffix(" Inc."),
        "financialCurrency": "GBP" if instrument.currency == "GBp" else instrument.currency,
        "sharesOutstanding": shares,
        "marketCap": int(shares * price),
        "bookValue": book,
        "priceToBook": float32(price / book),
        "epsTrailingTwelveMonths": earnings,
        "epsForward": forward,
        "epsCurrentYear": current,
        "priceEpsCurrentYear": float32(price / current),
        "trailingPE": float32(price / earnings),
        "forwardPE": float32(price / forward),
        "dividendDate": reported + 20 * DAY,
        "dividendRate": dividend,
        "dividendYield": round(100 * dividend / price, 2),
        "trailingAnnualDividendRate": dividend,
        "trailingAnnualDividendYield": float32(dividend / price),
        "earningsTimestamp": reported,
        "earningsTimestampStart": reported + 91 * DAY,
        "earningsTimestampEnd": reported + 95 * DAY,
        "earningsCallTimestampStart": reported + 3_600,
        "earningsCallTimestampEnd": reported + 3_600,
        "isEarningsDateEstimate": True,
        "averageAnalystRating": chance.choice(_ADVICE),
    }


def _fund(instrument: Instrument, price: float, chance: random.Random) -> Fields:
    shares = chance.randrange(1_000_000, 1_000_000_000)
    net_asset_value = float32(instrument.base_price * chance.uniform(0.97, 1.03))
    earnings = float32(instrument.base_price * chance.uniform(0.02, 0.05))
    dividend = round(instrument.base_price * chance.uniform(0.001, 0.02), 2)
    returns = round(chance.uniform(-5, 10), 5)
    return {
        "financialCurrency": instrument.currency,
        "sharesOutstanding": shares,
        "marketCap": int(shares * price),
        "netAssets": float(shares * int(net_asset_value)),
        "netExpenseRatio": round(chance.uniform(0.03, 0.6), 2),
        "bookValue": net_asset_value,
        "priceToBook": float32(price / net_asset_value),
        "epsTrailingTwelveMonths": earnings,
        "trailingPE": float32(price / earnings),
        "dividendYield": round(100 * dividend / price, 2),
        "trailingAnnualDividendRate": dividend,
        "trailingAnnualDividendYield": float32(dividend / price),
        "ytdReturn": round(chance.uniform(-10, 25), 5),
        "trailingThreeMonthReturns": returns,
        "trailingThreeMonthNavReturns": returns,
    }


def _coin(instrument: Instrument, price: float, volume: int, chance: random.Random) -> Fields:
    coin = instrument.symbol.partition("-")[0]
    supply = chance.randrange(10_000_000, 500_000_000)
    image = f"https://s2.coinmarketcap.com/static/img/coins/64x64/{chance.randrange(1, 10_000)}.png"
    return {
        "fromCurrency": coin,
        "toCurrency": f"{instrument.currency}=X",
        "circulatingSupply": supply,
        "marketCap": int(supply * price),
        "volume24Hr": volume,
        "volumeAllCurrencies": volume,
        "lastMarket": "CoinMarketCap",
        "coinMarketCapLink": f"https://coinmarketcap.com/currencies/{instrument.name.split()[0].lower()}",
        "coinImageUrl": image,
        "logoUrl": image,
        "startDate": FIRST_TRADE,
    }


def _future(instrument: Instrument, session: Session, chance: random.Random) -> Fields:
    root = instrument.symbol.partition("=")[0]
    expires = (session.day.replace(day=1) + timedelta(days=62)).replace(day=28)
    midnight = datetime(expires.year, expires.month, expires.day, tzinfo=UTC)
    contract = f"{root}{'FGHJKMNQUVXZ'[expires.month - 1]}{expires:%y}.CMX"
    return {
        "shortName": f"{instrument.name} {expires:%b %y}",
        "headSymbolAsString": instrument.symbol,
        "contractSymbol": False,
        "underlyingSymbol": contract,
        "underlyingExchangeSymbol": contract,
        "expireDate": int(midnight.timestamp()),
        "expireIsoDate": f"{midnight:%Y-%m-%dT%H:%M:%SZ}",
        "openInterest": chance.randrange(10_000, 500_000),
    }


def _quarter_day(day: date) -> int:
    """When a company last reported, in seconds since 1970: at the end of the first month of the quarter."""
    month = 3 * ((day.month - 1) // 3) + 1
    reported = datetime(day.year, month, 28, 21, tzinfo=UTC)
    return int(reported.timestamp())
