"""The commands that the documents, CI and the workflow name exist in the Makefile, and `make help` lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\((?:value |if )?([A-Z_]+)[),]", MAKEFILE)) | {"AUTH", "STOCKSTREAM_FULL"}
"""What a target reads, and the two variables that reach a program through the environment."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def steps(workflow: str) -> list[str]:
    """The commands of a workflow."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8"))["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def code_of(markdown: str) -> list[str]:
    """The code of a document: the lines of its blocks, and its spans."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", rest)


def targets_of(code: list[str]) -> set[str]:
    return {target for line in code for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", line)}


def variables_of(code: list[str]) -> set[str]:
    return {name for line in code if re.search(r"\bmake [a-z]", line) for name in re.findall(r"\b([A-Z_]+)=", line)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_targets_and_variables_that_exist(document: Path) -> None:
    code = code_of(document.read_text(encoding="utf-8"))
    assert targets_of(code) <= TARGETS
    assert variables_of(code) <= VARIABLES


def test_the_readme_is_read_at_all() -> None:
    assert targets_of(code_of((ROOT / "README.md").read_text(encoding="utf-8"))) >= {"demo", "test"}


def test_help_lists_every_target() -> None:
    described = re.findall(r"^([a-z][a-z0-9-]*):.* ## \S.*\.$", MAKEFILE, re.MULTILINE)
    assert set(described) == TARGETS
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE))
    assert set(phony.split()) == TARGETS


def test_ci_and_the_workflow_run_the_same_commands() -> None:
    of_ci = targets_of([line for line in CI.splitlines() if line.startswith(("make ", "start "))])
    assert of_ci == {"check", "web-check", "package", "unit", "integration", "timed", "demo", "e2e"}
    assert targets_of(steps("ci.yml")) == of_ci | {"images"}  # which the end-to-end tests of CI build


def test_the_deployment_workflow_runs_targets_with_variables_that_exist() -> None:
    commands = [command.replace("make --silent", "make") for command in steps("deploy.yml")]
    assert targets_of(commands) == {"package", "image", "deploy"}
    of_make = [command for command in commands if not command.startswith("set")]
    assert variables_of(of_make) <= VARIABLES


def test_the_demo_takes_every_variable_that_its_help_names() -> None:
    of_help = MAKEFILE.partition("\ndemo: ")[2].partition("\n\t")[0]
    accepted = MAKEFILE.partition("DEMO_VARIABLES := \\\n")[2].partition("\n")[0].split()
    assert set(re.findall(r"\b([A-Z_]+)=", of_help)) == set(accepted)
