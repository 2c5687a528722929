"""Bodies of the v8 chart endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.fakes.yahoo.chart_faults import ChartFaults, disturbed
from tests.fakes.yahoo.corporate_actions import CorporateActions, Events
from tests.fakes.yahoo.fundamentals import FIRST_TRADE
from tests.fakes.yahoo.instruments import Instrument
from tests.fakes.yahoo.messages import Response, error, json
from tests.fakes.yahoo.prices import DAY, MINUTE
from tests.fakes.yahoo.quotes import with_volume
from tests.fakes.yahoo.recordings import Recordings, ratios, single
from tests.fakes.yahoo.sessions import (
    Session,
    last_session,
    local_day,
    session_before,
    session_on,
    trading_period,
    utc_offset,
)
from tests.fakes.yahoo.tapes import Bar, Tapes

_INTRADAY = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "90m": 90, "1h": 60}
"""The minutes of each intraday interval."""
_SESSIONS = {"1d": 1, "5d": 5, "1mo": 21, "3mo": 63, "6mo": 126, "1y": 251, "2y": 502}
"""About how many sessions each range has."""
_VALID_RANGES = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]
_MAX_MINUTE_SPAN = 8 * DAY
_KEPT_DAYS = {"1m": 30, "1h": 730, "60m": 730}
_OTHERS_KEPT_DAYS = 60
"""How many days of intraday bars Yahoo keeps, by interval."""
_MAX_AGE = {"cache-control": "public, max-age=10, stale-while-revalidate=20"}
_COLUMNS = ("open", "high", "low", "close", "volume")


class Charts:
    """The charts of all instruments."""

    def __init__(self, tapes: Tapes, actions: CorporateActions | None = None) -> None:
        self._tapes = tapes
        self._actions = actions or CorporateActions()
        self.recordings = Recordings()
        self.faults = ChartFaults()

    def response(self, symbol: str, parameters: Mapping[str, str], now: float) -> Response:
        """The response to a request for a symbol's chart: its bars over `range`, or from `period1` to `period2`.

        It declares the events of that time. With `range`, it declares all events of the symbol.
        """
        instrument = self._actions.instrument(symbol, now)
        if instrument is None:
            return error(404, "chart", "Not Found", "No data found, symbol may be delisted")
        interval = parameters.get("interval", "1d")
        if interval not in _INTRADAY and interval != "1d":
            return error(422, "chart", "Unprocessable Entity", f"The local Yahoo has no charts of interval {interval}")
        seen = now - instrument.market.delay_minutes * MINUTE
        sessions = _sessions(instrument, parameters, seen)
        start, end = _span(parameters, sessions, seen)
        if interval in _INTRADAY and (limit := _limit(interval, start, end, now)):
            span = f"startTime={int(start)} and endTime={int(end)}"
            return error(422, "chart", "Unprocessable Entity", f"{interval} data not available for {span}. {limit}")
        faults = self.faults.take(symbol, interval)
        meta = self._meta(instrument, sessions, seen) | {
            "dataGranularity": interval,
            "range": parameters.get("range", ""),
            "validRanges": _VALID_RANGES,
        }
        if interval in _INTRADAY:
            session, _ = self._tapes.today(instrument, seen)
            meta["previousClose"] = self._tapes.previous_close(instrument, session)
            meta["scale"] = 3
            meta["tradingPeriods"] = [[_period(instrument, session.start, session.end)] for session in sessions]
        events = self._actions.events(symbol, parameters.get("events", ""))
        seconds = _INTRADAY[interval] * MINUTE if interval in _INTRADAY else DAY
        splits = ratios(self._actions.events(symbol, "split").get("splits"))
        bars = self.recordings.bars(symbol, sessions, seconds, seen, splits)
        if bars is None and interval in _INTRADAY:
            bars = self._intraday(instrument, sessions, seen, seconds)
        elif bars is None:
            bars = self._daily(instrument, sessions, seen)
        if "period1" in parameters:
            bars = [bar for bar in bars if start <= (bar.start if isinstance(bar, Bar) else bar) < end]
            events = _of_span(events, start, end)
        bars = disturbed(bars, faults, sessions, seen)
        for fault in faults:
            meta |= fault.meta
        result = {"meta": meta} | _columns(bars, adjusted=interval == "1d")
        if events:
            result["events"] = events
        return json({"chart": {"result": [result], "error": None}}, _MAX_AGE)

    def _intraday(self, instrument: Instrument, sessions: list[Session], now: float, seconds: int) -> list[Bar | int]:
        bars: list[Bar | int] = []
        for session in sessions:
            bars += self._tapes.tape(instrument, session).bars(now, seconds)
        if sessions and sessions[-1].start <= now < sessions[-1].end:
            # Yahoo appends the current price as a row of its own, at the time of the last trade and without volume.
            day = self._tapes.tape(instrument, sessions[-1]).statistics(now)
            if day.time % MINUTE:
                bars.append(Bar(day.time, day.price, day.price, day.price, day.price, 0))
        return bars

    def _daily(self, instrument: Instrument, sessions: list[Session], now: float) -> list[Bar | int]:
        bars: list[Bar | int] = []
        for session in sessions:
            if now < session.end:
                day = self._tapes.tape(instrument, session).statistics(now)
                bars.append(Bar(day.time, day.open, day.high, day.low, day.price, day.volume))
            else:
                bars.append(self._tapes.ended(instrument, session))
        return bars

    def _meta(self, instrument: Instrument, sessions: list[Session], now: float) -> dict[str, Any]:
        market = instrument.market
        session, day = self._tapes.today(instrument, now)
        day = with_volume(self._tapes, instrument, day)
        previous = self._tapes.previous_close(instrument, session)
        closes = (day.price, *self._tapes.closes(instrument, session, 252))
        zone, offset = utc_offset(market, now)
        period = trading_period(market, now)
        last_minute = MINUTE if period.end - period.start == DAY else 0  # a day of 24 hours ends at 23:59 in this field
        return {
            "currency": instrument.currency,
            "symbol": instrument.symbol,
            "exchangeName": market.code,
            "fullExchangeName": market.name,
            "instrumentType": instrument.type,
            "firstTradeDate": FIRST_TRADE,
            "regularMarketTime": day.time,
            "hasPrePostMarketData": market.has_extended_hours,
            "gmtoffset": offset,
            "timezone": zone,
            "exchangeTimezoneName": market.timezone,
            "regularMarketPrice": day.price,
            "fiftyTwoWeekHigh": max(day.high, *closes),
            "fiftyTwoWeekLow": min(day.low, *closes),
            "regularMarketDayHigh": day.high,
            "regularMarketDayLow": day.low,
            "regularMarketVolume": day.volume,
            "longName": instrument.name,
            "shortName": instrument.name,
            "chartPreviousClose": self._tapes.previous_close(instrument, sessions[0]) if sessions else previous,
            "priceHint": instrument.price_hint,
            "currentTradingPeriod": {
                "pre": _period(instrument, period.pre_start, period.start),
                "regular": _period(instrument, period.start, period.end - last_minute),
                "post": _period(instrument, period.end - last_minute, period.post_end - last_minute),
            },
        }


def _sessions(instrument: Instrument, parameters: Mapping[str, str], now: float) -> list[Session]:
    """The sessions of a chart, oldest first. None of them is in the future."""
    market = instrument.market
    if "period1" in parameters:
        start, end = float(parameters["period1"]), min(float(parameters.get("period2", now)), now)
        day, sessions = local_day(market, start), []
        while day <= local_day(market, end):
            session = session_on(market, day)
            if session is not None and session.start <= end and session.end > start:
                sessions.append(session)
            day += timedelta(days=1)
        return sessions
    sessions = [last_session(market, now)]
    while len(sessions) < _SESSIONS.get(parameters.get("range", "1d"), _SESSIONS["1y"]):
        sessions.append(session_before(market, sessions[-1].day))
    return sessions[::-1]


def _span(parameters: Mapping[str, str], sessions: list[Session], now: float) -> tuple[float, float]:
    """The time that a chart is requested for."""
    if "period1" in parameters:
        return float(parameters["period1"]), float(parameters.get("period2", now))
    return sessions[0].start, now


def _limit(interval: str, start: float, end: float, now: float) -> str | None:
    """Why Yahoo refuses to show so much or so old data."""
    if interval == "1m" and end - start > _MAX_MINUTE_SPAN:
        return "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
    kept = _KEPT_DAYS.get(interval, _OTHERS_KEPT_DAYS)
    return f"The requested range must be within the last {kept} days." if now - start > kept * DAY else None


def _of_span(events: Events, start: float, end: float) -> Events:
    """The declared events of a span of time. Those that have no time are left out."""
    found = {
        kind: {
            key: event
            for key, event in declared.items()
            if isinstance(event, dict) and start <= event.get("date", 0) < end
        }
        for kind, declared in events.items()
    }
    return {kind: declared for kind, declared in found.items() if declared}


def _period(instrument: Instrument, start: int, end: int) -> dict[str, Any]:
    zone, offset = utc_offset(instrument.market, start)
    return {"timezone": zone, "start": start, "end": end, "gmtoffset": offset}


def _columns(bars: list[Bar | int], *, adjusted: bool) -> dict[str, Any]:
    """The bars as columns. A minute without a trade is null in each. Without bars there are no columns and no times."""
    if not bars:
        return {"indicators": {"quote": [{}]}}
    rows = [
        (*map(single, (bar.open, bar.high, bar.low, bar.close)), bar.volume)
        if isinstance(bar, Bar)
        else (None,) * len(_COLUMNS)
        for bar in bars
    ]
    quote = {name: [row[index] for row in rows] for index, name in enumerate(_COLUMNS)}
    indicators: dict[str, Any] = {"quote": [quote]}
    if adjusted:
        indicators["adjclose"] = [{"adjclose": quote["close"]}]
    return {"timestamp": [bar.start if isinstance(bar, Bar) else bar for bar in bars], "indicators": indicators}
