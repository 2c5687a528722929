"""New releases of the function on a running stream: good ones stay, bad ones are rolled back, and no quote is lost."""

from __future__ import annotations

import json
import random
import re
import shlex
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

import operations.cli
from deployment import cli
from deployment.deployer import Deployment
from deployment.package import Target
from deployment.stacks import PIPELINE
from docker.deployer import go_live
from lane_state import WHOLE, LaneState, Position, Publication
from operations import sqs
from processor_lambda.alerts.rules_file import DEFAULT_FILE
from processor_lambda.alerts.rules_file import read as read_rules
from processor_lambda.fold import Fold, PositionedLine
from processor_lambda.rows import bar_row
from quotes import Quote, encode, encode_line
from replica.emulator import Emulator
from replica.event_source.aws import connect
from tests.fakes.rollback_triggers import RollbackTriggers
from tests.support.handler_zips import changed_zip
from tests.support.operator import PATIENCE, lane_key, make_quote
from tests.support.queues import bodies, subscribed

REFUSES_ALL = """

_parsed = parse_record


def parse_record(record: Record) -> ParsedRecord:
    parsed = _parsed(record)
    return ParsedRecord(record, (), tuple(BadLine(line.number, line.content, "a bug") for line in parsed.good))
"""
RAISES = "\n\ndef handler(event, context):\n    raise RuntimeError('a bug')\n"
FAILS_ON = "XBUG"
RAISES_SOMETIMES = f"""

import base64

_handle = handler


def handler(event, context):
    if any(b"{FAILS_ON}" in base64.b64decode(record["kinesis"]["data"]) for record in event["Records"]):
        raise RuntimeError("a bug")
    return _handle(event, context)
"""
SYMBOL = "ROLL"
LANE = "UPGRADE"
LANE_SYMBOLS = [name for name in (f"{LANE}{number}" for number in range(200)) if lane_key(name) == lane_key(LANE)][:20]
"""Symbols of one lane. A lane with fewer symbols takes one write unit anyway, and never needs a checkpoint."""


