"""Walks through the pages of an endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.fakes.query_ports import QueryWorld


def walk(world: QueryWorld, path: str, name: str, **parameters: Any) -> Iterator[list[Any]]:
    """The items of each page, until there is no next one."""
    cursor: str | None = ""
    while cursor is not None:
        answer = world.get(path, **parameters, **({"cursor": cursor} if cursor else {}))
        assert answer.status == 200, answer.body
        yield answer.json()[name]
        cursor = answer.json()["next"]


def keys_of(quotes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of quotes."""
    return [f"{quote['event_time']}#{quote['revision']}" for quote in quotes]
