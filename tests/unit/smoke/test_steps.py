"""Each step asks AWS for what it needs, and undoes what it made."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.functions import PROCESSOR
from deployment.stacks import Outputs
from smoke import deployer
from smoke.accepted_log import AcceptedLog
from smoke.alarms import Alarms
from smoke.athena import Athena
from smoke.checks import Identity, SavedQuery, Span
from smoke.deadline import Deadline
from smoke.deployer import CommandDeployer, failing_zip
from smoke.errors import CommandFailed, QueryFailed
from smoke.function import Function
from smoke.notices import Notices
from smoke.quotes import Quotes
from smoke.runner import CleanUps, Runner
from smoke.stage import Stage
from smoke.symbols import Symbols
from smoke.tasks import Tasks
from smoke.verdicts import Failed, LeftOut, Passed, Verdict
from smoke.wiring import actions
from tests.fakes.smoke_clock import START, StillClock
from tests.fakes.smoke_stage import RecordedCommands, ScriptedAws, refusal

TOPIC = "arn:aws:sns:eu-central-1:123456789012:operators"
OUTPUTS = {
    "ArchiveBucket": "archive",
    "ClusterName": "cluster",
    "FunctionName": "processor",
    "OperatorsTopicArn": TOPIC,
    "ProducerLogGroup": "producer",
    "ServiceName": "producer",
    "StreamName": "stream",
}
ALARM = {
    "AlarmName": "StateLarge-1",
    "StateValue": "OK",
    "AlarmActions": [TOPIC],
    "ActionsEnabled": True,
}


def resources(**named: str) -> Any:
    """What ListStackResources answers: resources of a type in one stack, by their logical ids."""

    def answer(**arguments: str) -> Any:
        found = named.items() if arguments["StackName"].endswith("producer-alarms") else ()
        return {
            "StackResourceSummaries": [
                {"LogicalResourceId": name, "PhysicalResourceId": f"{name}-1", "ResourceType": kind}
                for name, kind in found
            ]
        }

    return answer


class Bench:
    """A stage whose AWS answers as a test says."""

    def __init__(self, **answers: Any) -> None:
        self.time = StillClock()
        self.aws = ScriptedAws({name.replace("__", "."): answer for name, answer in answers.items()})
        self.stage = Stage("stockstream", "dev", self.aws.client, self.time.clock(), dict(OUTPUTS))
        self.clean_ups = CleanUps()
        self.commands = RecordedCommands()
        self.deadline = Deadline(self.stage.clock, self.time.seconds + 60)

    def clean_up(self) -> dict[str, Verdict]:
        runner = Runner(self.stage.clock, self.clean_ups)
        runner.run([], {})
        return {result.step: result.verdict for result in runner.results}


class KnownQuotes(Quotes):
    """The quotes that a test names, in place of those of an archive."""

    def __init__(self, stage: Stage, identities: frozenset[Identity]) -> None:
        super().__init__(stage)
        self.identities = identities

    def archived(self, span: Span) -> frozenset[Identity]:  # noqa: ARG002  (the signature is that of an archive)
        return self.identities

    def accepted(self, span: Span) -> int:  # noqa: ARG002  (the signature is that of an archive)
        return 47


class TestTaskStop:
    TASK, NEXT = "arn:aws:ecs:eu-central-1:1:task/cluster/one", "arn:aws:ecs:eu-central-1:1:task/cluster/two"

    def bench(self, digest: str = "sha256:1", code: str = "UserInitiated") -> tuple[Bench, Tasks]:
        running = [self.TASK]

        def stop(**_: Any) -> None:
            running[:] = [self.NEXT]

        def tasks(tasks: list[str], **_: Any) -> Any:
            return {
                "tasks": [
                    {
                        "taskArn": task,
                        "lastStatus": "RUNNING",
                        "healthStatus": "HEALTHY",
                        "startedAt": START,
                        "containers": [{"imageDigest": digest}],
                    }
                    for task in tasks
                ]
            }

        bench = Bench(
            ecs__list_tasks=lambda **_: {"taskArns": list(running)},
            ecs__describe_tasks=tasks,
            ecs__stop_task=stop,
            events__describe_rule={"EventPattern": json.dumps({"detail": {"stopCode": [code]}})},
            cloudformation__list_stack_resources=resources(TaskStopped="AWS::Events::Rule"),
        )
        notices = Notices(bench.stage, bench.clean_ups, texts=[f"stopped: {self.TASK}"])
        quotes = KnownQuotes(bench.stage, frozenset({("AAPL", "2026-11-23T14:31:00.000Z")}))
        return bench, Tasks(bench.stage, notices, quotes)

    def test_the_task_is_stopped_with_a_reason_and_replaced(self) -> None:
        bench, tasks = self.bench()
        assert tasks.stop_one(bench.deadline) == Passed("task one was stopped (announced), and two replaced it")
        (stopped,) = bench.aws.called("ecs.stop_task")
        assert stopped["task"] == self.TASK
        assert "smoke test" in stopped["reason"]

    def test_a_rule_that_leaves_out_such_stops_is_asked_for_no_notice(self) -> None:
        bench, tasks = self.bench(code="EssentialContainerExited")
        verdict = tasks.stop_one(bench.deadline)
        assert isinstance(verdict, Passed)
        assert "not announced" in verdict.seen

    def test_without_a_container_nothing_is_stopped(self) -> None:
        bench, tasks = self.bench(digest="")
        assert isinstance(tasks.stop_one(bench.deadline), LeftOut)
        assert bench.aws.called("ecs.stop_task") == []

    def test_a_service_without_a_task_fails(self) -> None:
        bench, _ = self.bench()
        paused = Bench(ecs__list_tasks={"taskArns": []})
        tasks = Tasks(paused.stage, Notices(bench.stage, bench.clean_ups), KnownQuotes(paused.stage, frozenset()))
        assert isinstance(tasks.stop_one(paused.deadline), Failed)


class FakeDeployer:
    """Deploys a function that fails, which ends as a test says."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.code = "processor/good.zip"
        self.deployed = 0

    def deploy(self, deadline: Deadline) -> Outputs:
        assert deadline.seconds_left > 0
        self.deployed += 1
        self.code = "processor/good.zip"
        return OUTPUTS

    def put_function(self, code: Path, deadline: Deadline) -> None:
        assert deadline.seconds_left > 0
        with zipfile.ZipFile(code) as archive:
            assert PROCESSOR.handler.startswith("processor_lambda.app.")
            assert b"raise" in archive.read("processor_lambda/app.py")
        if self.error is not None:
            raise self.error
        self.code = "processor/bad.zip"

    def destroy(self, _: Deadline) -> None:
        raise AssertionError("nothing should destroy the stage")


