"""Looks before the test begins whether it can run: credentials, permissions, docker, and whether the stage exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deployment.errors import ImageError
from deployment.image import ContainerImage
from smoke.stage import Client

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "AccessDeniedFault")
READS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("cloudformation", "describe_stacks", {}),
    ("kinesis", "list_streams", {"Limit": 1}),
    ("dynamodb", "list_tables", {"Limit": 1}),
    ("s3", "list_buckets", {}),
    ("lambda", "list_functions", {"MaxItems": 1}),
    ("sns", "list_topics", {}),
    ("sqs", "list_queues", {"MaxResults": 1}),
    ("kms", "list_keys", {"Limit": 1}),
    ("athena", "list_work_groups", {"MaxResults": 1}),
    ("glue", "get_databases", {"MaxResults": 1}),
    ("cloudwatch", "describe_alarms", {"MaxRecords": 1}),
    ("events", "list_rules", {"Limit": 1}),
    ("logs", "describe_log_groups", {"limit": 1}),
    ("ecr", "describe_repositories", {"maxResults": 1}),
    ("ecs", "list_clusters", {"maxResults": 1}),
    ("scheduler", "list_schedule_groups", {"MaxResults": 1}),
    ("iam", "list_roles", {"MaxItems": 1}),
    ("apigatewayv2", "get_apis", {"MaxResults": "1"}),
)
"""A cheap call of each service that the test or the deployment uses.

A role may be denied one of them and yet be allowed all that is needed, so a denial is only a warning.
"""


@dataclass(frozen=True)
class Place:
    """Where the credentials lead."""

    account: str
    region: str
    identity: str


def place(client: Client) -> Place:
    """Ask STS who we are. It needs no permission."""
    sts = client("sts")
    caller = sts.get_caller_identity()
    return Place(account=caller["Account"], region=sts.meta.region_name, identity=caller["Arn"])


def denied_calls(client: Client) -> list[str]:
    """The calls of `READS` that AWS denies, one line each."""
    denied = []
    for service, method, arguments in READS:
        try:
            getattr(client(service), method)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in DENIED:
                denied.append(f"{service} {method}: {error.response['Error'].get('Message', error)}")
    return denied


def obstacles(existing: Sequence[str], *, stage: str, keep: bool, image: ContainerImage | None) -> list[str]:
    """Everything that keeps the test from beginning.

    `existing` are the stacks of the stage that exist, and `image` is the image that is to be built, if one is.
    """
    found = []
    if existing and not keep:
        found.append(
            f"the stage {stage} exists already, such as the stack {existing[0]}, and the test would remove it. Name "
            "another stage, or test this one and keep it (--keep, or make smoke KEEP=1), or remove it first (make "
            f"destroy STAGE={stage})"
        )
    if image is not None:
        try:
            image.check_sources()
            image.check_docker()
        except ImageError as error:
            found.append(str(error))
    return found
