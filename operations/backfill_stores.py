"""DynamoDB and S3: the table of bars and the archive, as a backfill uses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from backfill.chunk_file import chunk_of, key_of, prefix_of
from backfill.chunks import Chunk
from backfill.errors import Unreadable
from backfill.ports import OnRow, ignored
from backfill.refold import BarsAreBusy
from backfill.refold_note import VERSION
from backfill.rows import PRICES
from bars.keys import KeyRange
from bars.provenance import ATTRIBUTE, BACKFILL, REBUILD, STREAM
from operations import errors
from operations.aws import translated_errors
from operations.dynamodb import DynamoBarTable, row_of
from operations.errors import NotFound, Unavailable
from operations.s3 import S3ObjectStore
from operations.write_pace import MOST_WRITERS, WritePace
from processor_lambda.rows import Row

_serialize = TypeSerializer().serialize


class BackfillBars:
    """See `backfill.ports.Bars`. All reads are strongly consistent."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name
        self._table = DynamoBarTable(client, name)
        self.before = self._table.before
        self._pace = WritePace()

    def between(self, symbol: str, first: str, last: str) -> list[Row]:
        """See `ports.Bars`."""
        return list(self.each_between(symbol, first, last))

    def each_between(self, symbol: str, first: str, last: str) -> Iterator[Row]:
        """The same rows, of which no more than a page is in memory. A row takes almost 4 KB there."""
        with translated_errors(f"table {self._name}"):
            pages = self._client.get_paginator("query").paginate(**self._table.query(symbol, KeyRange(first, last)))
            for page in pages:
                yield from map(row_of, page["Items"])

    def provenances(self, symbol: str, first: str, last: str) -> dict[str, str]:
        """See `ports.Bars`. It does not decode prices and indicators, which takes most of the time of a row."""
        query = self._table.query(symbol, KeyRange(first, last))
        query |= {
            "ProjectionExpression": "#key, #provenance",
            "ExpressionAttributeNames": query["ExpressionAttributeNames"] | {"#provenance": ATTRIBUTE},
        }
        with translated_errors(f"table {self._name}"):
            pages = self._client.get_paginator("query").paginate(**query)
            return {
                item["key"]["S"]: item[ATTRIBUTE]["S"] if ATTRIBUTE in item else STREAM
                for page in pages
                for item in page["Items"]
            }

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Bars`."""
        self._each(self._put, rows)

    def put_bars(self, rows: Sequence[Row], *, over_stream: bool, on_row: OnRow = ignored) -> int:
        """See `ports.Bars`."""
        if over_stream:
            condition = "attribute_not_exists(#provenance) OR #provenance <> :provenance"
        else:
            condition = "attribute_not_exists(symbol) OR #provenance = :provenance"
        names = {"#provenance": ATTRIBUTE}
        values = {":provenance": _serialize(REBUILD if over_stream else BACKFILL)}
        return self._each(lambda row: self._put(row, condition, names, values), rows, on_row)

    def put_unless_changed(self, rows: Sequence[Row], on_row: OnRow = ignored) -> int:
        """See `ports.Bars`."""
        return self._each(lambda row: self._put(row, *_unchanged(row)), rows, on_row)

    def put_note(self, row: Row, read: int) -> bool:
        """See `ports.Bars`."""
        return self._put_version(row, read)

    def put_lease(self, row: Row, read: int) -> bool:
        """See `backfill_lease.Leases`."""
        return self._put_version(row, read)

    def _put_version(self, row: Row, read: int) -> bool:
        names = {"#version": VERSION}
        if not read:
            return self._put(row, "attribute_not_exists(#version)", names)
        return self._put(row, "#version = :version", names, {":version": _serialize(read)})

    def _each(self, put: Callable[[Row], bool], rows: Sequence[Row], on_row: OnRow = ignored) -> int:
        """Put the rows, some of them at once. Returns how many times `put` returned true."""

        def timed(row: Row) -> tuple[bool, float]:
            started = time.monotonic()
            return put(row), time.monotonic() - started

        written, start = 0, 0
        with ThreadPoolExecutor(MOST_WRITERS) as pool:
            while start < len(rows):
                time.sleep(self._pace.pause)
                results = [*pool.map(timed, rows[start : start + self._pace.writers])]
                self._pace = self._pace.after(median(seconds for _, seconds in results))
                start += len(results)
                for is_written, _ in results:
                    written += is_written
                    on_row(is_written)
        return written

    def _put(
        self,
        row: Row,
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write a row if its condition holds. Returns whether it does."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "Item": {name: _serialize(value) for name, value in row.items()},
        }
        if condition is not None:
            request |= {
                "ConditionExpression": condition,
                "ExpressionAttributeNames": names,
            }
        if values:
            request["ExpressionAttributeValues"] = values
        with translated_errors(f"table {self._name}"):
            try:
                self._client.put_item(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    return False
                raise
        return True


class ArchivedChunks:
    """See `backfill.ports.Chunks`: objects in the archive's bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket
        self._store = S3ObjectStore(client)

    def stored(self, symbol: str, resolution: str) -> list[Chunk]:
        """See `ports.Chunks`."""
        addresses = self._store.list(self._address(prefix_of(symbol, resolution)))
        chunks = (chunk_of(address.removeprefix(self._address(""))) for address in addresses)
        return [chunk for chunk in chunks if chunk is not None]

    def get(self, chunk: Chunk) -> bytes | None:
        """See `ports.Chunks`."""
        address = self._address(key_of(chunk))
        try:
            return self._store.get(address)
        except NotFound:
            return None
        except Unavailable:
            # S3 answers AccessDenied for a key that does not exist, unless the role may list the whole bucket.
            if address in self._store.list(address):
                raise
            return None

    def put(self, chunk: Chunk, content: bytes) -> None:
        """See `ports.Chunks`."""
        key = key_of(chunk)
        with translated_errors(self._address(key)):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def _address(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"


@contextmanager
def backfill_errors() -> Iterator[None]:
    """Raise the errors of `backfill` as those of the commands."""
    try:
        yield
    except Unreadable as error:
        raise errors.Unreadable(str(error)) from error
    except BarsAreBusy as error:
        raise errors.Unavailable(str(error)) from error


def _unchanged(row: Row) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that a stored bar still has the prices, the volume and the provenance of a row."""
    names, values, conditions = {}, {}, []
    for name in (*PRICES, ATTRIBUTE):
        names[f"#{name}"] = name
        if name in row:
            values[f":{name}"] = _serialize(row[name])
            conditions.append(f"#{name} = :{name}")
        else:
            conditions.append(f"attribute_not_exists(#{name})")
    return " AND ".join(conditions), names, values