class TestRollback:
    def bench(
        self, error: Exception | None = None, *, stays: bool = True, knows_triggers: bool = True, **answers: Any
    ) -> tuple[Bench, FakeDeployer, Function]:
        deployer = FakeDeployer(error)

        def stacks(**_: Any) -> Any:
            stack: dict[str, Any] = {
                "StackStatus": "UPDATE_ROLLBACK_COMPLETE" if error else "UPDATE_COMPLETE",
                "Parameters": [{"ParameterKey": "CodeKey", "ParameterValue": deployer.code}],
            }
            return {"Stacks": [stack | ({"RollbackConfiguration": {}} if knows_triggers else {})]}

        bench = Bench(
            **{
                "cloudformation__describe_stacks": stacks,
                "lambda__get_alias": lambda **_: {"FunctionVersion": "4" if "bad" in deployer.code else "3"},
                **answers,
            }
        )
        return bench, deployer, Function(bench.stage, deployer, bench.clean_ups, stays=stays)

    def test_a_version_that_fails_is_rolled_back_and_nothing_is_restored(self) -> None:
        bench, deployer, function = self.bench(DeploymentError("ended as UPDATE_ROLLBACK_COMPLETE"))
        assert isinstance(function.rolls_back(bench.deadline), Passed)
        assert bench.clean_up() == {"restore the function": Passed("the function has the code from before")}
        assert deployer.deployed == 0

    def test_a_version_that_stays_is_a_failure_and_the_function_is_restored(self) -> None:
        bench, deployer, function = self.bench()
        verdict = function.rolls_back(bench.deadline)
        assert verdict == Failed(
            "the deployment of a version that fails ends in a rollback", "it succeeded, as version 4"
        )
        assert bench.clean_up() == {"restore the function": Passed("the function has the code from before")}
        assert deployer.deployed == 1

    def test_a_stage_that_is_removed_is_not_restored(self) -> None:
        bench, deployer, function = self.bench(stays=False)
        assert isinstance(function.rolls_back(bench.deadline), Failed)
        assert bench.clean_up() == {}
        assert deployer.deployed == 0

    def test_without_an_alias_nothing_is_deployed(self) -> None:
        bench, deployer, function = self.bench(lambda__get_alias=refusal("ResourceNotFoundException"))
        assert function.rolls_back(bench.deadline) == LeftOut(
            "the function has no alias live, so this stage has no rollback"
        )
        assert deployer.code == "processor/good.zip"

    def test_a_cloudformation_that_does_not_know_rollback_triggers_is_left_out(self) -> None:
        bench, deployer, function = self.bench(knows_triggers=False)
        assert isinstance(function.rolls_back(bench.deadline), LeftOut)
        assert deployer.code == "processor/good.zip"

    def test_the_zip_that_fails_has_the_handler_of_the_template(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(failing_zip(tmp_path)) as archive:
            names: dict[str, Any] = {}
            exec(archive.read("processor_lambda/app.py"), names)
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}  # Lambda can read them
        with pytest.raises(RuntimeError, match="fails on purpose"):
            names["handler"]({}, None)


