"""The Lambda functions, as data: what each zip holds, and which stack deploys it.

Another function is one more entry of `FUNCTIONS`, a lock file, and a template of the same name with the parameters
`CodeBucket` and `CodeKey`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workspace import places

ROOT = places.ROOT
"""The root of the repository, from which the zips are built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One Lambda function."""

    name: str
    """The name of its stack, and the first part of the names of its zip and of the zip's key in S3."""
    handler: str
    """`package.module.function`, as in its template."""
    packages: tuple[str, ...]
    """Our packages in the zip, as paths from the root of the repository. The zip holds their modules and TOML files."""
    requirements: Path
    """The lock file of the wheels in the zip, as a path from the root of the repository."""


PROCESSOR = Function(
    name="processor",
    handler="processor_lambda.app.handler",
    packages=("aws_limits", "aws_requests", "bars", "indicators", "lane_state", "processor_lambda", "quotes"),
    requirements=Path("requirements/processor.txt"),
)
QUERY = Function(
    name="query",
    handler="query_api.app.handler",
    packages=("aws_limits", "aws_requests", "bars", "indicators", "lane_state", "query_api", "quotes"),
    requirements=Path("requirements/query.txt"),
)
FUNCTIONS = {function.name: function for function in (PROCESSOR, QUERY)}
"""All functions, by name."""
