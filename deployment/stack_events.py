"""Reads the events of a stack: why an operation failed, and what a deletion kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

_STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS")


def causes(cloudformation: BaseClient, stack_id: str) -> tuple[str, ...]:
    """One line for each resource that failed in the stack's last operation, in the order of the failures."""
    events = [event for event in _last_operation(cloudformation, stack_id) if _is_failure(event)]
    if any(event.get("DetailedStatus") == "VALIDATION_FAILED" for event in events):
        return validation_errors(cloudformation, StackName=stack_id)
    failed = [event for event in events if event.get("PhysicalResourceId") != event["StackId"]] or events
    # CloudFormation cancels other resources after the first failure. These would hide the cause.
    roots = [event for event in failed if "cancelled" not in event.get("ResourceStatusReason", "")] or failed
    return tuple(_line(event, event.get("ResourceStatusReason")) for event in reversed(roots))


def validation_errors(cloudformation: BaseClient, **operation: str) -> tuple[str, ...]:
    """One line for each error that CloudFormation found before it created anything.

    `operation` names a stack or a change set as DescribeEvents does. Without permission for that, this is empty.
    """
    pages = cloudformation.get_paginator("describe_events").paginate(**operation, Filters={"FailedEvents": True})
    try:
        return tuple(
            _line(event, event.get("ValidationStatusReason"))
            for page in pages
            for event in page["OperationEvents"]
            if event["EventType"] == "VALIDATION_ERROR"
        )
    except ClientError:
        return ()


def kept_resources(cloudformation: BaseClient, stack_id: str) -> tuple[str, ...]:
    """One line for each resource that the deletion of a stack left behind, newest first."""
    lines: dict[str, str] = {}
    for event in _last_operation(cloudformation, stack_id):
        resource = f"{event.get('ResourceType')} {event.get('PhysicalResourceId')}"
        match event["ResourceStatus"]:
            case "DELETE_SKIPPED":
                lines.setdefault(resource, f"kept {resource}")
            case "DELETE_FAILED" if event.get("PhysicalResourceId") != event["StackId"]:
                reason = event.get("ResourceStatusReason") or "no reason given"
                lines.setdefault(resource, f"could not delete {resource}, so delete it by hand: {reason}")
            case "DELETE_COMPLETE":
                lines.setdefault(resource, "")
    return tuple(line for line in lines.values() if line)


def _last_operation(cloudformation: BaseClient, stack_id: str) -> Iterator[Mapping[str, Any]]:
    """The events of the stack's last operation, newest first."""
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            yield event
            if event["ResourceStatus"] in _STARTS and event.get("PhysicalResourceId") == event["StackId"]:
                return


def _is_failure(event: Mapping[str, Any]) -> bool:
    return str(event["ResourceStatus"]).endswith("_FAILED")


def _line(event: Mapping[str, Any], reason: str | None) -> str:
    return f"  {event.get('LogicalResourceId')} ({event.get('ResourceType')}): {reason or 'no reason given'}"
