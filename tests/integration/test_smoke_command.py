"""The command of the smoke test as a process: it ends what it starts, and removes what it deploys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from deployment.functions import ROOT
from replica.emulator import Emulator
from smoke.commands import ChildProcesses
from smoke.errors import CommandFailed
from smoke.report import Report
from smoke.verdicts import Failed, LeftOut, Passed
from workspace.places import STATE

OPTIONS = ("--image", "uri", "--parameter", "HistoryImage=uri", "--architecture", "native")
"""Without the names of both images, the deployment would build them."""


@pytest.mark.usefixtures("package")  # its wheels are those that the deployment takes
def test_ctrl_c_during_the_deployment_removes_the_stage_and_exits_with_130(emulator: Emulator) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "smoke", "--stage", "interrupted", "--", *OPTIONS],
        env=emulator.environment() | {"PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("creating stockstream-interrupted-stream"):
                process.send_signal(signal.SIGINT)
                break
        output = process.stdout.read()
    assert process.returncode == 130, output
    stacks = emulator.client("cloudformation").describe_stacks()["Stacks"]
    assert not [stack for stack in stacks if stack["StackName"].startswith("stockstream-interrupted")]
    written = {path.suffix: path for path in STATE.glob("smoke-stockstream-interrupted.*")}
    report = msgspec.json.decode(written[".json"].read_bytes(), type=Report)
    for path in written.values():
        path.unlink()
    assert report.interrupted
    assert isinstance(report.results[0].verdict, Failed)
    assert {type(result.verdict) for result in report.results[1:-1]} == {LeftOut}
    assert isinstance(report.results[-1].verdict, Passed), report.results[-1]


def test_a_command_that_fails_is_reported_with_its_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandFailed, match=r"`deployment deploy` ended with status 2: --parameter / PARAMETERS: 'x'"):
        ChildProcesses(os.environ).run("deployment", "deploy", "--parameter", "x", seconds=60)
    assert "is not KEY=VALUE" in capfd.readouterr().err


def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(CommandFailed, match=r"`http.server 0` did not end within 1 s"):
        ChildProcesses(os.environ).run("http.server", "0", "--bind", "127.0.0.1", seconds=1)
