"""Bodies of the v7 quote endpoint."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from tests.fakes.yahoo.corporate_actions import CorporateActions
from tests.fakes.yahoo.fundamentals import FIRST_TRADE, Fields, fundamentals
from tests.fakes.yahoo.instruments import DELISTED, Instrument
from tests.fakes.yahoo.prices import MINUTE, float32
from tests.fakes.yahoo.sessions import Session, local_day, market_state, session_on, utc_offset
from tests.fakes.yahoo.tapes import DayStatistics, Tapes

ALWAYS = frozenset(
    {
        "cryptoTradeable",
        "customPriceAlertConfidence",
        "esgPopulated",
        "exchange",
        "exchangeDataDelayedBy",
        "exchangeTimezoneName",
        "exchangeTimezoneShortName",
        "firstTradeDateMilliseconds",
        "fullExchangeName",
        "gmtOffSetMilliseconds",
        "hasPrePostMarketData",
        "language",
        "market",
        "marketState",
        "priceHint",
        "quoteSourceName",
        "quoteType",
        "region",
        "regularMarketPrice",
        "regularMarketTime",
        "sourceInterval",
        "symbol",
        "tradeable",
        "triggerable",
        "typeDisp",
    }
)
"""The fields that Yahoo returns whatever the `fields` parameter names."""

_TYPE_NAMES = {
    "EQUITY": "Equity",
    "ETF": "ETF",
    "INDEX": "Index",
    "CRYPTOCURRENCY": "Cryptocurrency",
    "CURRENCY": "Currency",
    "FUTURE": "Futures",
}
_EXTENDED_SECONDS = MINUTE
"""The time from one trade to the next before and after the session."""
_YEAR = 252
_SOURCE_INTERVAL = 15
_FIRST_TRADE_MILLISECONDS = 1_000 * FIRST_TRADE
_HOURS_24 = 86_400


class Quotes:
    """The quotes of all instruments at one time after another."""

    def __init__(self, tapes: Tapes, actions: CorporateActions | None = None) -> None:
        self._tapes = tapes
        self._actions = actions or CorporateActions()
        self._second = 0
        self._cache: dict[str, Fields | None] = {}
        """The quotes of the current second, by symbol."""

    def forget(self) -> None:
        """Make new quotes, although the second has not passed."""
        self._cache.clear()

    def body(self, symbols: Sequence[str], fields: Collection[str], now: float) -> bytes:
        """The body of a response. Without `fields` the quotes have all fields."""
        if fields:
            rows = [self.quote(symbol, now) for symbol in symbols]
            result = [_only(row, fields) for row in rows if row is not None]
        else:
            rows = [self.full_quote(symbol, now) for symbol in symbols]
            result = [row for row in rows if row is not None]
        return msgspec.json.encode({"quoteResponse": {"result": result, "error": None}})

    def quote(self, symbol: str, now: float) -> Fields | None:
        """The quote of a symbol in any case, without statistics. None if Yahoo would omit it."""
        symbol = symbol.upper()
        if int(now) != self._second:
            self._second, self._cache = int(now), {}
        if symbol not in self._cache:
            self._cache[symbol] = self._new_quote(symbol, now)
        return self._cache[symbol]

    def full_quote(self, symbol: str, now: float) -> Fields | None:
        """The quote with the statistics of the last year, which take much longer to generate."""
        quote = self.quote(symbol, now)
        instrument = self._actions.instrument(symbol, now)
        if quote is None or instrument is None:
            return quote
        session, day = self._tapes.today(instrument, _seen(instrument, now))
        return quote | self._statistics(instrument, session, day)

    def _new_quote(self, symbol: str, now: float) -> Fields | None:
        match DELISTED.get(symbol):
            case "omitted":
                return None
            case "none":
                return _without_type(symbol)
            case "unpriced":
                return _without_price(symbol)
        instrument = self._actions.instrument(symbol, now)
        if instrument is None:
            return None
        session, day = self._tapes.today(instrument, _seen(instrument, now))
        day = with_volume(self._tapes, instrument, day)
        return (
            _identity(instrument, now)
            | self._regular(instrument, session, day)
            | self._extended(instrument, session, day, now)
            | fundamentals(instrument, session, day.price, day.volume)
        )

    def _regular(self, instrument: Instrument, session: Session, day: DayStatistics) -> Fields:
        previous = self._tapes.previous_close(instrument, session)
        traded = instrument.symbol not in _WITHOUT_DAY_PRICES
        high, low, opened = (day.high, day.low, day.open) if traded else (0.0, 0.0, 0.0)
        fields: Fields = {
            "regularMarketPrice": day.price,
            "regularMarketTime": day.time,
            "regularMarketChange": float32(day.price - previous),
            "regularMarketChangePercent": float32(100 * (day.price / previous - 1)),
            "regularMarketOpen": opened,
            "regularMarketDayHigh": high,
            "regularMarketDayLow": low,
            "regularMarketDayRange": f"{low} - {high}",
            "regularMarketPreviousClose": previous,
            "regularMarketVolume": day.volume,
        }
        if instrument.type != "CRYPTOCURRENCY":
            spread = day.price * 0.0001
            fields |= {
                "bid": float32(round(day.price - spread, instrument.price_hint)),
                "ask": float32(round(day.price + spread, instrument.price_hint)),
                "bidSize": 1 if instrument.market.has_extended_hours else 0,
                "askSize": 1 if instrument.market.has_extended_hours else 0,
            }
        return fields

    def _extended(self, instrument: Instrument, session: Session, day: DayStatistics, now: float) -> Fields:
        """The price before or after the session, if there is a newer one than the session's last."""
        market = instrument.market
        if not market.has_extended_hours:
            return {}
        today = session_on(market, local_day(market, now))
        if today is not None and today.pre_start < now < today.start:
            field, start, until = "preMarket", today.pre_start, now
        elif now > session.end:
            field, start, until = "postMarket", session.end, min(now, session.post_end)
        else:
            return {}
        time = start + int(until - start) // _EXTENDED_SECONDS * _EXTENDED_SECONDS
        price = self._tapes.path(instrument).at(time)
        return {
            f"{field}Price": price,
            f"{field}Time": time,
            f"{field}Change": float32(price - day.price),
            f"{field}ChangePercent": float32(100 * (price / day.price - 1)),
        }

    def _statistics(self, instrument: Instrument, session: Session, day: DayStatistics) -> Fields:
        closes = (day.price, *self._tapes.closes(instrument, session, _YEAR))
        high, low = max(day.high, *closes), min(day.low, *closes)
        fifty, two_hundred = _mean(closes[:50]), _mean(closes[:200])
        volume = instrument.daily_volume
        return {
            "averageDailyVolume3Month": volume,
            "averageDailyVolume10Day": volume,
            "fiftyTwoWeekHigh": high,
            "fiftyTwoWeekLow": low,
            "fiftyTwoWeekRange": f"{low} - {high}",
            "fiftyTwoWeekHighChange": float32(day.price - high),
            "fiftyTwoWeekHighChangePercent": float32(day.price / high - 1),
            "fiftyTwoWeekLowChange": float32(day.price - low),
            "fiftyTwoWeekLowChangePercent": float32(day.price / low - 1),
            "fiftyTwoWeekChangePercent": float32(100 * (day.price / closes[-1] - 1)),
            "fiftyDayAverage": fifty,
            "fiftyDayAverageChange": float32(day.price - fifty),
            "fiftyDayAverageChangePercent": float32(day.price / fifty - 1),
            "twoHundredDayAverage": two_hundred,
            "twoHundredDayAverageChange": float32(day.price - two_hundred),
            "twoHundredDayAverageChangePercent": float32(day.price / two_hundred - 1),
        }


