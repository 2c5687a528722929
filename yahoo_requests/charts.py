"""Turns a response of Yahoo's v8 chart endpoint into bars and corporate actions. Pure.

Yahoo documents neither the endpoint nor its faults. A chart holds columns of equal length, and its events beside them:

    {"chart": {"result": [{"meta": {"symbol": "AAPL", "currency": "USD", "dataGranularity": "1m", ...},
                           "timestamp": [1795444200, ...], "events": {...},
                           "indicators": {"quote": [{"open": [271.489990234375, ...], "close": [...], ...}]}}]}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise, takewhile
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from quotes import Action, Invalid, price
from yahoo_requests.actions import actions_of
from yahoo_requests.chart_body import ChartError, chart_of
from yahoo_requests.chart_rows import Resolution, Row, rows_of
from yahoo_requests.json_values import MalformedResponse, optional_label, time_of
from yahoo_requests.open_time import OpenTime, Session
from yahoo_requests.single_precision import unsplit
from yahoo_requests.split_ratios import SplitRatios


class ChartLimit(NamedTuple):
    """How much history Yahoo gives."""

    kept: timedelta
    """How long it keeps the bars."""
    per_request: timedelta
    """The longest window of a request."""


LIMITS: Mapping[Resolution, ChartLimit] = {
    "1m": ChartLimit(timedelta(days=30), timedelta(days=7)),
    "5m": ChartLimit(timedelta(days=60), timedelta(days=60)),
    "1h": ChartLimit(timedelta(days=730), timedelta(days=730)),
    "1d": ChartLimit(timedelta(days=36_135), timedelta(days=36_500)),
}
"""The limit of each resolution. Yahoo names them in errors with status 422 and the code "Unprocessable Entity":

- "1m data not available for startTime=1664596800 and endTime=1664683200. The requested range must be within the last 30
  days." (yfinance #636 and #1389 have the same of 1h with 730 days and of 5m with 60);
