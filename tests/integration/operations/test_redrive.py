"""The redrive command, against a pipeline that is deployed to the emulator; and how commands find the pipeline."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from quotes import encode
from replica.event_source import Clock, EventSourceMapping, Invocation, Record
from replica.event_source.aws import on_failure_destination
from replica.event_source.invoker import Invoker
from replica.event_source.records import EventFormat
from tests.fakes.fault_proxy import Answer, FaultProxy, Request
from tests.support.operator import PATIENCE, Operator, lane_key, make_quote


class FailingFunction:
    """A function that fails at every invocation."""

    def invoke(self, payload: bytes) -> Invocation:  # noqa: ARG002  (a `Function`)
        return Invocation(request_id="fake", payload=b"{}", function_error="Unhandled")


@pytest.fixture
def discarded(operator: Operator) -> list[tuple[str, bytes]]:
    """Records in the order in which the event source discarded them. The bucket holds nothing else that is redriven."""
    for key in operator.keys("aws/lambda/") + operator.keys("redriven/"):
        operator.client("s3").delete_object(Bucket=operator.outputs["ArchiveBucket"], Key=key)
    keyed = [
        (lane_key(f"R{number}"), encode([make_quote(f"R{number}", second)]))
        for second in range(6)
        for number in range(6)
    ]
    keyed += [("no lane", b"no packet %d" % number) for number in range(6)]
    records = tuple(
        Record(
            shard_id="shardId-000000000000",
            sequence_number=str(8 + number),
            partition_key=key,
            data=data,
            approximate_arrival_timestamp=datetime.now(UTC),
        )
        for number, (key, data) in enumerate(keyed)
    )
    deployed = operator.client("lambda").get_event_source_mapping(UUID=operator.outputs["EventSourceMappingId"])
    mapping = EventSourceMapping.from_response(deployed | {"MaximumRetryAttempts": 0})
    invoker = Invoker(
        mapping,
        EventFormat(mapping, "arn:aws:iam::000000000000:role/r"),
        FailingFunction(),
        on_failure_destination(operator.client, mapping.on_failure_destination),
        pause=lambda _: False,
        backoff=lambda _: 0,
        new_uuid=lambda: str(uuid4()),
        clock=Clock(),
        on_batch=lambda _: None,
        on_discard=lambda _: None,
    )
    for start in range(0, len(records), 7):
        invoker.deliver(records[start : start + 7], lambda _: None)
    return keyed


def by_key(records: Sequence[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    """The data of each partition key's records, in order."""
    grouped: dict[str, list[bytes]] = {}
    for key, data in records:
        grouped.setdefault(key, []).append(data)
    return grouped


