"""One stack: what is asked of CloudFormation, how long, and what a person reads when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deployment.cloudformation import StackClient, Template, parameter_changes
from deployment.errors import DeploymentError
from deployment.waiting import Wait
from tests.fakes.scripted_cloudformation import ScriptedCloudFormation

NAME = "stockstream-dev-stream"
STACK_ID = f"arn:aws:cloudformation:us-east-1:000000000000:stack/{NAME}/1"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
TEMPLATE = Template("Resources: {}", {"ShardCount": "2"}, {"stage": "dev"})


@pytest.fixture(scope="module")
def client() -> Any:
    return boto3.client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture
def stubber(client: Any) -> Iterator[Stubber]:
    """Answers the calls of the test in order, and checks at the end that all were made."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def stacks(client: Any, reports: list[str]) -> StackClient:
    aws = ScriptedCloudFormation()  # for its clock
    wait = Wait(timeout_seconds=3, settle_seconds=2, errors_seconds=2, pause=aws.pause, clock=aws.clock)
    return StackClient(client, reports.append, wait)


def describe(stubber: Stubber, status: str | None, **outputs: str) -> None:
    """The next DescribeStacks has this answer; None is a stack that does not exist."""
    if status is None:
        stubber.add_client_error(
            "describe_stacks", "ValidationError", f"Stack with id {NAME} does not exist", http_status_code=400
        )
        return
    stack = {"StackName": NAME, "StackId": STACK_ID, "CreationTime": NOW, "StackStatus": status}
    listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    stubber.add_response("describe_stacks", {"Stacks": [stack | {"Outputs": listed}]})


def events(stubber: Stubber, *newest_first: dict[str, Any]) -> None:
    defaults = {"StackId": STACK_ID, "StackName": NAME, "Timestamp": NOW}
    stubber.add_response(
        "describe_stack_events",
        {"StackEvents": [defaults | {"EventId": str(n)} | event for n, event in enumerate(newest_first)]},
    )


