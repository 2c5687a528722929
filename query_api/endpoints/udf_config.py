"""`/udf/config`, `/udf/time` and `/widgets.json`: what a client asks first."""

from __future__ import annotations

import msgspec

from query_api.endpoints.udf import SHOWN_RESOLUTIONS, TYPES
from query_api.http import Request, Response
from query_api.openapi import BOOLEAN, TEXT, Endpoint, array, record
from query_api.parameters import Parameters
from query_api.ports import Stores

_encode = msgspec.json.Encoder().encode


def config(request: Request, stores: Stores) -> Response:
    """What this data feed can do."""
    Parameters(request.query, CONFIG.names)
    exchanges = sorted({calendar.calendar for calendar in stores.calendars.all().values()})
    supported = {
        "supports_search": True,
        "supports_group_request": False,
        "supports_marks": True,
        "supports_timescale_marks": True,
        "supports_time": True,
        "supported_resolutions": SHOWN_RESOLUTIONS,
        "exchanges": [{"value": "", "name": "All", "desc": ""}]
        + [{"value": name, "name": name, "desc": name} for name in exchanges],
        "symbols_types": [{"name": "All", "value": ""}]
        + [{"name": kind.capitalize(), "value": kind} for kind in TYPES],
    }
    return Response(body=_encode(supported))


def widgets(request: Request, stores: Stores) -> Response:
    """The widget of OpenBB Workspace that shows this data feed."""
    Parameters(request.query, WIDGETS.names)
    names = sorted(stores.calendars.all())
    widget = {
        "name": "stockstream",
        "description": "Live and stored prices of stockstream.",
        "category": "Prices",
        "type": "advanced_charting",
        "endpoint": "/udf",
        "gridData": {"w": 20, "h": 20},
        "data": {"defaultSymbol": names[0] if names else "", "updateFrequency": 5_000},
    }
    return Response(body=_encode({"stockstream": widget}))


def time(request: Request, stores: Stores) -> Response:  # noqa: ARG001  (an endpoint)
    """The present, in Unix seconds."""
    Parameters(request.query, TIME.names)
    return Response(body=str(int(request.now.timestamp())).encode(), content_type="text/plain", cache="no-store")


_CHOICE = array(record({"value": TEXT, "name": TEXT, "desc": TEXT}, ["desc"]))
CONFIG = Endpoint(
    path="/udf/config",
    answer=config,
    summary="What this data feed can do.",
    description="The first request of TradingView's library.",
    schema=record(
        {
            **{f"supports_{name}": BOOLEAN for name in ("search", "group_request", "marks", "timescale_marks", "time")},
            "supported_resolutions": array(TEXT),
            "exchanges": _CHOICE,
            "symbols_types": _CHOICE,
        }
    ),
)
WIDGETS = Endpoint(
    path="/widgets.json",
    answer=widgets,
    summary="The widget of OpenBB Workspace that shows this data feed.",
    description="OpenBB Workspace asks for it when the address of the API is added as a backend.",
    schema={"type": "object"},
)
TIME = Endpoint(
    path="/udf/time",
    answer=time,
    summary="The time of the server.",
    description="In Unix seconds.",
    schema={"type": "integer"},
    content_type="text/plain",
)
