"""The operator's commands, run as a person runs them, against a pipeline that is deployed to the emulator."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from deployment.deployer import Deployment
from deployment.functions import ROOT
from operations.dynamodb import DynamoBars
from processor_lambda.records import Record as PositionedLine
from processor_lambda.rows import Row
from quotes import Heartbeat, Quote, encode, lane_of, partition_key
from replica.emulator import Emulator
from replica.event_source import Clock, EventSourceMapping, Record
from replica.event_source.aws import connect, on_failure_destination
from replica.event_source.invoker import Invoker
from replica.event_source.records import EventFormat
from tests.fakes.event_source import FakeFunction
from tests.fakes.fault_proxy import Answer, FaultProxy, Request
from tests.fakes.pipeline import make_processor
from tests.fakes.processor_ports import World

PREFIX, STAGE = "operations", "test"
LANES = 4
PATIENCE = 60.0


class Operator:
    """A deployed pipeline of its own, and somebody who runs commands on it."""

    def __init__(self, emulator: Emulator, package: Path) -> None:
        self.emulator = emulator
        self.client = emulator.client
        deployment = Deployment(self.client("cloudformation"), self.client("s3"), prefix=f"{PREFIX}-{STAGE}")
        self.outputs = deployment.deploy({"processor": package}, {"MappingState": "Disabled"})

    def start(self, *arguments: str, endpoint: str | None = None) -> subprocess.Popen[str]:
        where = () if "--stage" in arguments else ("--stack-prefix", PREFIX, "--stage", STAGE)
        environment = self.emulator.environment(os.environ) | {"COLUMNS": "200"}
        if endpoint is not None:
            environment["AWS_ENDPOINT_URL"] = endpoint
        return subprocess.Popen(
            [sys.executable, "-m", "operations", *arguments, *where],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, endpoint: str | None = None, code: int = 0) -> tuple[str, str]:
        """What a command printed, and what it told the person; `code` is how it must end."""
        process = self.start(*arguments, endpoint=endpoint)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"{out}\n{err}"
        return out, err

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("quarantine", "list", "--json", *arguments)[0].splitlines()]

    def put(self, data: bytes, key: str) -> None:
        self.client("kinesis").put_record(StreamName=self.outputs["StreamName"], Data=data, PartitionKey=key)

    def process(self) -> None:
        """Let the deployed function process what is on the stream."""
        with connect(self.client, self.outputs["EventSourceMappingId"], poll_interval_seconds=0.02) as runner:
            assert runner.wait_until_caught_up(PATIENCE)

    def on_stream(self) -> list[tuple[str, bytes]]:
        """Every record of the stream with its key, in its order."""
        kinesis, name = self.client("kinesis"), self.outputs["StreamName"]
        records: list[dict[str, Any]] = []
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while page := kinesis.get_records(ShardIterator=iterator)["Records"]:
                records += page
                iterator = kinesis.get_shard_iterator(
                    StreamName=name,
                    ShardId=shard["ShardId"],
                    ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                    StartingSequenceNumber=page[-1]["SequenceNumber"],
                )["ShardIterator"]
        return [(record["PartitionKey"], record["Data"]) for record in records]

    def rows(self, symbol: str) -> list[str]:
        """The times of a symbol's rows."""
        answer = self.client("dynamodb").query(
            TableName=self.outputs["QuotesTable"],
            KeyConditionExpression="symbol = :symbol",
            ExpressionAttributeValues={":symbol": {"S": symbol}},
        )
        return [item["timestamp"]["S"] for item in answer["Items"]]

    def keys(self, prefix: str) -> list[str]:
        listing = self.client("s3").list_objects_v2(Bucket=self.outputs["ArchiveBucket"], Prefix=prefix)
        return [found["Key"] for found in listing.get("Contents", [])]


@pytest.fixture(scope="module")
def operator(emulator: Emulator, package: Path) -> Operator:
    return Operator(emulator, package)