def resource(name: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "LogicalResourceId": name,
        "ResourceType": "AWS::Kinesis::Stream",
        "PhysicalResourceId": "",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


STARTED = {"LogicalResourceId": NAME, "PhysicalResourceId": STACK_ID, "ResourceStatus": "CREATE_IN_PROGRESS"}


class TestPut:
    def test_creates_a_stack_and_returns_its_outputs(
        self, stacks: StackClient, stubber: Stubber, reports: list[str]
    ) -> None:
        describe(stubber, None)
        expected = {
            "StackName": NAME,
            "TemplateBody": "Resources: {}",
            "Parameters": [{"ParameterKey": "ShardCount", "ParameterValue": "2"}],
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": "stage", "Value": "dev"}],
        }
        stubber.add_response("create_stack", {"StackId": STACK_ID}, expected)
        describe(stubber, "CREATE_IN_PROGRESS")
        describe(stubber, "CREATE_COMPLETE", StreamName="quotes")
        assert stacks.put(NAME, TEMPLATE) == {"StreamName": "quotes"}
        assert reports == [f"creating {NAME}"]

    def test_leaves_a_stack_alone_that_has_nothing_to_change(
        self, stacks: StackClient, stubber: Stubber, reports: list[str]
    ) -> None:
        describe(stubber, "UPDATE_COMPLETE", StreamName="quotes")
        stubber.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
        assert stacks.put(NAME, TEMPLATE) == {"StreamName": "quotes"}
        assert reports == [f"{NAME} is up to date"]

    def test_deletes_a_stack_whose_creation_failed_and_creates_it_again(
        self, stacks: StackClient, stubber: Stubber, reports: list[str]
    ) -> None:
        describe(stubber, "ROLLBACK_COMPLETE")
        stubber.add_response("delete_stack", {}, {"StackName": STACK_ID})
        describe(stubber, "DELETE_IN_PROGRESS")
        describe(stubber, "DELETE_COMPLETE")
        events(stubber, STARTED | {"ResourceStatus": "DELETE_IN_PROGRESS"})
        stubber.add_response("create_stack", {"StackId": STACK_ID})
        describe(stubber, "CREATE_COMPLETE")
        assert stacks.put(NAME, TEMPLATE) == {}
        assert reports == [
            f"{NAME} is ROLLBACK_COMPLETE, so it is deleted and created again",
            f"deleting {NAME}",
            f"creating {NAME}",
        ]


class TestFailure:
    def start(self, stubber: Stubber) -> None:
        describe(stubber, None)
        stubber.add_response("create_stack", {"StackId": STACK_ID})

    def message(self, stacks: StackClient) -> str:
        with pytest.raises(DeploymentError) as failure:
            stacks.put(NAME, TEMPLATE)
        return str(failure.value)

    def test_names_each_resource_that_failed_in_order_and_none_that_was_cancelled(
        self, stacks: StackClient, stubber: Stubber
    ) -> None:
        self.start(stubber)
        for status in ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"):
            describe(stubber, status)
        events(
            stubber,
            resource("Third", "CREATE_FAILED", "Resource creation cancelled"),
            resource("Second", "CREATE_FAILED", "name taken"),
            resource("First", "CREATE_FAILED", "limit exceeded"),
            STARTED,
            resource("Older", "CREATE_FAILED", "of the operation before"),
        )
        assert self.message(stacks).splitlines() == [
            f"{NAME} ended as ROLLBACK_COMPLETE. Fix the cause and run this again.",
            "  First (AWS::Kinesis::Stream): limit exceeded",
            "  Second (AWS::Kinesis::Stream): name taken",
        ]

    def test_names_what_the_validation_of_the_template_found(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        describe(stubber, "CREATE_FAILED")
        events(stubber, resource("Stream", "CREATE_FAILED", "validation") | {"DetailedStatus": "VALIDATION_FAILED"})
        found = {
            "EventId": "1",
            "EventType": "VALIDATION_ERROR",
            "LogicalResourceId": "Stream",
            "ResourceType": "AWS::Kinesis::Stream",
            "ValidationStatusReason": "the name is taken",
        }
        stubber.add_response("describe_events", {"OperationEvents": [found, found | {"EventType": "STACK_EVENT"}]})
        assert self.message(stacks).splitlines()[1:] == ["  Stream (AWS::Kinesis::Stream): the name is taken"]

    def test_gives_up_after_the_timeout(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        for _ in range(1 + 4):  # it started; then from 0 to 3 seconds
            describe(stubber, "CREATE_IN_PROGRESS")
        assert self.message(stacks).startswith(f"{NAME} is still CREATE_IN_PROGRESS after ")

    def test_says_that_the_stack_was_deleted_meanwhile(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        describe(stubber, "CREATE_IN_PROGRESS")
        describe(stubber, None)
        assert self.message(stacks) == f"{NAME} was deleted during its deployment"

    def test_says_that_a_request_for_the_status_was_rejected(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        stubber.add_client_error("describe_stacks", "AccessDenied", "not allowed")
        assert self.message(stacks).startswith(f"AWS rejected a request for the status of {NAME}: not allowed")

    def test_gives_up_when_every_request_for_the_status_fails(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        for _ in range(3):
            stubber.add_client_error("describe_stacks", "InternalFailure", "try again later", http_status_code=500)
        assert self.message(stacks).startswith(f"AWS rejected a request for the status of {NAME}: try again later")

    def test_says_what_aws_rejected(self, stacks: StackClient, stubber: Stubber) -> None:
        describe(stubber, None)
        stubber.add_client_error("create_stack", "ValidationError", "ShardCount must be a number")
        assert self.message(stacks) == f"AWS rejected {NAME}: ShardCount must be a number"


class TestPreview:
    def start(self, stubber: Stubber) -> None:
        describe(stubber, "CREATE_COMPLETE")
        stubber.add_response("create_change_set", {"StackId": STACK_ID})

    def answer(
        self, stubber: Stubber, status: str, reason: str = "", changes: list[dict[str, Any]] | None = None
    ) -> None:
        stubber.add_response(
            "describe_change_set", {"Status": status, "StatusReason": reason, "Changes": changes or []}
        )

    def test_lists_changes_and_deletes_the_change_set(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        self.answer(stubber, "CREATE_IN_PROGRESS")
        change = {"Action": "Modify", "LogicalResourceId": "Stream", "ResourceType": "AWS::Kinesis::Stream"}
        changes = [
            {"Type": "Resource", "ResourceChange": change | extra}
            for extra in (
                {"Replacement": "False"},
                {"Replacement": "True", "PolicyAction": "ReplaceAndRetain"},
                {"Replacement": "Conditional"},
                {"Action": "Remove", "PolicyAction": "Retain"},
            )
        ]
        self.answer(stubber, "CREATE_COMPLETE", changes=changes)
        self.answer(stubber, "CREATE_COMPLETE", changes=changes)
        stubber.add_response("delete_change_set", {})
        assert stacks.preview(NAME, TEMPLATE) == (
            "modify Stream (AWS::Kinesis::Stream)",
            "replace Stream (AWS::Kinesis::Stream) and keep what is there",
            "modify, or replace, Stream (AWS::Kinesis::Stream)",
            "remove Stream (AWS::Kinesis::Stream) and keep what is there",
        )

    @pytest.mark.parametrize(
        "reason", ["The submitted information didn't contain changes.", "No updates are to be performed."]
    )
    def test_is_empty_without_changes(self, stacks: StackClient, stubber: Stubber, reason: str) -> None:
        self.start(stubber)
        self.answer(stubber, "FAILED", reason)
        stubber.add_response("delete_change_set", {})
        assert stacks.preview(NAME, TEMPLATE) == ()

    def test_says_why_a_change_set_failed(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        self.answer(stubber, "FAILED", "no such parameter")
        stubber.add_client_error("describe_events", "AccessDenied", "not allowed")
        stubber.add_response("delete_change_set", {})
        with pytest.raises(DeploymentError, match=f"a change set of {NAME} failed: no such parameter"):
            stacks.preview(NAME, TEMPLATE)

    def test_says_what_the_validation_of_a_change_set_found(self, stacks: StackClient, stubber: Stubber) -> None:
        self.start(stubber)
        self.answer(stubber, "FAILED", "validation failed")
        found = {
            "EventId": "1",
            "EventType": "VALIDATION_ERROR",
            "LogicalResourceId": "Stream",
            "ResourceType": "AWS::Kinesis::Stream",
            "ValidationStatusReason": "#/RetentionPeriodHours: 1 is not 24 or more",
        }
        stubber.add_response("describe_events", {"OperationEvents": [found, found | {"EventType": "STACK_EVENT"}]})
        stubber.add_response("delete_change_set", {})
        with pytest.raises(DeploymentError) as failure:
            stacks.preview(NAME, TEMPLATE)
        assert str(failure.value).splitlines() == [
            f"a change set of {NAME} failed: validation failed",
            "  Stream (AWS::Kinesis::Stream): #/RetentionPeriodHours: 1 is not 24 or more",
        ]

    def test_of_a_new_stack_leaves_no_stack_behind(self, stacks: StackClient, stubber: Stubber) -> None:
        describe(stubber, None)
        stubber.add_response("create_change_set", {"StackId": STACK_ID})
        self.answer(stubber, "CREATE_COMPLETE")
        self.answer(stubber, "CREATE_COMPLETE")
        stubber.add_response("delete_change_set", {})
        stubber.add_response("delete_stack", {}, {"StackName": STACK_ID})
        describe(stubber, "REVIEW_IN_PROGRESS")
        describe(stubber, "DELETE_IN_PROGRESS")
        describe(stubber, "DELETE_COMPLETE")
        assert stacks.preview(NAME, TEMPLATE) == ()


def test_a_parameter_that_a_version_no_longer_has_is_not_said_to_get_its_default() -> None:
    held = {"ShardCount": "2", "Symbols": "AAPL", "Mode": "fast"}
    stack = {"Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in held.items()]}
    template = Template("\nParameters:\n  ShardCount: {Type: Number}\n  Mode: {Type: String}\n", {"ShardCount": "2"})
    assert parameter_changes(stack, template) == (
        "Mode: fast → (its default)",
        "Symbols: AAPL → (no parameter of this version)",
    )
