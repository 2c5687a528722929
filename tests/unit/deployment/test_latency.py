"""The mode of a stage changes in both directions without a moment in which the function reads through no consumer.

CloudFormation is a stand-in that answers as AWS does.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.latency import in_order, is_switched
from deployment.stacks import ALL_STACKS, PIPELINE
from deployment.waiting import Wait
from tests.fakes.scripted_cloudformation import Killed, ScriptedCloudFormation

MODE = "  Latency:\n    Default: cheap\n    AllowedValues: [cheap, fast]\n"
RESOURCES = "Resources:\n  Plain:\n    Type: AWS::Test::Resource\n"
TEMPLATES = {
    "stream": f"Description: 1\n\n{RESOURCES}\nOutputs:\n  StreamArn:\n    Value: 1\n",
    "consumer": f"Description: 2\n\nParameters:\n  StreamArn: {{Type: String}}\n{MODE}\n{RESOURCES}\n"
    "Outputs:\n  ConsumerArn:\n    Value: 2\n",
    "processor": f"Description: 3\n\nParameters:\n  StreamArn: {{Type: String}}\n{MODE}"
    f'  ConsumerArn:\n    Default: ""\n\n{RESOURCES}',
    "producer": f"Description: 4\n\nParameters:\n{MODE}\n{RESOURCES}",
}
MODES = ("fast", "cheap")


class Stage:
    """A stage of these templates, whose mapping reads through its consumer whenever the function's stack names one."""

    def __init__(self, folder: Path, ends: tuple[str, ...] = ()) -> None:
        self.aws = ScriptedCloudFormation(ends)
        self.aws.on_pause = self._assert_consumer_is_there
        wait = Wait(pause=self.aws.pause, clock=self.aws.clock)
        self.deployment = Deployment(
            cast(Any, self.aws), cast(Any, None), "stage", templates=folder, stacks=tuple(TEMPLATES), wait=wait
        )

    def deploy(self, **parameters: str) -> None:
        self.deployment.deploy({}, parameters)
        self._assert_consumer_is_there()

    def values(self, stack: str) -> Mapping[str, str]:
        found = self.aws.stack(f"stage-{stack}")
        return {} if found is None else found.values

    @property
    def mode(self) -> str:
        """The mode of all stacks. Fails if they differ, or if the function's consumer does not fit it."""
        (mode,) = {self.values(stack)["Latency"] for stack in ("consumer", "processor", "producer")}
        assert bool(self.values("processor")["ConsumerArn"]) == (mode == "fast")
        return mode

    def _assert_consumer_is_there(self) -> None:
        if self.values("processor").get("ConsumerArn"):
            assert self.values("consumer")["Latency"] == "fast"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    for name, text in TEMPLATES.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_new_stage_is_in_cheap_mode_without_a_consumer(folder: Path) -> None:
    stage = Stage(folder)
    stage.deploy()
    assert stage.mode == "cheap"


def test_the_mode_changes_in_both_directions_and_stays_as_it_is_when_nobody_names_it(folder: Path) -> None:
    stage = Stage(folder)
    for mode in ("fast", "cheap", "fast"):
        stage.deploy(Latency=mode)
        assert stage.mode == mode
        stage.deploy()
        assert stage.mode == mode
    stage.deployment.deploy({}, {}, reset=("Latency",))
    assert stage.mode == "cheap"


@pytest.mark.parametrize("mode", MODES)
def test_a_change_of_the_mode_that_is_killed_after_any_call_is_completed_by_the_next(folder: Path, mode: str) -> None:
    for calls in count(1):
        stage = Stage(folder)
        stage.deploy(Latency="cheap" if mode == "fast" else "fast")
        stage.aws.kill_after = len(stage.aws.calls) + calls
        try:
            stage.deploy(Latency=mode)
        except Killed:
            stage.aws.kill_after = None
            stage.deploy(Latency=mode)
            assert stage.mode == mode
        else:
            assert calls > len(TEMPLATES)
            break


@pytest.mark.parametrize("mode", MODES)
def test_a_deployment_that_names_no_mode_ends_an_interrupted_change_with_the_functions_mode(
    folder: Path, mode: str
) -> None:
    for calls in count(1):
        stage = Stage(folder)
        stage.deploy(Latency="cheap" if mode == "fast" else "fast")
        stage.aws.kill_after = len(stage.aws.calls) + calls
        try:
            stage.deploy(Latency=mode)
        except Killed:
            stage.aws.kill_after = None
            deployed = stage.values("processor")["Latency"]
            stage.deploy()
            assert stage.mode == deployed
        else:
            break


@pytest.mark.parametrize("mode", MODES)
def test_a_function_whose_update_is_rolled_back_keeps_what_it_reads_through(folder: Path, mode: str) -> None:
    other = "cheap" if mode == "fast" else "fast"
    before = ("",) * len(TEMPLATES)
    ends = ("", "UPDATE_ROLLBACK_COMPLETE") if mode == "fast" else ("UPDATE_ROLLBACK_COMPLETE",)
    stage = Stage(folder, (*before, *ends))
    stage.deploy(Latency=other)
    with pytest.raises(DeploymentError, match="stage-processor ended as UPDATE_ROLLBACK_COMPLETE"):
        stage.deploy(Latency=mode)
    assert stage.values("processor")["Latency"] == other
    stage.deploy(Latency=mode)
    assert stage.mode == mode


def test_a_preview_has_an_arn_for_a_consumer_that_is_not_registered_yet(folder: Path) -> None:
    stage = Stage(folder)
    for mode, shape in (("fast", ":stream/not-created-yet/consumer/not-created-yet:1"), ("cheap", "")):
        stage.aws.change_sets.clear()
        stage.deployment.preview({}, {"Latency": mode})
        requests = {name: one["Parameters"] for name, one in stage.aws.change_sets}
        values = {one["ParameterKey"]: one["ParameterValue"] for one in requests["stage-processor"]}
        assert values["ConsumerArn"].endswith(shape)
        assert bool(values["ConsumerArn"]) == bool(shape)


def test_the_consumer_comes_before_the_function_in_fast_mode_and_after_it_in_cheap_mode() -> None:
    assert in_order(ALL_STACKS, "fast") == ALL_STACKS
    cheap = in_order(ALL_STACKS, "cheap")
    assert sorted(cheap) == sorted(ALL_STACKS)
    assert cheap.index("consumer") == cheap.index("processor") + 1
    assert ALL_STACKS.index("consumer") == ALL_STACKS.index("processor") - 1
    assert in_order(PIPELINE, "cheap") == in_order(PIPELINE, "fast") == PIPELINE


def test_a_stage_of_a_version_without_modes_is_in_cheap_mode() -> None:
    assert is_switched({"ShardCount": "1"}, {"Latency": "fast"})
    assert is_switched({"Latency": "fast"}, {"Latency": "cheap"})
    assert not is_switched({"ShardCount": "1"}, {"Latency": "cheap"})
    assert not is_switched({"Latency": "fast"}, {})


def test_a_new_stage_changes_no_mode() -> None:
    assert not is_switched({}, {"Latency": "fast"})