class Stage:
    """A stage whose function is deployed with the command, and whose stream is read when a test says so."""

    def __init__(self, emulator: Emulator, packages: dict[str, Path]) -> None:
        self.package, self.packages, self.client = packages["processor"], packages, emulator.client
        self.environment: Mapping[str, str] = emulator.environment()
        cloudformation = self.client("cloudformation")
        self.triggers = RollbackTriggers(cloudformation, self.client("cloudformation"), self.client("cloudwatch"))
        self._clients: dict[str, Any] = {"cloudformation": cloudformation}
        self.outputs = Deployment(
            cloudformation,
            self.client("s3"),
            "stockstream-rollout",
            stacks=(*PIPELINE, "operators", "observability"),
            tags={"application": "stockstream", "stage": "rollout"},
        ).deploy(
            packages,
            {
                "Architecture": Target.of_this_interpreter().architecture,
                "MappingState": "Disabled",
                "MonthlyBudgetUsd": "0",
            },
        )
        self._published: set[tuple[int, str]] = set()

    def deploy(self, package: Path, *options: str, code: int = 0) -> str:
        """Run the command with the zip of a release, while no alarm fires. Returns what it says.

        Afterwards, nothing happens any more while the alarms watch a release.
        """
        for alarm in self.client("cloudwatch").describe_alarms()["MetricAlarms"]:
            self.client("cloudwatch").set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="test")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                cli, "build", lambda function, *_, **__: {**self.packages, "processor": package}[function.name]
            )
            patch.setattr(boto3, "client", lambda name, **_: self._clients.get(name) or self.client(name))
            command = ["deploy", "--stage", "rollout", "--architecture", "native", "--yes", *options]
            done = CliRunner().invoke(cli.app, command)
        self.triggers.meanwhile = lambda: None
        assert done.exit_code == code, done.output
        return done.output

    def run(self, command: str) -> str:
        """Run a command of `python -m operations` that a message shows."""
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "operations"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqs, "_WAIT_SECONDS", 0)
            done = CliRunner().invoke(operations.cli.app, words[3:], env=self.environment)
        assert done.exit_code == 0, done.output
        return done.output

    def put(self, second: int) -> None:
        self.put_quotes([make_quote(SYMBOL, second)])

    def put_quotes(self, quotes: Sequence[Quote]) -> None:
        """Put quotes of one lane on the stream, in one record."""
        self.client("kinesis").put_record(
            StreamName=self.outputs["StreamName"], Data=encode(quotes), PartitionKey=lane_key(quotes[0].symbol)
        )

    def process(self) -> None:
        """Let the live version process what is on the stream, and publish its metrics."""
        self.invoke()
        self._publish_metrics()

    def invoke(self) -> None:
        """Let the live version process what is on the stream, until it has caught up or an invocation fails."""
        failed: list[object] = []

        def on_batch(report: Any) -> None:
            if report.result != "success":
                failed.append(report)

        mapping = self.outputs["EventSourceMappingId"]
        with connect(self.client, mapping, poll_interval_seconds=0.02, on_batch=on_batch) as runner:
            deadline = time.monotonic() + PATIENCE
            while not failed and not runner.wait_until_caught_up(0.1):
                assert time.monotonic() < deadline

    def _publish_metrics(self) -> None:
        """Publish the metrics in the function's log, as CloudWatch does and MiniStack does not."""
        logs, cloudwatch = self.client("logs"), self.client("cloudwatch")
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=self.outputs["LogGroup"]):
            for event in page["events"]:
                key = (event["timestamp"], event["message"])
                if key in self._published or '"_aws"' not in event["message"]:
                    continue
                self._published.add(key)
                line = json.loads(event["message"])
                (directive,) = line["_aws"]["CloudWatchMetrics"]
                dimensions = [{"Name": name, "Value": line[name]} for name in directive["Dimensions"][0]]
                data = [
                    {"MetricName": metric["Name"], "Value": line[metric["Name"]], "Dimensions": dimensions}
                    for metric in directive["Metrics"]
                ]
                cloudwatch.put_metric_data(Namespace=directive["Namespace"], MetricData=data)

    def live(self) -> dict[str, Any]:
        """The configuration of the version that the stream invokes."""
        found: dict[str, Any] = self.client("lambda").get_function_configuration(
            FunctionName=self.outputs["LiveAliasArn"]
        )
        return found

    def release(self) -> str:
        return str(self.live()["Environment"]["Variables"]["RELEASE"])

    def seconds_stored(self) -> list[int]:
        """The seconds of the quotes that have a row."""
        answer = self.client("dynamodb").query(
            TableName=self.outputs["QuotesTable"],
            KeyConditionExpression="symbol = :symbol",
            ExpressionAttributeValues={":symbol": {"S": SYMBOL}},
        )
        times = [datetime.fromisoformat(item["timestamp"]["S"]) for item in answer["Items"]]
        return [int((moment - datetime(2026, 11, 23, 14, 30, tzinfo=UTC)).total_seconds()) for moment in times]


@pytest.fixture(scope="module")
def stage(replica_python: str, packages: dict[str, Path]) -> Iterator[Stage]:
    """It has an emulator of its own, because MiniStack's alarms count the errors of all functions."""
    with Emulator(python=replica_python) as emulator:
        yield Stage(emulator, packages)


def test_a_changed_parameter_reaches_the_version_that_the_stream_invokes(stage: Stage) -> None:
    before, version = stage.release(), stage.live()["Version"]

    def meanwhile() -> None:
        stage.put(1)
        stage.process()

    stage.triggers.meanwhile = meanwhile
    said = stage.deploy(stage.package, "--parameter", "AnomalyPercent=7")
    assert "alarms that can roll the new release back within 10 minutes: 3\n" in said
    assert [len(names) for names in stage.triggers.monitored] == [3]
    assert stage.seconds_stored() == [1]
    live = stage.live()
    assert live["Environment"]["Variables"]["ANOMALY_PERCENT"] == "7"
    assert (int(live["Version"]), stage.release() != before) == (int(version) + 1, True)

    said = stage.deploy(stage.package, "--parameter", "BatchSize=7")
    assert "alarms that can" not in said
    assert stage.triggers.monitored[1:] == [()]
    assert stage.live()["Version"] == live["Version"]


