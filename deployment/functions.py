"""The Lambda functions, as data: what each zip holds, and which stack deploys it.

A second function is one more entry of `FUNCTIONS`, with a lock file and a template that takes the parameter `CodeKey`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from deployment.errors import PackageError
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.errors import SettingsError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One Lambda function."""

    name: str
    """Its stack's name, and the first part of the names of its zip and of the zip's key in S3."""
    handler: str
    """`package.module.function`, as its template says."""
    packages: tuple[str, ...]
    """Our packages that the zip holds, from the root of the repository."""
    requirements: Path
    """The lock file of the wheels that the zip holds, from the root of the repository."""


PROCESSOR = Function(
    name="processor",
    handler="processor_lambda.app.handler",
    packages=("aws_limits", "aws_requests", "lane_state", "processor_lambda", "quotes"),
    requirements=Path("requirements/processor.txt"),
)
FUNCTIONS = {function.name: function for function in (PROCESSOR,)}

RULES = DEFAULT_FILE.relative_to(ROOT).as_posix()
"""Where the processor's zip holds its alert rules."""


def checked_rules(rules: Path) -> Path:
    """The file of alert rules itself, if it is right. Raises `PackageError` with every mistake."""
    try:
        read(rules, Decimal(1))
    except SettingsError as error:
        raise PackageError(str(error)) from error
    return rules
