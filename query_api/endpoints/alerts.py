"""`/v1/alerts`: the alerts that were published."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from query_api import cursors, json_text, pages
from query_api.endpoints.sessions import bounded
from query_api.errors import wrong_parameter
from query_api.http import Request, Response
from query_api.lanes import as_of, settled
from query_api.openapi import (
    CURSOR,
    END,
    FORMAT,
    NEXT,
    ORDER,
    PRICE,
    START,
    SYMBOL_SCHEMA,
    TEXT,
    Endpoint,
    Parameter,
    array,
    described,
    limit,
    record,
)
from query_api.parameters import EPOCH, MAX_WORD, Parameters, Range, check_symbol
from query_api.ports import Item, Stores
from quotes import from_iso, to_iso

DEFAULT_LIMIT, MAX_LIMIT = 100, 1_000
DEFAULT_DAYS, MAX_DAYS = 7, 400
MAX_READS = 16
"""The most pages of a table that one request reads. So a page of the answer may be short, and still have a next one."""
MAX_BYTES = 3_000_000
"""A page of the answer ends here. Lambda returns 6 MB, and one alert of a silent lane may name 800 symbols."""
_ALERT_BYTES, _SYMBOL_BYTES = 1_000, 36
"""How long an alert is at most, and what each of its symbols adds."""
_READ_ITEMS = 1_000
_NAMES = ("id", "rule", "severity", "symbol", "symbols", "timestamp", "subject", "values")
_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)
_AHEAD = timedelta(minutes=1)
"""How far a clock of a source may be ahead of this function's."""


class _Search(NamedTuple):
    """What a request looks for. The range has both ends."""

    start: datetime
    end: datetime
    newest_first: bool
    rule: str | None
    severity: str | None
    symbol: str | None

    def days(self) -> list[str]:
        """The partitions of the range, in the order in which they are read."""
        first, last = self.start.date(), (self.end - _MILLISECOND).date()
        days = [(first + number * _DAY).isoformat() for number in range((last - first).days + 1)]
        return days[::-1] if self.newest_first else days

    def matches(self, item: Item) -> bool:
        """Whether an alert is one of those that are looked for."""
        if self.rule is not None and self.rule != item["rule"].S:
            return False
        if self.severity is not None and self.severity != item["severity"].S:
            return False
        if self.symbol is None or self.symbol == item["symbol"].S:
            return True
        return "symbols" in item and any(self.symbol == each.S for each in item["symbols"].L or ())


class _Place(NamedTuple):
    """Where a page begins: in which partition, and after which key. Without a key, it begins with the partition."""

    day: str
    after: str


def answer(request: Request, stores: Stores) -> Response:
    """A page of alerts. A cursor also has the range, which is relative to the time of the first page by default."""
    parameters = Parameters(request.query, ENDPOINT.names)
    most, is_csv = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT), parameters.is_csv()
    if (symbol := parameters.text("symbol")) is not None:
        check_symbol(symbol, "symbol")
    asked = bounded(parameters.times())
    position = pages.position_of(request, parameters, 4)
    start, end = _range(asked, request, stores) if position is None else _range_in(position)
    search = _Search(
        start, end, parameters.is_newest_first(), parameters.word("rule"), parameters.word("severity"), symbol
    )
    place = _Place(search.days()[0], "") if position is None else _place_in(position, search)
    found, rest = _read(stores, search, place, most)
    cursor = None
    if rest is not None:
        cursor = cursors.encode(pages.query_of(request, parameters), to_iso(start), to_iso(end), *rest)
    end_of_closed = None if asked.end is None else settled(asked.end, stores.lanes.all().values())
    cache = pages.cache_of(end_of_closed, request.now)
    if is_csv:
        return pages.csv_page(request, _NAMES, [_fields(item) for item in found], cursor, cache)
    alerts = ",".join([json_text.object_of(item, _NAMES) for item in found])
    return Response(body=f'{{"alerts":[{alerts}],{json_text.next_of(cursor)}}}'.encode(), cache=cache)


