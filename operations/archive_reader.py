"""Reads the archive: finds the objects that may hold a day's quotes, and returns them in the order of arrival.

Splits that the source declared are read like quotes.

`processor_lambda.archive` describes the objects. An object lies under the hour in which the first record of its batch
arrived. It holds all symbols, and two objects may hold the same lines.
"""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from io import BytesIO
from typing import NamedTuple, TypeGuard

import msgspec

from aws_limits import LAMBDA_PAYLOAD_BYTES
from operations.errors import Unreadable
from operations.ports import ObjectStore
from quotes import Action, Line, Quote, decode
from quotes.bounds import OutOfBounds, bounded_lines

HOUR = timedelta(hours=1)
MAX_CONTENT = 2**30
"""The most bytes of a decompressed object. An event full of refused lines becomes a hundred times as long."""
MAX_QUOTES_SIZE = 4 * LAMBDA_PAYLOAD_BYTES
"""The most bytes of an object's quotes, which stay in memory. They came in one event."""
READERS = 8
"""How many objects are read at once."""
_MAX_READ_AHEAD = 4 * READERS
"""How many objects may be read before the caller takes them. This bounds the memory."""
_LONGEST_BATCH = timedelta(hours=24)
"""The longest time from the first record of a batch to the last."""
_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How far the clocks of Kinesis and S3 may differ."""
_SUFFIX = ".jsonl.gz"
_QUOTE_START = b'{"kind":"quote","v":1,"symbol":"'
"""The first bytes of a quote's line if our encoder wrote it."""


SPLIT_REVISION = -1
"""The revision that a split is read with, so that it sorts before the quotes from its time on."""


class ArchivedQuote(NamedTuple):
    """A quote in the archive, or a declared split."""

    symbol: str
    event_time: datetime
    revision: int
    line: bytes


class QuoteFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which quotes and splits to read."""

    symbols: frozenset[str] | None
    """Read those of these symbols. None means all."""
    before: datetime
    """Read those whose event time is before this time."""

    def quotes_in(self, body: bytes, address: str) -> list[ArchivedQuote]:
        """The matching quotes and splits of an object, in its order. Raises `Unreadable`."""
        names = None if self.symbols is None else {symbol.encode() for symbol in self.symbols}
        found: list[ArchivedQuote] = []
        size = 0
        try:
            for quote in self._quotes_in(body, names):
                found.append(quote)
                size += len(quote.line)
                if size > MAX_QUOTES_SIZE:
                    raise Unreadable(
                        f"{address} holds more quotes than one batch can, so nothing was rebuilt: move it elsewhere"
                    )
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"{address} is damaged, so nothing was rebuilt: {error}") from error
        except OutOfBounds as error:
            raise Unreadable(f"{address}: {error}, so nothing was rebuilt: move it elsewhere") from error
        return found

    def _quotes_in(self, body: bytes, names: set[bytes] | None) -> Iterator[ArchivedQuote]:
        with gzip.open(BytesIO(body)) as content:
            for line in bounded_lines(content.read, max_size=MAX_CONTENT):
                if not _may_match(line, names):
                    continue
                for good in decode(line).good:
                    found = good.line
                    if _is_quote_or_split(found) and self._matches(found):
                        yield ArchivedQuote(found.symbol, found.event_time, _revision_of(found), good.content)

    def _matches(self, line: Quote | Action) -> bool:
        return line.event_time < self.before and (self.symbols is None or line.symbol in self.symbols)


def _is_quote_or_split(line: Line) -> TypeGuard[Quote | Action]:
    return isinstance(line, Quote) or (isinstance(line, Action) and line.action == "split")


def _revision_of(line: Quote | Action) -> int:
    return line.revision if isinstance(line, Quote) else SPLIT_REVISION


def _may_match(line: bytes, names: set[bytes] | None) -> bool:
    """Whether a line may belong to one of some symbols, by its first bytes. Decoding it would take ten times as long.

    A line that another encoder wrote, or whose symbol is escaped, may always match.
    """
    if names is None or not line.startswith(_QUOTE_START):
        return bool(line)
    name = line[len(_QUOTE_START) : line.find(b'"', len(_QUOTE_START))]
    return name in names or b"\\" in name


def find_objects(store: ObjectStore, bucket: str, first: datetime, last: datetime) -> list[str]:
    """The addresses of all objects that may hold records that arrived from `first` to `last`, both included.

    A batch of a backlog may span hours, up to the age at which Lambda discards records. So objects of the 24 hours
    before `first` are included if they were written since then.
    """
    return [
        address
        for hour in _hours_between(first - _LONGEST_BATCH, last)
        for address in store.list(
            f"s3://{bucket}/raw-data/dt={hour:%Y-%m-%d}/hour={hour:%H}/", written_since=first - _CLOCK_DIFFERENCE
        )
        if not address.endswith("/")  # the AWS console represents a folder by such an object
    ]


def in_stream_order(addresses: Iterable[str]) -> list[str]:
    """Addresses without duplicates, in the order of their last records on the stream. Raises `Unreadable`.

    If one quote was sent with two contents, this order reads the later one last. An object that holds only the earlier
    content ends before the later one.
    """
    return sorted(set(addresses), key=lambda address: (_last_sequence_number(address), address))


def read_quotes(
    store: ObjectStore,
    addresses: Iterable[str],
    wanted: QuoteFilter,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Iterator[list[ArchivedQuote]]:
    """The matching quotes of each object, in the order of the addresses. Raises `OperationsError`.

    Several objects are read at once, but only a few ahead of the caller. `on_progress` is called with 1 after each.
    """
    with ThreadPoolExecutor(READERS) as pool:
        waiting: deque[Future[list[ArchivedQuote]]] = deque()
        try:
            for address in addresses:
                waiting.append(pool.submit(lambda of: wanted.quotes_in(store.get(of), of), address))
                if len(waiting) == _MAX_READ_AHEAD:
                    yield waiting.popleft().result()
                    on_progress(1)
            while waiting:
                yield waiting.popleft().result()
                on_progress(1)
        finally:
            for future in waiting:
                future.cancel()


def _hours_between(first: datetime, last: datetime) -> list[datetime]:
    """The start of each hour from that of one time to that of another, both included."""
    hour = first.replace(minute=0, second=0, microsecond=0)
    hours = []
    while hour <= last:
        hours.append(hour)
        hour += HOUR
    return hours


def _last_sequence_number(address: str) -> int:
    name = address.rpartition("/")[2]
    _, _, last = name.removesuffix(_SUFFIX).rpartition("-")
    if not (name.endswith(_SUFFIX) and last.isascii() and last.isdecimal()):
        raise Unreadable(
            f"{address} is not an object that the processor archived, so nothing was rebuilt: move it elsewhere"
        )
    return int(last)
