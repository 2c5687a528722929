"""Each step runs within its time, and whatever happens, everything is cleaned up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from deployment.errors import DeploymentError
from operations.errors import Unavailable
from smoke.deadline import Deadline
from smoke.errors import CommandFailed
from smoke.plan import CLEAN_UP_SECONDS, STEPS
from smoke.runner import Action, CleanUps, Runner
from smoke.verdicts import Failed, LeftOut, Passed, Verdict
from tests.fakes.smoke_clock import StillClock

NAMES = [step.name for step in STEPS]


def passing(_: Deadline) -> Verdict:
    return Passed("all is well")


def raising(error: BaseException) -> Action:
    def action(_: Deadline) -> Verdict:
        raise error

    return action


class Harness:
    """Runs the plan with actions that pass, unless a test replaces them. The first step leaves two clean-ups."""

    def __init__(self, **replaced: Action) -> None:
        self.time = StillClock()
        self.clean_ups = CleanUps()
        self.cleaned: list[str] = []
        self.runner = Runner(self.time.clock(), self.clean_ups)
        self.actions: dict[str, Action] = dict.fromkeys(NAMES, passing)
        self.actions["deploy"] = self._deploy(replaced.get("deploy", passing))
        self.actions |= {name: action for name, action in replaced.items() if name != "deploy"}

    def run(self) -> dict[str, Verdict]:
        self.runner.run(STEPS, self.actions)
        return self.verdicts

    @property
    def verdicts(self) -> dict[str, Verdict]:
        return {result.step: result.verdict for result in self.runner.results}

    def cleaning(self, name: str) -> Callable[[Deadline], Verdict]:
        def action(_: Deadline) -> Verdict:
            self.cleaned.append(name)
            return Passed("gone")

        return action

    def _deploy(self, then: Action) -> Action:
        def action(deadline: Deadline) -> Verdict:
            self.clean_ups.add("remove the stage", self.cleaning("stage"))
            self.clean_ups.add("remove the queue", self.cleaning("queue"))
            return then(deadline)

        return action


def test_all_steps_run_in_order_and_then_the_clean_ups_newest_first() -> None:
    harness = Harness()
    assert list(harness.run()) == [*NAMES, "remove the queue", "remove the stage"]
    assert set(map(type, harness.verdicts.values())) == {Passed}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "error",
    [
        DeploymentError("AWS rejected it"),
        CommandFailed("it ended with status 1"),
        Unavailable("no answer"),
        ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "DescribeAlarms"),
        TimeoutError("connect"),
    ],
)
def test_a_step_that_fails_leaves_out_what_needs_it_and_everything_is_cleaned_up(name: str, error: Exception) -> None:
    harness = Harness(**{name: raising(error)})
    verdicts = harness.run()
    failure = verdicts[name]
    assert isinstance(failure, Failed)
    assert str(error) in failure.seen
    for step in STEPS:
        missing = [need for need in step.needs if not isinstance(verdicts[need], Passed)]
        if step.name != name and missing:
            assert verdicts[step.name] == LeftOut(f"it needs the step {missing[0]}, which did not pass")
        elif step.name != name:
            assert isinstance(verdicts[step.name], Passed)
    assert harness.cleaned == ["queue", "stage"]


@pytest.mark.parametrize("step", STEPS, ids=NAMES)
def test_a_step_that_sees_nothing_fails_at_its_time_limit(step: object) -> None:
    name, limit = next((each.name, each.limit_seconds) for each in STEPS if each is step)
    harness = Harness(**{name: lambda deadline: deadline.until(lambda: Failed("a quote", "none"))})
    assert harness.run()[name] == Failed("a quote", "none")
    (result,) = [result for result in harness.runner.results if result.step == name]
    assert result.seconds == limit
    assert harness.cleaned == ["queue", "stage"]


def test_a_step_looks_until_it_passes() -> None:
    verdicts: list[Verdict] = [Failed("a quote", "none"), Failed("a quote", "none"), Passed("a quote")]
    harness = Harness(quotes=lambda deadline: deadline.until(lambda: verdicts.pop(0)))
    assert harness.run()["quotes"] == Passed("a quote")
    assert verdicts == []


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_ends_the_test_and_everything_is_cleaned_up(name: str) -> None:
    harness = Harness(**{name: raising(KeyboardInterrupt())})
    verdicts = harness.run()
    assert verdicts[name] == Failed("that it ends by itself", "interrupted")
    assert {verdicts[later] for later in NAMES[NAMES.index(name) + 1 :]} <= {LeftOut("interrupted")}
    assert harness.cleaned == ["queue", "stage"]
    assert harness.runner.interrupted


def test_a_second_ctrl_c_names_what_was_not_cleaned_up() -> None:
    harness = Harness(quotes=raising(KeyboardInterrupt()))
    harness.actions["listen"] = lambda deadline: _adding(harness, deadline)
    verdicts = harness.run()
    assert isinstance(verdicts["disturb"], Failed)
    assert verdicts["remove the stage"] == Failed("that it is undone", "interrupted before it was")
    assert harness.cleaned == []
    assert harness.runner.interrupted


def _adding(harness: Harness, _: Deadline) -> Verdict:
    harness.clean_ups.add("disturb", raising(KeyboardInterrupt()))
    return Passed("added")


def test_a_clean_up_that_fails_does_not_keep_the_others_from_running() -> None:
    harness = Harness()
    harness.actions["listen"] = lambda deadline: _failing(harness, deadline)
    verdicts = harness.run()
    assert isinstance(verdicts["reset"], Failed)
    assert harness.cleaned == ["queue", "stage"]


def _failing(harness: Harness, _: Deadline) -> Verdict:
    harness.clean_ups.add("reset", lambda deadline: deadline.until(lambda: Failed("OK", "ALARM")))
    return Passed("added")


def test_a_clean_up_has_a_time_limit() -> None:
    harness = Harness()
    harness.actions["listen"] = lambda deadline: _failing(harness, deadline)
    harness.run()
    (result,) = [result for result in harness.runner.results if result.step == "reset"]
    assert result.seconds == CLEAN_UP_SECONDS


def test_a_mistake_of_the_program_cleans_up_and_keeps_its_traceback() -> None:
    harness = Harness(counts=raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        harness.run()
    assert harness.cleaned == ["queue", "stage"]