@pytest.fixture
def empty_quarantine(operator: Operator) -> Operator:
    operator.process()
    operator.client("sqs").purge_queue(QueueUrl=operator.outputs["QuarantineQueueUrl"])
    return operator


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[FaultProxy]:
    with FaultProxy(emulator.endpoint_url).running() as proxy:
        yield proxy


def make_quote(symbol: str, second: float = 0, price: int = 100) -> Quote:
    time = datetime(2026, 11, 23, 14, 30, tzinfo=UTC) + timedelta(seconds=second)
    return Quote(symbol=symbol, event_time=time, price=Decimal(price), source="synthetic", ingest_time=time)


def lane(symbol: str) -> str:
    return partition_key(lane_of(symbol, LANES), LANES)


def foreign_lane(symbol: str) -> str:
    return partition_key((lane_of(symbol, LANES) + 1) % LANES, LANES)


class TestQuarantine:
    def test_lines_are_listed_shown_and_put_back(self, empty_quarantine: Operator) -> None:
        operator = empty_quarantine
        operator.put(encode([make_quote("ONE")]) + b"rubbish\xff\n", foreign_lane("ONE"))
        operator.process()

        foreign, rubbish = operator.listed()
        assert base64.b64decode(foreign["content"]) == encode([make_quote("ONE")]).strip()
        out, err = operator.run("quarantine", "list")
        assert foreign["handle"] in out
        assert rubbish["handle"] in out
        assert "2 messages" in err
        assert [each["handle"] for each in operator.listed("--reason", "a line of")] == [foreign["handle"]]
        assert operator.listed("--older", "1h") == []

        shown, _ = operator.run("quarantine", "show", foreign["handle"])
        assert foreign["id"] in shown
        assert f"partition key {foreign_lane('ONE')}" in shown
        assert '"symbol":"ONE"' in shown
        assert "72 75 62 62 69 73 68 ff" in operator.run("quarantine", "show", rubbish["handle"])[0]

        assert "would replay 1 lines" in operator.run("quarantine", "replay", "--all", "--dry-run", code=1)[0]
        assert operator.rows("ONE") == []
        out, err = operator.run("quarantine", "replay", "--all", code=1)
        assert "replayed 1 lines; 1 of 2 messages left the quarantine" in out
        assert f"{rubbish['handle']} line 2 stays: " in err
        operator.process()
        assert operator.rows("ONE") == ["2026-11-23T14:30:00.000Z"]
        assert [each["handle"] for each in operator.listed()] == [rubbish["handle"]]

    def test_a_fixed_line_goes_back_in_place_of_its_bytes(self, empty_quarantine: Operator, tmp_path: Path) -> None:
        operator = empty_quarantine
        operator.put(encode([make_quote("FIX")]).replace(b'"v":1', b'"v":9'), lane("FIX"))
        operator.process()
        (refused,) = operator.listed()
        raw, _ = operator.run("quarantine", "show", refused["handle"], "--raw")
        fixed = tmp_path / "line.json"
        fixed.write_text(raw)
        operator.run("quarantine", "replay", refused["handle"], "--fixed", str(fixed), code=1)
        fixed.write_text(raw.replace('"v":9', '"v":1'))
        operator.run("quarantine", "replay", refused["handle"], "--fixed", str(fixed))
        operator.process()
        assert len(operator.rows("FIX")) == 1
        assert operator.listed() == []

    def test_lines_that_went_through_s3_are_shown_and_put_back(self, empty_quarantine: Operator) -> None:
        operator = empty_quarantine
        quotes = [make_quote("MANY", second) for second in range(50)]
        operator.put(encode(quotes), foreign_lane("MANY"))
        operator.process()
        (message,) = operator.listed()
        assert message["object"].startswith(f"s3://{operator.outputs['ArchiveBucket']}/quarantine/")
        assert message["lines"] == 50
        shown, _ = operator.run("quarantine", "show", message["id"])
        assert "and 30 lines more (--raw has all)" in shown
        assert operator.run("quarantine", "show", message["id"], "--raw")[0] == encode(quotes).decode()
        assert "replayed 50 lines" in operator.run("quarantine", "replay", message["id"])[0]
        operator.process()
        assert len(operator.rows("MANY")) == 50

    def test_lines_are_dropped_when_it_is_confirmed(self, empty_quarantine: Operator) -> None:
        operator = empty_quarantine
        operator.put(b"rubbish\nrubbish\nrubbish", lane("DROP"))
        operator.process()
        first, *_ = operator.listed()
        operator.run("quarantine", "drop", first["handle"], code=1)  # nobody is there to answer
        assert len(operator.listed()) == 3
        assert "dropped 1 " in operator.run("quarantine", "drop", first["handle"], "--yes")[0]
        assert "dropped 2 " in operator.run("quarantine", "drop", "--all", "--reason", "json", "--yes")[0]
        assert operator.listed() == []

    def test_what_was_only_looked_at_can_be_received_at_once(self, empty_quarantine: Operator) -> None:
        operator = empty_quarantine
        operator.put(b"rubbish\n" * 15, lane("PEEK"))
        operator.process()
        assert len(operator.listed()) == 15
        received = operator.client("sqs").receive_message(QueueUrl=operator.outputs["QuarantineQueueUrl"])
        assert len(received["Messages"]) == 1
        assert received["Messages"][0]["Body"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_stopped_while_it_looks_it_shows_the_messages_again(
        self, empty_quarantine: Operator, proxy: FaultProxy, number: signal.Signals
    ) -> None:
        operator = empty_quarantine
        operator.put(b"rubbish\n" * 15, lane("STOP"))
        operator.process()
        receives = 0
        stopped = threading.Event()

        def stop(request: Request) -> Answer | None:
            nonlocal receives
            if not request.target.endswith(".ReceiveMessage"):
                return None
            receives += 1
            if receives < 2:
                return None
            process.send_signal(number)  # the first ten are hidden by now
            stopped.wait(PATIENCE)
            return Answer(500, b"{}")

        proxy.fault = stop
        process = operator.start("quarantine", "list", endpoint=proxy.url)
        _, err = process.communicate(timeout=PATIENCE)
        stopped.set()
        assert process.returncode == 130
        assert "interrupted: what was not finished is still where it was" in err
        assert len(operator.listed()) == 15

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["show", "none"], 1, "not in the quarantine, or hidden by another reader: none"),
            (["replay"], 2, "name messages by ID, or take --all of them"),
            (["replay", "a", "--all"], 2, "name messages by ID, or take --all of them"),
            (["drop", "a", "--reason", "b"], 2, "--reason and --older choose among --all"),
            (["replay", "--all", "--fixed", __file__], 2, "--fixed stands in for one message"),
            (["list", "--older", "soon"], 2, "'soon' is not a duration like 90s"),
        ],
    )
    def test_wrong_use_is_told(self, operator: Operator, arguments: list[str], code: int, message: str) -> None:
        assert message in operator.run("quarantine", *arguments, code=code)[1]


