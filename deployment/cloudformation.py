"""Creates, updates, previews and deletes one CloudFormation stack, and reports which resources failed and why.

Each method brings the stack from any status to the wanted one: `stack_status` has the reaction to each. What an earlier
run started and did not see end is waited for, so it is always right to run the same command again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from uuid import uuid4

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.changes import ResourceChange
from deployment.errors import DeploymentError
from deployment.parameters import declared
from deployment.stack_events import causes, kept_resources, validation_errors
from deployment.stack_reader import Stack, StackReader, reason_of
from deployment.stack_status import DELETION_FAILED, Reaction, is_live, reaction_to
from deployment.stacks import Outputs
from deployment.waiting import Wait, passes_by_itself

_MASKED = "****"
_NO_UPDATE = "No updates are to be performed"
_NO_CHANGES = (_NO_UPDATE, "didn't contain changes")
_UNFINISHED = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
_STEPS = 4
"""The most rollbacks and continued rollbacks before a stack can be updated. More are somebody else's doing."""


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
    rollback: Mapping[str, Any] | None = None
    """The alarms that roll the operation back (`RollbackConfiguration`). None keeps those of the last operation."""
    service_role: str | None = None
    """The ARN of the role with which CloudFormation changes resources. None keeps the role that the stack has."""

    def request(self, stack: Stack | None = None) -> dict[str, Any]:
        """The arguments that CreateStack, UpdateStack and CreateChangeSet have in common; `stack` is what exists."""
        kept = sorted((self.keeps & parameters_of(stack).keys()) - self.values.keys()) if stack is not None else []
        return {
            "TemplateBody": self.body,
            "Parameters": [{"ParameterKey": key, "ParameterValue": self.values[key]} for key in sorted(self.values)]
            + [{"ParameterKey": key, "UsePreviousValue": True} for key in kept],
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": key, "Value": self.tags[key]} for key in sorted(self.tags)],
            **({} if self.rollback is None else {"RollbackConfiguration": self.rollback}),
            **({} if self.service_role is None else {"RoleARN": self.service_role}),
        }


