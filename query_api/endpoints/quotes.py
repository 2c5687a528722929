"""`/v1/quotes/{symbol}`: the stored quotes of a symbol."""

from __future__ import annotations

from query_api import cursors, json_text, pages
from query_api.errors import unknown_symbol
from query_api.http import Request, Response
from query_api.lanes import settled
from query_api.openapi import (
    COUNT,
    CURSOR,
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
    array,
    described,
    limit,
    record,
)
from query_api.parameters import Parameters
from query_api.ports import Attribute, Item, Stores

DEFAULT_LIMIT, MAX_LIMIT = 500, 5_000
_HIDDEN = frozenset({"symbol", "timestamp", "expires_at"})


def answer(request: Request, stores: Stores) -> Response:
    """A page of quotes. It goes on after the key that the cursor names."""
    parameters = Parameters(request.query, ENDPOINT.names)
    times, newest_first = parameters.times(), parameters.is_newest_first()
    most, is_csv = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT), parameters.is_csv()
    position = pages.position_of(request, parameters, 1)
    first, last = times.first_key, times.last_key
    if position is not None and not first <= position[0] <= last:
        raise cursors.wrong_cursor()
    page = stores.quotes.read(
        request.symbol, first, last, newest_first=newest_first, limit=most, after=position[0] if position else None
    )
    if not page.items and position is None and not _is_known(request.symbol, stores):
        raise unknown_symbol(request.symbol)
    keys = [item["timestamp"].S or "" for item in page.items]
    cursor = None if page.is_last or not keys else cursors.encode(pages.query_of(request, parameters), keys[-1])
    lane = None if times.end is None else stores.lanes.of_symbol(request.symbol)
    cache = pages.cache_of(settled(times.end, [] if lane is None else [lane]), request.now)
    if is_csv:
        rows = [[_field(name, item, key) for name in COLUMNS] for item, key in zip(page.items, keys, strict=True)]
        return pages.csv_page(request, COLUMNS, rows, cursor, cache)
    found = ",".join([_quote(item, key) for item, key in zip(page.items, keys, strict=True)])
    resolution = stores.settings.row_resolution
    body = (
        f'{{"symbol":{json_text.text(request.symbol)},"row_resolution":"{resolution}","quotes":[{found}],'
        f"{json_text.next_of(cursor)}}}"
    )
    return Response(body=body.encode(), cache=cache)


def _is_known(symbol: str, stores: Stores) -> bool:
    lane = stores.lanes.of_symbol(symbol)
    if lane is not None and symbol in lane.symbols:
        return True
    return bool(stores.quotes.read(symbol, "0", ":", newest_first=True, limit=1).items)


def _quote(item: Item, key: str) -> str:
    time, _, revision = key.partition("#")
    head = f'{{"event_time":"{time}","revision":{revision or 0}'
    members = [f'"{name}":{json_text.value_of(value)}' for name, value in item.items() if name not in _HIDDEN]
    return ",".join([head, *members]) + "}"


def _field(name: str, item: Item, key: str) -> str | None:
    if name == "event_time":
        return key.partition("#")[0]
    if name == "revision":
        return key.partition("#")[2] or "0"
    value: Attribute | None = item.get(name)
    return None if value is None else value.N or value.S


_QUOTE = {
    "event_time": described(TIME, "When the source says that the price was."),
    "revision": described(COUNT, "Counts other contents for the same time, from 0."),
    "price": PRICE,
    "ingest_time": described(TIME, "When the producer received it."),
    "open": described(PRICE, "Of the session, as `high` and `low`."),
    "high": PRICE,
    "low": PRICE,
    "previous_close": PRICE,
    "change": described(PRICE, "The price less the previous close."),
    "change_percent": described(PRICE, "The change in percent of the previous close, 6 places."),
    "moving_average": described(PRICE, "(open + high + low + price) / 4."),
    "anomaly": described(
        {"type": "string", "enum": ["Yes", "No"]}, "Whether the change is further than AnomalyPercent."
    ),
    "volume": described(COUNT, "What was traded in the session so far."),
    "source": TEXT,
    "source_time": TIME,
    "currency": TEXT,
    "exchange": TEXT,
    "market_state": TEXT,
    "delay_minutes": COUNT,
    "volume_period": TEXT,
    "provenance": TEXT,
}
COLUMNS = tuple(_QUOTE)
ENDPOINT = Endpoint(
    path="/v1/quotes/{symbol}",
    answer=answer,
    summary="The quotes of a symbol.",
    description="All quotes that are stored as rows, which expire after QuoteTtlDays. Members that the source did not "
    "give are absent.",
    parameters=(SYMBOL, START, END, ORDER, limit(DEFAULT_LIMIT, MAX_LIMIT), CURSOR, FORMAT),
    has_csv=True,
    schema=record(
        {
            "symbol": SYMBOL_SCHEMA,
            "row_resolution": described(
                {"type": "string", "enum": ["every", "minute"]},
                "Whether every quote is a row, or the last of a minute.",
            ),
            "quotes": array(
                record(_QUOTE, [name for name in COLUMNS if name not in ("event_time", "revision", "price")])
            ),
            "next": NEXT,
        }
    ),
)
