"""The images hold the packages that their commands import, and a build gets them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from deployment.functions import FUNCTIONS, ROOT
from tests.support.imports import packages_used_by

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
STAGES = {
    match[1]: match[2]
    for match in re.finditer(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.DOTALL | re.MULTILINE)
}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
TOOLS = {name: service for name, service in COMPOSE.items() if service["image"].startswith("stockstream-tools:")}
OURS = {path.parent.name for path in ROOT.glob("*/__init__.py")}


def copied(stage: str) -> set[str]:
    """The packages of this repository that a stage copies."""
    return {path for path in re.findall(r"^COPY (\w+)/ ", STAGES[stage], re.MULTILINE) if path in OURS}


def test_the_tools_run_the_command_lines_of_their_packages() -> None:
    assert 'ENTRYPOINT ["python", "-m"]' in STAGES["tools"]
    assert TOOLS["deployer"]["entrypoint"] == ["python", "-m", "docker.deployer"]
    assert TOOLS["exporter"]["command"][0] == "operations"
    assert all((ROOT / package / "__main__.py").is_file() for package in ("deployment", "operations", "analytics"))


OF_FUNCTIONS = {package for function in FUNCTIONS.values() for package in function.packages}
"""`python -m deployment` builds the functions' zips from these."""


@pytest.mark.parametrize(
    ("stage", "packages"),
    [
        ("producer", packages_used_by("producer_service")),
        ("package", packages_used_by("deployment") | OF_FUNCTIONS),
        ("sql", packages_used_by("analytics")),
        ("dashboard", packages_used_by("dashboard_server")),
        ("tools", packages_used_by("deployment", "operations") | OF_FUNCTIONS),
        ("operations", packages_used_by("operations")),
    ],
)
def test_a_stage_copies_the_packages_that_its_commands_need_and_no_other(stage: str, packages: set[str]) -> None:
    assert copied(stage) == packages


def test_a_build_gets_every_file_that_a_stage_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = {path.rstrip("/") for path in re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)}
    assert sources
    assert all(any(source == path or source.startswith(path + "/") for path in allowed) for source in sources)
    assert all((ROOT / path).exists() for path in allowed)
