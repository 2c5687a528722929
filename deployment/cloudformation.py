"""Creates, updates, previews and deletes one CloudFormation stack, and reports which resources failed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from uuid import uuid4

from botocore.client import BaseClient
from botocore.exceptions import ClientError, WaiterError

from deployment.errors import DeploymentError
from deployment.stacks import Outputs

_STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_MASKED = "****"
_NO_UPDATE = "No updates are to be performed"
_NO_CHANGES = (_NO_UPDATE, "didn't contain changes")


@dataclass(frozen=True)
class Template:
    """What to deploy as a stack."""

    body: str
    """The text of the template."""
    values: Mapping[str, str]
    """The values of its parameters."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The tags of the stack and of all its resources that support tags."""
    keeps: frozenset[str] = frozenset()
    """Parameters that keep the value that the stack has. All parameters that are not named have their defaults."""
    service_role: str | None = None
    """The ARN of the role with which CloudFormation changes resources. None keeps the role that the stack has."""

    def request(self, stack: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The arguments that CreateStack, UpdateStack and CreateChangeSet have in common; `stack` is what exists."""
        kept = sorted((self.keeps & parameters_of(stack).keys()) - self.values.keys()) if stack is not None else []
        return {
            "TemplateBody": self.body,
            "Parameters": [{"ParameterKey": key, "ParameterValue": self.values[key]} for key in sorted(self.values)]
            + [{"ParameterKey": key, "UsePreviousValue": True} for key in kept],
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": key, "Value": self.tags[key]} for key in sorted(self.tags)],
            **({} if self.service_role is None else {"RoleARN": self.service_role}),
        }


@dataclass(frozen=True)
class StackClient:
    """The stacks of an account and region, by name. Every method raises `DeploymentError` if AWS refuses or fails."""

    cloudformation: BaseClient
    report: Callable[[str], None]
    """Called with a line of text for each step."""
    poll_seconds: float = 1
    """The time between two requests for the status of a stack. An emulator is often done before the first one."""
    timeout_seconds: float = 1800
    """How long an operation on one stack may take."""

    def put(self, name: str, template: Template) -> Outputs:
        """Create the stack, or update it if it differs, and return its outputs when it is complete."""
        stack = self.find(name)
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            # The creation failed. Such a stack holds nothing, and CloudFormation can only delete it.
            self.delete(stack)
            stack = None
        with aws_errors_about(name):
            if not exists(stack):
                self.cloudformation.create_stack(StackName=name, **template.request())
                self.report(f"creating {name}")
                return self._completed("create", name)
            if self._start_update(stack, template):
                self.report(f"updating {name}")
                return self._completed("update", name)
        self.report(f"{name} is up to date")
        return outputs_of(stack)

    def preview(self, name: str, template: Template) -> tuple[str, ...]:
        """What `put` would change, one line for each resource. Changes nothing: it deletes its change set again."""
        stack = self.find(name)
        if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
            return ("its creation failed, so it would be deleted and created again",)
        is_new = not exists(stack)
        change_set = {"StackName": name, "ChangeSetName": f"preview-{uuid4().hex}"}
        with aws_errors_about(f"a change set of {name}"):
            self.cloudformation.create_change_set(
                **change_set, ChangeSetType="CREATE" if is_new else "UPDATE", **template.request(stack)
            )
            try:
                return self._changes(change_set)
            finally:
                self.cloudformation.delete_change_set(**change_set)
                if is_new:
                    # The change set of a new stack leaves an empty stack behind.
                    self.cloudformation.delete_stack(StackName=name)

    def delete(self, stack: Mapping[str, Any]) -> None:
        """Delete a stack that `find` returned, and wait until it is gone. Reports the resources that it retains."""
        name, stack_id = stack["StackName"], stack["StackId"]
        with aws_errors_about(f"the deletion of {name}"):
            self.cloudformation.delete_stack(StackName=name)
        self.report(f"deleting {name}")
        self._wait("delete", stack_id)  # CloudFormation finds a deleted stack only by its id
        for event in self._events(stack_id):
            if event["ResourceStatus"] == "DELETE_SKIPPED":
                self.report(f"kept {event['ResourceType']} {event['PhysicalResourceId']}")

    def find(self, stack: str) -> Mapping[str, Any] | None:
        """The stack with a name or an id, as DescribeStacks returns it; None if it does not exist."""
        try:
            description: Mapping[str, Any] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in _reason(error):
                return None
            raise DeploymentError(f"AWS rejected {stack}: {_reason(error)}") from error
        return description

    def _start_update(self, stack: Mapping[str, Any], template: Template) -> bool:
        """Start an update. Returns False if there is nothing to change."""
        try:
            self.cloudformation.update_stack(StackName=stack["StackName"], **template.request(stack))
        except ClientError as error:
            if _NO_UPDATE in _reason(error):
                return False
            raise
        return True

    def _completed(self, operation: str, name: str) -> Outputs:
        """Wait for an operation, and return the outputs of its stack."""
        self._wait(operation, name)
        stack = self.find(name)
        if stack is None:
            raise DeploymentError(f"{name} was deleted during its deployment")
        return outputs_of(stack)

    def _wait(self, operation: str, stack: str) -> None:
        """Wait until an operation on a stack has succeeded. Raises `DeploymentError` with each resource that failed."""
        try:
            self.cloudformation.get_waiter(f"stack_{operation}_complete").wait(
                StackName=stack, WaiterConfig=self._waiter_config
            )
        except WaiterError as error:
            raise self._failure(stack, error) from error

    def _failure(self, stack: str, waiter_error: WaiterError) -> DeploymentError:
        description = self.find(stack)
        if description is None:
            return DeploymentError(f"{stack} was deleted during its deployment")
        name, status = description["StackName"], description["StackStatus"]
        if "Error" in waiter_error.last_response:
            return DeploymentError(f"AWS rejected a request for the status of {name}: {waiter_error}")
        if status.endswith("_IN_PROGRESS"):
            return DeploymentError(
                f"{name} is still {status} after {self.timeout_seconds:.0f} s. It may yet succeed: look at it in the "
                "CloudFormation console, then run this again."
            )
        return DeploymentError(f"{name} ended as {status}. Fix the cause and run this again.\n{self._causes(stack)}")

    def _changes(self, change_set: Mapping[str, str]) -> tuple[str, ...]:
        try:
            self.cloudformation.get_waiter("change_set_create_complete").wait(
                **change_set, WaiterConfig=self._waiter_config
            )
        except WaiterError as error:
            reason = error.last_response.get("StatusReason") or str(error)
            if any(text in reason for text in _NO_CHANGES):
                return ()
            raise DeploymentError(f"a change set of {change_set['StackName']} failed: {reason}") from error
        pages = self.cloudformation.get_paginator("describe_change_set").paginate(**change_set)
        return tuple(_change(change["ResourceChange"]) for page in pages for change in page["Changes"])

    @property
    def _waiter_config(self) -> dict[str, float]:
        return {"Delay": self.poll_seconds, "MaxAttempts": round(self.timeout_seconds / self.poll_seconds)}

    def _causes(self, stack: str) -> str:
        """One line for each resource that failed, in the order of the failures."""
        events = [event for event in self._events(stack) if event["ResourceStatus"].endswith("_FAILED")]
        if any(event.get("DetailedStatus") == "VALIDATION_FAILED" for event in events):
            return "\n".join(self._validation_errors(stack))
        failed = [event for event in events if event.get("PhysicalResourceId") != event["StackId"]] or events
        # CloudFormation cancels other resources after the first failure. These would hide the cause.
        causes = [event for event in failed if "cancelled" not in event.get("ResourceStatusReason", "")] or failed
        return "\n".join(_resource_line(event, event.get("ResourceStatusReason")) for event in reversed(causes))

    def _validation_errors(self, stack: str) -> Iterator[str]:
        """One line for each error that CloudFormation found before it created anything."""
        pages = self.cloudformation.get_paginator("describe_events").paginate(
            StackName=stack, Filters={"FailedEvents": True}
        )
        for page in pages:
            for event in page["OperationEvents"]:
                if event["EventType"] == "VALIDATION_ERROR":
                    yield _resource_line(event, event.get("ValidationStatusReason"))

    def _events(self, stack: str) -> Iterator[Mapping[str, Any]]:
        """The events of the stack's last operation, newest first."""
        for page in self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
            for event in page["StackEvents"]:
                yield event
                if event["ResourceStatus"] in _STARTS and event.get("PhysicalResourceId") == event["StackId"]:
                    return


@contextmanager
def aws_errors_about(subject: str) -> Iterator[None]:
    """Turn an error of AWS into a `DeploymentError` that names what AWS rejected."""
    try:
        yield
    except ClientError as error:
        raise DeploymentError(f"AWS rejected {subject}: {_reason(error)}") from error


def outputs_of(stack: Mapping[str, Any]) -> Outputs:
    """The outputs of a stack that DescribeStacks returned."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def parameters_of(stack: Mapping[str, Any]) -> Mapping[str, str]:
    """The parameters of a stack that DescribeStacks returned. CloudFormation masks those with `NoEcho` as `****`."""
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}


def exists(stack: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether a stack that `find` returned has resources that an update can change."""
    return stack is not None and stack["StackStatus"] not in ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE")


def parameter_changes(stack: Mapping[str, Any], template: Template) -> tuple[str, ...]:
    """What an update changes in the parameters of a stack, one line for each, with the old and the new value."""
    lines = []
    old = parameters_of(stack)
    for name in sorted(old.keys() | template.values.keys()):
        if name in template.values:
            before, after = old.get(name, "(its default)"), template.values[name]
            if before == _MASKED:
                after = _MASKED
            if name == "CodeKey" and before != after:
                lines.append("other code or rules of the function")
            elif before != after:
                lines.append(f"{name}: {before or '(empty)'} → {after or '(empty)'}")
        elif name not in template.keeps:
            lines.append(f"{name}: {old[name] or '(empty)'} → (its default)")
    return tuple(lines)


def _change(change: Mapping[str, Any]) -> str:
    """What CloudFormation would do to one resource, such as `replace Stream (AWS::Kinesis::Stream)`."""
    action = change["Action"].lower()
    if change.get("Replacement") in ("True", "Conditional"):
        action = "replace" if change["Replacement"] == "True" else "modify, or replace,"
    kept = " and keep what is there" if change.get("PolicyAction") in ("Retain", "ReplaceAndRetain") else ""
    return f"{action} {change['LogicalResourceId']} ({change['ResourceType']}){kept}"


def _resource_line(event: Mapping[str, Any], reason: str | None) -> str:
    return f"  {event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason or 'no reason given'}"


def _reason(error: ClientError) -> str:
    return str(error.response["Error"].get("Message") or error)