@dataclass(frozen=True)
class StackClient:
    """The stacks of an account and region, by name. Every method raises `DeploymentError` if AWS refuses or fails."""

    cloudformation: BaseClient
    report: Callable[[str], None]
    """Called with a line of text for each step."""
    wait: Wait = field(default_factory=Wait)

    def put(self, name: str, template: Template) -> Outputs:
        """Create the stack, or update it if it differs, and return its outputs when it is complete."""
        with aws_errors_about(name):
            # AWS may not show yet what another request has started. It then refuses the first tries.
            return self.wait.until(lambda: self._put(name, template), passes=_may_succeed_later) or {}

    def settle(self, name: str) -> Stack | None:
        """Bring a stack to where it can be updated. Returns None where it can be created instead."""
        stack = self.find_at_rest(name)
        for _ in range(_STEPS):
            if stack is None:
                return None
            status = stack["StackStatus"]
            match self._reaction_to(stack):
                case Reaction.UPDATE:
                    return stack
                case Reaction.CREATE:
                    return None
                case Reaction.REMOVE:
                    self.report(f"{name} is {status}, so it is deleted and created again")
                    self.delete(stack)
                    return None
                case Reaction.CONTINUE_ROLLBACK:
                    self.report(f"{name} is {status}, so its rollback is continued before it is updated")
                    stack = self._continue_rollback(stack)
                case Reaction.ROLL_BACK:
                    self.report(f"{name} is {status}, so it is rolled back before it is updated")
                    stack = self._run(self.cloudformation.rollback_stack, stack)
        raise _changed_by_others(name)

    def preview(self, name: str, template: Template) -> tuple[str, ...]:
        """What `put` would change, one line for each resource. Changes nothing: it deletes its change set again.

        Raises `DeploymentError` with everything that CloudFormation's validation finds in the template.
        """
        stack = self.find_at_rest(name)
        if stack is not None and stack["StackStatus"] != "REVIEW_IN_PROGRESS":
            match self._reaction_to(stack):
                case Reaction.REMOVE:
                    return (f"it is {stack['StackStatus']}, so it would be deleted and created again",)
                case Reaction.ROLL_BACK | Reaction.CONTINUE_ROLLBACK:
                    return (f"it is {stack['StackStatus']}, so it would be rolled back and then updated",)
        change_set = {"StackName": name, "ChangeSetName": f"preview-{uuid4().hex}"}
        kind = "UPDATE" if exists(stack) else "CREATE"
        with aws_errors_about(f"a change set of {name}"):
            made = self.cloudformation.create_change_set(
                **change_set, ChangeSetType=kind, **template.request(stack if exists(stack) else None)
            )
            try:
                return self._changes(change_set)
            finally:
                self.cloudformation.delete_change_set(**change_set)
                if stack is None:
                    # The change set of a new stack leaves an empty stack behind.
                    self.cloudformation.delete_stack(StackName=made["StackId"])
                    self.reader.await_end(
                        {"StackName": name, "StackId": made["StackId"], "StackStatus": "REVIEW_IN_PROGRESS"}
                    )

    def delete(self, stack: Stack) -> None:
        """Delete a stack that `find` returned, and wait until it is gone. Reports the resources that it retains.

        A deletion that fails raises `DeploymentError`. If an earlier one has failed too, the resources that cannot be
        deleted are left behind, and reported.
        """
        name, stack_id = stack["StackName"], stack["StackId"]
        with aws_errors_about(f"the deletion of {name}"):
            self.cloudformation.delete_stack(StackName=stack_id)
            self.report(f"deleting {name}")
            ended = self.reader.await_end(stack)
            if ended["StackStatus"] == "DELETE_FAILED" and stack["StackStatus"] in DELETION_FAILED:
                self.cloudformation.delete_stack(StackName=stack_id, DeletionMode="FORCE_DELETE_STACK")
                ended = self.reader.await_end(ended)
            if ended["StackStatus"] != "DELETE_COMPLETE":
                raise self._failure(ended, "If a resource cannot be deleted then either, it is left behind and named.")
            for line in kept_resources(self.cloudformation, stack_id):
                self.report(line)

    def protect(self, stack: Stack, *, protected: bool) -> None:
        """Switch the termination protection of a stack that `find` returned on or off.

        CloudFormation does not delete a stack that has it.
        """
        name = stack["StackName"]
        if bool(stack.get("EnableTerminationProtection")) == protected:
            return
        with aws_errors_about(f"the termination protection of {name}"):
            self.cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=protected)

    def find(self, stack: str) -> Stack | None:
        """The stack with a name or an id, as DescribeStacks returns it; None if it does not exist."""
        with aws_errors_about(stack):
            return self.reader.find(stack)

    def find_at_rest(self, name: str) -> Stack | None:
        """The stack with a name, after the operation that may be in progress has ended; None if it does not exist."""
        with aws_errors_about(name):
            stack = self.reader.find(name)
            if stack is not None and reaction_to(stack["StackStatus"]) is Reaction.WAIT:
                self.report(f"waiting for {name}, which is {stack['StackStatus']}")
                stack = self.reader.await_end(stack)
                if stack["StackStatus"].endswith(("_FAILED", "ROLLBACK_COMPLETE")):
                    for line in (f"{name} ended as {stack['StackStatus']}", *self._causes(stack)):
                        self.report(line)
        return None if stack is None or reaction_to(stack["StackStatus"]) is Reaction.CREATE else stack

    def resources(self, stack: Stack) -> Mapping[str, str]:
        """The physical ids of the resources that a stack holds, by their names in its template."""
        with aws_errors_about(f"a request for the resources of {stack['StackName']}"):
            return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in self.reader.resources(stack)}

    @property
    def reader(self) -> StackReader:
        """Reads stacks, and waits for them. It raises the errors of AWS as they are."""
        return StackReader(self.cloudformation, self.report, self.wait)

    def _put(self, name: str, template: Template) -> Outputs:
        stack = self.settle(name)
        try:
            if stack is None:
                made = self.cloudformation.create_stack(StackName=name, **template.request())
            else:
                self.cloudformation.update_stack(StackName=name, **template.request(stack))
        except ClientError as error:
            if stack is not None and _NO_UPDATE in reason_of(error):
                self.report(f"{name} is up to date")
                return outputs_of(stack)
            raise
        self.report(f"{'creating' if stack is None else 'updating'} {name}")
        before = stack or {"StackName": name, "StackId": made["StackId"], "StackStatus": "DELETE_COMPLETE"}
        ended = self.reader.await_end(before)
        if ended["StackStatus"] == "DELETE_COMPLETE":
            raise DeploymentError(f"{name} was deleted during its deployment")
        if not _succeeded(ended):
            raise self._failure(ended)
        return outputs_of(ended)

    def _continue_rollback(self, stack: Stack) -> Stack:
        name = stack["StackName"]
        ended = self._run(self.cloudformation.continue_update_rollback, stack)
        if ended["StackStatus"] != "UPDATE_ROLLBACK_FAILED":
            return ended
        failed = [
            one["LogicalResourceId"] for one in self.reader.resources(ended) if one["ResourceStatus"] == "UPDATE_FAILED"
        ]
        raise self._failure(
            ended,
            "If you cannot fix it, leave the resources that cannot be rolled back as they are, and run this again:\n"
            f"  aws cloudformation continue-update-rollback --stack-name {name} --resources-to-skip "
            f"{' '.join(failed) or '<the resources below>'}",
        )

    def _run(self, operation: Callable[..., object], stack: Stack) -> Stack:
        """Run an operation on a stack, and return the stack as it is then.

        AWS refuses it if another operation has been started that it did not show yet. Then this waits for that one.
        """
        try:
            operation(StackName=stack["StackId"])
        except ClientError as error:
            if error.response["Error"].get("Code") != "ValidationError":
                raise
            ended = self.reader.await_end(stack)
            if ended["StackStatus"] == stack["StackStatus"]:
                raise
            return ended
        return self.reader.await_end(stack)

    def _reaction_to(self, stack: Stack) -> Reaction:
        """The reaction to a stack at rest."""
        reaction = reaction_to(stack["StackStatus"])
        if reaction is not Reaction.UNDO_IMPORT:
            return reaction
        only_imports = all(one["ResourceStatus"].startswith("IMPORT_") for one in self.reader.resources(stack))
        return Reaction.REMOVE if only_imports else Reaction.UPDATE

    def _failure(self, stack: Stack, advice: str = "") -> DeploymentError:
        end = f"{stack['StackName']} ended as {stack['StackStatus']}. Fix the cause and run this again."
        return DeploymentError("\n".join([end, *filter(None, [advice]), *self._causes(stack)]))

    def _causes(self, stack: Stack) -> tuple[str, ...]:
        return causes(self.cloudformation, stack["StackId"])

    def _changes(self, change_set: Mapping[str, str]) -> tuple[str, ...]:
        def made() -> Mapping[str, Any] | None:
            found: Mapping[str, Any] = self.cloudformation.describe_change_set(**change_set)
            return None if found["Status"] in _UNFINISHED else found

        name = change_set["StackName"]
        found = self.wait.until(made)
        if found is None:
            raise DeploymentError(f"a change set of {name} is not complete after {self.wait.timeout_seconds:.0f} s")
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "no reason given")
            if any(text in reason for text in _NO_CHANGES):
                return ()
            errors = validation_errors(self.cloudformation, **change_set)
            raise DeploymentError("\n".join([f"a change set of {name} failed: {reason}", *errors]))
        pages = self.cloudformation.get_paginator("describe_change_set").paginate(**change_set)
        return tuple(ResourceChange.of(change["ResourceChange"]) for page in pages for change in page["Changes"])


