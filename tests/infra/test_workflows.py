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


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_the_repository(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    for job in WORKFLOWS[name]["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 40
    assert "secrets." not in TEXTS[name]
    assert "pull_request_target" not in TEXTS[name]


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
