"""A daily task on AWS that does not end: the command line of its template, with another program as its `python`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployment.functions import ROOT
from tests.support.templates import properties

TASKS = ("BackfillTask", "CompactTask")
WAIT_SECONDS = 60
TIME_IS_UP = signal.SIGALRM
"""The signal by which the timer of `timeout` tells it."""

# A step takes longer than two signals are apart, and the first signal interrupts none.
STEPS = """
import time
from operations.safe_stop import stopping_safely
with stopping_safely() as checkpoint:
    print("started", flush=True)
    while True:
        time.sleep(0.5)
        print("did a step", flush=True)
        try:
            checkpoint()
        except KeyboardInterrupt:
            print("ended at a checkpoint", flush=True)
            raise SystemExit(130)
"""
DEAF = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("started", flush=True)
threading.Event().wait()
"""
HUNG = "import threading; threading.Event().wait()"


@contextmanager
def started(
    task: str, program: str, directory: Path, *, hours: str = "1", killed_after: str = "120"
) -> Iterator[subprocess.Popen[str]]:
    """The command of a task, whose `python` runs this program whatever its arguments are."""
    (container,) = properties("history", task)["ContainerDefinitions"]
    (command,) = container["Command"]
    command = command.replace("/tmp/outputs", str(directory / "outputs"))
    command = command.replace("--kill-after=120", f"--kill-after={killed_after}")
    (directory / "program.py").write_text(program, encoding="utf-8")
    python = directory / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{directory}/program.py"\n', encoding="utf-8")
    python.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{directory}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OUTPUTS": "BarsTable=bars",
        "TIME_LIMIT_HOURS": hours,
    }
    process = subprocess.Popen(
        [*container["EntryPoint"], command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """What a command that has started prints after this signal, until it has ended."""
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    return process.communicate(timeout=WAIT_SECONDS)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_hangs_fails_at_its_time_limit(task: str, tmp_path: Path) -> None:
    with started(task, HUNG, tmp_path, hours="0.0001") as process:
        _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 124, errors  # HistoryTaskStopped tells of it
    assert "timeout: sending signal TERM" in errors


@pytest.mark.parametrize("task", TASKS)
def test_at_its_time_limit_it_ends_where_nothing_is_half_done(task: str, tmp_path: Path) -> None:
    with started(task, STEPS, tmp_path) as process:
        output, errors = ended(process, TIME_IS_UP)
    assert process.returncode == 124, errors
    assert output.splitlines()[-2:] == ["did a step", "ended at a checkpoint"]
    assert errors.count("stopping at the next point where nothing is half done") == 1


@pytest.mark.parametrize("task", TASKS)
def test_a_command_that_does_not_hear_is_killed(task: str, tmp_path: Path) -> None:
    with started(task, DEAF, tmp_path, killed_after="0.1") as process:
        ended(process, TIME_IS_UP)
    assert process.returncode == 137


@pytest.mark.parametrize("task", TASKS)
def test_if_ecs_stops_it_before_that_it_ends_as_the_command_does(task: str, tmp_path: Path) -> None:
    with started(task, STEPS, tmp_path) as process:
        output, errors = ended(process, signal.SIGTERM)
    assert process.returncode == 130, errors  # nothing tells of it
    assert output.splitlines()[-2:] == ["did a step", "ended at a checkpoint"]
    assert errors.count("stopping at the next point where nothing is half done") == 1
