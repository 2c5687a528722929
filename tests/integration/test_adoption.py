"""A stage that is protected, destroyed after a confirmation, and comes back with everything that it kept."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry

from configuration import RULES_KEY
from deployment.adoption import Adopter
from deployment.deployer import Deployment
from deployment.errors import ParameterError
from deployment.place import Place
from lane_state import ANOTHER_STREAM, LaneState, pack, unpack
from producer_service.deduplication import deduplicate
from producer_service.handover import Handover
from producer_service.health import Health
from producer_service.journal import Journal
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.s3_handover_store import S3HandoverStore
from quotes import Heartbeat, Line, encode, lane_of, partition_key
from replica.emulator import Emulator
from tests.support.deploy_command import run, run_on_a_terminal
from tests.support.handler_process import HandlerProcess, event_record
from tests.support.quotes import OPEN, make_quote

STAGE = "back"
DEPLOY = ("deploy", "--architecture", "native", "--stage", STAGE, "--parameter", "MappingState=Disabled")
DESTROY = ("destroy", "--stage", STAGE)
LANES = 2
LANE = partition_key(lane_of("AAPL", LANES), LANES)
VARIABLES = {
    "QUOTES_TABLE": "QuotesTable",
    "BARS_TABLE": "BarsTable",
    "STATE_TABLE": "StateTable",
    "ALERTS_TABLE": "AlertsTable",
    "ARCHIVE_BUCKET": "ArchiveBucket",
    "ALERTS_TOPIC_ARN": "AlertsTopicArn",
    "QUARANTINE_QUEUE_URL": "QuarantineQueueUrl",
}
END = Heartbeat(lane=LANE, clock=OPEN + timedelta(minutes=1), complete_to=OPEN + timedelta(minutes=1))
KEPT = ("QuotesTable", "BarsTable", "StateTable", "AlertsTable", "ArchiveBucket")


@dataclass
class Stage:
    """The stage, as the commands left it."""

    emulator: Emulator
    folder: Path

    def stacks(self) -> dict[str, dict[str, Any]]:
        found = self.emulator.client("cloudformation").describe_stacks()["Stacks"]
        prefix = f"stockstream-{STAGE}-"
        return {one["StackName"].removeprefix(prefix): one for one in found if one["StackName"].startswith(prefix)}

    def outputs(self) -> dict[str, str]:
        stacks = self.stacks().values()
        return {one["OutputKey"]: one["OutputValue"] for stack in stacks for one in stack["Outputs"]}

    def file(self, text: str) -> str:
        path = self.folder / f"{STAGE}.env"
        path.write_text(text)
        return str(path)

    def process(self, *records: dict[str, Any]) -> None:
        """Give a new instance of the function a batch."""
        variables = {variable: self.outputs()[output] for variable, output in VARIABLES.items()}
        function = HandlerProcess(self.emulator.environment() | variables | {"RULES_KEY": RULES_KEY})
        try:
            assert function.invoke({"Records": records}) == []
        finally:
            function.kill()


@pytest.fixture(scope="module")
def stage(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage that was created with a mapping that reads, and is destroyed at the end."""
    run(emulator, *DEPLOY[:-2])
    yield Stage(emulator, tmp_path_factory.mktemp("stage"))
    run(emulator, *DESTROY, "--confirm", STAGE)


def record(number: int, *lines: Line) -> dict[str, Any]:
    return event_record("000000000000", number, LANE, encode(lines))


def empty_outbox() -> Outbox:
    clock = {"clock": lambda: 1.0, "monotonic": lambda: 1.0, "jitter": lambda: 1.0}
    return Outbox(Journal(None, LANES), lanes=LANES, max_bytes=10**6, linger_seconds=0, **clock)


def handover(emulator: Emulator, bucket: str, stream: str, outbox: Outbox, patch: pytest.MonkeyPatch) -> Handover:
    for name, value in emulator.environment().items():
        patch.setenv(name, value)
    return Handover(
        S3HandoverStore(bucket, stream),
        outbox,
        outbox.restore,
        lambda: "20261128T101500",
        metrics=Metrics(CollectorRegistry()),
        health=Health(lambda: 0.0),
    )


