"""Runs commands once a day: what the scheduled tasks do on AWS, in one process that stays.

Each command is a process of its own, so its memory is free again when it ends, and it can be ended when it hangs. A
command that fails is tried again the next day, and does then what it has not done.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, time
from typing import Protocol

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

STOP_SECONDS = 100.0
"""How long a command may take to end. The orchestrator waits a little longer before it kills the container."""
TIME_LIMIT_HOURS = 20
"""How long a command may run, by default. It must have ended before it is due again."""
_HOUR_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command, and when it runs in UTC."""

    name: str
    at: time
    command: tuple[str, ...]


class Process(Protocol):
    """A command that runs. `subprocess.Popen` is one."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, as soon as the command has ended. Raises `subprocess.TimeoutExpired`."""

    def terminate(self) -> None:
        """Ask the command to end."""

    def kill(self) -> None:
        """End the command."""


Start = Callable[[Sequence[str]], Process]


class EveryDay:
    """Runs its steps one at a time. It may be stopped from another thread, such as that of a signal handler."""

    def __init__(
        self,
        steps: Sequence[Step],
        start: Start,
        report: Callable[[str], None],
        time_limit_hours: int = TIME_LIMIT_HOURS,
    ) -> None:
        self._steps, self._start, self._report = steps, start, report
        self._time_limit_hours = time_limit_hours
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._running: Process | None = None

    def run(self, *, at_once: bool) -> None:
        """Run each step at its time until stopped. With `at_once`, first run all of them in their order."""
        if at_once:
            self.run_all()
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            # A machine that slept runs what it has missed once, when it wakes.
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        for step in self._steps:
            trigger = CronTrigger(hour=step.at.hour, minute=step.at.minute, timezone=UTC)
            scheduler.add_job(self.run_step, trigger, [step])
            self._report(f"{step.name} runs every day at {step.at:%H:%M} UTC")
        scheduler.start()
        self._stopped.wait()
        scheduler.shutdown(wait=True)

    def run_all(self) -> Mapping[str, int]:
        """Run the steps in their order. Returns the exit codes of those that ran."""
        found = {step.name: self.run_step(step) for step in self._steps}
        return {name: code for name, code in found.items() if code is not None}

    def run_step(self, step: Step) -> int | None:
        """Run a step to its end, or stop it at its time limit: a command that hangs would keep all others from running.

        Returns its exit code, or None if the program was stopped before it.
        """
        with self._lock:
            if self._stopped.is_set():
                return None
            running = self._running = self._start(step.command)
        try:
            code = running.wait(self._time_limit_hours * _HOUR_SECONDS)
        except subprocess.TimeoutExpired:
            self._report(f"{step.name} has not ended within {self._time_limit_hours} hours, so it is stopped")
            code = _end(running)
        with self._lock:
            self._running = None
        if code and not self._stopped.is_set():
            self._report(f"{step.name} ended with exit code {code}; it is tried again at {step.at:%H:%M} UTC")
        return code

    def stop(self) -> None:
        """Let the step that runs end, and start no other one."""
        self._stopped.set()
        with self._lock:
            running = self._running
        if running is not None:
            _end(running)


def _end(running: Process) -> int:
    """Ask a command to end, and kill it if it does not. Returns its exit code."""
    running.terminate()
    try:
        return running.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        return running.wait()
