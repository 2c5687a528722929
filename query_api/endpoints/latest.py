"""`/v1/latest`: the last price of each symbol, from the lanes' states."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

from lane_state import Bar, LaneState, SymbolState
from query_api import json_text
from query_api.freshness import freshness_of
from query_api.http import Request, Response
from query_api.lanes import as_of
from query_api.openapi import (
    AS_OF,
    BOOLEAN,
    COUNT,
    FRESHNESS,
    PRICE,
    SYMBOL_SCHEMA,
    TEXT,
    TIME,
    Endpoint,
    Parameter,
    array,
    described,
    record,
)
from query_api.parameters import MAX_SYMBOLS, Parameters
from query_api.ports import Stores
from quotes import to_iso

_MOST_DIGITS = 38 - 6
_PERCENT_QUANTUM = Decimal("0.000001")
CONTEXT = Context(prec=38)
"""Computed columns are rounded as those of a row are."""


def answer(request: Request, stores: Stores) -> Response:
    """The symbols that the request names, or all, sorted."""
    wanted = Parameters(request.query, ENDPOINT.names).symbols()
    lanes = stores.lanes.of(wanted) if wanted else stores.lanes.all()
    found: dict[str, tuple[SymbolState, LaneState]] = {}
    for lane in lanes.values():
        found |= {symbol: (state, lane) for symbol, state in lane.symbols.items() if state.price is not None}
    shown = sorted(found.keys() & set(wanted) if wanted else found)
    with localcontext(CONTEXT):
        rows = [_row(symbol, *found[symbol], request) for symbol in shown]
    unknown = [json_text.text(symbol) for symbol in wanted if symbol not in found]
    body = f'{{{json_text.as_of(as_of(lanes))},"quotes":[{",".join(rows)}],"unknown":[{",".join(unknown)}]}}'
    return Response(body=body.encode())


def _row(symbol: str, state: SymbolState, lane: LaneState, request: Request) -> str:
    number, price, close = json_text.number, state.price, state.previous_close
    assert price is not None  # noqa: S101  (checked above)
    row = f'{{"symbol":{json_text.text(symbol)},"price":{number(price)}'
    if close is not None:
        change = price - close
        row += f',"previous_close":{number(close)},"change":{number(change)}'
        if close:
            row += f',"change_percent":{number(percent_of(change, close))}'
    if state.volume is not None:
        row += f',"volume":{state.volume}'
    if state.currency is not None:
        row += f',"currency":{json_text.text(state.currency)}'
    if state.exchange is not None:
        row += f',"exchange":{json_text.text(state.exchange)}'
    row += (
        f',"event_time":"{to_iso(state.event_time)}","revision":{state.revision},'
        f'"delay_minutes":{state.delay_minutes},"is_open":{"true" if state.is_open else "false"},'
        f'"freshness":"{freshness_of(state, lane, request.now)}"'
    )
    return f"{row},{_bar(state.bar)}}}" if state.bar is not None else row + "}"


def _bar(bar: Bar) -> str:
    number = json_text.number
    volume = "" if bar.volume is None else f',"volume":{bar.volume}'
    return (
        f'"bar":{{"start":"{to_iso(bar.minute)}","open":{number(bar.open)},"high":{number(bar.high)},'
        f'"low":{number(bar.low)},"close":{number(bar.close)}{volume},"quotes":{bar.quotes}}}'
    )


def percent_of(change: Decimal, previous_close: Decimal) -> Decimal:
    """A change in percent of the previous close, rounded as that of a row is."""
    percent = change * 100 / abs(previous_close)
    return percent if percent.adjusted() >= _MOST_DIGITS else percent.quantize(_PERCENT_QUANTUM)


BAR_MEMBERS = {
    "start": described(TIME, "The start of the bar."),
    "open": PRICE,
    "high": PRICE,
    "low": PRICE,
    "close": PRICE,
    "volume": described(COUNT, "What was traded in it. Absent if the source never gave a volume."),
    "quotes": described(COUNT, "How many quotes it was made from."),
}
ENDPOINT = Endpoint(
    path="/v1/latest",
    answer=answer,
    summary="The last price of each symbol.",
    description="Sorted by symbol. It comes from the memory of the stream function, which is as new as the last batch.",
    parameters=(
        Parameter(
            "symbols",
            f"Symbols, separated by commas, at most {MAX_SYMBOLS:,}. All symbols if it is absent.",
            {"type": "string", "pattern": r"^[A-Za-z0-9.^=&$_:/+-]{1,32}(,[A-Za-z0-9.^=&$_:/+-]{1,32})*$"},
        ),
    ),
    schema=record(
        {
            "as_of": AS_OF,
            "quotes": array(
                record(
                    {
                        "symbol": SYMBOL_SCHEMA,
                        "price": PRICE,
                        "previous_close": PRICE,
                        "change": described(PRICE, "The price less the previous close."),
                        "change_percent": described(PRICE, "The change in percent of the previous close, 6 places."),
                        "volume": described(COUNT, "What was traded in the session so far."),
                        "currency": TEXT,
                        "exchange": TEXT,
                        "event_time": TIME,
                        "revision": described(COUNT, "Counts other contents for the same time, from 0."),
                        "delay_minutes": COUNT,
                        "is_open": BOOLEAN,
                        "freshness": FRESHNESS,
                        "bar": record(BAR_MEMBERS, ["volume"], "The current minute; absent if there is none."),
                    },
                    optional=[
                        "previous_close",
                        "change",
                        "change_percent",
                        "volume",
                        "currency",
                        "exchange",
                        "bar",
                    ],
                )
            ),
            "unknown": array(SYMBOL_SCHEMA, "The symbols of the request of which nothing is stored."),
        }
    ),
)
