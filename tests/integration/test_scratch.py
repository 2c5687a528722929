"""Directories and processes that a killed program leaves behind: the next program finds and removes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from replica import scratch
from replica.errors import ReplicaError
from replica.scratch import Scratch, remove_leftovers
from tests.support.demo_terminal import processes_of
from tests.support.sizes import sized
from tests.support.waiting import wait_until

PROGRAM = """
import os, subprocess, sys, time
from replica.errors import ReplicaError
from replica.scratch import Scratch
with Scratch("demo") as scratch:
    child = subprocess.Popen(["sleep", "60"], env={"HERE": str(scratch.path)}, start_new_session=True)
    print(scratch._watchdog.pid, child.pid, scratch.path, flush=True)
    time.sleep(60)
"""

ENTER = """
import time
from replica.errors import ReplicaError
from replica.scratch import Scratch
print(flush=True)
with Scratch("demo"):
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_killed_program_and_its_killed_watchdog_left_is_named_and_removed(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    watchdog, child, directory = program.stdout.readline().split()
    os.kill(int(watchdog), signal.SIGKILL)
    program.kill()
    program.wait()
    program.stdout.close()
    assert is_running(int(child))
    assert remove_leftovers() == [
        f"removed {directory}, which an earlier run left behind, and ended 1 of its processes"
    ]
    wait_until(lambda: not is_running(int(child)), "the process ends")
    assert not Path(directory).exists()


def test_a_directory_in_use_is_left_alone() -> None:
    with Scratch("demo") as scratch:
        assert remove_leftovers() == []
        assert scratch.path.is_dir()
    assert not scratch.path.exists()


@pytest.mark.parametrize("milliseconds", range(0, 60, sized(20, 3)))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_program_that_ends_while_it_makes_its_directory_leaves_none(
    tmp_path: Path, milliseconds: int, number: signal.Signals
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", ENTER],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with program:
        assert program.stdout is not None
        program.stdout.readline()
        time.sleep(milliseconds / 1000)  # until the moment at which it ends
        program.send_signal(number)
    wait_until(lambda: not processes_of(tmp_path), "the watchdog ends")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "PREFIX", "missing/")
    with pytest.raises(ReplicaError, match=r"no directory can be made in .*: free some space"), Scratch("demo"):
        pass
