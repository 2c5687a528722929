"""The query function's ports in memory, and requests as events of payload version 2.0."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from lane_state import LaneState, pack, unpack
from query_api.application import Application
from query_api.calendars import SymbolCalendars
from query_api.lanes import Lanes
from query_api.ports import Attribute, Depth, Item, Page, Stores
from query_api.settings import Settings
from quotes import lane_of, partition_key

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SETTINGS = Settings(
    quotes_table="quotes",
    bars_table="bars",
    state_table="state",
    alerts_table="alerts",
    calendars_table="calendars",
    quarantine_queue_url="http://queue",
    lanes=2,
)


def item_of(values: Mapping[str, Any]) -> Item:
    """An item in DynamoDB's JSON. Numbers are given as `int` or `Decimal`."""
    return {name: _attribute(value) for name, value in values.items()}


def _attribute(value: Any) -> Attribute:
    match value:
        case str():
            return Attribute(S=value)
        case Mapping():
            return Attribute(M=item_of(value))
        case list() | tuple():
            return Attribute(L=[_attribute(each) for each in value])
        case _:
            return Attribute(N=str(value))


class MemoryTable:
    """See `ports.Table`. Like DynamoDB, it refuses a key to go on after that is outside of the range."""

    def __init__(self, partition_key: str, range_key: str) -> None:
        self._keys = (partition_key, range_key)
        self._items: dict[tuple[str, str], Item] = {}
        self.reads = 0
        self.page_items = 1_000_000
        """A page has at most this many items, as one of DynamoDB has at most 1 MB."""
        self.fault: Callable[[], None] = lambda: None

    def put(self, *rows: Mapping[str, Any]) -> None:
        """Store rows."""
        for row in rows:
            self._items[row[self._keys[0]], row[self._keys[1]]] = item_of(row)

    def read(
        self,
        partition: str,
        first: str,
        last: str,
        *,
        newest_first: bool,
        limit: int,
        after: str | None = None,
        only: Collection[str] = (),
    ) -> Page:
        """See `ports.Table`."""
        self.reads += 1
        self.fault()
        assert first <= last, "DynamoDB refuses this range"
        assert after is None or first <= after <= last, "DynamoDB refuses a start outside of the range"
        keys = sorted(key for key in self._items if key[0] == partition and first <= key[1] <= last)
        if newest_first:
            keys.reverse()
        if after is not None:
            keys = [key for key in keys if (key[1] < after if newest_first else key[1] > after)]
        page = keys[: min(limit, self.page_items)]
        items = [self._items[key] for key in page]
        if only:
            items = [{name: value for name, value in item.items() if name in only} for item in items]
        return Page(items, len(page) == len(keys) and len(page) < limit)


class MemoryStateTable:
    """See `ports.StateTable`."""

    def __init__(self) -> None:
        self.packed: dict[str, bytes] = {}
        self.reads: list[list[str]] = []
        self.fault: Callable[[], None] = lambda: None

    def read(self, lanes: Collection[str]) -> dict[str, bytes]:
        """See `ports.StateTable`."""
        self.reads.append(list(lanes))
        self.fault()
        return {lane: self.packed[lane] for lane in lanes if lane in self.packed}


class MemoryQueue:
    """See `ports.Queue`."""

    def __init__(self) -> None:
        self.found = Depth(0, 0)

    def depth(self) -> Depth:
        """See `ports.Queue`."""
        return self.found


class Answer(msgspec.Struct, frozen=True):
    """What a client receives."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The JSON body. Numbers keep their digits, as texts."""
        return json.loads(self.body, parse_float=str)

    def numbers(self) -> Any:
        """The JSON body, with floats."""
        return json.loads(self.body)


class QueryWorld:
    """The function with its ports in memory."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.settings = settings
        self.now = NOW
        self.seconds = 0.0
        self.quotes = MemoryTable("symbol", "timestamp")
        self.bars = MemoryTable("symbol", "key")
        self.alerts = MemoryTable("day", "key")
        self.calendars = MemoryTable("id", "name")
        self.states = MemoryStateTable()
        self.queue = MemoryQueue()
        self.log: list[dict[str, Any]] = []
        self.stores = Stores(
            settings=settings,
            lanes=Lanes(self.states, settings.lanes, lambda: self.seconds),
            calendars=SymbolCalendars(self.calendars, lambda: self.seconds),
            quotes=self.quotes,
            bars=self.bars,
            alerts=self.alerts,
            sessions=self.calendars,
            quarantine=self.queue,
        )
        self.handler = Application(self.stores, lambda: self.now, self.log.append)

    def lane(self, symbol: str) -> str:
        """The partition key of a symbol's lane."""
        return partition_key(lane_of(symbol, self.settings.lanes), self.settings.lanes)

    def commit(self, lane: str, state: LaneState) -> None:
        """Store a lane's state. The symbols that it has already stay."""
        if lane in self.states.packed:
            state = replace(state, symbols={**unpack(self.states.packed[lane]).symbols, **state.symbols})
        self.states.packed[lane] = pack(state)

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        /,
        *,
        method: str = "GET",
        query: str | None = None,
        **parameters: Any,
    ) -> Answer:
        """Ask, with parameters, or with a query as it is."""
        event = event_of(path, urlencode(parameters) if query is None else query, headers or {}, method)
        return answer_of(self.handler(event))


def event_of(path: str, query: str = "", headers: Mapping[str, str] = {}, method: str = "GET") -> dict[str, Any]:
    """An event as an HTTP API with the stage `$default` sends it."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers),
        "requestContext": {"stage": "$default", "http": {"method": method, "path": path}},
        "isBase64Encoded": False,
    }


def answer_of(returned: Mapping[str, Any]) -> Answer:
    """What a client receives, decompressed."""
    json.dumps(returned)  # the runtime encodes it
    body = base64.b64decode(returned["body"]) if returned["isBase64Encoded"] else returned["body"].encode()
    if returned["headers"].get("content-encoding") == "gzip" and body:
        body = zlib.decompress(body, wbits=31)
    return Answer(returned["statusCode"], returned["headers"], body)
