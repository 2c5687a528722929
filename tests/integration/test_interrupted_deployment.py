"""A deployment that ends at any stack is completed by the same command again, and so is the deletion of a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.latency import CHEAP, in_order
from deployment.stacks import ALL_STACKS, PIPELINE
from replica.emulator import Emulator
from tests.fakes.scripted_cloudformation import Killed
from tests.support.handler_zips import handler_zip
from tests.support.whole_deployment import QUIET, templates_for_ministack, whole_deployment

PREFIX = "interrupted"


@pytest.fixture
def zips(tmp_path: Path) -> dict[str, Path]:
    return dict.fromkeys(("processor", "query"), handler_zip(tmp_path))


@pytest.fixture
def deployment(emulator: Emulator, tmp_path: Path) -> Iterator[Deployment]:
    made = whole_deployment(emulator, PREFIX, [], templates_for_ministack(tmp_path))
    yield made
    made.destroy()


def run_killed_at(deployment: Deployment, step: str, run: Callable[[Deployment], object]) -> None:
    """Run with a process that ends as soon as it has asked CloudFormation for a step."""

    def kill(line: str) -> None:
        if line == step:
            raise Killed

    with pytest.raises(Killed):
        run(replace(deployment, report=kill))


def statuses(emulator: Emulator) -> dict[str, str]:
    stacks = emulator.client("cloudformation").describe_stacks()["Stacks"]
    return {
        stack["StackName"].removeprefix(f"{PREFIX}-"): stack["StackStatus"]
        for stack in stacks
        if stack["StackName"].startswith(f"{PREFIX}-")
    }


def test_a_stage_is_created_changed_and_deleted_by_processes_that_are_killed_at_each_stack(
    emulator: Emulator, deployment: Deployment, zips: dict[str, Path]
) -> None:
    for name in in_order(ALL_STACKS, CHEAP):
        run_killed_at(deployment, f"creating {PREFIX}-{name}", lambda one: one.deploy(zips, QUIET))
    deployment.deploy(zips, QUIET)
    assert statuses(emulator) == dict.fromkeys(ALL_STACKS, "CREATE_COMPLETE")

    changed = QUIET | {"RetentionHours": "48"}
    run_killed_at(deployment, f"updating {PREFIX}-stream", lambda one: one.deploy(zips, changed))
    deployment.deploy(zips, changed)
    assert statuses(emulator)["stream"] == "UPDATE_COMPLETE"

    for name in reversed(ALL_STACKS):
        run_killed_at(deployment, f"deleting {PREFIX}-{name}", Deployment.destroy)
    deployment.destroy()
    assert statuses(emulator) == {}


def test_an_update_that_fails_is_rolled_back_and_the_next_one_succeeds(
    emulator: Emulator, deployment: Deployment, zips: dict[str, Path]
) -> None:
    deployment = replace(deployment, stacks=PIPELINE)
    quiet = {"MappingState": "Disabled"}
    before = deployment.deploy(zips, quiet)
    template = deployment.templates / "processor.yaml"
    right = template.read_text(encoding="utf-8")
    wrong = right.replace(" Principal: {Service", " NotPrincipal: {Service")
    template.write_text(wrong, encoding="utf-8")
    with pytest.raises(DeploymentError, match="NotPrincipal") as failure:
        deployment.deploy(zips, quiet)
    assert str(failure.value).startswith(f"{PREFIX}-processor ended as UPDATE_ROLLBACK_COMPLETE. Fix the cause and run")
    template.write_text(right, encoding="utf-8")
    assert deployment.deploy(zips, quiet | {"BatchSize": "7"}) == before
    assert statuses(emulator)["processor"] == "UPDATE_COMPLETE"