class TestNotices:
    def bench(self, **answers: Any) -> tuple[Bench, Notices]:
        url = "https://sqs/queue"
        bench = Bench(
            **{
                "sqs__create_queue": {"QueueUrl": url},
                "sqs__get_queue_url": {"QueueUrl": url},
                "sqs__get_queue_attributes": {"Attributes": {"QueueArn": "arn:aws:sqs:eu-central-1:1:smoke"}},
                "sqs__set_queue_attributes": None,
                "sqs__delete_queue": None,
                "sns__subscribe": None,
                "sns__unsubscribe": None,
                "sns__list_subscriptions_by_topic": {
                    "Subscriptions": [
                        {"Endpoint": "arn:aws:sqs:eu-central-1:1:smoke", "SubscriptionArn": "ours"},
                        {"Endpoint": "operators@example.org", "SubscriptionArn": "theirs"},
                    ]
                },
                **answers,
            }
        )
        return bench, Notices(bench.stage, bench.clean_ups, name="smoke")

    def test_only_the_topic_may_write_to_the_queue(self) -> None:
        bench, notices = self.bench()
        assert isinstance(notices.listen(bench.deadline), Passed)
        (settings,) = bench.aws.called("sqs.set_queue_attributes")
        (statement,) = json.loads(settings["Attributes"]["Policy"])["Statement"]
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}

    def test_the_queue_and_its_subscription_are_removed_and_no_other(self) -> None:
        bench, notices = self.bench()
        notices.listen(bench.deadline)
        assert set(map(type, bench.clean_up().values())) == {Passed}
        assert bench.aws.called("sns.unsubscribe") == [{"SubscriptionArn": "ours"}]
        assert len(bench.aws.called("sqs.delete_queue")) == 1

    def test_a_queue_that_was_not_made_is_no_trouble_for_the_clean_up(self) -> None:
        bench, notices = self.bench(
            sqs__create_queue=refusal("AccessDenied"),
            sqs__get_queue_url=refusal("AWS.SimpleQueueService.NonExistentQueue"),
            sns__list_subscriptions_by_topic={"Subscriptions": []},
        )
        with pytest.raises(type(refusal("AccessDenied"))):
            notices.listen(bench.deadline)
        assert set(map(type, bench.clean_up().values())) == {Passed}

    def test_an_alarm_is_set_and_reset_and_its_notice_awaited(self) -> None:
        bench, notices = self.bench(
            cloudwatch__set_alarm_state=None,
            cloudformation__list_stack_resources=resources(StateLarge="AWS::CloudWatch::Alarm"),
        )
        notices.texts.append('{"AlarmName": "StateLarge-1"}')
        assert notices.alarm_arrives(bench.deadline) == Passed("the notice of StateLarge-1 arrived")
        states = [call["StateValue"] for call in bench.aws.called("cloudwatch.set_alarm_state")]
        assert states == ["ALARM", "OK"]

    def test_an_alarm_without_a_notice_fails_and_is_reset(self) -> None:
        bench, notices = self.bench(
            cloudwatch__set_alarm_state=None,
            cloudformation__list_stack_resources=resources(StateLarge="AWS::CloudWatch::Alarm"),
        )
        assert isinstance(notices.alarm_arrives(bench.deadline), Failed)
        assert bench.aws.called("cloudwatch.set_alarm_state")[-1]["StateValue"] == "OK"


