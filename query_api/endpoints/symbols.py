"""`/v1/symbols`: what is watched, and how fresh it is."""

from __future__ import annotations

from query_api import json_text
from query_api.freshness import freshness_of
from query_api.http import Request, Response
from query_api.lanes import as_of
from query_api.openapi import (
    AS_OF,
    BOOLEAN,
    COUNT,
    FRESHNESS,
    SYMBOL_SCHEMA,
    TEXT,
    TIME,
    Endpoint,
    array,
    described,
    record,
)
from query_api.parameters import Parameters
from query_api.ports import Stores
from quotes import to_iso


def answer(request: Request, stores: Stores) -> Response:
    """Every symbol that has a quote, sorted."""
    Parameters(request.query, ENDPOINT.names)
    lanes, calendars = stores.lanes.all(), stores.calendars.all()
    rows = []
    for lane in lanes.values():
        for symbol, state in lane.symbols.items():
            calendar = calendars.get(symbol)
            texts = {
                "symbol": symbol,
                "exchange": state.exchange,
                "currency": state.currency,
                "calendar": calendar and calendar.calendar,
                "timezone": calendar and calendar.timezone,
                "event_time": to_iso(state.event_time),
            }
            members = [f'"{name}":{json_text.text(value)}' for name, value in texts.items() if value is not None]
            members.append(f'"delay_minutes":{state.delay_minutes}')
            members.append(f'"is_open":{"true" if state.is_open else "false"}')
            members.append(f'"freshness":"{freshness_of(state, lane, request.now)}"')
            rows.append((symbol, "{" + ",".join(members) + "}"))
    body = f'{{{json_text.as_of(as_of(lanes))},"symbols":[{",".join([row for _, row in sorted(rows)])}]}}'
    return Response(body=body.encode())


ENDPOINT = Endpoint(
    path="/v1/symbols",
    answer=answer,
    summary="All symbols, and how fresh they are.",
    description="Sorted by symbol. `stale` means that quotes are missing in an open market: the symbol is silent for "
    "more than 4 times its longest usual pause (60 seconds at least), or its lane has had no heartbeat for 3 minutes.",
    schema=record(
        {
            "as_of": AS_OF,
            "symbols": array(
                record(
                    {
                        "symbol": SYMBOL_SCHEMA,
                        "exchange": described(TEXT, "The name that the source gives the exchange."),
                        "currency": TEXT,
                        "calendar": described(TEXT, "The calendar of its sessions, such as XNYS."),
                        "timezone": described(TEXT, "The time zone of its exchange, such as America/New_York."),
                        "event_time": described(TIME, "When its last quote was."),
                        "delay_minutes": described(COUNT, "The delay that the source declares."),
                        "is_open": described(BOOLEAN, "Whether the source says that the market is open."),
                        "freshness": FRESHNESS,
                    },
                    optional=["exchange", "currency", "calendar", "timezone"],
                )
            ),
        }
    ),
)
