"""The audit: what the accepted log says was accepted, held against what can be read back. No counter is trusted."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from aws_limits import MESSAGE_BATCH
from quotes import GoodLine, Identity, Quote, content_of, decode, from_iso
from replica.event_source import Position, StreamReader


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was read back from where the quotes went."""

    stream: tuple[Identity, ...]
    """Every quote on the stream, in the order of arrival within its shard; one that was sent twice is there twice."""
    rows: frozenset[Identity]
    bars: int
    archived: Mapping[Identity, frozenset[bytes]]
    """What each identity says, as `contents_of` has it: all of a line but when it was received and its revision."""
    quarantined: Mapping[str, int]
    """How many lines each quarantine message stands for, by its id."""
    alerts: frozenset[str]
    """The ids that a subscriber of the topic received."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit found. A pipeline that keeps its promises has nothing lost, duplicated or out of order."""

    quotes_accepted: int
    quotes_stored: int
    lost: int
    """Accepted, and not a row or not in the archive."""
    duplicated: int
    """The same content of one symbol, time and session under a second revision."""
    out_of_order: int
    """First arrivals on the stream that came after a later quote of their symbol."""
    quarantined: int
    alerts: int
    bars: int


def audit(accepted: Collection[Identity], evidence: Evidence) -> Findings:
    """Hold what was accepted against the evidence. Pure."""
    return Findings(
        quotes_accepted=len(accepted),
        quotes_stored=len(evidence.rows),
        lost=sum(identity not in evidence.rows or identity not in evidence.archived for identity in set(accepted)),
        duplicated=_duplicated(evidence.archived),
        out_of_order=_out_of_order(evidence.stream),
        quarantined=sum(evidence.quarantined.values()),
        alerts=len(evidence.alerts),
        bars=evidence.bars,
    )


def contents_of(lines: Iterable[GoodLine]) -> dict[Identity, frozenset[bytes]]:
    """What lines say under each identity: contents, with their sessions. Pure."""
    found: dict[Identity, set[bytes]] = {}
    for good in lines:
        if isinstance(good.line, Quote):
            content = content_of(good.content) + good.line.session.encode()
            found.setdefault(good.line.identity, set()).add(content)
    return {identity: frozenset(contents) for identity, contents in found.items()}


def _duplicated(archived: Mapping[Identity, frozenset[bytes]]) -> int:
    revisions: dict[bytes, set[int]] = {}
    for identity, contents in archived.items():
        for content in contents:  # it holds the symbol and the event time
            revisions.setdefault(content, set()).add(identity.revision)
    return sum(len(found) - 1 for found in revisions.values())


def _out_of_order(stream: Iterable[Identity]) -> int:
    newest: dict[str, Identity] = {}
    seen: set[Identity] = set()
    count = 0
    for identity in stream:
        if identity in seen:
            continue
        seen.add(identity)
        before = newest.get(identity.symbol)
        if before is not None and identity < before:
            count += 1
        else:
            newest[identity.symbol] = identity
    return count


class Reader:
    """Reads the evidence with boto3 clients of the services, from where a deployment's outputs say."""

    def __init__(self, outputs: Mapping[str, str], stream: StreamReader, inbox_url: str, **clients: Any) -> None:
        self._outputs = outputs
        self._stream = stream
        self._inbox_url = inbox_url
        self._dynamodb, self._s3, self._sqs = clients["dynamodb"], clients["s3"], clients["sqs"]
        self._quarantined: dict[str, int] = {}
        self._alerts: dict[str, str] = {}

    def read(self) -> Evidence:
        """Read everything there is. Queues are emptied by it; what they held is remembered."""
        self.new_alerts()
        for body in self._drain(self._outputs["QuarantineQueueUrl"]):
            message = msgspec.json.decode(body)
            self._quarantined[message["id"]] = message.get("lines", 1)
        return Evidence(
            stream=tuple(self._on_stream()),
            rows=frozenset(map(_row_identity, self._scan(self._outputs["QuotesTable"], "#symbol, #timestamp"))),
            bars=sum(1 for _ in self._scan(self._outputs["BarsTable"], "#symbol")),
            archived=contents_of(self._archived()),
            quarantined=dict(self._quarantined),
            alerts=frozenset(self._alerts),
        )

    def new_alerts(self) -> list[str]:
        """The subjects of the alerts that came since the last look."""
        fresh = []
        for body in self._drain(self._inbox_url):
            alert = msgspec.json.decode(body)
            if alert["id"] not in self._alerts:
                self._alerts[alert["id"]] = alert["subject"]
                fresh.append(alert["subject"])
        return fresh

    def _on_stream(self) -> Iterator[Identity]:
        for shard in self._stream.list_shards():
            iterator: str | None = self._stream.shard_iterator(shard.shard_id, Position(type="TRIM_HORIZON"))
            while iterator is not None:
                page = self._stream.get_records(shard.shard_id, iterator)
                for record in page.records:
                    for good in decode(record.data).good:
                        if isinstance(good.line, Quote):
                            yield good.line.identity
                iterator = None if page.at_tip and not page.records else page.next_iterator

    def _scan(self, table: str, projection: str) -> Iterator[Mapping[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=table,
            ConsistentRead=True,
            ProjectionExpression=projection,
            ExpressionAttributeNames={name: name[1:] for name in projection.split(", ")},
        )
        for page in pages:
            yield from page["Items"]

    def _archived(self) -> Iterator[GoodLine]:
        bucket = self._outputs["ArchiveBucket"]
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="raw-data/"):
            for listed in page.get("Contents", []):
                body = self._s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read()
                yield from decode(gzip.decompress(body)).good

    def _drain(self, url: str) -> Iterator[str]:
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=MESSAGE_BATCH).get("Messages"):
            for message in messages:
                yield message["Body"]
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def _row_identity(item: Mapping[str, Any]) -> Identity:
    time, _, revision = item["timestamp"]["S"].partition("#")
    return Identity(item["symbol"]["S"], from_iso(time), int(revision or 0))
