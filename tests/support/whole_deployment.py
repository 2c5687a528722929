"""All templates, adapted to MiniStack, which refuses a template with a type of resource that it does not support."""

from __future__ import annotations

import shutil
from pathlib import Path

from deployment.deployer import Deployment
from deployment.stacks import ALL_STACKS, TEMPLATES
from replica.emulator import Emulator

UNSUPPORTED_TYPES = (
    "AWS::Kinesis::StreamConsumer",
    "AWS::Athena::NamedQuery",
    "AWS::Budgets::Budget",
    "AWS::EC2::NatGateway",
    "AWS::EC2::EIP",
    "AWS::APS::Workspace",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
)
WITHOUT_UNSUPPORTED_TYPES = {
    "MonthlyBudgetUsd": "0",
    "NatGateway": "false",
    "MetricsCollector": "none",
    "Latency": "cheap",
}
IMAGE = "registry.example.org/producer:1"
QUIET = {"MappingState": "Disabled", "Image": IMAGE, "HistoryImage": IMAGE, **WITHOUT_UNSUPPORTED_TYPES}
"""Parameters of a deployment in which nothing reads the stream and no image is built."""


def templates_for_ministack(folder: Path) -> Path:
    """A copy of the templates in which unsupported types are replaced. The parameters above create none of these."""
    copy = Path(shutil.copytree(TEMPLATES, folder / "templates"))
    for path in copy.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        for kind in UNSUPPORTED_TYPES:
            text = text.replace(f"    Type: {kind}\n", "    Type: AWS::CloudFormation::WaitConditionHandle\n")
        path.write_text(text, encoding="utf-8")
    return copy


def whole_deployment(emulator: Emulator, prefix: str, reports: list[str], templates: Path) -> Deployment:
    """A deployment of all stacks under a prefix."""
    return Deployment(
        emulator.client("cloudformation"),
        emulator.client("s3"),
        prefix,
        reports.append,
        templates,
        stacks=ALL_STACKS,
        tags={"application": "stockstream", "stage": "test"},
    )
