"""A deployment chooses some parameters itself, and carries others over to the stacks in which they are new."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deployment.choices import CHOSEN, carried_over, choose_parameters, zips_of
from deployment.deployer import Deployment
from deployment.errors import ParameterError
from deployment.parameters import Named, Parameter
from tests.fakes.scripted_cloudformation import ScriptedCloudFormation

TEMPLATES = {
    "processor": {"QuotesTable": Parameter(), "PermissionsBoundary": Parameter("")},
    "drift": {"QuotesTable": Parameter(), "PermissionsBoundary": Parameter(""), "DriftSchedule": Parameter("daily")},
}
HELD = {"processor": {"QuotesTable": "quotes", "PermissionsBoundary": "arn:boundary"}}


def test_a_new_stack_gets_what_the_other_stacks_of_the_stage_have() -> None:
    """Without the boundary, CloudFormation may create no role, so the deployment would fail at the new stack."""
    assert carried_over(TEMPLATES, HELD, ()) == {"PermissionsBoundary": "arn:boundary"}


def test_a_stack_of_an_earlier_version_gets_it_for_its_new_parameter() -> None:
    held = {**HELD, "drift": {"QuotesTable": "quotes", "DriftSchedule": "weekly"}}
    assert carried_over(TEMPLATES, held, ()) == {"PermissionsBoundary": "arn:boundary"}


def test_a_stack_that_has_its_own_value_keeps_it() -> None:
    held = {**HELD, "drift": {"PermissionsBoundary": "arn:another", "DriftSchedule": "weekly"}}
    assert carried_over(TEMPLATES, held, ()) == {}


def test_a_parameter_that_is_reset_or_chosen_otherwise_is_left_out() -> None:
    assert carried_over(TEMPLATES, HELD, {"PermissionsBoundary"}) == {}


ZONES = "use1-az1,use1-az2"


@pytest.mark.parametrize(
    ("held", "named", "reset", "chosen"),
    [
        (None, None, (), ZONES),
        ({"Zones": ""}, None, (), None),
        ({"Zones": ""}, None, ("Zones",), ZONES),
        ({"Zones": ""}, "use1-az4,use1-az6", (), "use1-az4,use1-az6"),
        (None, "use1-az4,use1-az6", (), "use1-az4,use1-az6"),
    ],
)
def test_only_a_new_network_and_one_whose_zones_are_reset_get_zones_with_fargate(
    monkeypatch: pytest.MonkeyPatch, held: dict[str, str] | None, named: str | None, reset: tuple[str, ...], chosen: str
) -> None:
    monkeypatch.setattr("deployment.choices.boto3", SimpleNamespace(client=lambda _: None))
    monkeypatch.setattr("deployment.zones.choose", lambda _: ZONES)
    aws = ScriptedCloudFormation()
    if held is not None:
        aws.given("x-network", "CREATE_COMPLETE", values=held)
    deployment = Deployment(cast(Any, aws), cast(Any, None), "x", stacks=("network",))
    given = [] if named is None else [Named("Zones", named)]
    parameters = choose_parameters(deployment, given, reset, stage="dev", cpu=None, image=None)
    assert parameters.get("Zones") == chosen
    assert "Zones" in CHOSEN


class TestZips:
    def test_belong_to_the_function_whose_name_begins_theirs(self) -> None:
        paths = [Path("build/query-3.13-arm64.zip"), Path("old/processor-3.13-arm64.zip")]
        assert zips_of(paths) == {"query": paths[0], "processor": paths[1]}

    def test_a_zip_of_no_function_is_refused(self) -> None:
        with pytest.raises(ParameterError, match=r"--zip code\.zip: its name does not begin with"):
            zips_of([Path("code.zip")])
