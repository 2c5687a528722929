"""Finds the chart in a response of Yahoo's v8 chart endpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yahoo_requests.json_values import MalformedResponse, document


class ChartError(MalformedResponse):
    """Yahoo answers with an error instead of a chart. `code` is Yahoo's, such as `Not Found`."""

    def __init__(self, code: object, description: object) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code

    @property
    def is_too_old(self) -> bool:
        """Whether Yahoo no longer keeps bars of the window: it gives none of them, not even those that it still has."""
        return "must be within the last" in str(self)


def chart_of(body: bytes, symbol: str) -> Mapping[str, Any]:
    """The one result of a chart: `meta`, `timestamp`, `indicators` and `events`. `meta` names the symbol, in any case.

    Raises `ChartError` for an error of Yahoo's, and `MalformedResponse` for anything else that is not this chart.
    """
    match document(body):
        case {"chart": {"result": [{"meta": {"symbol": str(named)}} as result]}}:
            if named.upper() == symbol.upper():
                return dict(result)
            raise MalformedResponse(f"the chart is one of {named:.40}, not of {symbol}")
        case {"chart": {"error": {"code": code, "description": description}}} | {
            "finance": {"error": {"code": code, "description": description}}
        }:
            raise ChartError(code, description)
    raise MalformedResponse(f"the body has no chart of {symbol}")
