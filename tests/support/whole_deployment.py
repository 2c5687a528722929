"""All templates as MiniStack takes them: it refuses a template that names a type of resource which it does not know."""

from __future__ import annotations

import shutil
from pathlib import Path

from deployment.deployer import Deployment
from deployment.stacks import ALL_STACKS, TEMPLATES
from replica.emulator import Emulator

UNKNOWN_TO_MINISTACK = (
    "AWS::Athena::NamedQuery",
    "AWS::Budgets::Budget",
    "AWS::EC2::NatGateway",
    "AWS::EC2::EIP",
    "AWS::APS::Workspace",
)
WITHOUT_WHAT_IS_UNKNOWN = {"MonthlyBudgetUsd": "0", "NatGateway": "false", "MetricsCollector": "none"}
IMAGE = "registry.example.org/producer:1"
QUIET = {"MappingState": "Disabled", "Image": IMAGE, **WITHOUT_WHAT_IS_UNKNOWN}
"""Parameters: nothing reads the stream, and no image is built."""


def templates_for_ministack(folder: Path) -> Path:
    """A copy in which what MiniStack does not know, and is not asked to make, is of a type that it does."""
    copy = Path(shutil.copytree(TEMPLATES, folder / "templates"))
    for path in copy.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for kind in UNKNOWN_TO_MINISTACK:
            text = text.replace(f"    Type: {kind}\n", "    Type: AWS::CloudFormation::WaitConditionHandle\n")
        path.write_text(text, encoding="utf-8")
    return copy


def whole_deployment(emulator: Emulator, prefix: str, reports: list[str], templates: Path) -> Deployment:
    """Everything, under a prefix of its own."""
    return Deployment(
        emulator.client("cloudformation"),
        emulator.client("s3"),
        prefix,
        reports.append,
        templates,
        stacks=ALL_STACKS,
        tags={"application": "stockstream", "stage": "test"},
    )
