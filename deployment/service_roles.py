"""Makes the role with which ECS works in the account. AWS has it once for each account."""

from __future__ import annotations

from collections.abc import Callable

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from deployment.errors import DeploymentError
from deployment.stack_reader import reason_of

ECS_ROLE = "AWSServiceRoleForECS"
_SERVICE = "ecs.amazonaws.com"
_COMMAND = f"aws iam create-service-linked-role --aws-service-name {_SERVICE}"
_REFUSED = ("AccessDenied", "AccessDeniedException")


def make_ecs_role(iam: BaseClient, report: Callable[[str], None]) -> None:
    """Create the service-linked role of ECS if the account does not have it.

    CloudFormation creates the first cluster before ECS has created the role, and fails. Raises `DeploymentError` if the
    role is missing and cannot be created. Goes on with a report if the caller may neither look for it nor create it.
    """
    missing = _is_missing(iam)
    if missing is False:
        return
    try:
        iam.create_service_linked_role(AWSServiceName=_SERVICE)
    except ClientError as error:
        if _is_taken(error):
            return
        if missing is None and _code(error) in _REFUSED:
            report(f"may not look for the role {ECS_ROLE}. If the stack producer fails without it, run: {_COMMAND}")
            return
        raise DeploymentError(
            f"the account has no role {ECS_ROLE}, which ECS needs, and AWS rejected its creation: {reason_of(error)}\n"
            f"Let somebody who may create roles run this once, then run this again:\n  {_COMMAND}"
        ) from error
    report(f"created the role {ECS_ROLE}")


def _is_missing(iam: BaseClient) -> bool | None:
    """Whether the account has no such role; None if AWS does not say."""
    try:
        iam.get_role(RoleName=ECS_ROLE)
    except ClientError as error:
        return True if _code(error) == "NoSuchEntity" else None
    return False


def _is_taken(error: ClientError) -> bool:
    """Whether the role exists. AWS says that its name "has been taken", and emulators that it exists."""
    return "has been taken" in reason_of(error) or _code(error) == "EntityAlreadyExists"


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code"))
