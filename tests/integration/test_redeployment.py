"""A deployment keeps what is not named, says what changes, and refuses mistakes before it changes anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployment.deployer import Deployment
from replica.emulator import Emulator
from tests.support import deploy_command

OPTIONS = ["--architecture", "native", "--stage", "again"]
RULES = "[[rule]]\nkind = 'rsi'\n\n[[rule]]\nkind = 'price_move'\nname = 'big'\npercent = 20\n"


def run(emulator: Emulator, *arguments: str, code: int = 0) -> str:
    """What the command prints before it deploys, and what it reports then."""
    return deploy_command.run(emulator, "deploy", *OPTIONS, *arguments, code=code)


def parameters(emulator: Emulator, stack: str) -> dict[str, str]:
    (found,) = emulator.client("cloudformation").describe_stacks(StackName=f"stockstream-again-{stack}")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}


def on_a_terminal(emulator: Emulator, answer: bytes, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of the command on a terminal on which somebody gives this answer."""
    return deploy_command.run_on_a_terminal(emulator, b"Deploy these changes?", answer, "deploy", *OPTIONS, *arguments)


@pytest.fixture(scope="module")
def folder(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stage file that names rules. The stage is deployed by it."""
    folder = tmp_path_factory.mktemp("stage")
    (folder / "rules.toml").write_text(RULES)
    (folder / "again.env").write_text("MappingState=Disabled\nBatchSize=7\nRULES=rules.toml\n")
    assert "  a new stack\n" in run(emulator, "--parameters-file", str(folder / "again.env"))
    return folder


def test_what_is_not_named_stays_as_it_is(emulator: Emulator, folder: Path) -> None:
    said = run(emulator, "--parameter", "RetentionHours=48")
    assert "  RetentionHours: 24 → 48\n  modify Stream (AWS::Kinesis::Stream)\n" in said.replace(
        "modify, or replace,", "modify"
    )
    assert "stockstream-again-processor is up to date" in said
    assert "rule" not in said
    assert parameters(emulator, "processor")["BatchSize"] == "7"

    key = parameters(emulator, "processor")["CodeKey"]
    wrong = folder / "none.toml"
    assert "none.toml" in run(emulator, "--rules", str(wrong), code=1)
    changed = folder / "changed.toml"
    changed.write_text(RULES.replace("20", "30").replace("rsi", "split"))
    said = run(emulator, "--rules", str(changed))
    assert "alert rules: adds the rule split\n" in said
    assert "alert rules: removes the rule rsi\n" in said
    assert "alert rules: changes the rule big\n" in said
    assert "  other code or rules of the function\n" in said
    assert parameters(emulator, "processor")["CodeKey"] != key
    assert (parameters(emulator, "processor")["BatchSize"], parameters(emulator, "stream")["RetentionHours"]) == (
        "7",
        "48",
    )

    said = run(emulator, "--rules", "default", "--reset", "RetentionHours")
    assert "alert rules: adds the rule rsi\n" in said
    assert "alert rules: removes the rule big\n" in said
    assert "  RetentionHours: 48 → (its default)\n" in said
    assert parameters(emulator, "stream")["RetentionHours"] == "24"
    assert "rule" not in run(emulator)


@pytest.mark.usefixtures("folder")
def test_on_a_terminal_a_change_is_confirmed(emulator: Emulator) -> None:
    before = parameters(emulator, "processor")
    code, output = on_a_terminal(emulator, b"n\n", "--parameter", "BatchSize=9")
    assert code == 1
    assert "BatchSize: 7 → 9" in output
    assert parameters(emulator, "processor") == before

    code, output = on_a_terminal(emulator, b"y\n", "--parameter", "BatchSize=9")
    assert code == 0
    assert parameters(emulator, "processor")["BatchSize"] == "9"


def test_every_mistake_is_reported_at_once_and_nothing_is_deployed(emulator: Emulator, tmp_path: Path) -> None:
    stage = tmp_path / "wrong.env"
    stage.write_text("# a comment\nBatchsize=7\nRetentionHours=1\nStreamMode=MANY\n")
    said = run(
        emulator,
        *("--prefix", "wrong", "--parameters-file", str(stage), "--parameter", "BatchSize=x"),
        *("--parameter", "Symbols=AAPL", "--reset", "Lane"),
        code=2,
    )
    assert said == (
        f"error: {stage} line 2: no template has a parameter Batchsize (did you mean BatchSize?)\n"
        f"  {stage} line 3: RetentionHours=1: must be at least 24\n"
        f"  {stage} line 4: StreamMode=MANY: must be one of: PROVISIONED, ON_DEMAND\n"
        "  --parameter / PARAMETERS: BatchSize=x: must be a number\n"
        "  --parameter / PARAMETERS: Symbols is a parameter of the stack producer, which only --whole deploys\n"
        "  --reset / RESET: no template has a parameter Lane; the templates in infra/cloudformation list all\n"
    )
    stacks = emulator.client("cloudformation").describe_stacks()["Stacks"]
    assert not [stack for stack in stacks if stack["StackName"].startswith("wrong")]


def test_a_subscribed_queue_gets_the_alerts_of_the_severities_that_are_named(
    emulator: Emulator, alerts_queue: tuple[str, str]
) -> None:
    topic, queue = alerts_queue
    for severity in ("info", "critical"):
        emulator.client("sns").publish(
            TopicArn=topic,
            Message=json.dumps({"severity": severity}),
            MessageAttributes={"severity": {"DataType": "String", "StringValue": severity}},
        )
    messages = emulator.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10, MaxNumberOfMessages=10)
    assert [json.loads(message["Body"]) for message in messages["Messages"]] == [{"severity": "critical"}]


@pytest.fixture
def alerts_queue(emulator: Emulator) -> tuple[str, str]:
    """The alerts topic of a deployment with a subscribed queue for critical alerts, and the queue's URL."""
    wanted = {"AlertsQueue": "true", "AlertsSeverities": "critical", "AlertsUrl": "https://alerts.example.org/x"}
    deployment = Deployment(
        emulator.client("cloudformation"), emulator.client("s3"), "alerted", stacks=("storage", "subscriptions")
    )
    outputs = deployment.deploy({}, wanted)
    return outputs["AlertsTopicArn"], outputs["AlertsQueueUrl"]