def _range(asked: Range, request: Request, stores: Stores) -> tuple[datetime, datetime]:
    """The range with both ends: by default, the 7 days before its end or before the newest data.

    A replay has alerts of the time of its quotes, which may be years ago, while the clocks of its lanes are of today.
    The default is then the 7 days before and after the newest quote.
    """
    is_given = asked.start is not None and asked.end is not None
    states = {} if is_given else stores.lanes.all()
    newest = as_of(states) or request.now
    end = asked.end or max(newest, request.now) + _AHEAD
    quoted = max((symbol.event_time for state in states.values() for symbol in state.symbols.values()), default=newest)
    if asked.start is None and asked.end is None and quoted < request.now - DEFAULT_DAYS * _DAY:
        newest, end = quoted, quoted + DEFAULT_DAYS * _DAY
    start = asked.start or max((asked.end or newest) - DEFAULT_DAYS * _DAY, EPOCH)
    if end - start > MAX_DAYS * _DAY + _AHEAD:
        raise wrong_parameter("start", f"the range is longer than {MAX_DAYS} days. Ask for fewer days at a time.")
    return start, max(end, start + _MILLISECOND)


def _range_in(position: tuple[str, ...]) -> tuple[datetime, datetime]:
    try:
        start, end = from_iso(position[0]), from_iso(position[1])
    except ValueError:
        raise cursors.wrong_cursor() from None
    if not (EPOCH <= start < end and end - start <= (MAX_DAYS + 1) * _DAY):
        raise cursors.wrong_cursor()
    return start, end


def _place_in(position: tuple[str, ...], search: _Search) -> _Place:
    place = _Place(position[2], position[3])
    keys = Range(search.start, search.end)
    if place.day not in search.days() or (place.after and not keys.first_key <= place.after <= keys.last_key):
        raise cursors.wrong_cursor()
    return place


def _read(stores: Stores, search: _Search, place: _Place, most: int) -> tuple[list[Item], _Place | None]:
    """Up to `most` alerts from a place on, and the place after them. None after the last alert."""
    found: list[Item] = []
    days, keys = search.days(), Range(search.start, search.end)
    size = 0
    is_filtered = (search.rule, search.severity, search.symbol) != (None, None, None)
    index, after = days.index(place.day), place.after
    for _ in range(MAX_READS):
        page = stores.alerts.read(
            days[index],
            keys.first_key,
            keys.last_key,
            newest_first=search.newest_first,
            limit=_READ_ITEMS if is_filtered else most - len(found),
            after=after or None,
        )
        for item in page.items:
            after = item["key"].S or ""
            if search.matches(item):
                found.append(item)
                size += _most_bytes(item)
            if len(found) == most or size >= MAX_BYTES:
                return found, _Place(days[index], after)
        if page.is_last:
            index, after = index + 1, ""
        if index == len(days):
            return found, None
    return found, _Place(days[index], after)


def _most_bytes(item: Item) -> int:
    symbols = item["symbols"].L if "symbols" in item else None
    return _ALERT_BYTES + _SYMBOL_BYTES * len(symbols or ())


def _fields(item: Item) -> list[str | None]:
    """The fields of an alert in CSV: symbols with spaces between them, and values as JSON."""
    fields: list[str | None] = []
    for name in _NAMES:
        value = item.get(name)
        if value is None:
            fields.append(None)
        elif value.L is not None:
            fields.append(" ".join([each.S or "" for each in value.L]))
        else:
            fields.append(value.S if value.M is None else json_text.value_of(value))
    return fields


_FILTER = {"type": "string", "minLength": 1, "maxLength": MAX_WORD}
ENDPOINT = Endpoint(
    path="/v1/alerts",
    answer=answer,
    summary="The alerts that were published.",
    description=f"By default those of the last {DEFAULT_DAYS} days. A range may have {MAX_DAYS} days. A page may be "
    "short, or even empty, and still have a next one, because a request reads only so much.",
    parameters=(
        Parameter("rule", "Only alerts of this rule, by its name.", _FILTER),
        Parameter("severity", "Only alerts of this severity.", _FILTER),
        Parameter("symbol", "Only alerts about this symbol, alone or among others.", SYMBOL_SCHEMA),
        START,
        END,
        ORDER,
        limit(DEFAULT_LIMIT, MAX_LIMIT),
        CURSOR,
        FORMAT,
    ),
    has_csv=True,
    schema=record(
        {
            "alerts": array(
                record(
                    {
                        "id": described(TEXT, "The same for the same cause."),
                        "rule": TEXT,
                        "severity": TEXT,
                        "symbol": described(TEXT, "The symbol. If the alert is about several, the key of their lane."),
                        "symbols": array(SYMBOL_SCHEMA, "All symbols, if the alert is about several."),
                        "timestamp": described(TEXT, "The key of what raised it. It begins with a time."),
                        "subject": described(TEXT, "One line for a person."),
                        "values": {
                            "type": "object",
                            "additionalProperties": PRICE,
                            "description": "The values that raised the alert, by name.",
                        },
                    },
                    optional=["symbols"],
                )
            ),
            "next": NEXT,
        }
    ),
)
