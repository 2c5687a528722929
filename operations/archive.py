"""Reads the archive back: which objects may hold a day's quotes, and those quotes, in the order of their arrival.

An object lies under the hour in which the first record of its batch arrived, holds every symbol, and may say what
another says too: `processor_lambda.archive` has its form.
"""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from operations.errors import Unreadable
from operations.ports import Objects
from quotes import Quote, decode

HOUR = timedelta(hours=1)
_LONGEST_BATCH = timedelta(hours=24)
_CLOCKS = timedelta(minutes=5)
"""How far the clocks of Kinesis and S3 may be apart."""
READERS = 8
"""Objects under way at once."""
_AHEAD = 4 * READERS
"""Objects that are read before their turn: what memory is bounded by."""
_SUFFIX = ".jsonl.gz"
_HEAD = b'{"kind":"quote","v":1,"symbol":"'
"""How our encoder begins a line; another one's is decoded to see its symbol."""


class Archived(NamedTuple):
    """A quote as the archive has it."""

    symbol: str
    event_time: datetime
    revision: int
    line: bytes


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """Which quotes are wanted."""

    symbols: frozenset[str] | None
    """None for all."""
    before: datetime
    """Their event times are earlier."""

    def of(self, body: bytes, address: str) -> list[Archived]:
        """The wanted quotes of an object, in its order. Raises `Unreadable`."""
        names = None if self.symbols is None else {symbol.encode() for symbol in self.symbols}
        try:
            lines = gzip.decompress(body).split(b"\n")
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"{address} is damaged, so nothing was rebuilt: {error}") from error
        return [
            Archived(good.line.symbol, good.line.event_time, good.line.revision, good.content)
            for line in lines
            if _may_be_of(line, names)
            for good in decode(line).good
            if isinstance(good.line, Quote) and self._wants(good.line)
        ]

    def _wants(self, quote: Quote) -> bool:
        return quote.event_time < self.before and (self.symbols is None or quote.symbol in self.symbols)


def _may_be_of(line: bytes, names: set[bytes] | None) -> bool:
    """Whether a line may be of one of some symbols, by its first bytes: to decode them all takes ten times as long."""
    if names is None or not line.startswith(_HEAD):
        return bool(line)
    name = line[len(_HEAD) : line.find(b'"', len(_HEAD))]
    return name in names or b"\\" in name


def hours_between(first: datetime, last: datetime) -> list[datetime]:
    """The hours from that of one time to that of another, both included."""
    hour = first.replace(minute=0, second=0, microsecond=0)
    hours = []
    while hour <= last:
        hours.append(hour)
        hour += HOUR
    return hours


def arrived_between(objects: Objects, bucket: str, first: datetime, last: datetime) -> list[str]:
    """The addresses of all objects that may hold records that arrived between two times, both included.

    A batch of a backlog may span hours, up to the age at which records are given up: so objects of earlier hours
    belong here too, if they were written since.
    """
    return [
        address
        for hour in hours_between(first - _LONGEST_BATCH, last)
        for address in objects.list(
            f"s3://{bucket}/raw-data/dt={hour:%Y-%m-%d}/hour={hour:%H}/", written_since=first - _CLOCKS
        )
        if not address.endswith("/")  # what consoles make of a folder
    ]


def in_order(addresses: Iterable[str]) -> list[str]:
    """Addresses in the order in which their last records were on the stream, each once. Raises `Unreadable`.

    So of two contents of one identity the later comes later: the objects that hold the earlier and not the later one
    end before it.
    """
    return sorted(set(addresses), key=lambda address: (_last_sequence_number(address), address))


def read(
    objects: Objects, addresses: Iterable[str], pick: Pick, told: Callable[[int], None] = lambda _: None
) -> Iterator[list[Archived]]:
    """The wanted quotes of each object, in the order of the addresses. Raises `OperationsError`.

    Objects are read several at a time, and no more ahead than memory bears.
    """
    with ThreadPoolExecutor(READERS) as pool:
        waiting: deque[Future[list[Archived]]] = deque()
        try:
            for address in addresses:
                waiting.append(pool.submit(lambda of: pick.of(objects.get(of), of), address))
                if len(waiting) == _AHEAD:
                    yield waiting.popleft().result()
                    told(1)
            while waiting:
                yield waiting.popleft().result()
                told(1)
        finally:
            for future in waiting:
                future.cancel()


def _last_sequence_number(address: str) -> int:
    name = address.rpartition("/")[2]
    _, _, last = name.removesuffix(_SUFFIX).rpartition("-")
    if not (name.endswith(_SUFFIX) and last.isascii() and last.isdecimal()):
        raise Unreadable(f"{address} is no object of the archive: move it elsewhere, so that nothing is left out")
    return int(last)
