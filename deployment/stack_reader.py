"""Reads stacks, and waits until the operations on them have ended. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.errors import DeploymentError
from deployment.stack_status import Reaction, reaction_to
from deployment.waiting import Wait

Stack = Mapping[str, Any]
"""A stack as DescribeStacks returns it."""

_MOVED = ("StackStatus", "LastUpdatedTime", "DeletionTime")
"""What an operation changes of a stack when it starts."""


@dataclass(frozen=True, slots=True)
class StackReader:
    """Reads the stacks of an account and region. Raises `ClientError` if AWS refuses a request."""

    cloudformation: BaseClient
    report: Callable[[str], None]
    wait: Wait

    def find(self, stack: str) -> Stack | None:
        """The stack with a name or an id; None if it does not exist."""
        try:
            description: Stack = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in reason_of(error):
                return None
            raise
        return description

    def resources(self, stack: Stack) -> list[Mapping[str, Any]]:
        """The resources that a stack holds, as ListStackResources returns them. A stack in review has none."""
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return []
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack["StackId"])
        listed = [one for page in pages for one in page["StackResourceSummaries"]]
        return [one for one in listed if one["ResourceStatus"] != "DELETE_COMPLETE" and one.get("PhysicalResourceId")]

    def await_end(self, before: Stack) -> Stack:
        """Wait until the operation on a stack has ended, and return the stack as it is then.

        `before` is the stack in the middle of the operation, or as it was before the operation was started.
        CloudFormation finds a deleted stack only by its id, and may show an operation some time after it was started.
        """
        name, seen = before["StackName"], before

        def look() -> Stack:
            nonlocal seen
            gone = {**before, "StackStatus": "DELETE_COMPLETE", "Outputs": []}
            seen = self.find(before["StackId"]) or gone
            return seen

        def started() -> Stack | None:
            return None if all(look().get(key) == before[key] for key in _MOVED if key in before) else seen

        def ended() -> Stack | None:
            return None if is_busy(look()) else seen

        try:
            if not is_busy(before):
                self.wait.until(started, self.wait.settle_seconds)
            end = self.wait.until(ended) if is_busy(seen) else seen
        except KeyboardInterrupt:
            status = f", which is {seen['StackStatus']}" if is_busy(seen) else ""
            self.report(f"CloudFormation goes on with {name}{status}")
            raise
        except ClientError as error:
            raise DeploymentError(
                f"AWS rejected a request for the status of {name}: {reason_of(error)}\n"
                "CloudFormation goes on with it. Run this again to wait for it and to complete the rest."
            ) from error
        if end is None:
            raise DeploymentError(
                f"{name} is still {seen['StackStatus']} after {self.wait.timeout_seconds:.0f} s. It may yet succeed: "
                "look at it in the CloudFormation console. Run this again to wait for it and to complete the rest."
            )
        return end


def is_busy(stack: Stack) -> bool:
    """Whether an operation on a stack is in progress."""
    return reaction_to(stack["StackStatus"]) is Reaction.WAIT


def reason_of(error: ClientError) -> str:
    """What AWS says in an error."""
    return str(error.response["Error"].get("Message") or error)
