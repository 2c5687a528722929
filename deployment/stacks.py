"""One stack of CloudFormation: put, previewed, deleted, waited for; what went wrong is told by resource."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.errors import DeploymentError

Outputs = Mapping[str, str]
"""What stacks put out, by the names in the templates: `StreamName`, `FunctionArn`, …"""

_TIMEOUT_SECONDS = 1800.0
_FIRST_PAUSE_SECONDS = 0.05  # an emulator needs no longer
_LONGEST_PAUSE_SECONDS = 5.0
_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_NOTHING_TO_DO = ("No updates are to be performed", "didn't contain changes")


@dataclass(frozen=True)
class Template:
    """What a stack shall be: a template's text, the values of its parameters, tags for all that it makes."""

    body: str
    values: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def request(self) -> dict[str, Any]:
        """The arguments that creations, updates and change sets have in common."""
        return {
            "TemplateBody": self.body,
            "Parameters": [{"ParameterKey": key, "ParameterValue": self.values[key]} for key in sorted(self.values)],
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": key, "Value": self.tags[key]} for key in sorted(self.tags)],
        }


@dataclass(frozen=True)
class Stacks:
    """The stacks of an account and region, by name. Every method raises `DeploymentError` for what AWS refuses."""

    cloudformation: BaseClient
    report: Callable[[str], None]
    """Is told each step, in a line."""

    def put(self, name: str, template: Template) -> Outputs:
        """Create the stack, or update it where it differs; return its outputs when it is as asked."""
        stack = self.described(name)
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            # A stack whose creation failed holds nothing, and can only be deleted.
            self.delete(stack)
            stack = None
        with refusal(name):
            if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
                self.cloudformation.create_stack(StackName=name, **template.request)
                self.report(f"creating {name}")
                return outputs_of(self._ended("CREATE", name))
            if self._update(name, template):
                self.report(f"updating {name}")
                return outputs_of(self._ended("UPDATE", name))
        self.report(f"{name} is up to date")
        return outputs_of(stack)

    def preview(self, name: str, template: Template) -> tuple[str, ...]:
        """What `put` would change, a line each, by a change set that is deleted again; nothing is changed."""
        stack = self.described(name)
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            return ("its creation failed: it would be deleted, and created anew",)
        is_new = stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        change_set = {"StackName": name, "ChangeSetName": f"preview-{uuid4().hex}"}
        with refusal(f"a change set of {name}"):
            self.cloudformation.create_change_set(
                **change_set, ChangeSetType="CREATE" if is_new else "UPDATE", **template.request
            )
            try:
                return self._changes(change_set)
            finally:
                self.cloudformation.delete_change_set(**change_set)
                if is_new:
                    # The change set of a new stack leaves an empty one behind.
                    self.cloudformation.delete_stack(StackName=name)

    def delete(self, stack: Mapping[str, Any]) -> None:
        """Delete a stack, as `described`; return when it is gone. What its template retains is reported."""
        name, stack_id = stack["StackName"], stack["StackId"]
        with refusal(f"the deletion of {name}"):
            self.cloudformation.delete_stack(StackName=name)
        self.report(f"deleting {name}")
        self._ended("DELETE", stack_id)  # a deleted stack is known by its id alone
        for event in self._events(stack_id):
            if event["ResourceStatus"] == "DELETE_SKIPPED":
                self.report(f"kept {event['ResourceType']} {event['PhysicalResourceId']}")

    def described(self, stack: str) -> Mapping[str, Any] | None:
        """The stack of a name or id as CloudFormation describes it; None if there is none."""
        try:
            description: Mapping[str, Any] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in _reason(error):
                return None
            raise DeploymentError(f"{stack} is refused: {_reason(error)}") from error
        return description

    def _update(self, name: str, template: Template) -> bool:
        """Begin an update; False if there is nothing to change."""
        try:
            self.cloudformation.update_stack(StackName=name, **template.request)
        except ClientError as error:
            if _NOTHING_TO_DO[0] in _reason(error):
                return False
            raise
        return True

    def _changes(self, change_set: Mapping[str, str]) -> tuple[str, ...]:
        name = change_set["StackName"]
        for _ in _pauses(f"the change set of {name}"):
            answer = self.cloudformation.describe_change_set(**change_set)
            if answer["Status"] == "CREATE_COMPLETE":
                pages = self.cloudformation.get_paginator("describe_change_set").paginate(**change_set)
                return tuple(_change(change["ResourceChange"]) for page in pages for change in page["Changes"])
            if answer["Status"] == "FAILED":
                reason = answer.get("StatusReason", "")
                if any(words in reason for words in _NOTHING_TO_DO):
                    return ()
                raise DeploymentError(f"a change set of {name} failed: {reason or 'no reason given'}")
        raise AssertionError("unreachable: the pauses end by raising")

    def _ended(self, operation: str, stack: str) -> Mapping[str, Any]:
        """The stack, by name or id, when its operation has ended well. Raises `DeploymentError` if it did not."""
        failed = ("_FAILED",) if operation == "DELETE" else ("_FAILED", "ROLLBACK_COMPLETE")
        for _ in _pauses(stack):
            description = self.described(stack)
            if description is None:
                raise DeploymentError(f"{stack} is gone")
            status = description["StackStatus"]
            if status == f"{operation}_COMPLETE":
                return description
            if status.endswith(failed):
                raise DeploymentError(f"{description['StackName']} ended as {status}\n{self._failures(stack)}")
        raise AssertionError("unreachable: the pauses end by raising")

    def _failures(self, stack: str) -> str:
        """A line for each resource that failed, in the order in which they did."""
        events = [event for event in self._events(stack) if event["ResourceStatus"].endswith("_FAILED")]
        if any(event.get("DetailedStatus") == "VALIDATION_FAILED" for event in events):
            return "\n".join(self._findings(stack))
        failed = [event for event in events if event.get("PhysicalResourceId") != event["StackId"]] or events
        # What CloudFormation cancelled is a consequence, and would hide the cause.
        causes = [event for event in failed if "cancelled" not in event.get("ResourceStatusReason", "")] or failed
        return "\n".join(_failure(event, event.get("ResourceStatusReason")) for event in reversed(causes))

    def _findings(self, stack: str) -> Iterator[str]:
        """What CloudFormation's validation had against a stack before it made anything of it."""
        pages = self.cloudformation.get_paginator("describe_events").paginate(
            StackName=stack, Filters={"FailedEvents": True}
        )
        for page in pages:
            for event in page["OperationEvents"]:
                if event["EventType"] == "VALIDATION_ERROR":
                    yield _failure(event, event.get("ValidationStatusReason"))

    def _events(self, stack: str) -> Iterator[Mapping[str, Any]]:
        """The events of the stack's newest operation, newest first."""
        for page in self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
            for event in page["StackEvents"]:
                yield event
                if event["ResourceStatus"] in _BEGINNINGS and event.get("PhysicalResourceId") == event["StackId"]:
                    return


