"""The workflows on GitHub: what they may do, and that the weekly one misses nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from deployment.functions import ROOT

FOLDER = ROOT / ".github"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "workflows").glob("*.yml")}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
WEEKLY = WORKFLOWS["weekly.yml"]
RENOVATE = json.loads((FOLDER / "renovate.json").read_text(encoding="utf-8"))


DEPLOY = WORKFLOWS["deploy.yml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_the_repository(name: str) -> None:
    token = {"id-token": "write"} if name == "deploy.yml" else {}  # it changes nothing on GitHub, and AWS asks for it
    assert WORKFLOWS[name]["permissions"] == {}
    for job in WORKFLOWS[name]["jobs"].values():
        assert job["permissions"] == {"contents": "read", **token}
        assert job["timeout-minutes"] <= 40
    assert "secrets." not in TEXTS[name]
    assert "pull_request_target" not in TEXTS[name]


def test_a_pull_request_gets_the_plan_role_and_nothing_else() -> None:
    assert DEPLOY["jobs"].keys() == {"plan", "build", "dev", "prod"}
    for name, job in DEPLOY["jobs"].items():
        roles = {step["with"]["role-to-assume"] for step in job["steps"] if "role-to-assume" in step.get("with", {})}
        condition = job.get("if", "")
        if name == "plan":
            assert roles == {"${{ vars.AWS_PLAN_ROLE }}"}
            assert "environment" not in job  # its token would then name the environment, which may deploy
            assert "github.event.pull_request.head.repo.full_name == github.repository" in condition
        else:
            assert roles == {"${{ vars.AWS_DEPLOY_ROLE }}"}
            assert job["environment"] in ("dev", "prod")
            assert "build" in job.get("needs", []) or "github.event_name == 'push'" in condition
    assert DEPLOY[True]["push"] == {"branches": ["main"]}  # YAML reads `on` as a truth value


def test_every_stage_gets_the_same_zip_and_image_and_prod_comes_after_dev() -> None:
    jobs = DEPLOY["jobs"]
    assert set(jobs["prod"]["needs"]) == {"build", "dev"}
    assert jobs["prod"]["steps"] == jobs["dev"]["steps"]
    for stage in ("dev", "prod"):
        assert (jobs[stage]["environment"], jobs[stage]["env"]["STAGE"]) == (stage, stage)
        assert jobs[stage]["env"]["IMAGE"] == "${{ needs.build.outputs.image }}"
        command = jobs[stage]["steps"][-1]["run"]
        assert 'IMAGE="$IMAGE"' in command
        assert "ZIP=" in command
    built = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert len([command for command in built if "make package" in command or "make --silent image" in command]) == 2


def test_what_runs_with_a_role_of_aws_is_pinned_by_commit() -> None:
    used = re.findall(r"uses: (\S+)", TEXTS["deploy.yml"])
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_the_weekly_workflow_runs_once_a_week() -> None:
    (schedule,) = WEEKLY[True]["schedule"]  # YAML reads `on` as a truth value
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])


def test_the_weekly_workflow_checks_every_lock() -> None:
    assert set(WEEKLY["jobs"]["packages"]["strategy"]["matrix"]["lock"]) == {
        path.stem for path in (ROOT / "requirements").glob("*.txt")
    }


def test_renovate_keeps_every_image_that_no_docker_file_names() -> None:
    (manager,) = RENOVATE["customManagers"]
    (pattern,) = manager["matchStrings"]
    found = {}
    for name in (".github/workflows/weekly.yml", "infra/cloudformation/producer.yaml"):
        assert any(re.search(each.strip("/"), name) for each in manager["managerFilePatterns"])
        text = (ROOT / name).read_text(encoding="utf-8")
        (match,) = re.finditer(pattern.replace("(?<", "(?P<"), text)
        found[match["depName"]] = match["currentValue"]
    assert found.keys() == {"anchore/grype", "public.ecr.aws/aws-observability/aws-otel-collector"}
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for version in found.values())
    assert "docker:pinDigests" in RENOVATE["extends"]
    assert "custom.regex" in RENOVATE["enabledManagers"]
