"""From any status of each stack, and whatever fails or ends meanwhile, the same command again gets to the wanted state.

CloudFormation is a stand-in that answers as AWS does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.stack_status import REACTIONS, is_live
from deployment.waiting import Wait
from tests.fakes.filled_bucket import FilledBucket
from tests.fakes.scripted_cloudformation import END_OF_INTERRUPTED, GOOD_ENDS, Killed, ScriptedCloudFormation
from tests.support.sizes import sized

RESOURCES = "Resources:\n  Kept:\n    Type: AWS::Test::Resource\n  Plain:\n    Type: AWS::Test::Resource\n"
TEMPLATES = {
    "first": f"Description: 1\n{RESOURCES}Outputs:\n  FirstName:\n    Value: 1\n",
    "second": "Description: 2\nParameters:\n  FirstName: {Type: String}\n"
    f"{RESOURCES}Outputs:\n  SecondName:\n    Value: 2\n",
    "third": "Description: 3\nParameters:\n  SecondName: {Type: String}\n  Size: {Type: String, Default: 1}\n"
    f"{RESOURCES}",
}
NAMES = tuple(f"stage-{name}" for name in TEMPLATES)
Statuses = tuple[str | None, ...]
STATUSES: Statuses = (*sorted(REACTIONS), None)
FAILURES = (
    *("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"),
    *("UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"),
)

a_status = st.sampled_from(STATUSES)
some_failures = st.lists(st.sampled_from(("", *FAILURES)), max_size=4)
a_kill = st.none() | st.integers(1, 60)
a_lag = st.sampled_from((0, 0.5, 5))
"""The seconds until AWS shows what an operation has started."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    for name, text in TEMPLATES.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def deployment(aws: ScriptedCloudFormation, folder: Path, reports: list[str] | None = None) -> Deployment:
    report = (lambda _: None) if reports is None else reports.append
    wait = Wait(pause=aws.pause, clock=aws.clock)
    return Deployment(cast(Any, aws), cast(Any, None), "stage", report, folder, tuple(TEMPLATES), wait=wait)


def with_stacks(aws: ScriptedCloudFormation, statuses: Statuses) -> ScriptedCloudFormation:
    """Stacks of an older version of the templates, in these statuses."""
    old = {"FirstName": "old", "SecondName": "old"}
    for name, text, status in zip(NAMES, TEMPLATES.values(), statuses, strict=True):
        if status is not None:
            body = "" if status == "REVIEW_IN_PROGRESS" else text.replace("Description: ", "Description: old ")
            aws.given(name, status, body=body, values={key: value for key, value in old.items() if key in body})
    return aws


def runs_until_done(command: Callable[[], object], aws: ScriptedCloudFormation, most: int) -> None:
    """Run a command again and again, until it succeeds. Fails if it does not within `most` runs."""
    failures = []
    for _ in range(most):
        try:
            command()
        except (DeploymentError, Killed) as error:
            failures.append(error)
            aws.kill_after = None
        else:
            return
    raise AssertionError(f"not done after {most} runs: {failures}")


def deploys(aws: ScriptedCloudFormation, folder: Path) -> Callable[[], object]:
    return lambda: deployment(aws, folder).deploy({})


def assert_deployed(aws: ScriptedCloudFormation) -> None:
    first, second, third = (aws.stack(name) for name in NAMES)
    assert first is not None
    assert second is not None
    assert third is not None
    assert {stack.status for stack in (first, second, third)} <= set(GOOD_ENDS)
    assert [stack.body for stack in (first, second, third)] == list(TEMPLATES.values())
    assert second.values == {"FirstName": f"FirstName of {first.id}"}
    assert third.values == {"SecondName": f"SecondName of {second.id}"}


@settings(max_examples=sized(25, 300))
@given(statuses=st.tuples(a_status, a_status, a_status), ends=some_failures, kill=a_kill, lag=a_lag)
def test_the_same_command_again_deploys_from_any_state(
    folder: Path, statuses: Statuses, ends: list[str], kill: int | None, lag: float
) -> None:
    aws = with_stacks(ScriptedCloudFormation(ends, lag_seconds=lag), statuses)
    complete = [one.id for one in aws.stacks if is_live(one.status) and not one.status.startswith("IMPORT_ROLLBACK")]
    aws.kill_after = kill
    # Every failed operation may cost a run, and so may the kill. The last run succeeds.
    runs_until_done(deploys(aws, folder), aws, len(ends) + 2)
    assert_deployed(aws)
    gone = {one.id for one in aws.stacks if one.status == "DELETE_COMPLETE"}
    assert not gone & set(complete), "a deployment has deleted a stack that was complete once"


@settings(max_examples=sized(25, 300))
@given(statuses=st.tuples(a_status, a_status, a_status), ends=some_failures, kill=a_kill, lag=a_lag)
def test_the_same_command_again_destroys_from_any_state(
    folder: Path, statuses: Statuses, ends: list[str], kill: int | None, lag: float
) -> None:
    aws = with_stacks(ScriptedCloudFormation(ends, lag_seconds=lag), statuses)
    aws.kill_after = kill
    runs_until_done(lambda: deployment(aws, folder).destroy(), aws, len(ends) + 2)
    assert [aws.stack(name) for name in NAMES] == [None, None, None]


