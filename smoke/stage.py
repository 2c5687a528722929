"""The stage that is tested: its name, its resources, and clients for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deployment.stacks import ALL_STACKS, ON_REQUEST
from operations.outputs import required
from smoke.deadline import Clock

STACKS = (*ALL_STACKS, *ON_REQUEST)
_OUTPUT_OF = {"api": "ApiUrl", "web": "DashboardUrl"}
"""An output of each stack that only some stages have."""
Client = Callable[[str], Any]
"""Makes a boto3 client of a service."""


@dataclass
class Stage:
    """A stage in the account and region of the clients. Its outputs are known when it is deployed."""

    prefix: str
    """The first part of the names of its stacks, such as `stockstream`."""
    name: str
    """The second part, such as `dev`."""
    client: Client
    clock: Clock
    outputs: dict[str, str] = field(default_factory=dict)
    started_at: datetime = field(init=False)
    """When the test began."""

    def __post_init__(self) -> None:
        self.started_at = self.clock.now()

    @property
    def full_name(self) -> str:
        """The first two parts of the names of its stacks."""
        return f"{self.prefix}-{self.name}"

    def output(self, name: str) -> str:
        """An output of its stacks. Raises `WrongUsage` if there is none."""
        return required(self.outputs, name)

    def existing_stacks(self) -> list[str]:
        """The names of its stacks that exist, whatever their status, in the order of deployment."""
        pages = self.client("cloudformation").get_paginator("describe_stacks").paginate()
        there = {stack["StackName"] for page in pages for stack in page["Stacks"]}
        return [name for name in (f"{self.full_name}-{stack}" for stack in STACKS) if name in there]

    def stack(self, name: str) -> dict[str, Any]:
        """A stack, as DescribeStacks returns it."""
        found: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=f"{self.full_name}-{name}")
        return dict(found["Stacks"][0])

    def _is_served(self, stack: str) -> bool:
        return _OUTPUT_OF[stack] in self.outputs

    def parameters(self, stack: str) -> dict[str, str]:
        """The parameters of a stack."""
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.stack(stack).get("Parameters", ())}

    def resources(self, kind: str) -> Iterator[tuple[str, str]]:
        """The logical and the physical id of each resource of a type, such as `AWS::CloudWatch::Alarm`."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        for name in (stack for stack in STACKS if stack in ALL_STACKS or self._is_served(stack)):
            for page in pages.paginate(StackName=f"{self.full_name}-{name}"):
                for one in page["StackResourceSummaries"]:
                    if one["ResourceType"] == kind and one.get("PhysicalResourceId"):
                        yield one["LogicalResourceId"], one["PhysicalResourceId"]
