"""CloudFormation's rollback triggers, which MiniStack does not have: alarms roll an update back.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-rollback-triggers.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.client import BaseClient


class RollbackTriggers:
    """Watches the updates of a client of CloudFormation.

    The monitoring time is the call of `meanwhile`, when the update is done. If an alarm of the request fires by then,
    the stack goes back to its old template and parameters, and the client sees a stack that was rolled back. Here that
    publishes the old release again. CloudFormation points the alias to the version that it still has.
    """

    def __init__(self, watched: BaseClient, own: BaseClient, cloudwatch: BaseClient) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.monitored: list[tuple[str, ...]] = []
        """The names of the alarms of each update that changed something."""
        self._own: Any = own
        self._cloudwatch: Any = cloudwatch
        self._before: dict[str, Any] = {}
        self._triggers: dict[str, list[dict[str, str]]] = {}
        self._rolled_back: dict[str, str] = {}
        events = watched.meta.events
        events.register("provide-client-params.cloudformation.UpdateStack", self._remember)
        events.register("after-call.cloudformation.UpdateStack", self._watch)
        events.register("after-call.cloudformation.DescribeStacks", self._show_status)
        events.register("after-call.cloudformation.DescribeStackEvents", self._show_reason)

    def _remember(self, params: dict[str, Any], **_: object) -> None:
        """Keep what a rollback needs: the stack as it is before the update."""
        name = params["StackName"]
        (stack,) = self._own.describe_stacks(StackName=name)["Stacks"]
        self._before = {
            "StackName": name,
            "TemplateBody": self._own.get_template(StackName=name)["TemplateBody"],
            "Parameters": stack["Parameters"],
            "Capabilities": params["Capabilities"],
            "Tags": stack["Tags"],
        }
        if "RollbackConfiguration" in params:  # otherwise, those of the update before apply
            self._triggers[name] = params["RollbackConfiguration"].get("RollbackTriggers", [])

    def _watch(self, parsed: dict[str, Any], **_: object) -> None:
        if "StackId" not in parsed:  # there was nothing to update
            return
        name, stack_id = self._before["StackName"], parsed["StackId"]
        self._rolled_back.pop(stack_id, None)
        self._own.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 0.1})
        names = tuple(trigger["Arn"].rpartition(":")[2] for trigger in self._triggers.get(name, []))
        self.monitored.append(names)
        if not names:
            return
        self.meanwhile()
        alarms = self._cloudwatch.describe_alarms(AlarmNames=list(names))["MetricAlarms"]
        firing = [alarm["AlarmArn"] for alarm in alarms if alarm["StateValue"] == "ALARM"]
        if firing:
            self._own.update_stack(**self._before)
            self._own.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 0.1})
            self._rolled_back[stack_id] = f"Alarms in ALARM: {', '.join(firing)}"

    def _show_status(self, parsed: dict[str, Any], **_: object) -> None:
        for stack in parsed.get("Stacks", []):
            if stack["StackId"] in self._rolled_back:
                stack["StackStatus"] = "UPDATE_ROLLBACK_COMPLETE"

    def _show_reason(self, parsed: dict[str, Any], **_: object) -> None:
        """Show the rollback as the last two events of the update."""
        events = parsed.get("StackEvents", [])
        if not events or (reason := self._rolled_back.get(events[0]["StackId"])) is None:
            return
        newest = events[0] | {
            "Timestamp": datetime.now(UTC),
            "ResourceType": "AWS::CloudFormation::Stack",
            "PhysicalResourceId": events[0]["StackId"],
        }
        started = newest | {"ResourceStatus": "UPDATE_ROLLBACK_IN_PROGRESS", "ResourceStatusReason": reason}
        events[:0] = [newest | {"ResourceStatus": "UPDATE_ROLLBACK_COMPLETE"}, started]