- "Only 8 days worth of 1m granularity data are allowed to be fetched per request." (also seen with 7: yfinance #2903);
- "Only 100 years worth of day granularity data are allowed to be fetched per request." (yfinance #1671). Days have one
  request, which goes on to the end of the present day. So they are taken to be kept for 99 years, as in yfinance.
"""

SETTLED = timedelta(minutes=30)
"""This long after its end a bar no longer changes. The longest delay of an exchange is 20 minutes."""
USUAL_GAP = timedelta(minutes=15)
"""A shorter time without rows is usual at the end of a session, whatever the symbol."""

_SYNONYMS = {"60m": "1h"}
"""Names of resolutions that Yahoo uses beside ours."""
_NOT_FOUND, _NO_DATA = "Not Found", "Bad Request"
"""The codes of Yahoo's errors for a symbol that it does not have, and for a window before a symbol was listed."""


class ChartWindow(NamedTuple):
    """What a chart was requested for."""

    start: datetime
    end: datetime
    """Aware UTC. A bar that begins at this time is not part of it."""
    sessions: tuple[Session, ...] = ()
    """The sessions of the exchange, in any order and with breaks left out. Empty if they are not known: then no row is
    outside of them, and the sessions that the chart declares show how far it says everything. If it declares none, an
    answer without an error is taken to be whole."""
    zone: ZoneInfo | None = None
    """The time zone in which days begin. None: that of the chart. The calendar of currencies and futures has days of
    UTC, and Yahoo's charts of them those of London and New York."""


class ChartBar(NamedTuple):
    """A bar of a chart."""

    start: datetime
    """Aware UTC. A day begins at its midnight in the zone of the window. An hour begins at the open of its session or
    at a full hour after it, such as 9:30 in New York: Yahoo has no others."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """None if Yahoo does not know it."""


class _Period(msgspec.Struct):
    """A session as a chart declares it, in seconds since 1970."""

    start: int
    end: int


class ParsedChart(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a chart."""

    bars: tuple[ChartBar, ...] = ()
    """In the order of time, all of them finished. Prices and volumes are those of the time: they are not adjusted."""
    actions: tuple[Action, ...] = ()
    """The splits and dividends that the chart declares, in the order of time. Dividends are those of their time too."""
    complete_to: datetime
    """The chart says everything about the window up to this time: where it has no bar, nothing was traded. It is the
    start of the window if the chart says nothing, and its end if it was answered as a whole."""
    currency: str | None = None
    timezone: str | None = None
    """The time zone of the exchange, such as `America/New_York`."""
    is_known: bool = True
    """False if Yahoo says that it has no such symbol. It says so of others too while it is out of order."""
    problems: tuple[str, ...] = ()
    """What is wrong with the chart, for people."""


def parse_chart(
    body: bytes,
    symbol: str,
    resolution: Resolution,
    window: ChartWindow,
    fetched_at: datetime,
    *,
    splits: Sequence[Action] = (),
) -> ParsedChart:
    """The bars and actions of a chart that was requested with `events=div,split`. Times are aware UTC in milliseconds.

    - Yahoo's prices and dividends are adjusted for all splits up to the present. Those that the chart declares, and the
      `splits` that are known from elsewhere, are undone in what is before them. A daily chart that reaches from the
      window to the present knows all of them. Actions of other kinds among `splits` are ignored.
    - A bar that may still change is left out, and so is the row of the present moment that Yahoo appends.
    - The closing auction's row, which begins at the end of a session, is a bar like others (yfinance #2806).
    - Rows outside the window or the sessions are left out. A request for days may reach beyond its window.
    - An answer that ends early is complete up to its last row: see `complete_to`.

    Raises `MalformedResponse` for a body that is no such chart, and nothing else: an HTML page, half a document, an
    error, a chart of another symbol or of another resolution. The caller knows the currency that it expects.
    """
    try:
        chart = chart_of(body, symbol)
    except ChartError as error:
        if error.code == _NOT_FOUND:
            return ParsedChart(complete_to=window.start, is_known=False, problems=(str(error),))
        if error.code == _NO_DATA and "doesn't exist" in str(error):
            return ParsedChart(complete_to=_settled_to(window, fetched_at), problems=(str(error),))
        raise
    meta = chart["meta"]
    zone = _zone(meta)
    _check(meta, resolution)
    problems: Counter[str] = Counter()
    oldest = datetime.min.replace(tzinfo=fetched_at.tzinfo)
    declared = actions_of(chart, symbol, fetched_at, oldest=oldest, splits=splits)
    problems.update(declared.rejected)
    open_time = OpenTime(window.sessions)
    begin = partial(_begin_of_day, zone=zone, own=window.zone or zone) if resolution == "1d" else _begin
    read = rows_of(chart, resolution, zone, problems)
    if resolution == "1d":
        # The days around the window are in the answer if the zone of the chart is another one.
        read = [row for row in read if window.start <= begin(row) < window.end]
    rows = [*_wanted(read, window, begin, open_time, problems)]
    last_trade = _last_trade(meta)
    settled = [*takewhile(lambda row: _is_settled(row, last_trade, fetched_at), rows)]
    expected = open_time or OpenTime(_declared_sessions(meta))
    complete_to = _complete_to(settled, window, expected, last_trade, fetched_at)
    if not open_time and settled and last_trade is not None and last_trade < settled[-1].end:
        complete_to = _settled_to(window, fetched_at)  # the symbol trades rarely: Yahoo knows of no later trade
    if len(settled) < len(rows):
        complete_to = min(complete_to, rows[len(settled)].start)
    ratios = SplitRatios((*declared.actions, *splits), fetched_at)
    return ParsedChart(
        bars=tuple(_bars(settled, begin, ratios, problems)),
        actions=declared.actions,
        complete_to=complete_to,
        currency=optional_label(meta.get("currency")),
        timezone=zone.key,
        problems=tuple(_problem_text(problem, count) for problem, count in problems.items()),
    )


def _problem_text(problem: str, count: int) -> str:
    """What was left out, for people: rows of a kind that is named as a row, or what any other problem says."""
    kind = problem.removeprefix("row ")
    if kind == problem:
        return f"{problem} ({count:,} times)" if count > 1 else problem
    return f"{count:,} rows {kind} were left out" if count > 1 else f"1 row {kind} was left out"


def _zone(meta: Mapping[str, Any]) -> ZoneInfo:
    name = meta.get("exchangeTimezoneName")
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError) as error:
        raise MalformedResponse(f"{name!r:.40} is not a time zone") from error


def _check(meta: Mapping[str, Any], resolution: Resolution) -> None:
    granularity = str(meta.get("dataGranularity"))
    if _SYNONYMS.get(granularity, granularity) != resolution:
        raise MalformedResponse(f"the chart has bars of {granularity:.20}, not of {resolution}")


def _declared_sessions(meta: Mapping[str, Any]) -> Iterator[Session]:
    """The regular sessions that a chart of less than a day per row declares: a list for each day, of one or more."""
    declared = meta.get("tradingPeriods")
    if isinstance(declared, dict):  # there are those before and after them too
        declared = declared.get("regular")
    try:
        for period in (each for day in msgspec.convert(declared, list[list[_Period]]) for each in day):
            start, end = time_of("start", period.start), time_of("end", period.end)
            if start < end:
                yield start, end
    except (Invalid, msgspec.ValidationError):
        return


def _last_trade(meta: Mapping[str, Any]) -> datetime | None:
    """The time of the last trade that Yahoo knows."""
    try:
        return time_of("", meta.get("regularMarketTime"))
    except Invalid:
        return None


def _begin(row: Row) -> datetime:
    """Where the bar of a row begins."""
    return row.start


def _begin_of_day(row: Row, zone: ZoneInfo, own: ZoneInfo) -> datetime:
    """The midnight in the zone `own` of the day that a row has in the `zone` of its chart."""
    day = row.start.astimezone(zone).date()
    return datetime(day.year, day.month, day.day, tzinfo=own).astimezone(UTC)


def _wanted(
    rows: Iterable[Row],
    window: ChartWindow,
    begin: Callable[[Row], datetime],
    open_time: OpenTime,
    problems: Counter[str],
) -> Iterable[Row]:
    for row in rows:
        start = begin(row)
        if not window.start <= start < window.end:
            problems["row outside the window"] += 1
        elif open_time and not open_time.touches(start, start + (row.end - row.start)):
            problems["row outside the sessions"] += 1
        else:
            yield row


def _is_settled(row: Row, last_trade: datetime | None, fetched_at: datetime) -> bool:
    """Whether a row is finished: it ended long ago, or Yahoo knows of a later trade."""
    return row.end + SETTLED <= fetched_at or (last_trade is not None and row.end <= last_trade)


def _settled_to(window: ChartWindow, fetched_at: datetime) -> datetime:
    """How far nothing of a window changes any more."""
    return max(window.start, min(window.end, fetched_at - SETTLED))


def _complete_to(
    rows: Sequence[Row], window: ChartWindow, open_time: OpenTime, last_trade: datetime | None, fetched_at: datetime
) -> datetime:
    """How far an answer with these rows says everything, also of the times without a trade.

    It ends early if after its last row the exchange is open for longer than it ever is between two of its rows.
    """
    settled_to = _settled_to(window, fetched_at)
    if not rows:
        is_idle = last_trade is not None and last_trade < window.start
        return settled_to if is_idle or not open_time.between(window.start, settled_to) else window.start
    covered_to = min(rows[-1].end, window.end)
    gaps = (open_time.between(one.end, other.start) for one, other in pairwise(rows))
    if open_time.between(covered_to, settled_to) > max(USUAL_GAP, max(gaps, default=USUAL_GAP)):
        return covered_to
    return max(covered_to, settled_to)


def _bars(
    rows: Iterable[Row], begin: Callable[[Row], datetime], ratios: SplitRatios, problems: Counter[str]
) -> Iterable[ChartBar]:
    for row in rows:
        if row.prices is None:
            continue
        ratio = ratios.since(row.end)
        try:
            first, high, low, close = (price(unsplit(number, ratio)) for number in row.prices)
        except Invalid as error:
            problems[str(error)] += 1
            continue
        yield ChartBar(begin(row), first, high, low, close, None if row.volume is None else round(row.volume / ratio))
