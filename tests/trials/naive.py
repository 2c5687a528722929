"""The usual way to use `put_records`, without lanes: a record per quote, keyed by symbol, and failed records resent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aws_limits import KINESIS_REQUEST_RECORDS
from benchmarks.kinesis_standin.process import STREAM
from benchmarks.load import QuoteLoad
from quotes import encode_line
from tests.trials.producer import READ_TIMEOUT_SECONDS

TRIES = 3
"""How often a record is sent before it is given up. boto3 also retries each request, as often as it does by default."""


class NaiveSender(msgspec.Struct, frozen=True):
    """A sender with some requests in flight at the same time, which sends failed records again."""

    in_flight: int
    resend: Literal["at once", "with the next request"]

    def deliver(self, load: QuoteLoad, environment: Mapping[str, str]) -> None:
        """Send every quote of the load, in its order. Returns when each is stored or given up."""
        client = boto3.client(
            "kinesis",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(read_timeout=READ_TIMEOUT_SECONDS, max_pool_connections=self.in_flight),
        )
        queue = _Queue(load)
        threads = [threading.Thread(target=self._send, args=(client, queue)) for _ in range(self.in_flight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, client: Any, queue: _Queue) -> None:
        while batch := queue.take():
            failed = _put(client, batch)
            if self.resend == "with the next request":
                queue.put_back(failed)
                continue
            while failed := [record for record in failed if record.tries < TRIES]:
                failed = _put(client, failed)


class _Record(msgspec.Struct):
    key: str
    data: bytes
    tries: int = 0


class _Queue:
    """The records that are still to be sent, failed ones first. Thread-safe."""

    def __init__(self, load: QuoteLoad) -> None:
        self._lock = threading.Lock()
        self._again: deque[_Record] = deque()
        self._records: Iterator[_Record] = (
            _Record(quote.symbol, encode_line(quote)) for quote in load.slice(0, load.quotes)
        )

    def take(self) -> list[_Record]:
        with self._lock:
            batch = [self._again.popleft() for _ in range(min(KINESIS_REQUEST_RECORDS, len(self._again)))]
            while len(batch) < KINESIS_REQUEST_RECORDS and (record := next(self._records, None)) is not None:
                batch.append(record)
            return batch

    def put_back(self, failed: list[_Record]) -> None:
        with self._lock:
            self._again.extend(record for record in failed if record.tries < TRIES)


def _put(client: Any, batch: list[_Record]) -> list[_Record]:
    """Send a batch. Returns the records that failed, as far as the client can know."""
    for record in batch:
        record.tries += 1
    entries = [{"Data": record.data, "PartitionKey": record.key} for record in batch]
    try:
        answer = client.put_records(StreamName=STREAM, Records=entries)
    except (ClientError, BotoCoreError):
        return batch
    outcomes = answer.get("Records")
    if outcomes is None:  # botocore returns this for an answer that was cut short
        return batch
    return [record for record, outcome in zip(batch, outcomes, strict=True) if "ErrorCode" in outcome]
