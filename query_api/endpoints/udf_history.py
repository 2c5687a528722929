"""`/udf/history`: bars as TradingView's library asks for them.

https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF has the protocol.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from bars.resolutions import ONE_DAY, Resolution, midnight
from bars.resolutions import RESOLUTIONS as OURS
from query_api import json_text
from query_api.bar_pages import BarReader, Group
from query_api.endpoints.udf import IGNORED, RESOLUTIONS, SYMBOL_OF_QUERY, symbol_parameter
from query_api.errors import unknown_symbol, wrong_parameter
from query_api.expected_minutes import ExpectedMinutes
from query_api.http import Request, Response
from query_api.minutes import Minutes
from query_api.openapi import Endpoint, Parameter, Schema, array, described, record
from query_api.pages import cache_of
from query_api.parameters import Parameters, Range
from query_api.ports import Stores
from query_api.symbol_facts import facts_of

MAX_BARS = 5_000
"""The most bars of one answer."""
MOST_MINUTES = 60_000
"""The most minutes that one answer reads: half a year of a share. The protocol has no pages, but it asks again."""
_TIME = re.compile(r"-?\d{1,12}", re.ASCII)
_COUNT = re.compile(r"\d{1,6}", re.ASCII)
_LATEST = 7_258_118_400
"""2200, in Unix seconds. No bar is later."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_DATA = b'{"s":"no_data"}'


def history(request: Request, stores: Stores) -> Response:
    """The bars before `to`: as many as `countback`, or those from `from` on."""
    parameters = Parameters(request.query, HISTORY.names)
    symbol = symbol_parameter(parameters)
    resolution = _resolution(parameters.text("resolution"))
    start, end = time_parameter(parameters, "from"), time_parameter(parameters, "to")
    count = _countback(parameters.text("countback"))
    if start is not None and end is not None and start > end:
        raise wrong_parameter("from", "it is after `to`.")
    facts = facts_of(symbol, stores)
    minutes = Minutes(stores.bars, symbol, facts.lane, MOST_MINUTES)
    reader = BarReader(minutes, resolution, facts.zone, ExpectedMinutes(facts, stores).are_all_in)
    times = Range(_bar_time(start, resolution, facts.zone), _bar_time(end, resolution, facts.zone))
    # `countback` counts more than `from`: the library then wants that many bars, wherever they begin.
    asked = times if count is None else Range(None, times.end)
    groups = reader.page(asked, count or MAX_BARS, newest_first=True).groups[::-1]
    last = times.end and max([times.end, *(group.span.end for group in groups)])  # a bar may end after `to`
    cache = cache_of(minutes.settled(last), request.now)
    if groups:
        return Response(body=_table(groups, resolution, facts.zone), cache=cache)
    if not facts.is_known:
        raise unknown_symbol(symbol)
    if count is None and times.start is not None:
        earlier = reader.page(Range(None, times.start), 1, newest_first=True).groups
        if earlier:
            next_time = _seconds(earlier[0], resolution, facts.zone)
            return Response(body=f'{{"s":"no_data","nextTime":{next_time}}}'.encode(), cache=cache)
    return Response(body=_NO_DATA, cache=cache)


def time_parameter(parameters: Parameters, name: str) -> datetime | None:
    """A time in Unix seconds; None if it is absent. The library may ask for times before 1970."""
    text = parameters.text(name)
    if text is None:
        return None
    if _TIME.fullmatch(text) is None:
        raise wrong_parameter(name, "it is not a time in Unix seconds, such as 1795791000.")
    return _EPOCH + timedelta(seconds=min(max(int(text), 0), _LATEST))


def _resolution(text: str | None) -> Resolution:
    if text not in RESOLUTIONS:
        raise wrong_parameter("resolution", f"it is not one of {', '.join(RESOLUTIONS)}.")
    return OURS[RESOLUTIONS[text]]


def _countback(text: str | None) -> int | None:
    if text is None:
        return None
    if _COUNT.fullmatch(text) is None or not int(text):
        raise wrong_parameter("countback", "it is not a number of bars.")
    return min(int(text), MAX_BARS)


def _bar_time(moment: datetime | None, resolution: Resolution, zone: ZoneInfo) -> datetime | None:
    """The start of the bar of which the protocol states a time. A bar of a day has the midnight of its day in UTC."""
    if moment is None or resolution is not ONE_DAY:
        return moment
    day = moment.date() if moment.time() == datetime.min.time() else moment.date() + timedelta(days=1)
    return midnight(day, zone)


def _seconds(group: Group, resolution: Resolution, zone: ZoneInfo) -> int:
    start = group.span.start
    if resolution is ONE_DAY:
        start = midnight(_day(group, zone), ZoneInfo("UTC"))
    return int(start.timestamp())


def _day(group: Group, zone: ZoneInfo) -> date:
    return group.span.start.astimezone(zone).date()


def _table(groups: list[Group], resolution: Resolution, zone: ZoneInfo) -> bytes:
    bars = [group.bar() for group in groups]
    columns = {
        "t": [str(_seconds(group, resolution, zone)) for group in groups],
        "o": [json_text.number(bar.open) for bar in bars],
        "h": [json_text.number(bar.high) for bar in bars],
        "l": [json_text.number(bar.low) for bar in bars],
        "c": [json_text.number(bar.close) for bar in bars],
        "v": [str(bar.volume or 0) for bar in bars],
    }
    members = ",".join([f'"{name}":[{",".join(values)}]' for name, values in columns.items()])
    return f'{{"s":"ok",{members}}}'.encode()


_NUMBERS = array({"type": "number"})
_SECONDS: Schema = {"type": "string", "pattern": r"^-?\d{1,12}$", "examples": ["1795791000"]}
FROM = Parameter("from", "From this time on, in Unix seconds.", _SECONDS)
TO = Parameter("to", "Before this time, in Unix seconds.", _SECONDS)
RESOLUTION = Parameter(
    "resolution", "The length of a bar.", {"type": "string", "enum": list(RESOLUTIONS)}, is_required=True
)
HISTORY = Endpoint(
    path="/udf/history",
    answer=history,
    summary="The bars of a symbol as a table of columns.",
    description="Without a bar in the range, `s` is `no_data`, and `nextTime` the time of the last bar before it. An "
    f"answer has at most {MAX_BARS:,} bars and reads at most {MOST_MINUTES:,} minutes; clients ask for earlier bars "
    "again.",
    parameters=(
        SYMBOL_OF_QUERY,
        RESOLUTION,
        FROM,
        TO,
        Parameter(
            "countback",
            "How many bars before `to`. It counts more than `from`.",
            {"type": "string", "pattern": r"^0{0,2}[1-9]\d{0,3}$", "examples": ["300"]},
        ),
        *IGNORED,
    ),
    schema=record(
        {
            "s": {"type": "string", "enum": ["ok", "no_data"]},
            "t": array({"type": "integer"}, "The starts of the bars in Unix seconds; a day has its midnight in UTC."),
            "o": _NUMBERS,
            "h": _NUMBERS,
            "l": _NUMBERS,
            "c": _NUMBERS,
            "v": _NUMBERS,
            "nextTime": described({"type": "integer"}, "The time of the last bar before the range."),
        },
        optional=["t", "o", "h", "l", "c", "v", "nextTime"],
    ),
)