class TestSymbol:
    TEXT = b'symbols = ["AAPL"]'

    def bench(self, content: bytes | None) -> tuple[Bench, Symbols, KnownQuotes]:
        def get(**_: Any) -> Any:
            if content is None:
                raise refusal("NoSuchKey")
            return {"Body": io.BytesIO(content), "ContentLength": len(content), "ETag": '"1"'}

        bench = Bench(s3__get_object=get)
        quotes = KnownQuotes(bench.stage, frozenset({("BTC-USD", "2026-11-23T14:29:00.000Z")}))
        return bench, Symbols(bench.stage, quotes, bench.commands, bench.clean_ups), quotes

    def test_a_symbol_that_is_not_polled_yet_is_added_and_awaited_and_removed(self) -> None:
        bench, symbols, quotes = self.bench(b'symbols = ["AAPL", "ETH-USD"]')
        bench.commands.on_run = lambda _: setattr(quotes, "identities", frozenset({("ETH-USD", "x")}))
        assert isinstance(symbols.can_be_added(bench.deadline), Passed)
        bench.clean_up()
        names = ("--stack-prefix", "stockstream", "--stage", "dev")
        assert bench.commands.ran == [
            ("operations", "symbols", "add", "ETH-USD", *names, "--new-group", "smoke-test"),
            ("operations", "symbols", "remove", "ETH-USD", *names),
        ]

    def test_a_symbol_without_quotes_fails(self) -> None:
        bench, symbols, _ = self.bench(self.TEXT)
        assert isinstance(symbols.can_be_added(bench.deadline), Failed)

    def test_a_symbol_that_was_not_added_is_not_removed(self) -> None:
        bench, symbols, _ = self.bench(self.TEXT)
        bench.commands.failing = frozenset({"symbols"})
        with pytest.raises(CommandFailed):
            symbols.can_be_added(bench.deadline)
        assert set(map(type, bench.clean_up().values())) == {Passed}
        assert len(bench.commands.ran) == 1

    def test_a_stage_without_a_watchlist_in_s3_is_left_out(self) -> None:
        bench, symbols, _ = self.bench(None)
        assert isinstance(symbols.can_be_added(bench.deadline), LeftOut)
        assert bench.commands.ran == []


class TestAcceptedLog:
    def bench(self, *polls: int) -> tuple[Bench, AcceptedLog]:
        events = [{"message": json.dumps({"event": "polled", "accepted": count})} for count in polls]
        bench = Bench(logs__filter_log_events={"events": events})
        bench.time.pass_by(600)
        return bench, AcceptedLog(bench.stage, KnownQuotes(bench.stage, frozenset()))

    def test_the_polls_of_the_whole_test_are_summed(self) -> None:
        bench, log = self.bench(24, 0, 23)
        bench.deadline = Deadline(bench.stage.clock, bench.time.seconds + 60)
        assert isinstance(log.is_archived(bench.deadline), Passed)
        (asked,) = bench.aws.called("logs.filter_log_events")
        assert asked["endTime"] - asked["startTime"] == 600_000 - 1

    def test_quotes_that_are_missing_fail_after_several_spans(self) -> None:
        bench, log = self.bench(24, 24)
        bench.deadline = Deadline(bench.stage.clock, bench.time.seconds + 60)
        assert isinstance(log.is_archived(bench.deadline), Failed)
        starts = {asked["startTime"] for asked in bench.aws.called("logs.filter_log_events")}
        assert len(starts) > 10

    def test_a_log_without_polls_is_left_out(self) -> None:
        bench, log = self.bench()
        assert isinstance(log.is_archived(bench.deadline), LeftOut)


