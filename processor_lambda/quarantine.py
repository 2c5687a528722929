"""What a record's refused lines become: messages that carry the bytes, or one that points to them. Pure."""

from __future__ import annotations

import gzip

import msgspec

from lane_state import Alert, encode_alert
from processor_lambda.ports import QuarantineMessage
from processor_lambda.records import ParsedRecord, Record
from quotes import BadLine, to_iso

MAX_LINE_BYTES = 64 * 1024
MAX_LINES = 20
"""Beyond either the lines of the record go to S3, and one message points there: SQS takes 256 KB a batch."""


class Overflow(msgspec.Struct, frozen=True):
    """Refused lines that are too long or too many for the queue: an object to write before its message is sent."""

    key: str
    body: bytes
    message: QuarantineMessage


def messages_of(parsed: ParsedRecord) -> list[QuarantineMessage] | Overflow:
    """The messages of a record's refused lines, in their order; none if there are none."""
    record, refused = parsed.record, parsed.refused
    messages = [_message(record, line) for line in refused]
    if len(refused) <= MAX_LINES and all(len(line.content) <= MAX_LINE_BYTES for line in refused):
        return messages
    return Overflow(
        key=f"quarantine/{record.stream}/{record.shard}-{record.sequence_number}.jsonl.gz",
        body=gzip.compress(b"".join(msgspec.json.encode(message) + b"\n" for message in messages), 6, mtime=0),
        message=QuarantineMessage(
            id=f"{record.stream}/{record.shard}/{record.sequence_number}",
            stream=record.stream,
            shard=record.shard,
            sequence_number=str(record.sequence_number),
            partition_key=_ascii(record.partition_key),
            arrival=to_iso(record.arrival),
            reason=_ascii(f"{len(refused)} lines, the first: {refused[0].reason}"),
            lines=len(refused),
        ),
    )


def message_of_alert(record: Record, alert: Alert, reason: str) -> QuarantineMessage:
    """The message of an alert that SNS will not take; the record is the last of the batch that published it."""
    return QuarantineMessage(
        id=f"{record.stream}/alert/{alert.id}",
        stream=record.stream,
        shard=record.shard,
        sequence_number=str(record.sequence_number),
        partition_key=_ascii(record.partition_key),
        arrival=to_iso(record.arrival),
        reason=_ascii(f"alert refused: {reason}"[:200]),
        content=encode_alert(alert),
    )


def _message(record: Record, line: BadLine) -> QuarantineMessage:
    return QuarantineMessage(
        id=f"{record.stream}/{record.shard}/{record.sequence_number}/{line.number}",
        stream=record.stream,
        shard=record.shard,
        sequence_number=str(record.sequence_number),
        partition_key=_ascii(record.partition_key),
        arrival=to_iso(record.arrival),
        line=line.number,
        reason=_ascii(line.reason),
        content=line.content,
    )


def _ascii(text: str) -> str:
    """SQS refuses a message for ever that holds a character XML has no place for, and both texts may quote any."""
    return text.encode("ascii", "backslashreplace").decode()
