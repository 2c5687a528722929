"""The role of ECS is made once for each account, before the first cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deployment.errors import DeploymentError
from deployment.service_roles import ECS_ROLE, make_ecs_role

ROLE = {
    "Path": "/aws-service-role/ecs.amazonaws.com/",
    "RoleName": ECS_ROLE,
    "RoleId": "AROA00000000000000000",
    "Arn": f"arn:aws:iam::000000000000:role/aws-service-role/ecs.amazonaws.com/{ECS_ROLE}",
    "CreateDate": "2026-11-25T00:00:00Z",
}
COMMAND = "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com"


@pytest.fixture(scope="module")
def iam() -> Any:
    return boto3.client("iam", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def stubber(iam: Any) -> Iterator[Stubber]:
    with Stubber(iam) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def missing(stubber: Stubber) -> None:
    stubber.add_client_error("get_role", "NoSuchEntity", f"The role with name {ECS_ROLE} cannot be found.")


def test_is_left_alone_if_the_account_has_it(iam: Any, stubber: Stubber) -> None:
    stubber.add_response("get_role", {"Role": ROLE})
    reports: list[str] = []
    make_ecs_role(iam, reports.append)
    assert reports == []


def test_is_created_if_it_is_missing(iam: Any, stubber: Stubber) -> None:
    missing(stubber)
    stubber.add_response("create_service_linked_role", {"Role": ROLE}, {"AWSServiceName": "ecs.amazonaws.com"})
    reports: list[str] = []
    make_ecs_role(iam, reports.append)
    assert reports == [f"created the role {ECS_ROLE}"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "InvalidInput",
            f"Service role name {ECS_ROLE} has been taken in this account, please try a different suffix.",
        ),
        ("EntityAlreadyExists", "Role with name AWSServiceRoleForEcs already exists."),  # an emulator
    ],
)
def test_a_role_that_exists_although_aws_did_not_show_it_is_fine(
    iam: Any, stubber: Stubber, code: str, message: str
) -> None:
    missing(stubber)
    stubber.add_client_error("create_service_linked_role", code, message)
    make_ecs_role(iam, pytest.fail)


def test_without_the_permission_the_message_has_the_command(iam: Any, stubber: Stubber) -> None:
    missing(stubber)
    stubber.add_client_error("create_service_linked_role", "AccessDenied", "not authorized to create the role")
    with pytest.raises(DeploymentError) as failure:
        make_ecs_role(iam, pytest.fail)
    assert "not authorized to create the role" in str(failure.value)
    assert str(failure.value).endswith(f"\n  {COMMAND}")


def test_without_any_permission_the_deployment_goes_on_since_the_role_may_exist(iam: Any, stubber: Stubber) -> None:
    stubber.add_client_error("get_role", "AccessDenied", "not authorized")
    stubber.add_client_error("create_service_linked_role", "AccessDenied", "not authorized")
    reports: list[str] = []
    make_ecs_role(iam, reports.append)
    assert reports == [f"may not look for the role {ECS_ROLE}. If the stack producer fails without it, run: {COMMAND}"]
