"""Pages of items: cursors, the next page's address, and how long an answer may be kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from query_api import csv_text, cursors
from query_api.http import CSV, REVALIDATED, Request, Response, encoded
from query_api.parameters import Parameters

SETTLED = timedelta(minutes=10)
"""Minutes that are closed for this long seldom change. A rebuild may still do it."""
SETTLED_CACHE = "private, max-age=60"


def query_of(request: Request, parameters: Parameters) -> str:
    """What a cursor belongs to: the path, and what the parameters ask for."""
    return f"{request.path}?{parameters.identity()}"


def position_of(request: Request, parameters: Parameters, length: int) -> tuple[str, ...] | None:
    """The position that the request's cursor names; None if it has no cursor. Raises `Problem` for a wrong one."""
    cursor = parameters.text("cursor")
    if cursor is None:
        return None
    position = cursors.decode(query_of(request, parameters), cursor)
    if len(position) != length:
        raise cursors.wrong_cursor()
    return position


def cache_of(end: datetime | None, now: datetime) -> str:
    """How long the answer for a range may be kept that ends at `end`."""
    return SETTLED_CACHE if end is not None and end <= now - SETTLED else REVALIDATED


def csv_page(
    request: Request, columns: Sequence[str], rows: Iterable[Sequence[str | None]], cursor: str | None, cache: str
) -> Response:
    """A page as CSV. The address of the next one is in the header Link, relative to this one."""
    headers = {}
    if cursor is not None:
        query = [*((name, value) for name, value in request.query if name != "cursor"), ("cursor", cursor)]
        pairs = [f"{encoded(name)}={encoded(value)}" for name, value in query]
        headers["link"] = f'<?{"&".join(pairs)}>; rel="next"'
    return Response(body=csv_text.csv_of(columns, rows), content_type=CSV, cache=cache, headers=headers)