def test_stacks_and_tables_are_protected_once_they_exist(stage: Stage) -> None:
    assert {stack["EnableTerminationProtection"] for stack in stage.stacks().values()} == {True}
    dynamodb, outputs = stage.emulator.client("dynamodb"), stage.outputs()
    for name in ("QuotesTable", "BarsTable", "StateTable", "AlertsTable"):
        assert dynamodb.describe_table(TableName=outputs[name])["Table"]["DeletionProtectionEnabled"]
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        stage.emulator.client("cloudformation").delete_stack(StackName=stage.stacks()["stream"]["StackId"])


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("Account=111122223333\n", "Account=111122223333, but the credentials lead to account 000000000000"),
        ("Region=eu-central-1\n", "Region=eu-central-1, but the credentials lead to account 000000000000, region us-e"),
    ],
)
def test_another_account_or_region_is_refused_before_anything(stage: Stage, file: str, said: str) -> None:
    before = stage.stacks()
    wrong = ("--parameters-file", stage.file(file))
    assert said in run(stage.emulator, *DESTROY, "--confirm", STAGE, *wrong, code=2)
    assert said in run(stage.emulator, *DEPLOY, "--parameter", "RetentionHours=48", *wrong, code=2)
    assert stage.stacks() == before


def test_the_stage_is_not_deleted_or_stopped_without_its_name(stage: Stage) -> None:
    before = stage.stacks()
    right = ("--parameters-file", stage.file("Account=000000000000\nRegion=us-east-1\n"))
    assert f"--confirm {STAGE}, or YES={STAGE}" in run(stage.emulator, *DESTROY, *right, code=2)
    assert "the stage is back, and not prod" in run(stage.emulator, *DESTROY, "--confirm", "prod", code=2)
    code, output = run_on_a_terminal(stage.emulator, b"Stage: ", b"dev\n", *DESTROY)
    assert (code, "the stage is back, and not dev" in output) == (2, True)
    assert stage.stacks() == before

    said = run(stage.emulator, *DEPLOY, "--yes", code=2)
    assert "this stops the stream: MappingState=Disabled" in said
    assert stage.stacks() == before
    run(stage.emulator, *DEPLOY, "--confirm", STAGE)


def test_a_stage_comes_back_with_its_tables_archive_state_and_undelivered_quotes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator, before = stage.emulator, stage.outputs()
    stage.process(record(10**6, make_quote(second=1)))
    undelivered = empty_outbox()
    undelivered.put(deduplicate(undelivered.histories, [make_quote(second=2)]))
    handover(emulator, before["ArchiveBucket"], "the-stream-before", undelivered, monkeypatch).store()

    said = run(emulator, *DESTROY, "--confirm", STAGE)
    names = [before[name] for name in KEPT]
    assert f"make deploy STAGE={STAGE} ADOPT='{' '.join(names)}'" in said
    assert stage.stacks() == {}

    assert "say what becomes of them" in run(emulator, *DEPLOY, code=2)
    assert stage.stacks() == {}
    adopt = [word for name in names for word in ("--adopt", name)]
    assert f"its lanes are of {LANES}, but Lanes=4" in run(emulator, *DEPLOY, *adopt, code=2)
    assert stage.stacks() == {}
    adopt += ["--parameter", f"Lanes={LANES}"]
    said = run(emulator, *DEPLOY, *adopt)
    assert f"adopts {before['StateTable']} as State" in said
    after = stage.outputs()
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    storage = {
        one["LogicalResourceId"]
        for one in emulator.client("cloudformation").describe_stack_resources(
            StackName=stage.stacks()["storage"]["StackId"]
        )["StackResources"]
    }
    assert {"Quotes", "Bars", "State", "StoredAlerts", "Archive", "ArchivePolicy", "Code", "Alerts"} <= storage
    assert emulator.client("s3").get_bucket_policy(Bucket=after["ArchiveBucket"])
    assert "the stack" not in run(emulator, *DEPLOY, *adopt), "the same command again changes nothing"

    outbox = empty_outbox()
    assert handover(emulator, after["ArchiveBucket"], after["StreamName"], outbox, monkeypatch).take_over() == 1
    assert deduplicate(outbox.histories, [make_quote(second=2)]).accepted == ()
    stage.process(record(1, make_quote(second=2)), record(2, make_quote(second=3), END))
    (bar,) = emulator.client("dynamodb").scan(TableName=after["BarsTable"])["Items"]
    assert bar["quotes"] == {"N": "3"}, "the minute has the quotes of both streams"


