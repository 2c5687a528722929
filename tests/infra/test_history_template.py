"""The tasks of the history, checked in the text of their template: their confinement, their times and their alarms."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import yaml

from backfill.summary import Summary as Backfill
from compaction.summary import Summary as Compaction
from deployment.functions import ROOT
from operations.every_day_cli import every_day
from operations.safe_stop import STOP_SECONDS
from tests.support.templates import ALL, branches, default, properties, resources

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["history"]
TASKS = {"BackfillTask": "backfill", "CompactTask": "compact"}
OF_AWS = ("AWS/Events", "AWS/Scheduler")
SCHEDULES = {"BackfillDaily": ("BackfillTask", "BackfillSchedule"), "CompactDaily": ("CompactTask", "CompactSchedule")}


def container(task: str) -> dict[str, Any]:
    (found,) = properties("history", task)["ContainerDefinitions"]
    return dict(found)


def metrics_of_filters() -> dict[str, str]:
    """The pattern of each metric that comes from a log."""
    return {
        resource["Properties"]["MetricTransformations"][0]["MetricName"]: resource["Properties"]["FilterPattern"]
        for template, _, resource in resources("AWS::Logs::MetricFilter")
        if template == "history"
    }


@pytest.mark.parametrize("task", TASKS)
class TestTask:
    def test_is_confined_as_in_compose(self, task: str) -> None:
        declared = container(task)
        assert declared["User"] == COMPOSE["user"]
        assert declared["ReadonlyRootFilesystem"] is COMPOSE["read_only"] is True
        assert declared["LinuxParameters"]["Capabilities"] == {"Drop": COMPOSE["cap_drop"]}
        assert declared["StopTimeout"] == int(COMPOSE["stop_grace_period"].removesuffix("s")) <= 120

    def test_writes_only_to_its_disk_and_tmp(self, task: str) -> None:
        declared = container(task)
        paths = [mount["ContainerPath"] for mount in declared.get("MountPoints", [])]
        assert [volume["Name"] for volume in properties("history", task).get("Volumes", [])] == [
            mount["SourceVolume"] for mount in declared.get("MountPoints", [])
        ]
        operations = DOCKERFILE.partition(" AS operations\n")[2].partition("\nFROM ")[0]
        assert all(f"\nVOLUME {path}\n" in operations for path in paths)

    def test_runs_its_command_with_a_role_of_its_own(self, task: str) -> None:
        declared = properties("history", task)
        assert declared["TaskRoleArn"] == {"Fn::GetAtt": [task.replace("Task", "Role"), "Arn"]}
        (command,) = container(task)["Command"]
        assert f" python -m operations {TASKS[task]} --outputs-file /tmp/outputs " in command
        assert command.startswith("printenv OUTPUTS > /tmp/outputs && exec timeout ")

    def test_is_stopped_before_the_next_one_starts(self, task: str) -> None:
        declared = container(task)
        assert {"Name": "TIME_LIMIT_HOURS", "Value": {"Ref": "HistoryTimeLimitHours"}} in declared["Environment"]
        limit = ALL["history"]["Parameters"]["HistoryTimeLimitHours"]
        assert limit["MinValue"] <= limit["Default"] <= limit["MaxValue"] < 24
        assert limit["Default"] == inspect.signature(every_day).parameters["time_limit_hours"].default
        (killed_after,) = re.findall(r"--kill-after=(\d+) ", declared["Command"][0])
        assert STOP_SECONDS < int(killed_after) == declared["StopTimeout"]

    def test_has_the_image_of_the_history(self, task: str) -> None:
        assert container(task)["Image"] == {"Ref": "HistoryImage"}
        assert COMPOSE["image"].startswith("stockstream-operations:")


@pytest.mark.parametrize("schedule", SCHEDULES)
class TestSchedule:
    def test_starts_one_task_on_fargate_in_the_network_of_the_producer(self, schedule: str) -> None:
        target = properties("history", schedule)["Target"]
        parameters = target["EcsParameters"]
        assert parameters["TaskDefinitionArn"] == {"Ref": SCHEDULES[schedule][0]}
        assert parameters["LaunchType"] == "FARGATE"
        assert "TaskCount" not in parameters  # 1 by default
        network = parameters["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["SecurityGroups"] == [{"Ref": "SecurityGroupId"}]
        assert target["RoleArn"] == {"Fn::GetAtt": ["SchedulerRole", "Arn"]}

    def test_has_the_time_of_the_program_that_does_the_same_in_compose(self, schedule: str) -> None:
        parameter = SCHEDULES[schedule][1]
        found = re.fullmatch(r"cron\((\d+) (\d+) \* \* \? \*\)", default("history", parameter))
        assert found is not None
        option = parameter.removesuffix("Schedule").lower() + "_at"
        assert f"{int(found[2]):02}:{int(found[1]):02}" == inspect.signature(every_day).parameters[option].default


def test_without_a_history_the_stack_is_empty() -> None:
    conditions = {resource["Condition"] for resource in ALL["history"]["Resources"].values()}
    assert conditions == {"Keeping", "Backfilling", "Compacting"}
    declared = ALL["history"]["Conditions"]
    assert declared["Keeping"] == {"Fn::Equals": [{"Ref": "History"}, "on"]}
    for condition in ("Backfilling", "Compacting"):
        assert declared[condition]["Fn::And"][0] == {"Condition": "Keeping"}


def test_a_stage_keeps_a_history_unless_it_asks_for_none() -> None:
    assert default("history", "History") == default("drift", "History") == "on"


def test_each_alarm_watches_a_metric_that_a_filter_makes() -> None:
    alarms = {
        name: alarm["Properties"]
        for template, name, alarm in resources("AWS::CloudWatch::Alarm")
        if template == "history"
    }
    metrics = {alarm["MetricName"] for alarm in alarms.values() if alarm["Namespace"] not in OF_AWS}
    assert metrics == metrics_of_filters().keys()
    for name in ("BackfillLate", "CompactionLate"):
        hours = alarms[name]["Period"] * alarms[name]["EvaluationPeriods"] / 3600
        assert 24 < hours <= 28  # a run may end later than that of the day before


def test_the_filters_match_the_lines_that_the_tasks_print() -> None:
    patterns = metrics_of_filters()
    for name, line in (("Backfills", Backfill(resolution="1m")), ("Compactions", Compaction())):
        assert patterns[f"{name}Done"] == f'{{ ($.event = "{line.event}") && ($.status = "{line.status}") }}'
        assert patterns[f"{name}Failed"] == f'{{ ($.event = "{line.event}") && ($.status = "failed") }}'
    assert patterns["CountsDiffer"] == '{ ($.event = "compaction") && ($.counts_differ > 0) }'
    assert "counts_differ" in Compaction.__struct_fields__


def test_raw_records_are_deleted_only_by_a_stage_that_asks_for_it() -> None:
    assert default("history", "ExpireRawAfterDays") == "0"
    (conditional,) = [one for one in properties("history", "CompactRole")["Policies"] if "Fn::If" in one]
    (policy,) = branches([conditional])
    assert conditional["Fn::If"][0] == "Expiring"
    assert [statement["Action"] for statement in policy["PolicyDocument"]["Statement"]] == ["s3:DeleteObject"]
