"""A deployment keeps what is not named, says what changes, and refuses mistakes before it changes anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configuration import RULES_KEY, WATCHLIST_KEY
from deployment.cloudformation import outputs_of
from deployment.deployer import Deployment
from processor_lambda.alerts.rules_file import DEFAULT_FILE
from replica.emulator import Emulator
from tests.support import deploy_command
from watchlist import SYNTHETIC_SYMBOLS, written

OUR_STACKS = "stockstream-again"
OPTIONS = ["--architecture", "native", "--stage", "again"]
RULES = "[[rule]]\nkind = 'rsi'\n\n[[rule]]\nkind = 'price_move'\nname = 'big'\npercent = 20\n"


def run(emulator: Emulator, *arguments: str, code: int = 0) -> str:
    """What the command prints before it deploys, and what it reports then."""
    return deploy_command.run(emulator, "deploy", *OPTIONS, *arguments, code=code)


def parameters(emulator: Emulator, stack: str) -> dict[str, str]:
    (found,) = emulator.client("cloudformation").describe_stacks(StackName=f"{OUR_STACKS}-{stack}")["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}


def rules_of(emulator: Emulator) -> bytes:
    """The alert rules in S3."""
    (storage,) = emulator.client("cloudformation").describe_stacks(StackName="stockstream-again-storage")["Stacks"]
    stored = emulator.client("s3").get_object(Bucket=outputs_of(storage)["ArchiveBucket"], Key=RULES_KEY)
    content: bytes = stored["Body"].read()
    return content


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
    assert rules_of(emulator) == RULES.encode()

    key = parameters(emulator, "processor")["CodeKey"]
    wrong = folder / "none.toml"
    assert "none.toml" in run(emulator, "--rules", str(wrong), code=1)
    changed = folder / "changed.toml"
    changed.write_text(RULES.replace("20", "30").replace("rsi", "split"))
    said = run(emulator, "--rules", str(changed))
    assert "alert rules: adds the rule split\n" in said
    assert "alert rules: removes the rule rsi\n" in said
    assert "alert rules: changes the rule big\n" in said
    assert "stockstream-again-processor is up to date" in said  # rules are no code
    assert parameters(emulator, "processor")["CodeKey"] == key
    assert rules_of(emulator) == changed.read_bytes()
    assert (parameters(emulator, "processor")["BatchSize"], parameters(emulator, "stream")["RetentionHours"]) == (
        "7",
        "48",
    )

    said = run(emulator, "--rules", "default", "--reset", "RetentionHours")
    assert "alert rules: adds the rule rsi\n" in said
    assert "alert rules: removes the rule big\n" in said
    assert rules_of(emulator) == DEFAULT_FILE.read_bytes()
    assert "  RetentionHours: 48 → (its default)\n" in said
    assert parameters(emulator, "stream")["RetentionHours"] == "24"
    assert "rule" not in run(emulator)


@pytest.mark.usefixtures("folder")
def test_symbols_that_are_too_many_for_a_parameter_of_cloudformation_are_deployed(
    emulator: Emulator, tmp_path: Path
) -> None:
    def stored() -> bytes:
        stack = f"{OUR_STACKS}-storage"
        (found,) = emulator.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        (bucket,) = [each["OutputValue"] for each in found["Outputs"] if each["OutputKey"] == "ArchiveBucket"]
        content: bytes = emulator.client("s3").get_object(Bucket=bucket, Key=WATCHLIST_KEY)["Body"].read()
        return content

    assert stored() == written(SYNTHETIC_SYMBOLS)  # nobody has named any
    path = tmp_path / "watchlist.toml"
    path.write_bytes(b"# Everything.\n" + written([f"SYMBOL{number}" for number in range(1_500)]))
    assert len(path.read_bytes()) > 4_096  # the longest value of a parameter
    said = run(emulator, "--watchlist", str(path))
    assert "watchlist: group default: added SYMBOL0, SYMBOL1, " in said
    assert "and 1,480 more\n" in said
    assert stored() == path.read_bytes()

    said = run(emulator)
    assert "watchlist" not in said
    assert stored() == path.read_bytes()

    path.write_bytes(written([f"SYMBOL{number}" for number in range(5_000)]))
    assert "PRODUCER_LANES: a lane of 4 would hold" in run(emulator, "--watchlist", str(path), code=2)
    assert "watchlist: group default: added AAPL, KO\n" in run(emulator, "--parameter", "Symbols=AAPL,KO")
    assert stored() == written(["AAPL", "KO"])


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
        *("--parameter", "LogLevel=info", "--reset", "Nothing"),
        code=2,
    )
    assert said == (
        f"error: {stage} line 2: no template has a parameter Batchsize (did you mean BatchSize?)\n"
        f"  {stage} line 3: RetentionHours=1: must be at least 24\n"
        f"  {stage} line 4: StreamMode=MANY: must be one of: PROVISIONED, ON_DEMAND\n"
        "  --parameter / PARAMETERS: BatchSize=x: must be a number\n"
        "  --parameter / PARAMETERS: LogLevel is a parameter of the stack producer, which only --whole deploys\n"
        "  --reset / RESET: no template has a parameter Nothing; the templates in infra/cloudformation list all\n"
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
