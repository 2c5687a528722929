"""The archive object of a batch: every line of every record, as gzip JSON Lines. Pure.

A good line is stored byte for byte. A refused line is stored as `{"kind":"quarantined",…}` with its bytes in base64. So
the object is complete, and it is JSON Lines whatever was on the stream.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from processor_lambda.records import ParsedRecord

_GZIP = 31
"""zlib's `wbits` for gzip. This format holds no time, so a batch that is processed again gives the same bytes."""


class _Refused(msgspec.Struct, frozen=True, tag="quarantined", tag_field="kind"):
    v: int
    shard: str
    sequence_number: str
    line: int
    reason: str
    content: bytes


def key_of(batch: Sequence[ParsedRecord]) -> str:
    """The key of the object: `raw-data/dt=2026-11-23/hour=14/<shard>-<first>-<last sequence number>.jsonl.gz`.

    The hour is the UTC hour in which the first record arrived. So a batch that is processed again has the same key.
    """
    first, last = batch[0].record, batch[-1].record
    partition = f"dt={first.arrival:%Y-%m-%d}/hour={first.arrival:%H}"
    return f"raw-data/{partition}/{first.shard}-{first.sequence_number}-{last.sequence_number}.jsonl.gz"


def body_of(batch: Sequence[ParsedRecord]) -> bytes:
    """The bytes of the object: the lines in the order of the stream."""
    compressor = zlib.compressobj(6, wbits=_GZIP)
    # Compressed record by record to save memory, because refused lines may be a hundred times as long here.
    return b"".join([*(compressor.compress(_lines_of(parsed)) for parsed in batch), compressor.flush()])


def _lines_of(parsed: ParsedRecord) -> bytes:
    if not parsed.refused:  # the packet's bytes are its lines
        data = parsed.record.data
        return data if data.endswith(b"\n") else data + b"\n"
    numbered = [(good.number, good.content) for good in parsed.good]
    numbered += [(refused.number, _refused(parsed, index)) for index, refused in enumerate(parsed.refused)]
    return b"".join(content + b"\n" for _, content in sorted(numbered))


def _refused(parsed: ParsedRecord, index: int) -> bytes:
    line, record = parsed.refused[index], parsed.record
    return msgspec.json.encode(
        _Refused(1, record.shard, str(record.sequence_number), line.number, line.reason, line.content)
    )
