"""The pipeline of CodePipeline runs the same commands as the workflow on GitHub. No emulator has CodePipeline."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from deployment.functions import ROOT
from deployment.stacks import TEMPLATES
from tests.support.templates import as_list, parsed

RESOURCES: dict[str, Any] = parsed(TEMPLATES / "pipeline.yaml")["Resources"]
STAGES = RESOURCES["Pipeline"]["Properties"]["Stages"]
ACTIONS = {action["Name"]: action for stage in STAGES for action in stage["Actions"]}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands(project: str) -> list[str]:
    specification = yaml.safe_load(RESOURCES[project]["Properties"]["Source"]["BuildSpec"])
    found: list[str] = specification["phases"]["build"]["commands"]
    return found


def test_it_runs_targets_of_the_makefile_with_variables_that_exist() -> None:
    ours = [command for project in ("Build", "Deploy") for command in commands(project) if command.startswith("make")]
    assert [command.split()[1] for command in ours] == ["package", "image", "image", "deploy"]
    for command in ours:
        for variable in re.findall(r" ([A-Z_]+)=", command):
            assert re.search(rf"^{variable} \?=", MAKEFILE, re.MULTILINE), variable


def test_a_person_agrees_before_the_deployment_and_a_failure_is_rolled_back() -> None:
    deploying = STAGES[-1]
    assert [action["Name"] for action in deploying["Actions"]] == ["Agree", "Deploy"]
    assert [action["RunOrder"] for action in deploying["Actions"]] == [1, 2]
    assert ACTIONS["Agree"]["ActionTypeId"]["Category"] == "Approval"
    assert deploying["OnFailure"] == {"Result": "ROLLBACK"}


def test_the_zips_and_the_images_that_were_built_are_deployed() -> None:
    specification = yaml.safe_load(RESOURCES["Build"]["Properties"]["Source"]["BuildSpec"])
    assert specification["env"]["exported-variables"] == ["IMAGE", "HISTORY_IMAGE"]
    for name in ("IMAGE", "HISTORY_IMAGE"):
        assert f'"#{{Built.{name}}}"' in ACTIONS["Deploy"]["Configuration"]["EnvironmentVariables"]
    assert ACTIONS["Build"]["Namespace"] == "Built"
    assert [artifact["Name"] for artifact in ACTIONS["Deploy"]["InputArtifacts"]] == ["Source", "Built"]
    (deploy,) = commands("Deploy")
    assert 'IMAGE="$IMAGE"' in deploy
    assert "HistoryImage=$HISTORY_IMAGE" in deploy
    assert "$CODEBUILD_SRC_DIR_Built" in deploy


@pytest.mark.parametrize("role", ["JobRole", "PipelineRole"])
def test_its_roles_are_out_of_reach_of_the_stage_and_name_what_they_may_do(role: str) -> None:
    declared = RESOURCES[role]["Properties"]
    assert declared["Path"] == {"Fn::Sub": "/${Prefix}-ci/"}
    for policy in declared["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Resource"] != "*"
            assert not any("*" in action for action in as_list(statement["Action"]))
    (trust,) = declared["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