def first_arrivals(records: Sequence[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    """The same without repetitions."""
    return {key: list(dict.fromkeys(data)) for key, data in by_key(records).items()}


class PartlyFailing:
    """Stores some records of each PutRecords request and refuses the others, as Kinesis does."""

    def __init__(self, operator: Operator) -> None:
        self._kinesis = operator.client("kinesis")
        self.requests = 0
        self.failed = 0

    def __call__(self, request: Request) -> Answer | None:
        if not request.target.endswith(".PutRecords"):
            return None
        asked = json.loads(request.body)
        results = []
        for index, record in enumerate(asked["Records"]):
            if (self.requests + index) % 3 == 0:
                self.failed += 1
                results.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
                continue
            put = self._kinesis.put_record(
                StreamName=asked["StreamName"],
                Data=base64.b64decode(record["Data"]),
                PartitionKey=record["PartitionKey"],
            )
            results.append({"SequenceNumber": put["SequenceNumber"], "ShardId": put["ShardId"]})
        self.requests += 1
        return Answer(200, json.dumps({"FailedRecordCount": self.failed, "Records": results}).encode())


class TestRedrive:
    def test_records_go_back_in_their_order_although_requests_fail_in_part(
        self, operator: Operator, discarded: list[tuple[str, bytes]], proxy: FaultProxy
    ) -> None:
        names, before = operator.keys("aws/lambda/"), len(operator.on_stream())
        assert len(names) > len(discarded) / 7  # because batches were bisected
        assert len(operator.run("redrive", "--dry-run")[0].splitlines()) == len(names)
        assert operator.keys("aws/lambda/") == names

        proxy.fault = failing = PartlyFailing(operator)
        out, err = operator.run_process("redrive", "--kilobytes-per-second", "0", endpoint=proxy.url)
        assert failing.failed > 0
        assert f"redriven {len(discarded)} records; {len(names)} of {len(names)} objects" in out
        assert "stockstream rebuild --stack-prefix operations --stage test --day 2026-11-23 " in err
        assert "--symbol R0 --symbol R1" in err
        assert by_key(operator.on_stream()[before:]) == by_key(discarded)
        assert operator.keys("aws/lambda/") == []
        assert operator.keys("redriven/") == [f"redriven/{name}" for name in names]

        assert "redriven 0 records" in operator.run("redrive")[0]
        operator.process()
        assert len(operator.rows("R0")) == 6

    def test_after_a_kill_the_unfinished_batches_are_still_there_and_the_next_redrive_finishes(
        self, operator: Operator, discarded: list[tuple[str, bytes]], proxy: FaultProxy
    ) -> None:
        names, before = operator.keys("aws/lambda/"), len(operator.on_stream())
        processes: list[subprocess.Popen[str]] = []
        puts = 0

        def kill(request: Request) -> Answer | None:
            nonlocal puts
            puts += request.target.endswith(".PutRecords")
            if puts == 12 and processes[0].poll() is None:
                processes[0].kill()
                processes[0].wait()
                return Answer(500, b"{}")
            return None

        proxy.fault = kill
        processes.append(operator.start("redrive", "--kilobytes-per-second", "0", endpoint=proxy.url))
        processes[0].communicate(timeout=PATIENCE)
        left = operator.keys("aws/lambda/")
        assert 0 < len(left) < len(names)
        assert sorted(left + [key.removeprefix("redriven/") for key in operator.keys("redriven/")]) == names

        operator.run("redrive", "--kilobytes-per-second", "0")
        assert operator.keys("aws/lambda/") == []
        assert first_arrivals(operator.on_stream()[before:]) == first_arrivals(discarded)

    def test_if_the_stream_refuses_everything_stays_where_it_is(
        self, operator: Operator, discarded: list[tuple[str, bytes]], proxy: FaultProxy
    ) -> None:
        names, before = operator.keys("aws/lambda/"), operator.on_stream()
        refusal = Answer(400, b'{"__type":"AccessDeniedException","message":"not yours"}')
        proxy.fault = lambda request: refusal if request.target.endswith(".PutRecords") else None
        _, err = operator.run("redrive", endpoint=proxy.url, code=1)
        assert "AccessDeniedException" in err
        assert discarded
        assert (operator.keys("aws/lambda/"), operator.on_stream()) == (names, before)


class TestOutputs:
    def test_a_missing_stack_is_named(self, operator: Operator) -> None:
        _, err = operator.run("redrive", "--stage", "none", code=2)
        assert "there is no stack stockstream-none-stream in us-east-1" in err

    def test_a_file_of_outputs_replaces_the_stacks(self, operator: Operator, tmp_path: Path) -> None:
        path = tmp_path / "outputs"
        path.write_text("".join(f"{name}={value}\n" for name, value in operator.outputs.items()))
        count = len(operator.keys("aws/lambda/"))
        assert f"{count} objects" in operator.run("redrive", "--dry-run", "--outputs-file", str(path))[1]
        path.write_text("StreamName=x\n")
        assert "the outputs have no ArchiveBucket" in operator.run("redrive", "--outputs-file", str(path), code=2)[1]

    def test_an_unreachable_endpoint_is_reported_and_is_not_wrong_usage(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[float] = []
        monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=waits.append))
        _, err = operator.run("redrive", endpoint="http://127.0.0.1:9", code=1)
        assert waits  # the SDK has tried again
        assert "http://127.0.0.1:9 does not answer" in err
        assert "Traceback" not in err
