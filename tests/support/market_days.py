"""The days of real markets, as a delayed feed shows them: when they trade, and what is printed after the close.

The times are those that the exchanges publish, in their own clocks, and those of recorded bodies of Yahoo. They do not
come from the producer's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from producer_service.exchanges import trading_of
from producer_service.group_state import GroupState
from producer_service.heartbeats import Heartbeats
from producer_service.market_hours import Calendar, MarketHours
from producer_service.sources import FetchResult
from producer_service.sources.yahoo import traits_of
from producer_service.sources.yahoo.source import MAX_STALENESS
from tests.fakes.producer_bench import group
from tests.support.quotes import make_quote

MINUTE = timedelta(minutes=1)


class Market(NamedTuple):
    """How a symbol trades. Times are those of its zone."""

    symbol: str
    zone: str
    opens: str
    """The first minute with trades. Before midnight, it has a sign, as in `-07:00`."""
    closes: str
    """The end of continuous trading. `opens` if there is none, as for funds."""
    prints: tuple[str, ...] = ()
    """The event times of the closing auction, the official close and later prices. With `+30`, one is visible half an
    hour later than the delay alone makes it."""
    delay: int = 15
    """The delay that the quotes declare."""
    breaks: tuple[str, str] | None = None


class Price(NamedTuple):
    visible_at: datetime
    event_time: datetime


MARKETS = (
    Market("AAPL", "America/New_York", "09:30", "16:00", ("16:00:01", "16:00:01+15", "16:00:01+59"), 0),
    Market("AFRAF", "America/New_York", "09:30", "16:00", ("15:59:59", "16:10"), 15),
    Market("^GSPC", "America/New_York", "09:30", "16:00", ("16:39:57",), 0),
    Market("^IXIC", "America/New_York", "09:30", "16:00", ("17:15:59",), 0),
    Market("VTSAX", "America/New_York", "16:00", "16:00", ("16:00+150", "18:07:38", "20:05:45+120"), 0),
    Market("0P000071W8.TO", "America/Toronto", "15:00", "15:00", ("15:00+300", "15:00+780"), 15),
    Market("OCDO.L", "Europe/London", "08:00", "16:30", ("16:35:28", "16:40:05", "17:15")),
    Market("SMSN.IL", "Europe/London", "08:00", "16:30", ("16:35:12",), 20),
    Market("HSBA.XC", "Europe/London", "08:00", "16:30", ("16:35",), 0),
    Market("^FTSE", "Europe/London", "08:00", "16:30", ("16:35:29", "16:35:29+90"), 15),
    Market("RYA.IR", "Europe/Dublin", "08:00", "16:28", ("16:30:15", "16:40")),
    Market("SAP.DE", "Europe/Berlin", "08:00", "17:30", ("17:35:44", "17:36:10+20", "17:45")),
    Market("^GDAXI", "Europe/Berlin", "09:00", "17:30", ("17:35:30", "18:05")),
    Market("SAP.F", "Europe/Berlin", "08:00", "22:00", ("22:00:30",)),
    Market("SAP.SG", "Europe/Berlin", "07:30", "22:00", ("22:05",)),
    Market("SAP.DU", "Europe/Berlin", "08:00", "22:00", ("22:00:30",)),
    Market("SAP.HM", "Europe/Berlin", "08:00", "22:00", ("22:00:30",)),
    Market("SAP.HA", "Europe/Berlin", "08:00", "22:00"),
    Market("SAP.BE", "Europe/Berlin", "08:00", "22:00"),
    Market("SAP.BM", "Europe/Berlin", "08:00", "22:00"),
    Market("SAP.MU", "Europe/Berlin", "07:30", "23:00"),
    Market("MC.PA", "Europe/Paris", "09:00", "17:30", ("17:35:20", "17:39:59")),
    Market("^FCHI", "Europe/Paris", "09:00", "17:30", ("17:35:01", "18:05:02")),
    Market("AIR.NX", "Europe/Paris", "09:00", "17:30", ("17:35:20",)),
    Market("ASML.AS", "Europe/Amsterdam", "09:00", "17:30", ("17:35:12", "17:40")),
    Market("ABI.BR", "Europe/Brussels", "09:00", "17:30", ("17:35:12", "17:40")),
    Market("EDP.LS", "Europe/Lisbon", "08:00", "16:30", ("16:35:12", "16:40")),
    Market("LDO.MI", "Europe/Rome", "09:00", "17:30", ("17:35:40", "17:42")),
    Market("BTP.TI", "Europe/Rome", "09:00", "20:30", (), 20),
    Market("ITX.MC", "Europe/Madrid", "09:00", "17:30", ("17:35:25", "17:38")),
    Market("NESN.SW", "Europe/Zurich", "09:00", "17:20", ("17:30:45", "17:40"), 30),
    Market("OMV.VI", "Europe/Vienna", "09:00", "17:30", ("17:33", "17:35")),
    Market("ERIC-B.ST", "Europe/Stockholm", "09:00", "17:25", ("17:29:40", "18:00"), 0),
    Market("NOKIA.HE", "Europe/Helsinki", "10:00", "18:25", ("18:29:40", "19:00"), 0),
    Market("ORSTED.CO", "Europe/Copenhagen", "09:00", "16:55", ("16:59:40", "17:20"), 0),
    Market("AZT.OL", "Europe/Oslo", "09:00", "16:20", ("16:25:10", "16:30")),
    Market("ICEAIR.IC", "Atlantic/Reykjavik", "09:30", "15:25", ("15:30",), 0),
    Market("TAL1T.TL", "Europe/Tallinn", "10:00", "15:55", ("16:00", "16:30"), 0),
    Market("GRD1R.RG", "Europe/Riga", "10:00", "15:55", ("16:00",), 0),
    Market("APG1L.VS", "Europe/Vilnius", "10:00", "15:55", ("16:00",), 0),
    Market("PKN.WA", "Europe/Warsaw", "09:00", "16:50", ("17:00:20", "17:05")),
    Market("CEZ.PR", "Europe/Prague", "09:00", "16:20", ("16:25:30",), 20),
    Market("OTP.BD", "Europe/Budapest", "09:00", "17:00", ("17:05:30",)),
    Market("THYAO.IS", "Europe/Istanbul", "09:55", "18:00", ("18:05:30", "18:10")),
    Market("OTE.AT", "Europe/Athens", "10:15", "17:10", ("17:17", "17:20")),
    Market("TLV.RO", "Europe/Bucharest", "10:00", "17:45", ("18:00",)),
    Market("SBER.ME", "Europe/Moscow", "09:50", "23:50"),
    Market("TEVA.TA", "Asia/Jerusalem", "09:59", "17:14", ("17:25", "17:35"), 20),
    Market("2222.SR", "Asia/Riyadh", "10:00", "15:00", ("15:10:20", "15:20")),
    Market("^TASI.SR", "Asia/Riyadh", "10:00", "15:00", ("15:20",)),
    Market("QNBK.QA", "Asia/Qatar", "09:30", "13:10", ("13:15",)),
    Market("COMI.CA", "Africa/Cairo", "10:00", "14:15", ("14:30",), 20),
    Market("NPN.JO", "Africa/Johannesburg", "09:00", "16:50", ("17:00:20", "17:10")),
    Market("SHOP.TO", "America/Toronto", "09:30", "16:00", ("16:00:10", "16:10", "17:00")),
    Market("ABC.V", "America/Toronto", "09:30", "16:00", ("16:00:10", "17:00")),
    Market("ABC.NE", "America/Toronto", "09:30", "16:00", ("16:00:10",), 0),
    Market("ABC.CN", "America/Toronto", "09:30", "16:00", ("16:00:10",)),
    Market("WALMEX.MX", "America/Chicago", "08:30", "15:00", ("15:00:40", "15:20"), 20),
    Market("PETR4.SA", "America/Sao_Paulo", "10:00", "17:55", ("18:05", "18:45")),
    Market("GGAL.BA", "America/Argentina/Buenos_Aires", "10:30", "17:00", ("17:05",), 30),
    Market("SQM-B.SN", "America/Santiago", "09:30", "15:55", ("16:00", "16:10")),
    Market("ECOPETROL.CL", "America/New_York", "09:30", "15:55", ("16:00", "16:10")),
    Market("7203.T", "Asia/Tokyo", "09:00", "15:25", ("15:30", "15:30:00+30"), 20, ("11:30", "12:30")),
    Market("^N225", "Asia/Tokyo", "09:00", "15:30", ("15:45:02",), 20, ("11:30", "12:30")),
    Market("1299.HK", "Asia/Hong_Kong", "09:20", "16:00", ("16:08:25", "16:09:59"), 15, ("12:00", "13:00")),
    Market("^HSI", "Asia/Hong_Kong", "09:20", "16:00", ("16:08:59", "17:30"), 15, ("12:00", "13:00")),
    Market("600519.SS", "Asia/Shanghai", "09:25", "15:00", ("15:00:05", "15:30"), 30, ("11:30", "13:00")),
    Market("000001.SZ", "Asia/Shanghai", "09:25", "15:00", ("15:00:05", "15:30"), 30, ("11:30", "13:00")),
    Market("2330.TW", "Asia/Taipei", "09:00", "13:25", ("13:30", "14:30"), 20),
    Market("6488.TWO", "Asia/Taipei", "09:00", "13:25", ("13:30", "14:30"), 20),
    Market("005930.KS", "Asia/Seoul", "09:00", "15:20", ("15:30:06", "16:00", "18:00"), 20),
    Market("035720.KQ", "Asia/Seoul", "09:00", "15:20", ("15:30:06", "18:00"), 20),
    Market("D05.SI", "Asia/Singapore", "08:59", "17:00", ("17:05:40", "17:16"), 20),
    Market("MAYBANK.KL", "Asia/Kuala_Lumpur", "09:00", "16:45", ("16:50:10", "17:00")),
    Market("PTT.BK", "Asia/Bangkok", "09:55", "16:30", ("16:38:10", "17:00")),
    Market("WSKT.JK", "Asia/Jakarta", "09:00", "15:50", ("16:00:10", "16:15"), 10),
    Market("BDO.PS", "Asia/Manila", "09:30", "14:50", ("15:00",)),
    Market("RELIANCE.NS", "Asia/Kolkata", "09:07", "15:30", ("15:40:30", "16:00"), 0),
    Market("500325.BO", "Asia/Kolkata", "09:07", "15:30", ("15:40:30", "16:00")),
    Market("BHP.AX", "Australia/Sydney", "10:00", "16:00", ("16:10:35", "16:11:55", "17:00"), 20),
    Market("BHP.XA", "Australia/Sydney", "10:00", "16:12", (), 0),
    Market("FPH.NZ", "Pacific/Auckland", "10:00", "16:45", ("16:46:30", "17:00"), 20),
    Market("EURUSD=X", "America/New_York", "-07:00", "17:00", (), 0),
    Market("GC=F", "America/New_York", "-06:00", "17:00", (), 10),
    Market("CL=F", "America/New_York", "-06:00", "17:00", (), 30),
    Market("ESZ26.CME", "America/New_York", "-06:00", "17:00", (), 10),
    Market("USDSAR=X", "America/New_York", "-07:00", "17:00", (), 0),
    Market("^VIX", "America/New_York", "03:15", "16:15", ("16:15:01",), 15),
)
"""A symbol of each exchange that Yahoo names, and of each kind."""


def prices_of_day(
    market: Market, day: date, *, late_by: timedelta = timedelta(), early_by: timedelta = timedelta()
) -> Iterator[Price]:
    """What a market prints on a day: a price every minute, then those of its close.

    A half day opens later or closes earlier.
    """
    opens, closes = _at(market, day, market.opens) + late_by, _at(market, day, market.closes) - early_by
    pause = [_at(market, day, each) for each in market.breaks or ()]
    event_time = opens
    while event_time < closes:
        if not pause or not pause[0] < event_time < pause[1]:
            yield Price(event_time + market.delay * MINUTE, event_time)
        event_time += MINUTE
    for printed in market.prints:
        stamp, _, late = printed.partition("+")
        event_time = _at(market, day, stamp) - early_by
        yield Price(event_time + (market.delay + int(late or 0)) * MINUTE, event_time)


def moments_around(prices: Sequence[Price]) -> Iterator[datetime]:
    """The minutes around each open, close and break of a day of prices, and every tenth until the next morning."""
    gaps = [
        edge
        for earlier, later in pairwise(prices)
        if later.event_time - earlier.event_time > MINUTE
        for edge in (earlier, later)
    ]
    edges = {prices[0], prices[-1], *gaps}
    times = {time.replace(second=0) for edge in edges for time in (edge.event_time, edge.visible_at)}
    near = {time + minute * MINUTE for time in times for minute in range(-3, 4)}
    last = max(price.event_time for price in prices).replace(second=0)
    yield from sorted(near | {last + step * 10 * MINUTE for step in range(100)})


def walk(
    market: Market, prices: Iterable[Price], moments: Iterable[datetime], load: Callable[[str, datetime], Calendar]
) -> None:
    """Poll at some moments if the group is due, and check that nothing is lost and that no lane claims too much."""
    remaining = sorted(prices)[::-1]
    start = remaining[-1].event_time
    traits = traits_of(extended_hours=False)
    watched = group("g", (market.symbol,), calendar="auto")
    hours = MarketHours([trading_of(market.symbol).calendar], load, start)
    state = GroupState(watched, traits, hours, before_open=timedelta(), after_close=timedelta())
    heartbeats = Heartbeats([state], 1)
    quote = replace(make_quote(market.symbol), delay_minutes=market.delay)
    known: tuple[datetime, int] | None = None
    visible: tuple[datetime, int] | None = None
    claimed: datetime | None = None
    assumed = trading_of(market.symbol).delay
    for now in moments:
        while remaining and remaining[-1].visible_at <= now:
            price = remaining.pop()
            newest = (price.event_time, -len(remaining))  # a later price of the same time revises the earlier one
            visible = newest if visible is None else max(visible, newest)
        if state.is_due(now):
            if visible is not None and visible != known:
                event_time = visible[0]
                assert claimed is None or event_time >= claimed, f"{event_time} came after the claim {claimed} at {now}"
                assumed = market.delay * MINUTE
            known = visible
            result = FetchResult(quotes=(quote,) if visible else (), complete_to=now - MAX_STALENESS - assumed)
            state.progress = state.progress.after(now, result)
        assert known == visible, f"{market.symbol}: the price of {visible and visible[0]} is not polled at {now}"
        (heartbeat,) = heartbeats.round(now + MINUTE / 2).values()
        claimed = heartbeat.complete_to


def _at(market: Market, day: date, clock: str) -> datetime:
    """A time of a day in the market's zone. One with a sign is that long before midnight."""
    if clock.startswith("-"):
        hours, minutes = map(int, clock[1:].split(":"))
        at = datetime.combine(day, time(), ZoneInfo(market.zone)) - timedelta(hours=hours, minutes=minutes)
    else:
        at = datetime.combine(day, time.fromisoformat(clock), ZoneInfo(market.zone))
    return at.astimezone(UTC)
