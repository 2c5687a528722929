"""How the containers are confined, and what the producer says about wrong settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.stack import Stack, docker

pytestmark = pytest.mark.e2e


def inspected(stack: Stack, service: str, part: str) -> Any:
    return json.loads(docker("inspect", "--format", f"{{{{json {part}}}}}", stack.container(service)).stdout)


class TestProducer:
    def test_is_not_root_and_has_no_capability(self, stack: Stack) -> None:
        status = stack.compose("exec", "producer", "cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        assert set(fields["Uid"].split()) == {"10001"}
        assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert fields["NoNewPrivs"] == "1"

    def test_is_the_first_process_and_has_no_children(self, stack: Stack) -> None:
        command = stack.compose("exec", "producer", "cat", "/proc/1/cmdline").stdout
        children = stack.compose("exec", "producer", "sh", "-c", "cat /proc/1/task/*/children").stdout
        assert command.split("\0")[1:4] == ["-m", "producer_service", "run"]
        assert children.split() == []

    def test_can_write_only_to_its_volume_and_tmp(self, stack: Stack) -> None:
        mounts = stack.compose("exec", "producer", "cat", "/proc/mounts").stdout.splitlines()
        options = {mount.split()[1]: mount.split()[3].split(",") for mount in mounts}
        mounted = {path for path in options if not path.startswith(("/proc", "/sys", "/dev", "/etc"))}
        assert {path for path in mounted if "rw" in options[path]} == {"/tmp", "/var/lib/stockstream"}

    def test_has_its_version_in_labels(self, stack: Stack) -> None:
        labels = inspected(stack, "producer", ".Config.Labels")
        prefix = "org.opencontainers.image."
        assert labels[prefix + "title"] == "stockstream producer"
        assert labels[prefix + "version"]
        assert labels[prefix + "revision"]

    def test_lists_every_mistake_in_its_settings_and_exits_with_2(self, stack: Stack) -> None:
        wrong = {"PRODUCER_LANE": "4", "PRODUCER_LANES": "none", "PRODUCER_POLL_INTERVAL_SECONDS": "0"}
        options = [part for name, value in wrong.items() for part in ("--env", f"{name}={value}")]
        refused = stack.compose("run", "--rm", "--no-deps", *options, "producer", check=False)
        assert refused.returncode == 2
        reported = [line.strip().partition(":")[0] for line in refused.stderr.splitlines()]
        assert wrong.keys() <= set(reported), refused.stderr


def test_the_dashboard_is_not_root_and_can_write_only_to_tmp(stack: Stack) -> None:
    status = stack.compose("exec", "dashboard", "cat", "/proc/1/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert set(fields["Uid"].split()) == {"10001"}
    assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"
    mounts = [mount.split() for mount in stack.compose("exec", "dashboard", "cat", "/proc/mounts").stdout.splitlines()]
    ours = [mount for mount in mounts if not mount[1].startswith(("/proc", "/sys", "/dev", "/etc"))]
    assert {mount[1] for mount in ours if "rw" in mount[3].split(",")} == {"/tmp"}


@pytest.mark.parametrize("service", ["producer", "exporter", "dashboard"])
class TestOurImage:
    def test_holds_no_installer_and_no_compiler(self, stack: Stack, service: str) -> None:
        commands = "command -v pip pip3 apt apt-get dpkg easy_install uv gcc cc make"
        assert stack.compose("exec", service, "sh", "-c", commands, check=False).stdout == ""
        files = r"find / -xdev \( -iname '*.whl' -o -path '*-packages/pip' -o -name ensurepip \) 2>/dev/null"
        assert stack.compose("exec", service, "sh", "-c", files, check=False).stdout == ""

    @pytest.mark.parametrize("module", ["pip", "ensurepip", "setuptools"])
    def test_has_no_module_that_installs(self, stack: Stack, service: str, module: str) -> None:
        base = stack.compose("exec", service, "python", "-c", "import sys; print(sys.base_exec_prefix)").stdout.strip()
        for python in ("python", f"{base}/bin/python3"):
            run = stack.compose("exec", service, python, "-m", module, check=False)
            assert f"No module named {module}" in run.stderr
            assert run.returncode == 1


def test_every_service_has_passed_its_health_check(stack: Stack) -> None:
    states = {service: stack.state(service) for service in stack.services}
    assert {service: state["Health"]["Status"] for service, state in states.items()} == dict.fromkeys(states, "healthy")


def test_every_port_is_published_only_on_the_loopback(stack: Stack) -> None:
    for service in stack.services:
        ports = inspected(stack, service, ".NetworkSettings.Ports")
        assert {binding["HostIp"] for bindings in ports.values() for binding in bindings or ()} <= {"127.0.0.1"}
