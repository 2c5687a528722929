"""The audit: compares the log of accepted quotes with what can be read back from the services.

It does not trust any counter of the pipeline.
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from aws_limits import MESSAGE_BATCH
from bars.keys import is_bar
from bars.provenance import ATTRIBUTE, BACKFILL
from lane_state import Alert
from quotes import GoodLine, Identity, Quote, content_of, decode, from_iso
from replica.event_source import Position, StreamReader

_decode_alert = msgspec.json.Decoder(Alert).decode


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was read back from the services."""

    stream: tuple[Identity, ...]
    """Every quote on the stream, in its shard's order of arrival. A quote that was sent twice is here twice."""
    rows: frozenset[Identity]
    """The quotes in the quotes table."""
    bars: int
    """The number of bars in the bars table."""
    bars_backfilled: int
    """How many of them a backfill has written."""
    archived: Mapping[Identity, frozenset[bytes]]
    """The contents in the archive under each identity, as `contents_of` returns them."""
    quarantined: Mapping[str, int]
    """The number of lines of each quarantine message, by the message's id."""
    alerts: Mapping[str, Alert]
    """The alerts that a subscriber of the topic received, by id."""
    stored_alerts: Mapping[str, Alert]
    """The alerts in their table, by id."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the audit. Nothing is lost, duplicated or out of order if the pipeline keeps its promises."""

    quotes_accepted: int
    quotes_stored: int
    lost: int
    """Quotes that the producer accepted and that are missing from the quotes table or from the archive."""
    duplicated: int
    """Quotes with the content of another revision of the same symbol, time and session."""
    out_of_order: int
    """Quotes whose first arrival on the stream came after a later quote of their symbol."""
    quarantined: int
    """Lines that the processor refused."""
    alerts: int
    alerts_unmatched: int
    """Alerts that the subscriber did not receive as they are in their table, or that only one of them has.

    An alert that SNS refused is in the table and in the quarantine.
    """
    bars: int
    bars_backfilled: int
    """How many of the bars a backfill has written."""


def audit(accepted: Collection[Identity], evidence: Evidence) -> Findings:
    """Compare the accepted quotes with the evidence. Pure."""
    return Findings(
        quotes_accepted=len(accepted),
        quotes_stored=len(evidence.rows),
        lost=sum(identity not in evidence.rows or identity not in evidence.archived for identity in set(accepted)),
        duplicated=_duplicated(evidence.archived),
        out_of_order=_out_of_order(evidence.stream),
        quarantined=sum(evidence.quarantined.values()),
        alerts=len(evidence.alerts),
        alerts_unmatched=_alerts_unmatched(evidence),
        bars=evidence.bars,
        bars_backfilled=evidence.bars_backfilled,
    )


def contents_of(lines: Iterable[GoodLine]) -> dict[Identity, frozenset[bytes]]:
    """The different contents of the lines under each identity. Pure.

    A content is a whole line with its session, except for the time of receipt and the revision.
    """
    found: dict[Identity, set[bytes]] = {}
    for good in lines:
        if isinstance(good.line, Quote):
            content = content_of(good.content) + good.line.session.encode()
            found.setdefault(good.line.identity, set()).add(content)
    return {identity: frozenset(contents) for identity, contents in found.items()}


def _duplicated(archived: Mapping[Identity, frozenset[bytes]]) -> int:
    revisions: dict[bytes, set[int]] = {}
    for identity, contents in archived.items():
        for content in contents:  # a content includes the symbol and the event time
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


def _alerts_unmatched(evidence: Evidence) -> int:
    refused = {id_.split("/alert/", 1)[1] for id_ in evidence.quarantined if "/alert/" in id_}
    stored = {id_: alert for id_, alert in evidence.stored_alerts.items() if id_ not in refused}
    ids = evidence.alerts.keys() | stored.keys()
    return sum(evidence.alerts.get(id_) != stored.get(id_) for id_ in ids)


