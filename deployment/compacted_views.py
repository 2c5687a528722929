"""The views of Athena once the archive is compacted: a daily task writes them, and a deployment leaves them alone.

CloudFormation would set a view back to the raw archive when its template changes. The task writes the views of its own
version after each run, so they do not get old.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace

from botocore.client import BaseClient

from deployment.cloudformation import aws_errors_about, outputs_of
from deployment.deployer import Deployment

VIEWS, ANALYTICS = "views", "analytics"
"""The stack of the views, and the stack with their database."""
VIEW = "quotes"
TABLE = b"compacted_quotes"
"""The table that the view reads as soon as compaction has written it."""


def without_compacted_views(deployment: Deployment, glue: Callable[[], BaseClient]) -> Deployment:
    """The deployment, without the stack of the views if compaction has written them. `glue` makes a client."""
    analytics = deployment.stack(ANALYTICS) if VIEWS in deployment.stacks else None
    if analytics is None or deployment.stack(VIEWS) is None:
        return deployment
    if not _is_compacted(glue(), outputs_of(analytics)["Database"]):
        return deployment
    deployment.report("left the views as compaction wrote them")
    return replace(deployment, stacks=tuple(name for name in deployment.stacks if name != VIEWS))


def _is_compacted(glue: BaseClient, database: str) -> bool:
    """Whether a view reads a compacted table. Athena keeps its SQL in a comment, as JSON in base64."""
    with aws_errors_about(f"the view {VIEW} of {database}"):
        try:
            table = glue.get_table(DatabaseName=database, Name=VIEW)["Table"]
        except glue.exceptions.EntityNotFoundException:
            return False
    content = re.search(r"[A-Za-z0-9+/=]{40,}", table.get("ViewOriginalText", ""))
    return content is not None and TABLE in b64decode(content[0])