class TestAlarms:
    def test_it_waits_until_an_alarm_is_quiet(self) -> None:
        states = ["ALARM", "ALARM", "OK"]
        bench = Bench(
            cloudformation__list_stack_resources=resources(StateLarge="AWS::CloudWatch::Alarm"),
            cloudformation__describe_stacks={"Stacks": [{}]},
            cloudwatch__describe_alarms=lambda **_: {"MetricAlarms": [ALARM | {"StateValue": states.pop(0)}]},
        )
        assert isinstance(Alarms(bench.stage).are_quiet(bench.deadline), Passed)
        assert states == []

    def test_an_alarm_that_cloudformation_watches_may_notify_nobody(self) -> None:
        trigger = {"Arn": "arn:aws:cloudwatch:eu-central-1:1:alarm:StateLarge-1"}
        bench = Bench(
            cloudformation__list_stack_resources=resources(StateLarge="AWS::CloudWatch::Alarm"),
            cloudformation__describe_stacks={"Stacks": [{"RollbackConfiguration": {"RollbackTriggers": [trigger]}}]},
            cloudwatch__describe_alarms={"MetricAlarms": [ALARM | {"AlarmActions": []}]},
        )
        assert isinstance(Alarms(bench.stage).are_quiet(bench.deadline), Passed)


class TestAthena:
    """The engine answers after two looks."""

    def bench(self, last: str = "SUCCEEDED") -> tuple[Bench, Athena]:
        states = ["QUEUED", "RUNNING"]

        def execution(**arguments: Any) -> Any:
            status = {"State": states.pop(0) if states else last}
            if not states and last == "FAILED":
                status["StateChangeReason"] = "HIVE_METASTORE_ERROR"
            query = {"Status": status, "Statistics": {"DataScannedInBytes": 5}}
            return {"QueryExecution": query | {"QueryExecutionId": arguments["QueryExecutionId"]}}

        rows = [{"Data": [{"VarCharValue": text}]} for text in ("_col0", "integer")]
        bench = Bench(
            athena__start_query_execution={"QueryExecutionId": "1"},
            athena__get_query_execution=execution,
            athena__get_query_results={"ResultSet": {"Rows": rows}},
            athena__stop_query_execution=None,
            athena__list_named_queries={"NamedQueryIds": ["1"]},
            athena__get_named_query={"NamedQuery": {"Name": "gaps", "QueryString": "SELECT 1"}},
        )
        return bench, Athena(bench.stage.client("athena"), "workgroup", "database")

    def test_the_one_value_is_below_the_names(self) -> None:
        bench, athena = self.bench()
        assert athena.engine(bench.deadline) == "integer"
        (started,) = bench.aws.called("athena.start_query_execution")
        assert (started["WorkGroup"], started["QueryExecutionContext"]) == ("workgroup", {"Database": "database"})

    def test_a_saved_query_has_its_rows_without_the_names(self) -> None:
        bench, athena = self.bench()
        assert list(athena.saved(bench.deadline)) == [SavedQuery(name="gaps", error=None, rows=1, scanned_bytes=5)]

    def test_a_query_that_fails_has_its_reason(self) -> None:
        bench, athena = self.bench("FAILED")
        (answer,) = athena.saved(bench.deadline)
        assert answer.error == "FAILED: HIVE_METASTORE_ERROR"

    def test_a_query_that_takes_too_long_is_stopped(self) -> None:
        bench, athena = self.bench("RUNNING")
        with pytest.raises(QueryFailed, match="did not answer in time"):
            athena.engine(bench.deadline)
        assert len(bench.aws.called("athena.stop_query_execution")) == 1