def test_quotes_that_a_bad_release_quarantined_are_stored_after_its_rollback(stage: Stage, tmp_path: Path) -> None:
    good = stage.release()

    def meanwhile() -> None:
        assert stage.release() != good
        stage.put(2)
        stage.process()

    stage.triggers.meanwhile = meanwhile
    bad = changed_zip(stage.package, "processor_lambda/records.py", lambda text: text + REFUSES_ALL, tmp_path)
    said = stage.deploy(bad, code=1)
    assert "was rolled back: Alarms in ALARM: " in said
    assert stage.release() == good
    stage.put(3)
    stage.process()
    assert stage.seconds_stored() == [1, 3]

    (command,) = re.findall(r"^ *(python -m operations quarantine replay .*)$", said, re.MULTILINE)
    assert "replayed 1 lines; 1 of 1 messages left the quarantine" in stage.run(command)
    stage.process()
    assert stage.seconds_stored() == [1, 2, 3]


def test_batches_on_which_a_bad_release_fails_are_processed_after_its_rollback(stage: Stage, tmp_path: Path) -> None:
    good = stage.release()

    def meanwhile() -> None:
        stage.put(4)
        stage.process()
        stage.client("cloudwatch").put_metric_data(Namespace="any", MetricData=[{"MetricName": "any", "Value": 1}])

    stage.triggers.meanwhile = meanwhile
    bad = changed_zip(stage.package, "processor_lambda/app.py", lambda text: text + RAISES, tmp_path)
    said = stage.deploy(bad, code=1)
    assert "FunctionFailing" in said.partition("was rolled back")[2]
    assert stage.release() == good
    assert 4 not in stage.seconds_stored()
    stage.process()
    assert 4 in stage.seconds_stored()


def test_a_release_that_cannot_read_the_lane_states_is_refused_before_anything_changes(
    stage: Stage, tmp_path: Path
) -> None:
    before = stage.release()
    earlier = changed_zip(
        stage.package, "lane_state/codec.py", lambda text: text.replace("READS = 2", "READS = 1"), tmp_path
    )
    said = stage.deploy(earlier, "--parameter", "RetentionHours=48", code=1)
    assert "error: nothing was deployed:\n" in said
    assert "writes lane states of version 2, but this one reads only up to 1" in said
    stack = stage.client("cloudformation").describe_stacks(StackName="stockstream-rollout-stream")["Stacks"][0]
    assert {"ParameterKey": "RetentionHours", "ParameterValue": "24"} in stack["Parameters"]
    assert stage.release() == before


def only_version_1(codec: str) -> str:
    """A function from before version 2, which knows nothing of checkpoints."""
    assert "READS = 2\n" in codec
    old = codec.replace("READS = 2\n", "READS = 1\n").replace("WRITES = 2\n", "WRITES = 1\n")
    return old + "\n\ndef unpack_checkpoint(packed):\n    return None\n"


