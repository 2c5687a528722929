"""The quotes of a span of time, as the archive, the table of rows and Athena have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from operations.archive_reader import SPLIT_REVISION, ArchivedQuote, QuoteFilter, find_objects, read_quotes
from operations.ports import ObjectStore
from quotes import Quote, decode, to_iso
from smoke.checks import Identity, Span

_MILLISECOND = timedelta(milliseconds=1)
_AFTER_REVISIONS = "$"
"""Sorts behind the `#` that begins a revision in the key of a row."""


class Archived(NamedTuple):
    """A quote in the archive."""

    identity: Identity
    event_time: datetime
    ingest_time: datetime
    """When the producer accepted it."""


@dataclass
class Archive:
    """The archive's quotes. Each object is read once, since it never changes."""

    store: ObjectStore
    bucket: str
    _read: dict[str, tuple[Archived, ...]] = field(default_factory=dict)
    """The quotes by the address of their object."""

    def quotes(self, span: Span, now: datetime) -> frozenset[Identity]:
        """The quotes of a span that the archive has now."""
        return frozenset(one.identity for one in self._since(span.start, now) if one.event_time in span)

    def accepted(self, span: Span, now: datetime) -> int:
        """How many quotes the archive has that the producer accepted in a span. Repeats count once."""
        found = self._since(span.start, now)
        return len({(one.identity, one.ingest_time) for one in found if one.ingest_time in span})

    def batches_given_up(self, since: datetime) -> int:
        """How many batches Lambda has discarded to the bucket since a time."""
        return sum(1 for _ in self.store.list(f"s3://{self.bucket}/aws/lambda/", written_since=since))

    def _since(self, start: datetime, now: datetime) -> Iterator[Archived]:
        """The quotes of all objects that were written since a time."""
        everything = QuoteFilter(symbols=None, before=datetime.max.replace(tzinfo=now.tzinfo))
        addresses = find_objects(self.store, self.bucket, start, now)
        new = [address for address in addresses if address not in self._read]
        for address, quotes in zip(new, read_quotes(self.store, new, everything), strict=True):
            self._read[address] = tuple(_archived(quote) for quote in quotes if quote.revision != SPLIT_REVISION)
        return (one for address in addresses for one in self._read[address])


def _archived(quote: ArchivedQuote) -> Archived:
    time = to_iso(quote.event_time)
    key = f"{time}#{quote.revision}" if quote.revision else time
    (good,) = decode(quote.line).good
    return Archived((quote.symbol, key), quote.event_time, cast("Quote", good.line).ingest_time)


def rows(dynamodb: Any, table: str, symbols: Iterable[str], span: Span) -> frozenset[Identity]:
    """The rows of some symbols in a span."""
    found: set[Identity] = set()
    times = {":start": {"S": to_iso(span.start)}, ":end": {"S": to_iso(span.end - _MILLISECOND) + _AFTER_REVISIONS}}
    for symbol in symbols:
        pages = dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="symbol = :symbol AND #time BETWEEN :start AND :end",
            ExpressionAttributeNames={"#time": "timestamp"},
            ExpressionAttributeValues={":symbol": {"S": symbol}, **times},
            ProjectionExpression="symbol, #time",
            ConsistentRead=True,
        )
        found |= {(item["symbol"]["S"], item["timestamp"]["S"]) for page in pages for item in page["Items"]}
    return frozenset(found)


def count_of_moments(span: Span) -> str:
    """SQL that counts the symbols and event times of a span in the table `lines`. Trino and DuckDB understand it.

    It leaves out revisions, since an engine that reads the columns from the lines finds none where no line has one.
    """
    return (
        "SELECT count(*) FROM (SELECT DISTINCT symbol, event_time FROM lines "  # noqa: S608  (times only)
        f"WHERE kind = 'quote' AND {_days(span)} "
        f"AND event_time >= '{to_iso(span.start)}' AND event_time < '{to_iso(span.end)}') AS moments"
    )


def count_of_view(span: Span) -> str:
    """SQL that counts the quotes of a span in the view `recent_quotes`, for Trino."""
    start, end = (f"timestamp '{to_iso(time)[:-1].replace('T', ' ')}'" for time in (span.start, span.end))
    where = f"{_days(span)} AND event_time >= {start} AND event_time < {end}"
    return f"SELECT count(*) FROM recent_quotes WHERE {where}"  # noqa: S608  (times only)


def _days(span: Span) -> str:
    """The days on which quotes of a span may arrive, since the table has a folder for each hour of arrival."""
    return f"dt BETWEEN '{span.start:%Y-%m-%d}' AND '{span.end + timedelta(days=1):%Y-%m-%d}'"
