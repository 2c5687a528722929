"""The step that looks at the alarms."""

from __future__ import annotations

from dataclasses import dataclass

from smoke.checks import Alarm, alarms_quiet
from smoke.deadline import Deadline
from smoke.stage import Stage
from smoke.verdicts import Verdict

_NAMES_OF_A_REQUEST = 100


@dataclass(frozen=True)
class Alarms:
    """The alarms in the stacks of the stage."""

    stage: Stage

    def are_quiet(self, deadline: Deadline) -> Verdict:
        """Wait until every alarm that a step of this test has raised is quiet again."""
        topic, watchers = self.stage.output("OperatorsTopicArn"), self._watchers()
        return deadline.until(lambda: alarms_quiet(self._alarms(), topic, watchers))

    def _alarms(self) -> list[Alarm]:
        cloudwatch = self.stage.client("cloudwatch")
        names = [name for _, name in self.stage.resources("AWS::CloudWatch::Alarm")]
        found = []
        for start in range(0, len(names), _NAMES_OF_A_REQUEST):
            some = names[start : start + _NAMES_OF_A_REQUEST]
            found += cloudwatch.describe_alarms(AlarmNames=some, MaxRecords=_NAMES_OF_A_REQUEST)["MetricAlarms"]
        return [
            Alarm(
                name=one["AlarmName"],
                state=one["StateValue"],
                description=one.get("AlarmDescription", ""),
                reason=one.get("StateReason", ""),
                actions=tuple(one.get("AlarmActions", ())),
                actions_enabled=one["ActionsEnabled"],
            )
            for one in found
        ]

    def _watchers(self) -> frozenset[str]:
        """The alarms that roll back an update of the function, by name."""
        triggers = self.stage.stack("processor").get("RollbackConfiguration", {}).get("RollbackTriggers", ())
        return frozenset(trigger["Arn"].rpartition(":alarm:")[2] for trigger in triggers)