@contextmanager
def refusal(what: str) -> Iterator[None]:
    """Say what it was that AWS refused, and why, as a `DeploymentError`."""
    try:
        yield
    except ClientError as error:
        raise DeploymentError(f"{what} is refused: {_reason(error)}") from error


def outputs_of(stack: Mapping[str, Any]) -> Outputs:
    """The outputs of a stack as CloudFormation describes it."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _pauses(what: str) -> Iterator[None]:
    """Yield at once, and again after longer and longer pauses. Raises `DeploymentError` when it has taken too long."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while time.monotonic() < deadline:
        yield
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    raise DeploymentError(f"{what} is not done after {_TIMEOUT_SECONDS:.0f} s; it may yet be, see CloudFormation")


def _change(change: Mapping[str, Any]) -> str:
    """`replace Stream (AWS::Kinesis::Stream)`: what CloudFormation would do to one resource."""
    action = change["Action"].lower()
    if change.get("Replacement") in ("True", "Conditional"):
        action = "replace" if change["Replacement"] == "True" else "modify, or replace,"
    kept = " and keep what is there" if change.get("PolicyAction") in ("Retain", "ReplaceAndRetain") else ""
    return f"{action} {change['LogicalResourceId']} ({change['ResourceType']}){kept}"


def _failure(event: Mapping[str, Any], reason: str | None) -> str:
    return f"  {event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason or 'no reason given'}"


def _reason(error: ClientError) -> str:
    return str(error.response["Error"].get("Message") or error)