@settings(max_examples=sized(25, 300))
@given(statuses=st.tuples(a_status, a_status, a_status), lag=a_lag)
def test_a_preview_works_in_any_state_and_changes_nothing(folder: Path, statuses: Statuses, lag: float) -> None:
    aws = with_stacks(ScriptedCloudFormation(lag_seconds=lag), statuses)
    stacks = list(aws.stacks)
    assert deployment(aws, folder).preview({}).keys() == set(NAMES)
    ended = [END_OF_INTERRUPTED.get(status or "", status) for status in statuses]
    assert [one.status for one in stacks] == [status for status in ended if status is not None]
    left = [one.status for one in aws.stacks if one not in stacks and one.status != "DELETE_COMPLETE"]
    assert left == [], "an empty stack is left behind"


@pytest.mark.parametrize("status", STATUSES[:: sized(9, 1)])
def test_a_deployment_that_is_killed_after_any_call_is_completed_by_the_next(folder: Path, status: str | None) -> None:
    killed = 0
    while True:
        aws = with_stacks(ScriptedCloudFormation(), (status, "CREATE_COMPLETE", None))
        aws.kill_after = killed + 1
        runs_until_done(deploys(aws, folder), aws, 2)
        assert_deployed(aws)
        if aws.kill_after is not None:  # the run had fewer calls
            break
        killed += 1
    assert killed > len(NAMES)


class TestWaiting:
    def test_goes_on_while_aws_throttles(self, folder: Path) -> None:
        waiting: list[int] = []
        aws = with_stacks(ScriptedCloudFormation(throttled=waiting.__contains__), (None, None, None))
        # Throttle the first looks at each stack: the calls that follow a pause.
        aws.on_pause = lambda: waiting.append(len(aws.calls) + 1) if len(waiting) < 8 else None
        deployment(aws, folder).deploy({})
        assert_deployed(aws)
        assert len(waiting) == 8

    def test_tries_again_while_aws_does_not_show_the_stack_that_an_earlier_run_created(self, folder: Path) -> None:
        aws = ScriptedCloudFormation(lag_seconds=9)
        aws.kill_after = 2
        with pytest.raises(Killed):
            deployment(aws, folder).deploy({})
        aws.kill_after = None
        assert aws.calls == ["DescribeStacks", "CreateStack"]
        deployment(aws, folder).deploy({})
        assert_deployed(aws)
        assert len(aws.stacks) == 3

    def test_says_what_is_in_progress_when_it_is_interrupted(self, folder: Path) -> None:
        aws = ScriptedCloudFormation()
        reports: list[str] = []

        def interrupt() -> None:
            raise KeyboardInterrupt

        aws.on_pause = interrupt
        with pytest.raises(KeyboardInterrupt):
            deployment(aws, folder, reports).deploy({})
        assert reports == [
            "creating stage-first",
            "CloudFormation goes on with stage-first, which is CREATE_IN_PROGRESS",
        ]
        aws.on_pause = lambda: None
        reports.clear()
        deployment(aws, folder, reports).deploy({})
        assert reports[:2] == ["waiting for stage-first, which is CREATE_IN_PROGRESS", "stage-first is up to date"]
        assert_deployed(aws)

    def test_says_what_was_started_when_it_is_interrupted_before_aws_shows_it(self, folder: Path) -> None:
        aws = ScriptedCloudFormation(lag_seconds=5)
        reports: list[str] = []

        def interrupt() -> None:
            raise KeyboardInterrupt

        aws.on_pause = interrupt
        with pytest.raises(KeyboardInterrupt):
            deployment(aws, folder, reports).deploy({})
        assert reports == ["creating stage-first", "CloudFormation goes on with stage-first"]

    def test_says_why_what_it_waited_for_failed(self, folder: Path) -> None:
        aws = with_stacks(ScriptedCloudFormation(), ("ROLLBACK_IN_PROGRESS", None, None))
        reports: list[str] = []
        deployment(aws, folder, reports).deploy({})
        assert reports[:4] == [
            "waiting for stage-first, which is ROLLBACK_IN_PROGRESS",
            "stage-first ended as ROLLBACK_COMPLETE",
            "stage-first is ROLLBACK_COMPLETE, so it is deleted and created again",
            "deleting stage-first",
        ]


