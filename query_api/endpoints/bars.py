"""`/v1/bars/{symbol}`: bars of a minute to a day, and their indicators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from bars.provenance import BEST_FIRST
from bars.resolutions import ONE_DAY, ONE_MINUTE, RESOLUTIONS, Resolution
from indicators import NAMES, significant
from query_api import cursors, json_text
from query_api.bar_pages import WARM_UP_BARS, BarReader, Group
from query_api.errors import unknown_symbol, wrong_parameter
from query_api.expected_minutes import ExpectedMinutes
from query_api.http import Request, Response
from query_api.minutes import MAX_MINUTES, Minutes
from query_api.openapi import (
    BOOLEAN,
    COUNT,
    CURSOR,
    DAY,
    END,
    FORMAT,
    NEXT,
    ORDER,
    PRICE,
    START,
    SYMBOL,
    SYMBOL_SCHEMA,
    TEXT,
    TIME,
    Endpoint,
    Parameter,
    array,
    described,
    limit,
    record,
)
from query_api.pages import cache_of, csv_page, position_of, query_of
from query_api.parameters import EPOCH, Parameters, Range
from query_api.ports import Item, Stores
from query_api.stored_bars import provenance_of, start_text_of
from query_api.symbol_facts import SymbolFacts, facts_of
from quotes import from_iso, to_iso

DEFAULT_LIMIT, MAX_LIMIT = 500, 5_000
_ALL, _NONE = "all", "none"
_MILLISECOND = timedelta(milliseconds=1)


def answer(request: Request, stores: Stores) -> Response:
    """A page of bars, each with the indicators that the request names."""
    parameters = Parameters(request.query, ENDPOINT.names)
    resolution = RESOLUTIONS[parameters.choice("resolution", tuple(RESOLUTIONS))]
    names = _indicators(parameters.text("indicators"))
    times, most = parameters.times(), parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)
    newest_first, is_csv = parameters.is_newest_first(), parameters.is_csv()
    position = position_of(request, parameters, 1)
    if position is not None:
        times = _rest(times, position[0], newest_first=newest_first)
    facts = facts_of(request.symbol, stores)
    minutes = Minutes(stores.bars, request.symbol, facts.lane)
    reader = BarReader(minutes, resolution, facts.zone, ExpectedMinutes(facts, stores).are_all_in)
    page = reader.page(times, most, newest_first=newest_first)
    if not (page.groups or position or facts.is_known):
        raise unknown_symbol(request.symbol)
    cursor = None
    if page.has_more and page.groups:
        last = page.groups[-1].span
        cursor = cursors.encode(
            query_of(request, parameters), to_iso(last.start if newest_first else last.start + _MILLISECOND)
        )
    ends = [group.span.end for group in page.groups]
    end = max(ends, default=None) if page.has_more and not newest_first else times.end
    cache = cache_of(minutes.settled(end and max([end, *ends])), request.now)
    if resolution is ONE_MINUTE and not is_csv:
        bars = [_minute(group.row, names, is_open=reader.is_open(group)) for group in page.groups if group.row]
        return Response(body=_body(facts, resolution, bars, cursor), cache=cache)
    rows = _rows(page.groups, reader, facts, names, newest_first=newest_first)
    if is_csv:
        columns = [*_columns(resolution), *(names or ())]
        return csv_page(request, columns, [_cells(row, columns) for row in rows], cursor, cache)
    return Response(body=_body(facts, resolution, [_json(row, names) for row in rows], cursor), cache=cache)


def _body(facts: SymbolFacts, resolution: Resolution, bars: Sequence[str], cursor: str | None) -> bytes:
    currency = "" if facts.currency is None else f',"currency":{json_text.text(facts.currency)}'
    head = f'{{"symbol":{json_text.text(facts.symbol)},"resolution":"{resolution.name}","timezone":"{facts.timezone}"'
    return f'{head}{currency},"bars":[{",".join(bars)}],{json_text.next_of(cursor)}}}'.encode()


def _minute(item: Item, names: Sequence[str] | None, *, is_open: bool) -> str:
    """A minute as JSON. Most answers hold hundreds, so it is written straight from the row."""
    members = ",".join([f'"{name}":{item[name].N}' for name in _STORED if name in item])
    members += f',"provenance":"{provenance_of(item)}"'
    open_mark = ',"is_open":true' if is_open else ""
    if names is None:
        return f'{{"start":"{start_text_of(item)}",{members}{open_mark}}}'
    known = ",".join([f'"{name}":{item[name].N}' for name in names if name in item])
    return f'{{"start":"{start_text_of(item)}",{members}{open_mark},"indicators":{{{known}}}}}'


def _rest(times: Range, position: str, *, newest_first: bool) -> Range:
    """What is left of a range after a page, which ended at a moment. Raises `Problem` if that is not in the range."""
    try:
        at = from_iso(position)
    except ValueError:
        raise cursors.wrong_cursor() from None
    if at < EPOCH:
        raise cursors.wrong_cursor()
    rest = Range(times.start, at) if newest_first else Range(at, times.end)
    if rest.start is not None and rest.end is not None and rest.start >= rest.end:
        # A bar of a day may end after the range, which says where bars begin.
        return Range(rest.end, rest.end)
    return rest


Row = dict[str, str]
"""The members of a bar as JSON, by name. Indicators are among them."""


def _rows(
    groups: Sequence[Group],
    reader: BarReader,
    facts: SymbolFacts,
    names: Sequence[str] | None,
    *,
    newest_first: bool,
) -> list[Row]:
    if reader.resolution is ONE_MINUTE:
        stored = (*_STORED, *(names or ()))
        return [_minute_row(group.row, stored, is_open=reader.is_open(group)) for group in groups if group.row]
    in_order = groups[::-1] if newest_first else groups
    bars = [group.bar() for group in in_order]
    values: Sequence[Mapping[str, float]] = reader.values(bars) if names else [{}] * len(bars)
    rows: list[Row] = []
    for group, bar, known in zip(in_order, bars, values, strict=True):
        row = {"start": f'"{to_iso(bar.start)}"'}
        if reader.resolution is ONE_DAY:
            row["day"] = f'"{bar.start.astimezone(facts.zone).date().isoformat()}"'
        prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
        row |= {name: json_text.number(price) for name, price in prices.items()}
        if bar.volume is not None:
            row["volume"] = str(bar.volume)
        row |= {"quotes": str(bar.quotes), "provenance": f'"{bar.provenance}"'}
        if reader.is_open(group):
            row["is_open"] = "true"
        else:
            row |= {name: json_text.number(significant(known[name])) for name in names or () if name in known}
        rows.append(row)
    return rows[::-1] if newest_first else rows


def _minute_row(item: Item, stored: Sequence[str], *, is_open: bool) -> Row:
    row = {name: item[name].N or "0" for name in stored if name in item}
    row |= {"start": f'"{start_text_of(item)}"', "provenance": f'"{provenance_of(item)}"'}
    if is_open:
        row["is_open"] = "true"
    return row


_MEMBERS = ("start", "day", "open", "high", "low", "close", "volume", "quotes", "provenance", "is_open")
_STORED = ("open", "high", "low", "close", "volume", "quotes")


def _json(row: Row, names: Sequence[str] | None) -> str:
    members = [f'"{name}":{row[name]}' for name in _MEMBERS if name in row]
    if names is not None:
        known = ",".join([f'"{name}":{row[name]}' for name in names if name in row])
        members.append(f'"indicators":{{{known}}}')
    return "{" + ",".join(members) + "}"


def _columns(resolution: Resolution) -> list[str]:
    return [name for name in _MEMBERS if name != "day" or resolution is ONE_DAY]


def _cells(row: Row, columns: Sequence[str]) -> list[str | None]:
    values = [row.get(name) for name in columns]
    return [None if value is None else value.strip('"') for value in values]


def _indicators(text: str | None) -> tuple[str, ...] | None:
    """The names that the parameter asks for, in their usual order; None if it asks for none."""
    if text is None or text == _NONE:
        return None
    if text == _ALL:
        return NAMES
    wanted = text.split(",")
    if unknown := [name for name in wanted if name not in NAMES]:
        known = f"It takes {_NONE}, {_ALL}, or some of {', '.join(NAMES)}, separated by commas."
        raise wrong_parameter("indicators", f"{unknown[0][:40]!r} is not an indicator. {known}")
    return tuple(name for name in NAMES if name in wanted)


INDICATOR_SCHEMA = record({name: {"type": "number"} for name in NAMES}, NAMES, "The indicators that are known.")
BAR_SCHEMA = record(
    {
        "start": described(TIME, "The start of the bar."),
        "day": described(DAY, "The exchange's day. Only bars of a day have it."),
        "open": PRICE,
        "high": PRICE,
        "low": PRICE,
        "close": PRICE,
        "volume": described(COUNT, "What was traded in it. Absent if the source never gave a volume."),
        "quotes": described(COUNT, "How many quotes it was made from. A backfilled bar has none."),
        "provenance": described(
            {"type": "string", "enum": list(BEST_FIRST)},
            "`stream`: made of quotes as they arrived. `rebuild`: made anew of the archived quotes. `backfill`: from "
            "the source's history. A bar that is made of several has the one that counts least, which is the last of "
            f"{', '.join(BEST_FIRST)}.",
        ),
        "is_open": described(BOOLEAN, "True while the bar may still change. Absent once it is closed."),
        "indicators": INDICATOR_SCHEMA,
    },
    optional=["day", "volume", "is_open", "indicators"],
)
_NAME = "|".join(NAMES)
ENDPOINT = Endpoint(
    path="/v1/bars/{symbol}",
    answer=answer,
    summary="Bars of a symbol.",
    description="Bars of 5 minutes to 1 hour begin at full multiples on the clock of the exchange, and bars of a day "
    "at its midnight. They are made of the stored minutes. Where minutes are missing that the sessions expect and that "
    "are not known to be without trades, a backfilled bar of 5 minutes, an hour or a day takes the place of all finer "
    "bars of its time; one of an hour keeps the start that the source gave it. The range says which "
    "bars begin in it; each is made of all its minutes, also of those past the range. The newest bar may be open. "
    f"An answer reads at most {MAX_MINUTES:,} minutes, so a page of coarse bars may be short and have "
    "a next one. Closed bars of a minute have the indicators that the stream function stored. Those of coarser "
    f"bars are computed from the bars of the page and up to {WARM_UP_BARS} before it, as far as they are in "
    f"{MAX_MINUTES:,} more minutes.",
    parameters=(
        SYMBOL,
        Parameter(
            "resolution",
            "The length of a bar.",
            {"type": "string", "enum": list(RESOLUTIONS), "default": ONE_MINUTE.name},
        ),
        Parameter(
            "indicators",
            "`none`, `all`, or names of indicators, separated by commas.",
            {"type": "string", "pattern": f"^(none|all|({_NAME})(,({_NAME}))*)$", "default": _NONE},
        ),
        START,
        END,
        limit(DEFAULT_LIMIT, MAX_LIMIT),
        ORDER,
        CURSOR,
        FORMAT,
    ),
    has_csv=True,
    schema=record(
        {
            "symbol": SYMBOL_SCHEMA,
            "resolution": {"type": "string", "enum": list(RESOLUTIONS)},
            "timezone": described(TEXT, "The time zone in which bars of a day begin at midnight."),
            "currency": TEXT,
            "bars": array(BAR_SCHEMA),
            "next": NEXT,
        },
        optional=["currency"],
    ),
)
