"""Which endpoint answers which path."""

from __future__ import annotations

from functools import cache

import msgspec

from query_api.endpoints import (
    alerts,
    bars,
    coverage,
    gaps,
    latest,
    quotes,
    sessions,
    status,
    symbols,
    udf,
    udf_config,
    udf_history,
    udf_marks,
)
from query_api.errors import Problem
from query_api.http import Request, Response
from query_api.openapi import Endpoint, document
from query_api.parameters import Parameters, check_symbol
from query_api.ports import Stores

METHODS = ("GET", "HEAD", "OPTIONS")
ALLOW = ", ".join(METHODS)
_DOCUMENT_PATH = "/v1/openapi.json"
_DOCUMENT_CACHE = "private, max-age=3600"


def _openapi(request: Request, stores: Stores) -> Response:  # noqa: ARG001  (an endpoint)
    Parameters(request.query, ())
    return Response(body=_document_body(), cache=_DOCUMENT_CACHE)


@cache
def _document_body() -> bytes:
    return msgspec.json.encode(document(ENDPOINTS))


ENDPOINTS: tuple[Endpoint, ...] = (
    symbols.ENDPOINT,
    latest.ENDPOINT,
    quotes.ENDPOINT,
    alerts.ENDPOINT,
    status.ENDPOINT,
    bars.ENDPOINT,
    sessions.ENDPOINT,
    gaps.ENDPOINT,
    coverage.ENDPOINT,
    udf_config.CONFIG,
    udf_config.TIME,
    udf_config.WIDGETS,
    udf.SYMBOLS,
    udf.SYMBOL_INFO,
    udf.SEARCH,
    udf.QUOTES,
    udf_history.HISTORY,
    udf_marks.MARKS,
    udf_marks.TIMESCALE_MARKS,
    Endpoint(
        path=_DOCUMENT_PATH,
        answer=_openapi,
        summary="This document.",
        description="The OpenAPI 3.1 document of the API.",
        schema={"type": "object"},
    ),
)
_EXACT = {endpoint.path: endpoint for endpoint in ENDPOINTS if not endpoint.has_symbol}
_OF_SYMBOLS = {endpoint.path.removesuffix("{symbol}"): endpoint for endpoint in ENDPOINTS if endpoint.has_symbol}


def endpoint_of(path: str) -> tuple[Endpoint, str]:
    """The endpoint of a path, and the symbol that the path names. Raises `Problem` with 404."""
    if (exact := _EXACT.get(path)) is not None:
        return exact, ""
    for prefix, endpoint in _OF_SYMBOLS.items():
        if path.startswith(prefix) and len(path) > len(prefix):
            return endpoint, path.removeprefix(prefix)
    detail = f"There is nothing at {path[:80]!r}. GET {_DOCUMENT_PATH} lists the paths."
    raise Problem(404, "path-unknown", "The path is unknown", detail)


def allowed(request: Request) -> None:
    """Raise `Problem` with 405 for a method that nothing answers here."""
    if request.method not in METHODS:
        detail = f"{request.method[:40]} is not allowed. The API is read-only, and takes {ALLOW}."
        raise Problem(405, "method-not-allowed", "The method is not allowed", detail, headers={"allow": ALLOW})


def checked(endpoint: Endpoint, symbol: str) -> None:
    """Raise `Problem` with 400 if the path names what cannot be a symbol."""
    if endpoint.has_symbol:
        check_symbol(symbol, "symbol")