_WITHOUT_DAY_PRICES = {"^VXAPL"}
"""Indexes for which Yahoo has a price, and 0 for open, high and low."""


def with_volume(tapes: Tapes, instrument: Instrument, day: DayStatistics) -> DayStatistics:
    """The same day with the volume that Yahoo reports: for a coin it is that of the last 24 hours, which may fall."""
    if instrument.type != "CRYPTOCURRENCY":
        return day
    wave = tapes.path(instrument).wave(day.time // MINUTE * MINUTE, _HOURS_24)
    return msgspec.structs.replace(day, volume=int(instrument.daily_volume * (1 + 0.1 * wave)))


def _identity(instrument: Instrument, now: float) -> Fields:
    market = instrument.market
    zone, offset = utc_offset(market, now)
    real_time = market.has_extended_hours
    names = {"shortName": instrument.name, "longName": instrument.name}
    if instrument.type == "FUTURE":
        del names["longName"]
    source = "CoinMarketCap" if instrument.type == "CRYPTOCURRENCY" else "Delayed Quote"
    fields: Fields = {
        "language": "en-US",
        "region": "US",
        "quoteType": instrument.type,
        "typeDisp": _TYPE_NAMES[instrument.type],
        "quoteSourceName": "Nasdaq Real Time Price" if real_time else source,
        "triggerable": real_time,
        "customPriceAlertConfidence": "HIGH" if real_time else "LOW",
        **names,
        "currency": instrument.currency,
        "exchange": market.code,
        "fullExchangeName": market.name,
        "exchangeTimezoneName": market.timezone,
        "exchangeTimezoneShortName": zone,
        "gmtOffSetMilliseconds": 1_000 * offset,
        "market": market.region,
        "messageBoardId": f"finmb_{zlib.crc32(instrument.symbol.encode())}",
        "marketState": market_state(market, now),
        "esgPopulated": False,
        "hasPrePostMarketData": real_time,
        "firstTradeDateMilliseconds": _FIRST_TRADE_MILLISECONDS,
        "priceHint": instrument.price_hint,
        "sourceInterval": max(_SOURCE_INTERVAL, market.delay_minutes),
        "exchangeDataDelayedBy": market.delay_minutes,
        "tradeable": False,
        "cryptoTradeable": instrument.type == "CRYPTOCURRENCY",
        "corporateActions": [],
        "symbol": instrument.symbol,
    }
    if instrument.type == "FUTURE":
        del fields["messageBoardId"]
    return fields


def _seen(instrument: Instrument, now: float) -> float:
    """The time whose trades Yahoo shows now."""
    return now - instrument.market.delay_minutes * MINUTE


def _without_type(symbol: str) -> Fields:
    return {
        "language": "en-US",
        "region": "US",
        "quoteType": "NONE",
        "triggerable": False,
        "customPriceAlertConfidence": "NONE",
        "tradeable": False,
        "cryptoTradeable": False,
        "hasPrePostMarketData": False,
        "corporateActions": [],
        "esgPopulated": False,
        "symbol": symbol,
    }


def _without_price(symbol: str) -> Fields:
    return _without_type(symbol) | {
        "quoteType": "MUTUALFUND",
        "typeDisp": "Fund",
        "quoteSourceName": "Delayed Quote",
        "shortName": symbol,
        "exchange": "YHD",
        "fullExchangeName": "YHD",
        "exchangeTimezoneName": "America/New_York",
        "exchangeTimezoneShortName": "EST",
        "gmtOffSetMilliseconds": -18_000_000,
        "market": "us_market",
        "marketState": "CLOSED",
        "regularMarketTime": FIRST_TRADE,
        "firstTradeDateMilliseconds": _FIRST_TRADE_MILLISECONDS,
        "priceHint": 2,
        "sourceInterval": _SOURCE_INTERVAL,
        "exchangeDataDelayedBy": 0,
        "averageDailyVolume3Month": 120_000,
        "averageDailyVolume10Day": 40_000,
        "fiftyDayAverage": 7.25,
        "twoHundredDayAverage": 7.5,
        "fiftyTwoWeekHigh": 10.5,
        "fiftyTwoWeekLow": 6.0,
        "fiftyTwoWeekRange": "6.0 - 10.5",
        "fiftyTwoWeekChangePercent": -12.5,
    }


def _only(row: Fields, fields: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in ALWAYS or name in fields}


def _mean(values: Sequence[float]) -> float:
    return float32(sum(values) / len(values))