class EvidenceReader:
    """Reads the evidence with boto3 clients, from the resources that a deployment's outputs name."""

    def __init__(self, outputs: Mapping[str, str], stream: StreamReader, inbox_url: str, **clients: Any) -> None:
        self._outputs = outputs
        self._stream = stream
        self._inbox_url = inbox_url
        self._dynamodb, self._s3, self._sqs = clients["dynamodb"], clients["s3"], clients["sqs"]
        self._quarantined: dict[str, int] = {}
        self._alerts: dict[str, str] = {}
        """The messages of the alerts, by id."""

    def read(self) -> Evidence:
        """Read everything. This empties the queues; the reader remembers their messages for the next call."""
        self.new_alerts()
        for body in self._drain(self._outputs["QuarantineQueueUrl"]):
            message = msgspec.json.decode(body)
            self._quarantined[message["id"]] = message.get("lines", 1)
        bars = [
            item for item in self._scan(self._outputs["BarsTable"], f"#key, #{ATTRIBUTE}") if is_bar(item["key"]["S"])
        ]
        return Evidence(
            stream=tuple(self._streamed()),
            rows=frozenset(map(_row_identity, self._scan(self._outputs["QuotesTable"], "#symbol, #timestamp"))),
            bars=len(bars),
            bars_backfilled=sum(item.get(ATTRIBUTE) == {"S": BACKFILL} for item in bars),
            archived=contents_of(self._archived()),
            quarantined=dict(self._quarantined),
            alerts={id_: _decode_alert(body) for id_, body in self._alerts.items()},
            stored_alerts={alert.id: alert for alert in map(_stored_alert, self._scan(self._outputs["AlertsTable"]))},
        )

    def new_alerts(self) -> list[str]:
        """The subjects of the alerts that arrived since the last call."""
        new = []
        for body in self._drain(self._inbox_url):
            alert = msgspec.json.decode(body)
            if alert["id"] not in self._alerts:
                self._alerts[alert["id"]] = body
                new.append(alert["subject"])
        return new

    def bars(self) -> Iterator[dict[str, str]]:
        """The items of the bars table, with all attributes as texts."""
        for item in self._scan(self._outputs["BarsTable"]):
            yield {name: text for name, value in item.items() for text in value.values()}

    def alerts(self) -> tuple[str, ...]:
        """The message of each alert that has arrived, as JSON."""
        return tuple(self._alerts.values())

    def _streamed(self) -> Iterator[Identity]:
        for shard in self._stream.list_shards():
            iterator: str | None = self._stream.shard_iterator(shard.shard_id, Position(type="TRIM_HORIZON"))
            while iterator is not None:
                page = self._stream.get_records(shard.shard_id, iterator)
                for record in page.records:
                    for good in decode(record.data).good:
                        if isinstance(good.line, Quote):
                            yield good.line.identity
                iterator = None if page.at_tip and not page.records else page.next_iterator

    def _scan(self, table: str, projection: str | None = None) -> Iterator[Mapping[str, Any]]:
        selected: dict[str, Any] = {}
        if projection is not None:
            names = {name: name[1:] for name in projection.split(", ")}
            selected = {"ProjectionExpression": projection, "ExpressionAttributeNames": names}
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True, **selected):
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


def _stored_alert(item: Mapping[str, Any]) -> Alert:
    return Alert(
        **{name: item[name]["S"] for name in ("id", "rule", "severity", "symbol", "timestamp", "subject")},
        values={name: Decimal(value["N"]) for name, value in item["values"]["M"].items()},
        symbols=tuple(symbol["S"] for symbol in item.get("symbols", {"L": []})["L"]),
    )


def _row_identity(item: Mapping[str, Any]) -> Identity:
    time, _, revision = item["timestamp"]["S"].partition("#")
    return Identity(item["symbol"]["S"], from_iso(time), int(revision or 0))
