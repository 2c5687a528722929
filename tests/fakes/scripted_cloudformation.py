"""A stand-in for CloudFormation that answers as AWS does, with failures that a test scripts.

Operations take time and go on when their caller dies. A stack that is deleted is found by its id alone, and has no
outputs from the start of its deletion. What an operation has started may become visible only later. Requests are
refused in the statuses in which AWS refuses them, with its messages.
"""

# ruff: noqa: N803  (boto3 names arguments as AWS does)

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

UPDATABLE = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
)
GOOD_ENDS = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_SECONDS_OF_AN_OPERATION = 3.0
END_OF_INTERRUPTED = {
    "CREATE_IN_PROGRESS": "CREATE_COMPLETE",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_COMPLETE",
    "UPDATE_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_IN_PROGRESS": "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_IN_PROGRESS": "IMPORT_ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS": "DELETE_COMPLETE",
}
"""How an operation ends that is in progress when the test begins."""


class Killed(BaseException):
    """The process of the caller ends, as by SIGKILL: nothing of it runs any more."""


@dataclass
class FakeStack:
    """One incarnation of a stack."""

    name: str
    id: str
    status: str
    body: str = ""
    values: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    """The status of each resource, by its name in the template."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """Newest first."""
    end: tuple[float, str] | None = None
    """When the operation in progress ends, and how."""
    changed_at: float = 0

    def described(self) -> dict[str, Any]:
        """The stack as DescribeStacks shows it."""
        names = [] if self.status.startswith("DELETE") else outputs_in(self.body)
        return {
            "StackName": self.name,
            "StackId": self.id,
            "StackStatus": self.status,
            "LastUpdatedTime": self.changed_at,
            "Outputs": [{"OutputKey": name, "OutputValue": f"{name} of {self.id}"} for name in names],
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in self.values.items()],
        }


class ScriptedCloudFormation:
    """A client of CloudFormation, and the clock of its operations: `pause` and `clock` replace those of `time`."""

    def __init__(
        self,
        ends: Iterable[str] = (),
        *,
        lag_seconds: float = 0,
        throttled: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.meta = SimpleNamespace(partition="aws", region_name="eu-west-1")
        self.exceptions = SimpleNamespace()
        self.stacks: list[FakeStack] = []
        self.calls: list[str] = []
        self.change_sets: list[tuple[str, dict[str, Any]]] = []
        """The name of the stack and the request of each change set."""
        self.refused: dict[str, str] = {}
        """The reasons of change sets that fail, by the names of their stacks."""
        self.undeletable: set[str] = set()
        """The names of resources whose deletion fails."""
        self.kill_after: int | None = None
        """The number of the call after which the caller dies. The call has its effect."""
        self.on_pause: Callable[[], None] = lambda: None
        self._ends = iter(ends)
        self._lag_seconds = lag_seconds
        self._throttled = throttled
        self._seen: list[tuple[float, FakeStack, dict[str, Any]]] = []
        self._now = 1000.0

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.on_pause()
        self._advance(seconds)

    def clock(self) -> float:
        """The time, in seconds."""
        return self._now

    def given(self, name: str, status: str, *, body: str = "", values: Mapping[str, str] | None = None) -> FakeStack:
        """A stack that is in this status when the test begins. An operation in progress ends well."""
        stack = FakeStack(name, f"arn:{name}/{len(self.stacks)}", status, body, dict(values or {}))
        started = "CREATE_IN_PROGRESS"
        stack.events.append(self._event(stack, name, "AWS::CloudFormation::Stack", started, stack.id))
        if status != "REVIEW_IN_PROGRESS" and not status.startswith("IMPORT"):
            for resource in resources_in(body):
                stack.resources[resource] = "CREATE_COMPLETE"
        if status in END_OF_INTERRUPTED:
            stack.end = self._now + _SECONDS_OF_AN_OPERATION, END_OF_INTERRUPTED[status]
        self.stacks.append(stack)
        self._show(stack, at=0)
        return stack

    def stack(self, name: str) -> FakeStack | None:
        """The stack that has a name now, whatever requests show of it."""
        return next((one for one in self.stacks if one.name == name and one.status != "DELETE_COMPLETE"), None)

    # What boto3's client has.

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        self._called("DescribeStacks")
        visible = [shown for at, stack, shown in self._seen if at <= self._now and StackName in (stack.id, stack.name)]
        newest = visible[-1] if visible else None
        if newest is None or (newest["StackStatus"] == "DELETE_COMPLETE" and newest["StackId"] != StackName):
            raise self._refusal("DescribeStacks", f"Stack with id {StackName} does not exist")
        return self._answer({"Stacks": [newest]})

    def create_stack(self, *, StackName: str, **request: Any) -> dict[str, Any]:
        self._called("CreateStack")
        if self.stack(StackName) is not None:
            raise self._refusal("CreateStack", f"Stack [{StackName}] already exists", "AlreadyExistsException")
        stack = FakeStack(StackName, f"arn:{StackName}/{len(self.stacks)}", "")
        self._apply(stack, request)
        self.stacks.append(stack)
        self._start(stack, "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
        return self._answer({"StackId": stack.id})

    def update_stack(self, *, StackName: str, **request: Any) -> dict[str, Any]:
        self._called("UpdateStack")
        stack = self._named("UpdateStack", StackName)
        if stack.status == "UPDATE_FAILED":
            raise self._refusal("UpdateStack", "This stack is currently in a non-terminal [UPDATE_FAILED] state.")
        if stack.status not in UPDATABLE:
            raise self._refusal("UpdateStack", f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        before = stack.body, dict(stack.values)
        self._apply(stack, request)
        if before == (stack.body, stack.values):
            raise self._refusal("UpdateStack", "No updates are to be performed.")
        self._start(stack, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
        if stack.end is not None and "ROLLBACK" in stack.end[1]:
            stack.body, stack.values = before
        return self._answer({"StackId": stack.id})

    def delete_stack(self, *, StackName: str, DeletionMode: str = "STANDARD") -> dict[str, Any]:
        self._called("DeleteStack")
        stack = next((one for one in self.stacks if StackName in (one.id, one.name)), None)
        if DeletionMode != "STANDARD" and (stack is None or stack.status != "DELETE_FAILED"):
            raise self._refusal("DeleteStack", "FORCE_DELETE_STACK is only for a stack in the DELETE_FAILED state.")
        if stack is None or stack.status in ("DELETE_IN_PROGRESS", "DELETE_COMPLETE"):
            return self._answer({})
        if stack.status in END_OF_INTERRUPTED:
            raise self._refusal("DeleteStack", f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
        stuck = self.undeletable & stack.resources.keys()
        if stuck and DeletionMode == "STANDARD":
            self._start(stack, "DELETE_IN_PROGRESS", "DELETE_FAILED", scripted=False)
        else:
            self._start(stack, "DELETE_IN_PROGRESS", "DELETE_COMPLETE")
        return self._answer({})

    def continue_update_rollback(self, *, StackName: str) -> dict[str, Any]:
        self._called("ContinueUpdateRollback")
        stack = self._named("ContinueUpdateRollback", StackName)
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise self._refusal("ContinueUpdateRollback", f"Stack [{stack.id}] is not UPDATE_ROLLBACK_FAILED")
        self._start(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
        return self._answer({})

    def rollback_stack(self, *, StackName: str) -> dict[str, Any]:
        self._called("RollbackStack")
        stack = self._named("RollbackStack", StackName)
        if stack.status != "UPDATE_FAILED":
            raise self._refusal("RollbackStack", f"Stack [{stack.id}] is not in UPDATE_FAILED or CREATE_FAILED state")
        self._start(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
        return self._answer({})

    def create_change_set(
        self, *, StackName: str, ChangeSetName: str, ChangeSetType: str, **request: Any
    ) -> dict[str, Any]:
        self._called("CreateChangeSet")
        stack = self.stack(StackName)
        is_new = stack is None or stack.status == "REVIEW_IN_PROGRESS"
        if is_new != (ChangeSetType == "CREATE"):
            raise self._refusal("CreateChangeSet", f"Stack [{StackName}]: no change set of type {ChangeSetType}")
        if stack is not None and not is_new and stack.status not in UPDATABLE:
            raise self._refusal(
                "CreateChangeSet", f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            )
        self._apply(FakeStack("", "", "", values=dict(stack.values) if stack else {}), request)
        self.change_sets.append((StackName, request))
        stack = stack or self.given(StackName, "REVIEW_IN_PROGRESS")
        return self._answer({"Id": ChangeSetName, "StackId": stack.id})

    def describe_change_set(self, *, StackName: str, **_: str) -> dict[str, Any]:
        self._called("DescribeChangeSet")
        if StackName in self.refused:
            return self._answer({"Status": "FAILED", "StatusReason": self.refused[StackName]})
        return self._answer({"Status": "CREATE_COMPLETE", "Changes": []})

    def delete_change_set(self, **_: str) -> dict[str, Any]:
        self._called("DeleteChangeSet")
        return self._answer({})

    def get_paginator(self, operation: str) -> Any:
        pages: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
            "list_stack_resources": self._pages_of_resources,
            "describe_stack_events": self._pages_of_events,
            "describe_change_set": lambda **_: iter([{"Changes": []}]),
            "describe_events": lambda **_: iter([{"OperationEvents": []}]),
        }
        return SimpleNamespace(paginate=pages[operation])

    def _pages_of_resources(self, *, StackName: str) -> Iterator[dict[str, Any]]:
        self._called("ListStackResources")
        stack = self._named("ListStackResources", StackName)
        if stack.status == "REVIEW_IN_PROGRESS":
            raise self._refusal("ListStackResources", f"Stack [{StackName}] does not exist")
        summaries = [
            {"LogicalResourceId": name, "PhysicalResourceId": f"{name} of {stack.id}", "ResourceStatus": status}
            for name, status in stack.resources.items()
        ]
        yield self._answer({"StackResourceSummaries": summaries})

    def _pages_of_events(self, *, StackName: str) -> Iterator[dict[str, Any]]:
        self._called("DescribeStackEvents")
        yield self._answer({"StackEvents": list(self._named("DescribeStackEvents", StackName).events)})

    # How AWS works.

    def _called(self, operation: str) -> None:
        self.calls.append(operation)
        self._advance(0.1)
        if self._throttled(len(self.calls)):
            raise self._refusal(operation, "Rate exceeded", "Throttling")

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        if self.kill_after is not None and len(self.calls) >= self.kill_after:
            raise Killed
        return response

    def _named(self, operation: str, stack: str) -> FakeStack:
        found = next((one for one in self.stacks if one.id == stack), None) or self.stack(stack)
        if found is None:
            raise self._refusal(operation, f"Stack [{stack}] does not exist")
        return found

    def _refusal(self, operation: str, message: str, code: str = "ValidationError") -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": message}}, operation)

    def _apply(self, stack: FakeStack, request: Mapping[str, Any]) -> None:
        """Give a stack the template and the parameters of a request."""
        body = request["TemplateBody"]
        values = {
            one["ParameterKey"]: stack.values[one["ParameterKey"]]
            if one.get("UsePreviousValue")
            else one["ParameterValue"]
            for one in request["Parameters"]
        }
        if missing := [name for name in parameters_in(body) if name not in values]:
            raise self._refusal("", f"Parameters: [{', '.join(missing)}] must have values")
        stack.body, stack.values = body, values

    def _start(self, stack: FakeStack, status: str, end: str, *, scripted: bool = True) -> None:
        """Start an operation. The next scripted end counts if it is one of this kind of operation."""
        if scripted:
            end = next(self._ends, "") or end
            end = end if end in _ENDS[status] else _ENDS[status][0]
        stack.status = status
        stack.changed_at = self._now
        stack.end = self._now + _SECONDS_OF_AN_OPERATION, end
        stack.events.insert(0, self._event(stack, stack.name, "AWS::CloudFormation::Stack", status, stack.id))
        self._show(stack, at=self._now + self._lag_seconds)

    def _advance(self, seconds: float) -> None:
        self._now += seconds
        for stack in self.stacks:
            if stack.end is not None and stack.end[0] <= self._now:
                self._finish(stack, stack.end[1])

    def _finish(self, stack: FakeStack, status: str) -> None:
        stack.status, stack.end = status, None
        for name in resources_in(stack.body):
            of_resource = self._end_of_resource(stack, name)
            if of_resource is not None:
                stack.resources[name] = of_resource
                stack.events.insert(
                    0, self._event(stack, name, "AWS::Test::Resource", of_resource, f"{name} of {stack.id}")
                )
        self._show(stack, at=self._now + self._lag_seconds)

    def _end_of_resource(self, stack: FakeStack, name: str) -> str | None:
        if stack.status == "DELETE_COMPLETE":
            kept = name.startswith("Kept") or name in self.undeletable
            return ("DELETE_SKIPPED" if kept else "DELETE_COMPLETE") if name in stack.resources else None
        return _END_OF_RESOURCES.get(stack.status)

    def _show(self, stack: FakeStack, at: float) -> None:
        self._seen.append((at, stack, stack.described()))

    def _event(self, stack: FakeStack, name: str, kind: str, status: str, physical_id: str) -> dict[str, Any]:
        return {
            "StackId": stack.id,
            "LogicalResourceId": name,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": "as scripted",
        }


_ENDS = {
    "CREATE_IN_PROGRESS": ("CREATE_COMPLETE", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"),
    "UPDATE_IN_PROGRESS": ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"),
    "UPDATE_ROLLBACK_IN_PROGRESS": ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"),
    "DELETE_IN_PROGRESS": ("DELETE_COMPLETE", "DELETE_FAILED"),
}
"""How an operation may end. The first is the good end."""
_END_OF_RESOURCES = {
    "CREATE_COMPLETE": "CREATE_COMPLETE",
    "CREATE_FAILED": "CREATE_FAILED",
    "ROLLBACK_COMPLETE": "DELETE_COMPLETE",
    "ROLLBACK_FAILED": "DELETE_FAILED",
    "UPDATE_COMPLETE": "UPDATE_COMPLETE",
    "UPDATE_FAILED": "UPDATE_FAILED",
    "UPDATE_ROLLBACK_FAILED": "UPDATE_FAILED",
    "DELETE_FAILED": "DELETE_FAILED",
}
"""The status of each resource when an operation on its stack ends so. Other ends change nothing."""


def outputs_in(body: str) -> list[str]:
    """The names of a template's outputs."""
    return re.findall(r"^  (\w+):", body.partition("\nOutputs:\n")[2], re.MULTILINE)


def parameters_in(body: str) -> list[str]:
    """The names of a template's parameters without a default."""
    section = body.partition("\nParameters:\n")[2].partition("\nResources:\n")[0]
    return re.findall(r"^  (\w+): \{Type: String\}$", section, re.MULTILINE)


def resources_in(body: str) -> list[str]:
    """The names of a template's resources."""
    return re.findall(r"^  (\w+):", body.partition("\nResources:\n")[2].partition("\nOutputs:\n")[0], re.MULTILINE)