class TestDeployment:
    def bench(self, left: list[str], *, keep: bool) -> tuple[Bench, Any]:
        bench = Bench(
            cloudformation__describe_stacks=lambda **_: {"Stacks": [{"StackName": name} for name in left]},
        )

        def write_outputs(command: tuple[str, ...]) -> None:
            if command[1] == "deploy":
                file = Path(command[command.index("--outputs-file") + 1])
                file.write_text("StreamName=stream\nQuotesTable=quotes\n")

        bench.commands.on_run = write_outputs
        deployer = CommandDeployer(bench.stage, bench.commands, ("--image", "uri"), ("--parameters-file", "dev.env"))
        return bench, actions(bench.stage, deployer, bench.commands, bench.clean_ups, keep=keep)["deploy"]

    def test_the_stage_is_deployed_with_the_command_and_the_options_and_removed(self) -> None:
        bench, deploy = self.bench([], keep=False)
        assert isinstance(deploy(bench.deadline), Passed)
        assert bench.stage.outputs["QuotesTable"] == "quotes"
        assert set(map(type, bench.clean_up().values())) == {Passed}
        deployed, destroyed = bench.commands.ran
        assert deployed[:6] == ("deployment", "deploy", "--prefix", "stockstream", "--stage", "dev")
        assert deployed[-2:] == ("--image", "uri")
        assert deployed[-4:-2] == ("--parameters-file", "dev.env")
        names = ("--prefix", "stockstream", "--stage", "dev")
        confirmed = ("--confirm", "dev", "--parameters-file", "dev.env")
        assert destroyed == ("deployment", "destroy", *names, *confirmed)

    def test_a_deployment_that_fails_is_removed(self) -> None:
        bench, deploy = self.bench([], keep=False)
        bench.commands.failing = frozenset({"deploy"})
        with pytest.raises(CommandFailed):
            deploy(bench.deadline)
        assert list(bench.clean_up()) == ["destroy"]
        assert [command[1] for command in bench.commands.ran] == ["deploy", "destroy"]

    def test_a_stage_that_is_kept_is_never_removed(self) -> None:
        bench, deploy = self.bench([], keep=True)
        deploy(bench.deadline)
        assert isinstance(bench.clean_up()["destroy"], LeftOut)
        assert [command[1] for command in bench.commands.ran] == ["deploy"]

    def test_stacks_that_are_left_are_a_failure(self) -> None:
        bench, deploy = self.bench(["stockstream-dev-stream", "stockstream-other-stream"], keep=False)
        deploy(bench.deadline)
        assert bench.clean_up()["destroy"] == Failed("no stack of the stage", "these exist: stockstream-dev-stream")


def test_the_failing_function_is_deployed_as_the_command_deploys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the stacks of the function, and with every client that a deployment takes: one may watch the new version."""
    bench = Bench()
    made: dict[str, Any] = {}
    monkeypatch.setattr(deployer, "Deployment", partial(FakeDeployment, made))
    code = failing_zip(tmp_path)
    CommandDeployer(bench.stage, bench.commands).put_function(code, bench.deadline)
    assert made["deployed"] == {"processor": code}
    assert (made["prefix"], made["stacks"]) == ("stockstream-dev", ("stream", "storage", "processor"))
    assert made["wait"].timeout_seconds == 60
    assert made["tags"] == {"application": "stockstream", "stage": "dev"}
    assert {field.name for field in fields(Deployment) if "BaseClient" in str(field.type)} <= made.keys()


class FakeDeployment:
    def __init__(self, made: dict[str, Any], **arguments: Any) -> None:
        self.made = made
        made |= arguments

    def deploy(self, zips: Any) -> None:
        self.made["deployed"] = zips


def test_spans_do_not_begin_before_the_test() -> None:
    bench = Bench()
    quotes = KnownQuotes(bench.stage, frozenset())
    bench.time.seconds = 120
    assert quotes.span(timedelta(minutes=1)).start == START + timedelta(seconds=55)
    assert quotes.span(timedelta(hours=1)).start == START
