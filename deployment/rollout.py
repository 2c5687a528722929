"""The safe rollout of the function: a release for each change, and alarms that roll a release back.

CloudFormation watches the alarms while it updates the function's stack and some minutes longer, and rolls the update
back if one of them fires. The mapping invokes an alias, so the rollback only points the alias to the version before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from botocore.client import BaseClient

from deployment.cloudformation import Template, aws_errors_about, parameters_of
from deployment.parameters import declared
from deployment.waiting import Wait

RELEASE = "Release"
"""The parameter of a function's template that publishes a new version when it changes."""
MAPPING_PARAMETERS = frozenset(
    {
        "Latency",
        "ConsumerArn",
        "MappingState",
        "BatchSize",
        "BatchingWindowSeconds",
        "ParallelizationFactor",
        "BisectBatchOnFunctionError",
        "MaximumRetryAttempts",
        "MaximumRecordAgeSeconds",
    }
)
"""The parameters that change only the event source mapping. They need no new version of the function."""
WATCHED = ("QuarantineAlarm", "FunctionFailingAlarm", "BatchesFailingAlarm")
"""The outputs of the stack observability that name the alarms. An earlier deployment has made them: they watch a new
release from its first moment, and a first deployment has nothing to go back to."""
WATCH_MINUTES = 10
"""How long CloudFormation watches the alarms after an update, by default. An alarm needs up to 7 minutes."""
_QUIET_SECONDS = 420
"""How long an alarm may fire after a rollback because of the release that was rolled back."""
NO_WATCH: Mapping[str, Any] = {"RollbackTriggers": [], "MonitoringTimeInMinutes": 0}
"""An update without this keeps the alarms of the update before."""
_HASH_CHARACTERS = 12


def released(template: Template, stack: Mapping[str, Any] | None, suffix: str) -> Template:
    """The template of a function with its release: that of the stack, or a new one if anything of the function differs.

    `stack` is at rest, so its release cannot be rolled back any more; None if it does not exist.

    A new release ends with `suffix`, which has to be new in each deployment. So a release that was rolled back and is
    deployed again is published again, whatever Lambda kept of the first attempt. A release that the user names stays.
    """
    if RELEASE in template.values:
        return template
    deployed = {} if stack is None else parameters_of(stack)
    content = _hash_of(template, deployed)
    current = deployed.get(RELEASE, "")
    release = current if current.partition("-")[0] == content else f"{content}-{suffix}"
    return replace(template, values={**template.values, RELEASE: release})


def rollback_configuration(
    alarms: Iterable[Mapping[str, Any]], minutes: int, report: Callable[[str], None]
) -> Mapping[str, Any]:
    """The `RollbackConfiguration` of an update that alarms watch, as DescribeAlarms returns them.

    An alarm that fires already is left out: it would roll back the very deployment that ends it.
    """
    quiet = []
    for alarm in alarms:
        if alarm["StateValue"] == "ALARM":
            report(f"{alarm['AlarmName']} fires already, so it cannot roll this deployment back")
        else:
            quiet.append({"Arn": alarm["AlarmArn"], "Type": "AWS::CloudWatch::Alarm"})
    if not quiet:
        report("no alarm watches the new release, so nothing rolls it back")
        return NO_WATCH
    report(f"alarms that can roll the new release back within {minutes} minutes: {len(quiet)}")
    return {"RollbackTriggers": quiet, "MonitoringTimeInMinutes": minutes}


def alarms_of(cloudwatch: BaseClient, outputs: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The alarms that watch a release. `outputs` are those of the stack observability."""
    names = [outputs[name] for name in WATCHED if name in outputs]
    if not names:
        return []
    with aws_errors_about("reading the alarms that watch the function"):
        found: list[Mapping[str, Any]] = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    return found


def alarms_after_rollback(
    look: Callable[[], list[Mapping[str, Any]]], wait: Wait, report: Callable[[str], None]
) -> list[Mapping[str, Any]]:
    """The alarms, when those are quiet again that fired because of the release that was just rolled back.

    Otherwise, nothing would watch the next release. An alarm that does not end is about the present release.
    """

    def quiet() -> bool | None:
        return True if all(alarm["StateValue"] != "ALARM" for alarm in look()) else None

    if not quiet():
        report("waiting until the alarms are quiet again that rolled the last release back")
        wait.until(quiet, _QUIET_SECONDS)
    return look()


def _hash_of(template: Template, deployed: Mapping[str, str]) -> str:
    """A hash of all that decides the configuration of the function: the template and the values of its parameters.

    The key of the zip, which has the hash of the code, is one of the parameters. So are the names of other resources.
    """
    values = {name: parameter.default for name, parameter in declared(template.body).items()}
    values |= {name: value for name, value in deployed.items() if name in template.keeps}
    values |= template.values
    decisive = {name: value for name, value in values.items() if name not in MAPPING_PARAMETERS | {RELEASE}}
    text = json.dumps([template.body, decisive], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
