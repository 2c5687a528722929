"""The quotes of a span are found in the archive, among the rows and by SQL."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import Any

import msgspec
import sqlglot

from quotes import Quote, encode
from smoke.archive import Archive, count_of_moments, count_of_view, rows
from smoke.checks import Span
from tests.fakes.operations_ports import MemoryObjectStore
from tests.fakes.smoke_stage import ScriptedAws
from tests.support.quotes import OPEN, make_quote

SPAN = Span(OPEN, OPEN + timedelta(minutes=1))
NOW = OPEN + timedelta(minutes=2)


class CountingStore(MemoryObjectStore):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, address: str) -> bytes:
        self.read.append(address)
        return super().get(address)


def store_of(*batches: list[Quote]) -> CountingStore:
    store = CountingStore()
    for number, batch in enumerate(batches):
        key = f"raw-data/dt=2026-11-23/hour=14/shard-{number}-{number}.jsonl.gz"
        store.objects[f"s3://archive/{key}"] = gzip.compress(encode(batch))
    return store


def test_each_quote_of_the_span_is_counted_once_with_its_revision() -> None:
    first = make_quote(second=1)
    revised = msgspec.structs.replace(first, revision=1)
    store = store_of([first, make_quote(second=60), make_quote(second=-1)], [first, revised])
    assert Archive(store, "archive").quotes(SPAN, NOW) == {
        ("AAPL", "2026-11-23T14:30:01.000Z"),
        ("AAPL", "2026-11-23T14:30:01.000Z#1"),
    }


def test_an_object_is_read_once() -> None:
    store = store_of([make_quote(second=1)])
    archive = Archive(store, "archive")
    assert archive.quotes(SPAN, NOW) == archive.quotes(SPAN, NOW)
    assert len(store.read) == 1


def test_what_was_accepted_in_a_span_is_counted_by_the_time_of_acceptance() -> None:
    quote = make_quote(second=1)
    again = msgspec.structs.replace(quote, ingest_time=OPEN + timedelta(seconds=20))
    later = make_quote(second=50, received=10)
    store = store_of([quote, later], [quote, again])
    assert Archive(store, "archive").accepted(SPAN, NOW) == 2


def test_discarded_batches_are_counted() -> None:
    store = store_of([make_quote()])
    store.objects["s3://archive/aws/lambda/mapping/shard/2026/11/23/batch"] = b"{}"
    assert Archive(store, "archive").batches_given_up(OPEN) == 1


def test_the_rows_of_each_symbol_are_asked_for_the_span_with_all_revisions() -> None:
    def query(**arguments: Any) -> Any:
        values = arguments["ExpressionAttributeValues"]
        assert values[":start"]["S"] == "2026-11-23T14:30:00.000Z"
        assert "2026-11-23T14:30:59.999Z#9" < values[":end"]["S"] < "2026-11-23T14:31:00.000Z"
        return {"Items": [{"symbol": values[":symbol"], "timestamp": values[":start"]}]}

    found = rows(ScriptedAws({"dynamodb.query": query}).client("dynamodb"), "quotes", ["AAPL", "MSFT"], SPAN)
    assert found == {("AAPL", "2026-11-23T14:30:00.000Z"), ("MSFT", "2026-11-23T14:30:00.000Z")}


def test_the_sql_is_that_of_athena() -> None:
    for sql in (count_of_moments(SPAN), count_of_view(SPAN)):
        (statement,) = sqlglot.parse(sql, dialect="athena")
        assert statement is not None
    assert "event_time >= timestamp '2026-11-23 14:30:00.000'" in count_of_view(SPAN)
    assert "dt BETWEEN '2026-11-23' AND '2026-11-24'" in count_of_moments(SPAN)
