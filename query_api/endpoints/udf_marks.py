"""`/udf/marks` and `/udf/timescale_marks`: alerts as marks of a chart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from query_api.endpoints.udf import SYMBOL_OF_QUERY, symbol_parameter
from query_api.endpoints.udf_history import FROM, RESOLUTION, TO, time_parameter
from query_api.errors import wrong_parameter
from query_api.http import Request, Response
from query_api.openapi import TEXT, Endpoint, array, described, record
from query_api.parameters import Parameters, Range
from query_api.ports import Item, Stores
from quotes import to_iso

MAX_DAYS = 31
"""Marks are those of the last days of a range. Each day is a read."""
MAX_MARKS = 500
_READ_ITEMS = 1_000
_DAY = timedelta(days=1)
_COLORS = {"critical": "red", "warning": "yellow"}
_OTHER_COLOR = "blue"


def marks(request: Request, stores: Stores) -> Response:
    """The alerts of a symbol, as marks on its bars."""
    return _answer(
        {
            "id": alert["id"].S,
            "time": _seconds(alert),
            "color": _color(alert),
            "text": alert["subject"].S,
            "label": _label(alert),
            "labelFontColor": "black",
            "minSize": 16,
        }
        for alert in _alerts(request, stores, MARKS)
    )


def timescale_marks(request: Request, stores: Stores) -> Response:
    """The critical alerts of a symbol, as marks on the axis of time."""
    return _answer(
        {
            "id": alert["id"].S,
            "time": _seconds(alert),
            "color": _color(alert),
            "label": _label(alert),
            "tooltip": [alert["subject"].S],
        }
        for alert in _alerts(request, stores, TIMESCALE_MARKS)
        if alert["severity"].S == "critical"
    )


def _alerts(request: Request, stores: Stores, endpoint: Endpoint) -> Iterator[Item]:
    """The alerts of a symbol in a range, the newest first."""
    parameters = Parameters(request.query, endpoint.names)
    symbol = symbol_parameter(parameters)
    start, end = time_parameter(parameters, "from"), time_parameter(parameters, "to")
    if start is None or end is None:
        raise wrong_parameter("to" if end is None else "from", "it is missing.")
    end = min(end, request.now + _DAY)
    times, count = Range(start, end), 0
    day = end
    for _ in range(MAX_DAYS):
        if day + _DAY <= start or start >= end:
            return
        page = stores.alerts.read(
            to_iso(day)[:10], times.first_key, times.last_key, newest_first=True, limit=_READ_ITEMS
        )
        for alert in page.items:
            if symbol == alert["symbol"].S or any(symbol == each.S for each in _symbols(alert)):
                yield alert
                count += 1
                if count == MAX_MARKS:
                    return
        day -= _DAY


def _symbols(alert: Item) -> list[Any]:
    return (alert["symbols"].L or []) if "symbols" in alert else []


def _seconds(alert: Item) -> int:
    return int(datetime.fromisoformat((alert["timestamp"].S or "")[:24]).timestamp())


def _color(alert: Item) -> str:
    return _COLORS.get(alert["severity"].S or "", _OTHER_COLOR)


def _label(alert: Item) -> str:
    return (alert["rule"].S or "?")[0].upper()


def _answer(found: Iterator[dict[str, Any]]) -> Response:
    return Response(body=msgspec.json.encode(list(found)))


_PARAMETERS = (
    SYMBOL_OF_QUERY,
    msgspec.structs.replace(FROM, is_required=True),
    msgspec.structs.replace(TO, is_required=True),
    msgspec.structs.replace(RESOLUTION, description="Ignored.", schema=TEXT, is_required=False),
)
_MARK = {"id": TEXT, "time": described({"type": "integer"}, "Unix seconds."), "color": TEXT}
MARKS = Endpoint(
    path="/udf/marks",
    answer=marks,
    summary="The alerts of a symbol, as marks on its bars.",
    description=f"At most {MAX_MARKS} marks, and those of the last {MAX_DAYS} days of the range.",
    parameters=_PARAMETERS,
    schema=array(
        record({**_MARK, "text": TEXT, "label": TEXT, "labelFontColor": TEXT, "minSize": {"type": "integer"}})
    ),
)
TIMESCALE_MARKS = Endpoint(
    path="/udf/timescale_marks",
    answer=timescale_marks,
    summary="The critical alerts of a symbol, as marks on the axis of time.",
    description=MARKS.description,
    parameters=_PARAMETERS,
    schema=array(record({**_MARK, "label": TEXT, "tooltip": array(TEXT)})),
)