@pytest.fixture
def kept(emulator: Emulator) -> tuple[Deployment, Adopter]:
    """A deployment of stream and storage that was destroyed, and the adopter of what it left."""
    prefix = f"kept-{uuid4().hex[:8]}"
    cloudformation, s3 = emulator.client("cloudformation"), emulator.client("s3")
    deployment = Deployment(cloudformation, s3, prefix, stacks=("stream", "storage"))
    outputs = deployment.deploy({}, {"DeletionProtection": "true"})
    item = {"lane": {"S": LANE}, "last_sequence": {"S": str(10**50)}, "state": {"B": pack(LaneState())}}
    emulator.client("dynamodb").put_item(TableName=outputs["StateTable"], Item=item)
    deployment.destroy()
    clients = cloudformation, emulator.client("dynamodb"), s3
    return deployment, Adopter(*clients, Place("000000000000", "us-east-1"), f"{prefix}-storage", print)


@pytest.mark.parametrize("step", ["moved", "importing", "imported"])
def test_an_adoption_that_was_interrupted_is_completed_by_the_next_one(
    kept: tuple[Deployment, Adopter], step: str
) -> None:
    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if line.startswith(step):
            raise Killed

    deployment, adopter = kept
    bucket = next(name for name in adopter.find() if "archive" in name)
    adopter.s3.put_object(Bucket=bucket, Key="undelivered/old/1", Body=b"state")
    found = adopter.look_at(adopter.find(), lanes=str(LANES))
    assert {one.resource for one in found} == {"Quotes", "Bars", "State", "StoredAlerts", "Archive"}
    with pytest.raises(Killed) if step != "imported" else nullcontext():
        replace(adopter, report=kill).adopt(found, "new")
    if step != "imported":
        assert adopter.look_at(adopter.find(), lanes=None) == found
        adopter.adopt(found, "new")
    outputs = deployment.deploy({}, {"DeletionProtection": "true"})
    assert {outputs[name] for name in KEPT} == {one.name for one in found}
    table = adopter.dynamodb.get_item(TableName=outputs["StateTable"], Key={"lane": {"S": LANE}})["Item"]
    assert table["last_sequence"] == {"S": str(ANOTHER_STREAM)}
    assert unpack(table["state"]["B"]).position == ANOTHER_STREAM
    assert adopter.s3.get_object(Bucket=bucket, Key="undelivered/new/1")["Body"].read() == b"state"
    deployment.destroy()


def test_what_cannot_be_adopted_is_refused_before_anything_changes(
    emulator: Emulator, kept: tuple[Deployment, Adopter]
) -> None:
    _, adopter = kept
    adopter.dynamodb.create_table(
        TableName="other-key",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    theirs = boto3.client(
        "s3",
        endpoint_url=emulator.endpoint_url,
        aws_access_key_id="111122223333",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    theirs.create_bucket(Bucket="of-another-account")
    state = next(name for name in adopter.find() if "State" in name)
    newer = {"state": {"B": zlib.compress(msgspec.msgpack.encode({"version": 99, "state": {}, "last_sequence": "1"}))}}
    other = partition_key(1 - lane_of("AAPL", LANES), LANES)
    adopter.dynamodb.put_item(TableName=state, Item={"lane": {"S": other}, "last_sequence": {"S": "1"}, **newer})
    wrong = {
        "no-such-thing": "there is no table and no bucket of this name in account 000000000000",
        "other-key": "no table of a stage has the key id",
        "of-another-account": "the bucket belongs to another account or region",
        state: "its lanes are of 2, but Lanes=16; set Lanes to theirs",
    }
    with pytest.raises(ParameterError) as refusal:
        adopter.look_at(list(wrong), lanes="16")
    said = str(refusal.value)
    assert {line.partition(": ")[0] for line in said.splitlines()} == {f"cannot adopt {name}" for name in wrong}
    for name, reason in wrong.items():
        assert f"cannot adopt {name}: {reason}" in said
    assert f"{state}: {other}: the state has version 99" in said
    said = run(emulator, *DEPLOY[:-3], "unborn", "--adopt", "no-such-thing", code=2)
    assert "no-such-thing: there is no table and no bucket of this name" in said
    stacks = emulator.client("cloudformation").describe_stacks()["Stacks"]
    assert not [one for one in stacks if "unborn" in one["StackName"] or one["StackName"] == adopter.stack]