@contextmanager
def aws_errors_about(subject: str) -> Iterator[None]:
    """Turn an error of AWS into a `DeploymentError` that names what AWS rejected."""
    try:
        yield
    except ClientError as error:
        raise DeploymentError(f"AWS rejected {subject}: {reason_of(error)}") from error


def outputs_of(stack: Stack) -> Outputs:
    """The outputs of a stack that DescribeStacks returned."""
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def parameters_of(stack: Stack) -> Mapping[str, str]:
    """The parameters of a stack that DescribeStacks returned. CloudFormation masks those with `NoEcho` as `****`."""
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}


def exists(stack: Stack | None) -> TypeGuard[Stack]:
    """Whether a stack that `find` returned has resources that an update can change, at least when it is at rest."""
    return stack is not None and is_live(stack["StackStatus"])


def parameter_changes(stack: Stack, template: Template) -> tuple[str, ...]:
    """What an update changes in the parameters of a stack, one line for each, with the old and the new value."""
    lines = []
    old = parameters_of(stack)
    for name in sorted(old.keys() | template.values.keys()):
        if name in template.values:
            before, after = old.get(name, "(its default)"), template.values[name]
            if before == _MASKED:
                after = _MASKED
            if name == "CodeKey" and before != after:
                lines.append("other code of the function")
            elif name == "Release" and before != after:
                lines.append("a new version of the function")
            elif before != after:
                lines.append(f"{name}: {before or '(empty)'} → {after or '(empty)'}")
        elif name not in template.keeps:
            after = "(its default)" if name in declared(template.body) else "(no parameter of this version)"
            lines.append(f"{name}: {old[name] or '(empty)'} → {after}")
    return tuple(lines)


def _succeeded(stack: Stack) -> bool:
    """Whether the last operation on a stack did what it should."""
    return stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


def _may_succeed_later(error: Exception) -> bool:
    """Whether a request may succeed later: also if AWS refuses it since the stack is no longer as AWS has shown it."""
    if not isinstance(error, ClientError):
        return passes_by_itself(error)
    reason = reason_of(error)
    outdated = "can not be updated" in reason or (reason.startswith("Stack") and "does not exist" in reason)
    return outdated or error.response["Error"].get("Code") == "AlreadyExistsException" or passes_by_itself(error)


def _changed_by_others(name: str) -> DeploymentError:
    return DeploymentError(f"{name} is being changed by somebody else. Run this again when that has ended.")