class Market:
    """Quotes of the symbols of one lane, minute by minute, and what a function that nobody replaces makes of them."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.minutes = stage, 0
        percent = Decimal(stage.live()["Environment"]["Variables"]["ANOMALY_PERCENT"])
        self._state, self._fold = LaneState(), Fold(read_rules(DEFAULT_FILE, percent))
        self.decided: list[Publication] = []

    def trade(self, exchange: str | None = None) -> None:
        """Let the live version process the quotes of another minute."""
        chance = random.Random(self.minutes)
        quotes = [
            replace(
                make_quote(name, 60 * self.minutes, chance.randint(90, 110)),
                previous_close=Decimal(100),
                exchange=exchange,
            )
            for name in LANE_SYMBOLS
        ]
        self.stage.put_quotes(quotes)
        self.stage.invoke()
        self.minutes += 1
        position = Position(self.minutes, WHOLE)
        lines = [PositionedLine(position, encode_line(quote), quote) for quote in quotes]
        self._state = self._fold(self._state, lines, position, {}).state
        self.decided += self._state.pending

    def trade_until_version_2(self) -> None:
        """Trade until the lane's item is of version 2, which its first checkpoint makes it."""
        for _ in range(8):
            self.trade()
            if self.version() == 2:
                return
        raise AssertionError("the lane has no checkpoint")

    def bars(self) -> list[dict[str, object]]:
        """The bars that are stored."""
        rows = []
        for name in LANE_SYMBOLS:
            answer = self.stage.client("dynamodb").query(
                TableName=self.stage.outputs["BarsTable"],
                KeyConditionExpression="symbol = :symbol",
                ExpressionAttributeValues={":symbol": {"S": name}},
            )
            rows += [
                {key: value.get("S") or Decimal(value["N"]) for key, value in item.items()} for item in answer["Items"]
            ]
        return rows

    def version(self) -> int:
        """The version of the lane's item."""
        table = self.stage.outputs["StateTable"]
        item = self.stage.client("dynamodb").get_item(TableName=table, Key={"lane": {"S": lane_key(LANE)}})["Item"]
        return int(msgspec.msgpack.decode(zlib.decompress(item["state"]["B"]))["version"])


def test_a_lane_goes_through_both_versions_of_its_state_and_loses_and_repeats_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    market = Market(stage)
    old = changed_zip(stage.package, "lane_state/codec.py", only_version_1, tmp_path / "old")
    bad = changed_zip(stage.package, "processor_lambda/app.py", lambda text: text + RAISES_SOMETIMES, tmp_path)

    def meanwhile() -> None:
        market.trade_until_version_2()
        market.trade(exchange=FAILS_ON)
        stage.client("cloudwatch").put_metric_data(Namespace="any", MetricData=[{"MetricName": "any", "Value": 1}])

    with subscribed(stage.client, stage.outputs["AlertsTopicArn"]) as queue:
        market.trade_until_version_2()
        stage.deploy(stage.package, "--parameter", "StateVersion=1")
        market.trade()
        assert market.version() == 1
        stage.deploy(old)
        market.trade()

        assert "this deployment writes lane states of version 1, " in stage.deploy(stage.package)
        market.trade()
        assert market.version() == 1

        stage.triggers.meanwhile = meanwhile
        assert "was rolled back" in stage.deploy(bad, code=1)
        market.trade()
        assert market.version() == 1

        stage.deploy(stage.package)
        market.trade_until_version_2()
        assert "First deploy the commit that is deployed now with StateVersion=1" in stage.deploy(old, code=1)
        published = bodies(stage.client("sqs"), queue)

    bars = [bar_row(one.bar, 365) for one in market.decided if one.bar is not None]
    assert len(bars) == (market.minutes - 1) * len(LANE_SYMBOLS)
    by_key = itemgetter("symbol", "key")
    assert sorted(market.bars(), key=by_key) == sorted(bars, key=by_key)
    alerts = sorted(one.alert.id for one in market.decided if one.alert is not None)
    assert alerts
    assert sorted(alert["id"] for alert in published) == alerts


def test_compose_makes_live_what_its_cloudformation_changed_in_the_function_alone(stage: Stage) -> None:
    function, before = stage.outputs["FunctionName"], stage.live()
    variables = before["Environment"]["Variables"] | {"ANOMALY_PERCENT": "9"}
    stage.client("lambda").update_function_configuration(FunctionName=function, Environment={"Variables": variables})
    assert stage.live()["Version"] == before["Version"]
    for _ in range(2):  # the deployer starts again with each restart of its container
        go_live(stage.client("lambda"), function)
        assert stage.live()["Version"] == str(int(before["Version"]) + 1)
    assert stage.live()["Environment"]["Variables"] == variables
