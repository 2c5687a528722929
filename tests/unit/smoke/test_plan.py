"""The plan is complete, and its steps can run in its order."""

from __future__ import annotations

from deployment.functions import ROOT
from smoke.deployer import CommandDeployer
from smoke.plan import DESTROY, STEPS
from smoke.runner import CleanUps
from smoke.stage import Stage
from smoke.wiring import actions
from tests.fakes.smoke_clock import StillClock
from tests.fakes.smoke_stage import RecordedCommands, no_client


def test_each_step_has_an_action() -> None:
    stage, commands = Stage("stockstream", "dev", no_client, StillClock().clock()), RecordedCommands()
    found = actions(stage, CommandDeployer(stage, commands), commands, CleanUps(), keep=False)
    assert list(found) == [step.name for step in STEPS]


def test_a_step_needs_only_steps_before_it() -> None:
    names = [step.name for step in STEPS]
    for step in STEPS:
        assert set(step.needs) <= set(names[: names.index(step.name)])


def test_a_step_usually_takes_less_than_its_limit() -> None:
    assert all(0 < step.usual_seconds < step.limit_seconds for step in (*STEPS, DESTROY))


def test_the_documentation_has_each_step_with_its_limit() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs" / "smoke.md").read_text().splitlines() if " min | " in line]
    limits = {row[0].removeprefix("| "): row[2] for row in rows}
    assert limits == {step.name: f"{step.limit_seconds / 60:.0f} min" for step in (*STEPS, DESTROY)}