class TestOutputs:
    def test_a_stack_that_is_not_there_is_told(self, operator: Operator) -> None:
        _, err = operator.run("redrive", "--stage", "none", code=2)
        assert "there is no stack stockstream-none-stream in us-east-1" in err

    def test_a_file_of_outputs_stands_in_for_the_stacks(self, operator: Operator, tmp_path: Path) -> None:
        path = tmp_path / "outputs"
        path.write_text("".join(f"{name}={value}\n" for name, value in operator.outputs.items()))
        assert "0 objects" in operator.run("redrive", "--dry-run", "--outputs-file", str(path))[1]
        path.write_text("StreamName=x\n")
        assert "the outputs have no ArchiveBucket" in operator.run("redrive", "--outputs-file", str(path), code=2)[1]

    def test_no_answer_is_told_and_is_no_wrong_usage(self, operator: Operator) -> None:
        _, err = operator.run("redrive", endpoint="http://127.0.0.1:9", code=1)
        assert "Could not connect to the endpoint URL" in err
        assert "Traceback" not in err


@pytest.fixture
def given_up(operator: Operator) -> list[tuple[str, bytes]]:
    """Records that the event source has given up, in their order; the destination is the bucket, and nothing else."""
    for key in operator.keys("aws/lambda/") + operator.keys("redriven/"):
        operator.client("s3").delete_object(Bucket=operator.outputs["ArchiveBucket"], Key=key)
    keyed = [
        (lane(f"R{number}"), encode([make_quote(f"R{number}", second)])) for second in range(6) for number in range(6)
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
        FakeFunction(_fail),
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


def _fail(event: object) -> object:
    raise ValueError(event)


def by_key(records: Sequence[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    grouped: dict[str, list[bytes]] = {}
    for key, data in records:
        grouped.setdefault(key, []).append(data)
    return grouped


def first_arrivals(records: Sequence[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    return {key: list(dict.fromkeys(data)) for key, data in by_key(records).items()}


class PartlyFailing:
    """Takes some records of each PutRecords and refuses the others, as Kinesis does."""

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
    def test_given_up_records_go_back_in_their_order_though_puts_fail_in_part(
        self, operator: Operator, given_up: list[tuple[str, bytes]], proxy: FaultProxy
    ) -> None:
        names, there = operator.keys("aws/lambda/"), len(operator.on_stream())
        assert len(names) > len(given_up) / 7  # bisected
        assert len(operator.run("redrive", "--dry-run")[0].splitlines()) == len(names)
        assert operator.keys("aws/lambda/") == names

        proxy.fault = failing = PartlyFailing(operator)
        out, err = operator.run("redrive", "--kilobytes-per-second", "0", endpoint=proxy.url)
        assert failing.failed > 0
        assert f"redriven {len(given_up)} records; {len(names)} of {len(names)} objects" in out
        assert "python -m operations rebuild --day 2026-11-23 " in err
        assert "--symbol R0 --symbol R1" in err
        assert by_key(operator.on_stream()[there:]) == by_key(given_up)
        assert operator.keys("aws/lambda/") == []
        assert operator.keys("redriven/") == [f"redriven/{name}" for name in names]

        assert "redriven 0 records" in operator.run("redrive")[0]
        operator.process()
        assert len(operator.rows("R0")) == 6

    def test_killed_it_leaves_what_is_not_done_and_the_next_finishes(
        self, operator: Operator, given_up: list[tuple[str, bytes]], proxy: FaultProxy
    ) -> None:
        names, there = operator.keys("aws/lambda/"), len(operator.on_stream())
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
        assert first_arrivals(operator.on_stream()[there:]) == first_arrivals(given_up)

    def test_a_stream_that_refuses_leaves_all_where_it_is(
        self, operator: Operator, given_up: list[tuple[str, bytes]], proxy: FaultProxy
    ) -> None:
        names, there = operator.keys("aws/lambda/"), operator.on_stream()
        refusal = Answer(400, b'{"__type":"AccessDeniedException","message":"not yours"}')
        proxy.fault = lambda request: refusal if request.target.endswith(".PutRecords") else None
        _, err = operator.run("redrive", endpoint=proxy.url, code=1)
        assert "AccessDeniedException" in err
        assert given_up
        assert (operator.keys("aws/lambda/"), operator.on_stream()) == (names, there)


YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture(scope="module")
def symbols(operator: Operator) -> list[str]:
    """Symbols whose live bars lack what came late, in packets that were sent more than once."""
    symbols = ["LATE", "TWICE"]
    for index, packet in enumerate(packets_of_yesterday(symbols)):
        if index % 5 != 3:
            operator.put(encode(packet), lane(packet[0].symbol))
        if index % 7 == 2:
            operator.put(encode(packet), lane(packet[0].symbol))
    end = YESTERDAY + timedelta(hours=23)
    for key in {lane(symbol) for symbol in symbols}:
        operator.put(encode([Heartbeat(lane=key, clock=end, complete_to=end)]), key)
    operator.process()
    for packet in packets_of_yesterday(symbols)[3::5]:
        operator.put(encode(packet), lane(packet[0].symbol))
    operator.process()
    return symbols


class TestRebuild:
    def test_it_gives_the_bars_of_an_undisturbed_pass_and_a_second_time_the_same(
        self, operator: Operator, symbols: list[str]
    ) -> None:
        expected = bars_of_an_undisturbed_pass(symbols)
        day = f"{YESTERDAY:%Y-%m-%d}"
        live = bars(operator, symbols)
        assert live != expected

        out, _ = operator.run("rebuild", "--all-symbols", "--day", day, "--dry-run")
        assert "would be corrected" in out
        assert bars(operator, symbols) == live

        out, _ = operator.run("rebuild", "--symbol", "LATE", "--symbol", "TWICE", "--day", day)
        assert f"{day} LATE: 30 bars: " in out
        assert bars(operator, symbols) == expected

        out, _ = operator.run("rebuild", "--all-symbols", "--day", day)
        assert f"{day} TWICE: 30 bars: 0 corrected, 0 added, 30 as they were" in out
        assert bars(operator, symbols) == expected

    def test_damaged_bars_are_corrected(self, operator: Operator, symbols: list[str]) -> None:
        operator.run("rebuild", "--all-symbols", "--day", f"{YESTERDAY:%Y-%m-%d}")
        expected = bars(operator, symbols)
        dynamodb, table = operator.client("dynamodb"), operator.outputs["BarsTable"]
        (first, minute), (second, other) = sorted(expected)[3], sorted(expected)[40]
        dynamodb.delete_item(TableName=table, Key={"symbol": {"S": first}, "minute": {"S": minute}})
        dynamodb.put_item(TableName=table, Item={"symbol": {"S": second}, "minute": {"S": other}, "high": {"N": "1"}})
        out, _ = operator.run("rebuild", "--all-symbols", "--day", f"{YESTERDAY:%Y-%m-%d}")
        assert "1 added" in out
        assert "1 corrected" in out
        assert bars(operator, symbols) == expected

    def test_killed_it_has_written_whole_bars_or_none_and_the_next_finishes(
        self, operator: Operator, symbols: list[str], proxy: FaultProxy
    ) -> None:
        operator.run("rebuild", "--all-symbols", "--day", f"{YESTERDAY:%Y-%m-%d}")
        expected = bars(operator, symbols)
        dynamodb, table = operator.client("dynamodb"), operator.outputs["BarsTable"]
        for symbol, minute in expected:
            dynamodb.delete_item(TableName=table, Key={"symbol": {"S": symbol}, "minute": {"S": minute}})
        processes: list[subprocess.Popen[str]] = []
        writes = 0

        def kill(request: Request) -> Answer | None:
            nonlocal writes
            writes += request.target.endswith(".BatchWriteItem")
            if writes == 2 and processes[0].poll() is None:
                processes[0].kill()
                processes[0].wait()
                return Answer(500, b"{}")
            return None

        proxy.fault = kill
        arguments = ("rebuild", "--all-symbols", "--day", f"{YESTERDAY:%Y-%m-%d}")
        processes.append(operator.start(*arguments, endpoint=proxy.url))
        processes[0].communicate(timeout=PATIENCE)
        left = bars(operator, symbols)
        assert 0 < len(left) < len(expected)
        assert left.items() <= expected.items()
        operator.run(*arguments)
        assert bars(operator, symbols) == expected

    def test_rows_that_dynamodb_leaves_unprocessed_are_written_again(
        self, operator: Operator, symbols: list[str], proxy: FaultProxy
    ) -> None:
        operator.run("rebuild", "--all-symbols", "--day", f"{YESTERDAY:%Y-%m-%d}")
        expected = bars(operator, symbols)
        dynamodb, table = operator.client("dynamodb"), operator.outputs["BarsTable"]
        for symbol, minute in expected:
            dynamodb.delete_item(TableName=table, Key={"symbol": {"S": symbol}, "minute": {"S": minute}})
        writes = 0

        def leave_every_other(request: Request) -> Answer | None:
            nonlocal writes
            writes += request.target.endswith(".BatchWriteItem")
            if not request.target.endswith(".BatchWriteItem") or writes % 2 == 0:
                return None
            return Answer(200, json.dumps({"UnprocessedItems": json.loads(request.body)["RequestItems"]}).encode())

        proxy.fault = leave_every_other
        operator.run("rebuild", "--all-symbols", "--day", f"{YESTERDAY:%Y-%m-%d}", endpoint=proxy.url)
        assert writes > 2
        assert bars(operator, symbols) == expected

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["--day", f"{YESTERDAY:%Y-%m-%d}"], 2, "name symbols with --symbol, or take --all-symbols"),
            (["--day", f"{YESTERDAY:%Y-%m-%d}", "--symbol", "a b"], 2, "'a b' is not a symbol"),
            (["--day", "2999-01-01", "--symbol", "A"], 2, "only minutes that ended over an hour ago"),
            (["--day", f"{YESTERDAY:%Y-%m-%d}", "--symbol", "NONE"], 1, "NONE: the archive has no quote of it"),
        ],
    )
    def test_what_cannot_be_rebuilt_is_told(
        self, operator: Operator, arguments: list[str], code: int, message: str
    ) -> None:
        assert message in operator.run("rebuild", *arguments, code=code)[1]


def packets_of_yesterday(symbols: Sequence[str]) -> list[list[Quote]]:
    """Half an hour of each symbol, a packet a minute, in the order of time."""
    return [
        [
            replace(
                make_quote(symbol, price=100 + (minute * 7 + second) % 13),
                event_time=YESTERDAY + timedelta(hours=14, minutes=minute, seconds=second),
                ingest_time=YESTERDAY + timedelta(hours=14, minutes=minute, seconds=second),
                volume=minute * 60 + second,
            )
            for second in (0, 20, 40)
        ]
        for minute in range(30)
        for symbol in symbols
    ]


def bars_of_an_undisturbed_pass(symbols: Sequence[str]) -> dict[tuple[str, ...], Row]:
    world = World()
    records = [
        PositionedLine(
            stream="quotes",
            shard="shardId-000000000000",
            sequence_number=number,
            partition_key=lane(packet[0].symbol),
            arrival=datetime.now(UTC),
            data=encode(packet),
        )
        for number, packet in enumerate(packets_of_yesterday(symbols))
    ]
    end = YESTERDAY + timedelta(hours=23)
    records += [
        replace(records[-1], sequence_number=1000 + number, partition_key=key, data=encode([beat]))
        for number, key in enumerate(sorted({lane(symbol) for symbol in symbols}))
        for beat in [Heartbeat(lane=key, clock=end, complete_to=end)]
    ]
    make_processor(world).process(records)
    return world.bar_rows


def bars(operator: Operator, symbols: Sequence[str]) -> dict[tuple[str, ...], Row]:
    table = DynamoBars(operator.client("dynamodb"), operator.outputs["BarsTable"])
    rows = [row for symbol in symbols for row in table.between(symbol, YESTERDAY, YESTERDAY + timedelta(days=1))]
    return {(str(row["symbol"]), str(row["minute"])): row for row in rows}
