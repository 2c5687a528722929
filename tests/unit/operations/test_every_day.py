"""The program that runs the commands of the history once a day: one at a time, again after a failure, until stopped."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from datetime import time

import pytest

from operations.every_day import STOP_SECONDS, EveryDay, Step

FIRST = Step(name="backfill", at=time(1, 10), command=("backfill", "--source", "yahoo"))
SECOND = Step(name="compact", at=time(2, 10), command=("compact",))
WAIT_SECONDS = 10.0
LIMIT_HOURS = 5


class Command:
    """A command that runs until it is told to end. One that hangs does so at once for longer than its time limit."""

    def __init__(self, code: int | None, *, deaf: bool = False, hangs: bool = False) -> None:
        self._code, self._deaf, self._hangs = code, deaf, hangs
        self._ended = threading.Event()
        self.killed = False
        if code is not None:
            self._ended.set()

    def wait(self, timeout: float | None = None) -> int:
        is_too_late = self._deaf if timeout == STOP_SECONDS else self._hangs and timeout == LIMIT_HOURS * 3_600
        if timeout is not None and is_too_late and not self._ended.is_set():
            raise subprocess.TimeoutExpired("command", timeout)
        assert self._ended.wait(WAIT_SECONDS)
        return 130 if self._code is None else self._code

    def terminate(self) -> None:
        if not self._deaf:
            self._ended.set()

    def kill(self) -> None:
        self.killed = True
        self._ended.set()


class Commands:
    """Starts the given commands, in their order, and remembers what was asked for."""

    def __init__(self, *commands: Command) -> None:
        self._commands = list(commands)
        self.asked: list[Sequence[str]] = []
        self.started = threading.Event()

    def __call__(self, command: Sequence[str]) -> Command:
        self.asked.append(command)
        self.started.set()
        return self._commands.pop(0)


@pytest.fixture
def said() -> list[str]:
    return []


def test_the_steps_run_in_their_order(said: list[str]) -> None:
    commands = Commands(Command(0), Command(0))
    assert EveryDay((FIRST, SECOND), commands, said.append).run_all() == {"backfill": 0, "compact": 0}
    assert commands.asked == [FIRST.command, SECOND.command]
    assert said == []


def test_a_step_that_fails_is_reported_and_the_next_one_runs(said: list[str]) -> None:
    commands = Commands(Command(1), Command(0))
    assert EveryDay((FIRST, SECOND), commands, said.append).run_all() == {"backfill": 1, "compact": 0}
    assert said == ["backfill ended with exit code 1; it is tried again at 01:10 UTC"]


@pytest.mark.parametrize("deaf", [False, True])
def test_a_step_that_hangs_is_stopped_at_its_time_limit_and_the_next_one_runs(said: list[str], *, deaf: bool) -> None:
    hung = Command(None, deaf=deaf, hangs=True)
    commands = Commands(hung, Command(0))
    program = EveryDay((FIRST, SECOND), commands, said.append, LIMIT_HOURS)
    assert program.run_all() == {"backfill": 130, "compact": 0}
    assert hung.killed == deaf
    assert said == [
        "backfill has not ended within 5 hours, so it is stopped",
        "backfill ended with exit code 130; it is tried again at 01:10 UTC",
    ]


def test_a_stop_without_a_running_step_ends_the_program_at_once(said: list[str]) -> None:
    commands = Commands()
    program = EveryDay((FIRST, SECOND), commands, said.append)
    running = threading.Thread(target=lambda: program.run(at_once=False))
    running.start()
    program.stop()
    running.join(WAIT_SECONDS)
    assert not running.is_alive()
    assert commands.asked == []
    assert said == ["backfill runs every day at 01:10 UTC", "compact runs every day at 02:10 UTC"]


@pytest.mark.parametrize("deaf", [False, True])
def test_a_stop_ends_the_running_step_and_starts_no_other(said: list[str], *, deaf: bool) -> None:
    command = Command(None, deaf=deaf)
    commands = Commands(command)
    program = EveryDay((FIRST, SECOND), commands, said.append)
    running = threading.Thread(target=lambda: program.run(at_once=True))
    running.start()
    assert commands.started.wait(WAIT_SECONDS)
    program.stop()
    running.join(WAIT_SECONDS)
    assert not running.is_alive()
    assert commands.asked == [FIRST.command]
    assert command.killed == deaf
    assert not any("exit code" in line for line in said)


def test_a_program_that_was_stopped_starts_nothing(said: list[str]) -> None:
    program = EveryDay((FIRST, SECOND), Commands(), said.append)
    program.stop()
    assert program.run_all() == {}
