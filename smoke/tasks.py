"""The step that stops the producer's task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smoke.checks import task_replaced
from smoke.deadline import Deadline
from smoke.notices import Notices
from smoke.quotes import Quotes
from smoke.stage import Stage
from smoke.verdicts import Failed, LeftOut, Verdict

RULE = "TaskStopped"
"""The logical id of the rule that announces stopped tasks."""
STOP_CODE = "UserInitiated"
"""What ECS calls a stop by StopTask."""


@dataclass(frozen=True)
class Tasks:
    """The tasks of the producer's service."""

    stage: Stage
    notices: Notices
    quotes: Quotes

    def stop_one(self, deadline: Deadline) -> Verdict:
        """Stop the task, and wait for the notice, for a new task, and for its quotes."""
        ecs, cluster = self.stage.client("ecs"), self.stage.output("ClusterName")
        running = self._running()
        if not running:
            return Failed("a running task", "the service has none (DesiredCount=0 pauses the producer)")
        (task, *_) = running
        described = ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"][0]
        if not any(container.get("imageDigest") for container in described["containers"]):
            return LeftOut("no container runs in the task here: ECS names no digest of its image")
        announced = self._is_announced()
        ecs.stop_task(cluster=cluster, task=task, reason="A smoke test of stockstream stops this task.")

        def look() -> Verdict:
            tasks = self._running()
            started = [begun for name, (_, begun) in tasks.items() if name != task and begun is not None]
            return task_replaced(
                task,
                {name: health for name, (health, _) in tasks.items()},
                self.notices.look(),
                announced=announced,
                has_new_quotes=bool(started) and self.quotes.have_come_since(max(started)),
            )

        return deadline.until(look)

    def _running(self) -> dict[str, tuple[str, datetime | None]]:
        """The health of each running task, and since when it runs, by its ARN."""
        ecs, cluster = self.stage.client("ecs"), self.stage.output("ClusterName")
        found = ecs.list_tasks(cluster=cluster, serviceName=self.stage.output("ServiceName"), desiredStatus="RUNNING")
        if not found["taskArns"]:
            return {}
        tasks = ecs.describe_tasks(cluster=cluster, tasks=found["taskArns"])["tasks"]
        return {
            task["taskArn"]: (task.get("healthStatus", "UNKNOWN"), task.get("startedAt"))
            for task in tasks
            if task["lastStatus"] == "RUNNING"
        }

    def _is_announced(self) -> bool:
        """Whether the rule announces a stop by hand."""
        events = self.stage.client("events")
        names = [name for logical, name in self.stage.resources("AWS::Events::Rule") if logical == RULE]
        return any(STOP_CODE in events.describe_rule(Name=name)["EventPattern"] for name in names)
