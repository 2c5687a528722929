"""A person who runs `python -m operations` against a deployed pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from typer.testing import CliRunner

from deployment.deployer import Deployment
from deployment.functions import ROOT
from operations.cli import app
from quotes import Quote, lane_of, partition_key
from replica.emulator import Emulator
from replica.event_source.aws import connect

PREFIX, STAGE = "operations", "test"
LANES = 4
PATIENCE = 60.0


class Operator:
    """Runs commands on a pipeline of its own. `MappingState` is Disabled, so only `process` reads the stream."""

    def __init__(self, emulator: Emulator, package: Path) -> None:
        self.client = emulator.client
        deployment = Deployment(
            self.client("cloudformation"),
            self.client("s3"),
            prefix=f"{PREFIX}-{STAGE}",
            stacks=("stream", "storage", "processor"),
        )
        self.outputs = deployment.deploy({"processor": package}, {"MappingState": "Disabled"})
        self._environment = emulator.environment(os.environ)

    def run(
        self,
        *arguments: str,
        endpoint: str | None = None,
        code: int = 0,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[str, str]:
        """Run a command in this process, which starts faster. Returns stdout and stderr. `code` is the exit code.

        `variables` are further variables of its environment.
        """
        environment: Mapping[str, str | None] = {
            **dict.fromkeys(name for name in os.environ if name.startswith("AWS_")),
            **self._with(endpoint),
            **variables,
        }
        result = CliRunner().invoke(app, [*arguments, *_target(arguments)], env=environment)
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert result.exit_code == code, f"{result.stdout}\n{result.stderr}"
        return result.stdout, result.stderr

    def run_process(self, *arguments: str, endpoint: str | None = None) -> tuple[str, str]:
        """Run a command in a process of its own, as a person does. Returns stdout and stderr. It must exit with 0."""
        process = self.start(*arguments, endpoint=endpoint)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, f"{stdout}\n{stderr}"
        return stdout, stderr

    def start(
        self, *arguments: str, endpoint: str | None = None, variables: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.Popen[str]:
        """Start a command in a process of its own, to interrupt or kill it. `variables` are as in `run`."""
        return subprocess.Popen(
            [sys.executable, "-m", "operations", *arguments, *_target(arguments)],
            cwd=ROOT,
            env={**self._with(endpoint), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        """The messages in quarantine."""
        return [json.loads(line) for line in self.run("quarantine", "list", "--json", *arguments)[0].splitlines()]

    def put(self, data: bytes, key: str) -> None:
        """Put a record on the stream."""
        self.client("kinesis").put_record(StreamName=self.outputs["StreamName"], Data=data, PartitionKey=key)

    def process(self) -> None:
        """Let the deployed function process what is on the stream."""
        with connect(self.client, self.outputs["EventSourceMappingId"], poll_interval_seconds=0.02) as runner:
            assert runner.wait_until_caught_up(PATIENCE)

    def on_stream(self) -> list[tuple[str, bytes]]:
        """Every record of the stream with its partition key, in order."""
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
        """The keys of the objects in the archive bucket that start with a prefix."""
        listing = self.client("s3").list_objects_v2(Bucket=self.outputs["ArchiveBucket"], Prefix=prefix)
        return [found["Key"] for found in listing.get("Contents", [])]

    def _with(self, endpoint: str | None) -> dict[str, str]:
        return self._environment if endpoint is None else self._environment | {"AWS_ENDPOINT_URL": endpoint}


def _target(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return () if "--stage" in arguments else ("--stack-prefix", PREFIX, "--stage", STAGE)


def make_quote(symbol: str, second: float = 0, price: int = 100) -> Quote:
    """A quote `second` seconds after the open of 23 November 2026."""
    time = datetime(2026, 11, 23, 14, 30, tzinfo=UTC) + timedelta(seconds=second)
    return Quote(symbol=symbol, event_time=time, price=Decimal(price), source="synthetic", ingest_time=time)


def lane_key(symbol: str) -> str:
    """The partition key of a symbol's lane."""
    return partition_key(lane_of(symbol, LANES), LANES)


def other_lane_key(symbol: str) -> str:
    """The partition key of a lane that the symbol does not belong to."""
    return partition_key((lane_of(symbol, LANES) + 1) % LANES, LANES)