class TestDeletion:
    def test_that_fails_twice_leaves_behind_what_cannot_be_deleted_and_names_it(self, folder: Path) -> None:
        aws = with_stacks(ScriptedCloudFormation(), ("CREATE_COMPLETE", None, None))
        aws.undeletable = {"Plain"}
        reports: list[str] = []
        with pytest.raises(DeploymentError, match="stage-first ended as DELETE_FAILED") as failure:
            deployment(aws, folder, reports).destroy()
        assert "  Plain (AWS::Test::Resource): as scripted" in str(failure.value)
        deployment(aws, folder, reports).destroy()
        assert aws.stack("stage-first") is None
        (stack,) = aws.stacks
        assert f"kept AWS::Test::Resource Plain of {stack.id}" in reports

    def test_of_a_failed_creation_keeps_what_its_rollback_could_not_delete(self, folder: Path) -> None:
        aws = with_stacks(ScriptedCloudFormation(), ("ROLLBACK_FAILED", None, None))
        aws.undeletable = {"Plain"}
        reports: list[str] = []
        deployment(aws, folder, reports).deploy({})
        assert f"kept AWS::Test::Resource Plain of {aws.stacks[0].id}" in reports
        assert_deployed(aws)

    def test_empties_the_bucket_of_a_stack_whose_deletion_failed_for_it(self, tmp_path: Path) -> None:
        # Such a stack has no outputs that could name the bucket.
        body = "Description: 1\nResources:\n  Code:\n    Type: AWS::S3::Bucket\nOutputs:\n  CodeBucket:\n    Value: 1\n"
        (tmp_path / "storage.yaml").write_text(body)
        aws = ScriptedCloudFormation()
        stack = aws.given("stage-storage", "DELETE_FAILED", body=body)
        aws.undeletable = {"Code"}
        bucket = FilledBucket(f"Code of {stack.id}", on_empty=aws.undeletable.clear)
        reports: list[str] = []
        Deployment(
            cast(Any, aws),
            cast(Any, bucket),
            "stage",
            reports.append,
            tmp_path,
            ("storage",),
            wait=Wait(pause=aws.pause, clock=aws.clock),
        ).destroy()
        assert aws.stack("stage-storage") is None
        assert reports == ["deleting stage-storage"]


class TestFailedRollback:
    def test_that_fails_again_names_the_resources_and_the_command_that_skips_them(self, folder: Path) -> None:
        aws = with_stacks(ScriptedCloudFormation(["UPDATE_ROLLBACK_FAILED"]), ("UPDATE_ROLLBACK_FAILED", None, None))
        with pytest.raises(DeploymentError) as failure:
            deployment(aws, folder).deploy({})
        assert str(failure.value).splitlines() == [
            "stage-first ended as UPDATE_ROLLBACK_FAILED. Fix the cause and run this again.",
            "If you cannot fix it, leave the resources that cannot be rolled back as they are, and run this again:",
            "  aws cloudformation continue-update-rollback --stack-name stage-first --resources-to-skip Kept Plain",
            "  Kept (AWS::Test::Resource): as scripted",
            "  Plain (AWS::Test::Resource): as scripted",
        ]
        deployment(aws, folder).deploy({})
        assert_deployed(aws)

    @pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"])
    def test_is_shown_before_anything_is_changed(self, folder: Path, status: str) -> None:
        aws = with_stacks(ScriptedCloudFormation(), (status, None, None))
        preview = deployment(aws, folder).preview({})
        assert preview["stage-first"][-1] == f"it is {status}, so it would be rolled back and then updated"


class TestImport:
    """An import that failed, which leaves a stack of a new name with nothing but what it would have adopted."""

    @pytest.mark.parametrize("status", ["IMPORT_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_FAILED"])
    def test_into_a_new_stack_is_undone(self, folder: Path, status: str) -> None:
        aws = with_stacks(ScriptedCloudFormation(), (status, None, None))
        aws.stacks[0].resources = {"Kept": status}
        deployment(aws, folder).deploy({})
        assert aws.stacks[0].status == "DELETE_COMPLETE"
        assert_deployed(aws)

    def test_into_a_stack_that_lives_deletes_nothing(self, folder: Path) -> None:
        aws = with_stacks(ScriptedCloudFormation(), ("IMPORT_ROLLBACK_COMPLETE", None, None))
        aws.stacks[0].resources = {"Kept": "IMPORT_ROLLBACK_COMPLETE", "Plain": "UPDATE_COMPLETE"}
        deployment(aws, folder).deploy({})
        assert aws.stacks[0].status == "UPDATE_COMPLETE"
        assert_deployed(aws)


def test_a_stack_that_goes_passes_no_outputs_on(folder: Path) -> None:
    aws = with_stacks(ScriptedCloudFormation(), ("DELETE_IN_PROGRESS", None, None))
    preview = deployment(aws, folder).preview({})
    assert preview == dict.fromkeys(NAMES, ())


def test_a_preview_of_an_empty_account_goes_on_where_a_placeholder_may_be_what_is_refused(folder: Path) -> None:
    aws = ScriptedCloudFormation()
    aws.refused = {"stage-second": "FirstName does not exist"}
    preview = deployment(aws, folder).preview({})
    assert preview == {
        "stage-first": (),
        "stage-second": (
            "CloudFormation refuses it, with placeholders for FirstName:",
            "a change set of stage-second failed: FirstName does not exist",
        ),
        "stage-third": (),
    }
    aws.refused = {"stage-first": "its template is wrong"}
    with pytest.raises(DeploymentError, match="stage-first failed: its template is wrong"):
        deployment(aws, folder).preview({})
