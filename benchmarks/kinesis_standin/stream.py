"""A Kinesis stream with faults: what it answers to each request, and what it has stored. Pure.

Limits and error codes: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import msgspec

from aws_limits import KINESIS_RECORD_BYTES, KINESIS_REQUEST_BYTES, KINESIS_REQUEST_RECORDS
from benchmarks.kinesis_standin.arrivals import Arrivals, Request, Verdict
from benchmarks.kinesis_standin.faults import Fate, FaultDice, Faults

SHARDS = (2, 4, 3)
"""The number of shards, from one reshard to the next."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of everything up to now."""

    verdict: Verdict
    requests: dict[str, int]
    """The number of requests by fate. `invalid` counts those that Kinesis would not accept."""


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request, and how to send it."""

    status: int
    content: bytes
    fate: Fate = Fate.ANSWERED
    stored: Request | None = None
    delay: float = 0.0
    """The seconds until it is sent."""


class _Record(msgspec.Struct, gc=False):
    data: bytes = msgspec.field(name="Data")
    partition_key: str = msgspec.field(name="PartitionKey")


class _PutRecords(msgspec.Struct):
    records: list[_Record] = msgspec.field(name="Records")


class FaultyStream:
    """One stream, which answers to any name."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._dice = FaultDice(faults)
        self._arrivals = Arrivals()
        self._fates: Counter[str] = Counter()
        self._sequence = 0

    def answer(self, operation: str, body: bytes) -> Answer:
        """Draw the fate of a request, and answer it. Raises `msgspec.MsgspecError` if no SDK could have sent it."""
        match operation:
            case "PutRecords":
                records = msgspec.json.decode(body, type=_PutRecords).records
            case "PutRecord":
                records = [msgspec.json.decode(body, type=_Record)]
            case "DescribeStreamSummary":
                return Answer(200, self._summary(msgspec.json.decode(body)["StreamName"]))
            case _:
                return Answer(400, _error("UnknownOperationException", operation))
        if mistake := _mistake(records):
            self._fates["invalid"] += 1
            return Answer(400, _error(*mistake))
        fate = self._dice.fate()
        self._fates[fate] += 1
        if not fate.is_stored:
            return _unstored(fate)
        request = Request(fate)
        outcomes = [self._store(request, record) for record in records]
        status, content = _of_records(outcomes) if operation == "PutRecords" else _of_record(outcomes[0])
        return Answer(status, content, fate, request, self._dice.delay() if fate is Fate.SLOW else 0.0)

    def report(self) -> Report:
        """The verdict on what has arrived, and the number of requests by fate."""
        return Report(verdict=self._arrivals.verdict(), requests=dict(self._fates))

    def identities(self) -> list[tuple[str, str, int]]:
        """Each quote that arrived, once."""
        return list(self._arrivals.identities())

    def _store(self, request: Request, record: _Record) -> dict[str, str]:
        error = self._dice.record_error()
        if error is not None:
            return {"ErrorCode": error, "ErrorMessage": "injected failure"}
        self._arrivals.store(request, record.partition_key, record.data)
        self._sequence += 1
        return {"SequenceNumber": str(self._sequence), "ShardId": self._shard(record.partition_key)}

    def _shard(self, partition_key: str) -> str:
        count = SHARDS[self._reshards % len(SHARDS)]
        place = int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()) * count >> 128
        return f"shardId-{self._reshards * max(SHARDS) + place:012d}"

    @property
    def _reshards(self) -> int:
        every = self._faults.reshard_every
        return self._fates.total() // every if every else 0

    def _summary(self, name: str) -> bytes:
        summary: dict[str, Any] = {
            "StreamName": name,
            "StreamARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}",
            "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 0,
            "EnhancedMonitoring": [],
            "OpenShardCount": SHARDS[self._reshards % len(SHARDS)],
        }
        return msgspec.json.encode({"StreamDescriptionSummary": summary})


def _mistake(records: list[_Record]) -> tuple[str, str] | None:
    """Why Kinesis would not accept a request; None if it would."""
    if not 1 <= len(records) <= KINESIS_REQUEST_RECORDS:
        return (
            "ValidationException",
            f"Value at 'records' must have length less than or equal to {KINESIS_REQUEST_RECORDS}",
        )
    sizes = [len(record.data) + len(record.partition_key) for record in records]
    if max(sizes) > KINESIS_RECORD_BYTES:
        return "ValidationException", f"'data' must have length less than or equal to {KINESIS_RECORD_BYTES}"
    if sum(sizes) > KINESIS_REQUEST_BYTES:
        return "InvalidArgumentException", f"Records size exceeds {KINESIS_REQUEST_BYTES} bytes"
    return None


def _unstored(fate: Fate) -> Answer:
    if fate is Fate.THROTTLED:
        return Answer(400, _error("ProvisionedThroughputExceededException", "Rate exceeded for the stream"), fate)
    return Answer(500, _error("InternalFailure", "injected failure"), fate)


def _of_records(outcomes: list[dict[str, str]]) -> tuple[int, bytes]:
    failed = sum("ErrorCode" in outcome for outcome in outcomes)
    return 200, msgspec.json.encode({"FailedRecordCount": failed, "Records": outcomes, "EncryptionType": "NONE"})


def _of_record(outcome: dict[str, str]) -> tuple[int, bytes]:
    if "ErrorCode" in outcome:
        return 400, _error(outcome["ErrorCode"], outcome["ErrorMessage"])
    return 200, msgspec.json.encode(outcome)


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"__type": code, "message": message})
