"""The messages about refused lines and alerts. A message contains the bytes, or points to an object with them. Pure."""

from __future__ import annotations

import gzip

import msgspec

from aws_limits import KIB
from lane_state import Alert, encode_alert
from processor_lambda.ports import QuarantineMessage
from processor_lambda.records import ParsedRecord, Record
from quotes import BadLine, to_iso

MAX_LINE_BYTES = 64 * KIB
"""The longest line that a message contains. Messages hold it in base64, so it has to fit `MESSAGE_BATCH_BYTES`."""
MAX_LINES = 20
"""The most messages about one record. Beyond either limit, the lines go to S3 and one message points to them."""


class Overflow(msgspec.Struct, frozen=True):
    """Refused lines that are too long or too many for messages. Write the object before sending the message."""

    key: str
    body: bytes
    message: QuarantineMessage


def messages_of(parsed: ParsedRecord, release: str) -> list[QuarantineMessage] | Overflow:
    """One message for each refused line of a record, in the order of the lines, or an `Overflow`.

    `release` is that of the function that refuses them.
    """
    record, refused = parsed.record, parsed.refused
    messages = [_message(record, line, release) for line in refused]
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
            reason=_ascii(f"{len(refused)} lines; the first: {refused[0].reason}"),
            lines=len(refused),
            release=release,
        ),
    )


def message_of_alert(record: Record, alert: Alert, reason: str, release: str) -> QuarantineMessage:
    """The message about an alert that SNS refuses. `record` is the last record of the batch that published it."""
    return QuarantineMessage(
        id=f"{record.stream}/alert/{alert.id}",
        stream=record.stream,
        shard=record.shard,
        sequence_number=str(record.sequence_number),
        partition_key=_ascii(record.partition_key),
        arrival=to_iso(record.arrival),
        reason=_ascii(f"alert refused: {reason}"[:200]),
        content=encode_alert(alert),
        release=release,
    )


def _message(record: Record, line: BadLine, release: str) -> QuarantineMessage:
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
        release=release,
    )


def _ascii(text: str) -> str:
    """The text in ASCII. SQS refuses a message with a character that XML does not allow, and the text may quote any."""
    return text.encode("ascii", "backslashreplace").decode()
