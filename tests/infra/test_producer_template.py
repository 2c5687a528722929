"""The producer's task: confined like its container in compose, and set up from the outputs of other stacks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from configuration import WATCHLIST_KEY
from producer_service.settings import PREFIX, VARIABLES
from tests.support.templates import ALL, branches, default, properties

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"][
    "producer"
]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
CONTAINERS = list(branches(properties("producer", "TaskDefinition")["ContainerDefinitions"]))
PRODUCER, COLLECTOR = CONTAINERS
ENVIRONMENT = {entry["Name"]: entry["Value"] for entry in PRODUCER["Environment"]}
SERVICE = properties("producer", "Service")

BY_THE_DEPLOYMENT = {
    "PRODUCER_STREAM_NAME": {"Ref": "StreamName"},
    "PRODUCER_HANDOVER_BUCKET": {"Ref": "ArchiveBucket"},
    "PRODUCER_CALENDARS_TABLE": {"Ref": "CalendarsTable"},
    "PRODUCER_WATCHLIST": {"Fn::Sub": f"s3://${{ArchiveBucket}}/{WATCHLIST_KEY}"},
}
LINGER = "PRODUCER_LINGER_SECONDS"
BY_THE_IMAGE = {"PRODUCER_HTTP_HOST", "PRODUCER_HTTP_PORT", "PRODUCER_JOURNAL_DIR", "PRODUCER_YAHOO_CACHE_DIR"}
IN_THE_WATCHLIST = {"PRODUCER_SYMBOLS"}
OF_TESTS_AND_REPLAYS = {"PRODUCER_ACCEPTED_LOG_PATH", *(name for name in VARIABLES if "_REPLAY_" in name)}


class TestConfinement:
    def test_is_the_same_as_in_compose(self) -> None:
        linux = PRODUCER["LinuxParameters"]
        task = {
            "user": PRODUCER["User"],
            "read_only": PRODUCER["ReadonlyRootFilesystem"],
            "cap_drop": linux["Capabilities"]["Drop"],
            "tmpfs": [f"{mount['ContainerPath']}:size={mount['Size']}m" for mount in linux["Tmpfs"]],
        }
        assert task == {key: COMPOSE[key] for key in task}

    def test_has_an_init_process_although_it_needs_none(self) -> None:
        assert PRODUCER["LinuxParameters"]["InitProcessEnabled"] is True
        assert "init" not in COMPOSE  # not every Docker engine has one, Debian's for example

    def test_lacks_only_the_flags_that_fargate_does_not_support(self) -> None:
        security_flags = {"user", "read_only", "cap_drop", "cap_add", "tmpfs", "security_opt", "privileged"}
        compared = {"user", "read_only", "cap_drop", "tmpfs"}
        assert (security_flags & COMPOSE.keys()) - compared == {"security_opt"}
        assert COMPOSE["security_opt"] == ["no-new-privileges:true"]

    def test_has_one_writable_volume_as_in_the_image_and_in_compose(self) -> None:
        (mount,) = PRODUCER["MountPoints"]
        assert properties("producer", "TaskDefinition")["Volumes"] == [{"Name": mount["SourceVolume"]}]
        path = mount["ContainerPath"]
        assert f"\nVOLUME {path}\n" in DOCKERFILE
        binds = [volume for volume in COMPOSE["volumes"] if isinstance(volume, dict)]
        assert all(bind["read_only"] for bind in binds)
        named = [volume for volume in COMPOSE["volumes"] if isinstance(volume, str)]
        writable = {volume.split(":")[1] for volume in named if not volume.endswith(":ro")}
        assert writable == {path}
        assert all(
            value.startswith(path) for value in re.findall(r"PRODUCER_(?:JOURNAL|YAHOO_CACHE)_DIR=(\S+)", DOCKERFILE)
        )

    def test_opens_no_port_and_no_shell(self) -> None:
        assert all("PortMappings" not in container for container in CONTAINERS)
        assert SERVICE["EnableExecuteCommand"] is False

    def test_applies_to_the_collector_except_for_its_user(self) -> None:
        assert COLLECTOR["ReadonlyRootFilesystem"] is True
        assert COLLECTOR["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert COLLECTOR["Essential"] is False


class TestLife:
    def test_has_the_health_check_of_the_image_at_a_longer_interval(self) -> None:
        found = re.search(r"HEALTHCHECK --interval=(\d+)s --timeout=(\d+)s .* \\\n  CMD (\[.*\])", DOCKERFILE)
        assert found is not None
        interval, timeout, command = found.groups()
        check = PRODUCER["HealthCheck"]
        assert check["Command"] == ["CMD", *json.loads(command)]
        assert check["Timeout"] == int(timeout)
        assert check["Interval"] == 30 > int(interval)  # each probe starts a Python, on a quarter of a CPU
        assert check["Interval"] * check["Retries"] <= 120

    def test_a_collector_needs_more_memory_than_the_least(self) -> None:
        rule = ALL["producer"]["Rules"]["Collector"]
        assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "MetricsCollector"}, "adot"]}
        (assertion,) = rule["Assertions"]
        least = ALL["producer"]["Parameters"]["Memory"]["AllowedValues"][0]
        assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Memory"}, least]}]}
        assert default("producer", "Memory") == least

    def test_a_stop_waits_longer_than_the_longest_drain(self) -> None:
        from producer_service.settings import Settings  # noqa: PLC0415  (one limit of it)

        (limit,) = [rule.le for rule in Settings.model_fields["drain_seconds"].metadata if hasattr(rule, "le")]
        assert limit < PRODUCER["StopTimeout"] <= 120

    def test_a_container_that_dies_is_restarted_except_after_a_mistake_in_the_settings(self) -> None:
        assert PRODUCER["RestartPolicy"] == {"Enabled": True, "IgnoredExitCodes": [0, 2], "RestartAttemptPeriod": 60}

    def test_two_tasks_never_run_at_once(self) -> None:
        declared = SERVICE["DeploymentConfiguration"]
        assert (declared["MinimumHealthyPercent"], declared["MaximumPercent"]) == (0, 100)
        assert SERVICE["AvailabilityZoneRebalancing"] == "DISABLED"
        assert ALL["producer"]["Parameters"]["DesiredCount"]["AllowedValues"] == [0, 1]

    def test_a_deployment_that_fails_or_raises_an_alarm_is_rolled_back(self) -> None:
        declared = SERVICE["DeploymentConfiguration"]
        assert declared["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert declared["Alarms"] == {
            "Enable": True,
            "Rollback": True,
            "AlarmNames": [{"Ref": "QuarantineAlarm"}, {"Ref": "FunctionFailingAlarm"}],
        }

    def test_runs_on_arm_and_not_on_spot_by_default(self) -> None:
        assert (default("producer", "Architecture"), default("producer", "Capacity")) == ("arm64", "FARGATE")

    def test_a_slow_log_delays_no_quote(self) -> None:
        for container in CONTAINERS:
            assert container["LogConfiguration"]["Options"]["mode"] == "non-blocking"
        assert properties("producer", "LogGroup")["RetentionInDays"] == {"Ref": "LogRetentionDays"}


class TestSettings:
    def test_every_setting_for_users_is_a_parameter_of_the_same_name(self) -> None:
        users = VARIABLES.keys() - BY_THE_DEPLOYMENT.keys() - BY_THE_IMAGE - OF_TESTS_AND_REPLAYS - IN_THE_WATCHLIST
        parameters = {name: value for name, value in ENVIRONMENT.items() if name in users}
        expected = {
            name: {"Ref": "".join(part.capitalize() for part in name.removeprefix(PREFIX).split("_"))} for name in users
        }
        assert parameters == expected | {
            LINGER: {"Fn::If": ["LingersBriefly", "0.005", {"Ref": "LingerSeconds"}]},
        }

    def test_fast_mode_lingers_briefly_unless_the_user_names_another_time(self) -> None:
        assert ALL["producer"]["Conditions"]["LingersBriefly"] == {
            "Fn::And": [
                {"Fn::Equals": [{"Ref": "Latency"}, "fast"]},
                {"Fn::Equals": [{"Ref": "LingerSeconds"}, ""]},
            ]
        }
        assert float("0.005") < float(VARIABLES[LINGER][0])

    def test_the_deployment_and_the_image_set_the_others(self) -> None:
        rest = {name: value for name, value in ENVIRONMENT.items() if name in BY_THE_DEPLOYMENT}
        assert rest == BY_THE_DEPLOYMENT
        assert set(re.findall(r"(PRODUCER_\w+)=", DOCKERFILE)) == BY_THE_IMAGE
        assert ENVIRONMENT["AWS_DEFAULT_REGION"] == {"Ref": "AWS::Region"}
        assert ENVIRONMENT.keys() <= VARIABLES.keys() | {"AWS_DEFAULT_REGION"}

    def test_an_empty_parameter_leaves_the_setting_at_its_default(self) -> None:
        from producer_service.settings import Settings  # noqa: PLC0415

        assert Settings.model_config["env_ignore_empty"] is True

    def test_no_log_level_hides_the_lines_that_alarms_count(self) -> None:
        assert ALL["producer"]["Parameters"]["LogLevel"]["AllowedValues"] == ["info", "debug"]

    def test_the_collector_scrapes_the_port_of_the_image(self) -> None:
        (entry,) = COLLECTOR["Environment"]
        config = yaml.safe_load(entry["Value"]["Fn::Sub"])
        (job,) = config["receivers"]["prometheus"]["config"]["scrape_configs"]
        port = re.search(r"PRODUCER_HTTP_PORT=(\d+)", DOCKERFILE)
        assert port is not None
        assert job["static_configs"] == [{"targets": [f"127.0.0.1:{port[1]}"]}]
        pipeline = config["service"]["pipelines"]["metrics"]
        assert set(pipeline["receivers"]) <= config["receivers"].keys()
        assert set(pipeline["exporters"]) <= config["exporters"].keys()
        assert set(config["service"]["extensions"]) == config["extensions"].keys()
