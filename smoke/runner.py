"""Runs the steps of a plan in order, each within its time, and cleans up at the end, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from configuration import ConfigurationError
from deployment.errors import DeploymentError
from operations.errors import OperationsError
from smoke.deadline import Clock, Deadline
from smoke.errors import SmokeError
from smoke.plan import CLEAN_UP_SECONDS, Step
from smoke.verdicts import Failed, LeftOut, Passed, Result, Verdict

EXPECTED_ERRORS = (
    BotoCoreError,
    ClientError,
    ConfigurationError,
    DeploymentError,
    OperationsError,
    SmokeError,
    OSError,
)
"""What the calls of a step raise if AWS, the network or a command fails. Anything else is a mistake of this program."""

Action = Callable[[Deadline], Verdict]


class CleanUps:
    """What is to be undone at the end. A step adds it before it makes what is to be undone."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Step, Action]] = []

    def add(self, name: str, action: Action) -> None:
        """Undo something at the end, within two minutes. `name` says what is done, such as `delete the queue`."""
        self.add_step(_small(name), action)

    def add_step(self, step: Step, action: Action) -> None:
        """The same, for what has a limit of its own."""
        self._waiting.append((step, action))

    def pop(self) -> tuple[Step, Action] | None:
        """The newest one that is not done yet."""
        return self._waiting.pop() if self._waiting else None


def _small(name: str) -> Step:
    return Step(
        name=name, title=f"Clean up: {name}", limit_seconds=CLEAN_UP_SECONDS, usual_seconds=1, look_at="the AWS console"
    )


@dataclass
class Runner:
    """Runs a plan once."""

    clock: Clock
    clean_ups: CleanUps
    on_begin: Callable[[Step], None] = lambda _: None
    on_end: Callable[[Result], None] = lambda _: None
    results: list[Result] = field(default_factory=list)
    """The steps that are over, clean-ups included."""
    interrupted: bool = False

    def run(self, steps: Sequence[Step], actions: Mapping[str, Action]) -> None:
        """Run all steps, then the clean-ups.

        `KeyboardInterrupt` ends the step that runs, leaves out the others, and still cleans up. A second one leaves out
        the clean-ups too, and the results name them.
        """
        try:
            for step in steps:
                if self.interrupted:
                    self._skip(step, "interrupted")
                elif missing := self._missing(step):
                    self._skip(step, f"it needs the step {missing}, which did not pass")
                else:
                    self.interrupted = self._do(step, actions[step.name])
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        gives_up = False
        while (waiting := self.clean_ups.pop()) is not None:
            step, action = waiting
            if gives_up:
                self._end(step, 0.0, Failed("that it is undone", "interrupted before it was"))
            elif self._do(step, action):
                self.interrupted = gives_up = True

    def _missing(self, step: Step) -> str | None:
        passed = {result.step for result in self.results if isinstance(result.verdict, Passed)}
        return next((name for name in step.needs if name not in passed), None)

    def _do(self, step: Step, action: Action) -> bool:
        """Run one step. Returns whether it was interrupted."""
        began = self.clock.monotonic()
        interrupted = False
        try:
            self.on_begin(step)
            verdict = action(Deadline(self.clock, began + step.limit_seconds))
        except EXPECTED_ERRORS as error:
            verdict = Failed("no error", f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            interrupted = True
            verdict = Failed("that it ends by itself", "interrupted")
        self._end(step, self.clock.monotonic() - began, verdict)
        return interrupted

    def _skip(self, step: Step, why: str) -> None:
        self._end(step, 0.0, LeftOut(why))

    def _end(self, step: Step, seconds: float, verdict: Verdict) -> None:
        result = Result(
            step=step.name,
            title=step.title,
            look_at=step.look_at,
            limit_seconds=step.limit_seconds,
            seconds=round(seconds, 1),
            verdict=verdict,
        )
        self.results.append(result)
        self.on_end(result)
