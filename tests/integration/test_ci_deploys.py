"""The roles of GitHub, tested by running: a whole stage is planned, deployed, changed and destroyed with them alone.

The command runs as in the workflow, with the credentials that a token of GitHub gets, through a proxy that records its
calls. The emulator denies a call without a grant. A grant that no call here uses must have its reason in `UNUSED_HERE`.
The emulator's CloudFormation asks no policy about what it does itself: tests/infra/test_ci_template.py is about that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployment.functions import ROOT
from deployment.stacks import Outputs
from replica.emulator import Emulator
from tests.fakes.fault_proxy import FaultProxy, Request
from tests.support.github import REPOSITORY, STAGE, assume, ci_stack, token
from tests.support.grants import Call, Grant, calls_of, grants_of
from tests.support.whole_deployment import WITHOUT_UNSUPPORTED_TYPES, templates_for_ministack

PREFIX = "stockstream"
PUSHED_BY_DOCKER = "Docker pushes with it. AWS lists it as needed, and the docker of this test is a script."
OTHER_STATE = "The command needs it for a stack in another state than those here, such as a failed one."
KEPT_DATA = "The command needs it to look for the data of a stage that was destroyed, and to adopt it."
OF_STACKS = "AWS demands it for the tags of a stack. The emulator does not."
OF_ECS = "The command makes the role of ECS if it is missing, and the emulator is no new account."
RELEASE = "The command needs it to watch a new release of the function."
ZONES = "The command needs it to choose zones."
UNUSED_HERE: dict[str, dict[str, str]] = {
    "PlanRoleArn": {
        "cloudformation:DescribeEvents": OTHER_STATE,
        "cloudformation:DescribeStackEvents": OTHER_STATE,
        "cloudformation:DescribeStackResources": KEPT_DATA,
        "cloudformation:ListStackResources": OTHER_STATE,
        "cloudformation:ListStacks": "AWS demands it for the list of all stacks. The emulator does not.",
        "dynamodb:DescribeTable": KEPT_DATA,
        "dynamodb:ListTables": KEPT_DATA,
        "ec2:DescribeAvailabilityZones": ZONES,
        "s3:ListAllMyBuckets": KEPT_DATA,
        "s3:ListBucket": "AWS demands it to say that an object does not exist. The emulator does not.",
    },
    "DeployRoleArn": {
        "cloudformation:ContinueUpdateRollback": OTHER_STATE,
        "cloudformation:DescribeEvents": OTHER_STATE,
        "cloudformation:DescribeStackResources": KEPT_DATA,
        "cloudformation:ExecuteChangeSet": KEPT_DATA,
        "cloudformation:ListStacks": "AWS demands it for the list of all stacks. The emulator does not.",
        "cloudformation:RollbackStack": OTHER_STATE,
        "cloudformation:TagResource": OF_STACKS,
        "cloudformation:UntagResource": OF_STACKS,
        "cloudformation:UpdateTerminationProtection": "The command needs it for a stage that is protected.",
        "cloudwatch:DescribeAlarms": RELEASE,
        "dynamodb:DescribeContinuousBackups": KEPT_DATA,
        "dynamodb:DescribeTable": KEPT_DATA,
        "dynamodb:DescribeTimeToLive": KEPT_DATA,
        "dynamodb:GetItem": KEPT_DATA,
        "dynamodb:ListTables": KEPT_DATA,
        "dynamodb:Scan": KEPT_DATA,
        "dynamodb:UpdateItem": KEPT_DATA,
        "ec2:DescribeAvailabilityZones": ZONES,
        "ecr:BatchCheckLayerAvailability": PUSHED_BY_DOCKER,
        "ecr:BatchDeleteImage": "The command needs it for a stage that is not the last one.",
        "ecr:CompleteLayerUpload": PUSHED_BY_DOCKER,
        "ecr:GetDownloadUrlForLayer": PUSHED_BY_DOCKER,
        "ecr:InitiateLayerUpload": PUSHED_BY_DOCKER,
        "ecr:UploadLayerPart": PUSHED_BY_DOCKER,
        "iam:CreateServiceLinkedRole": OF_ECS,
        "iam:GetRole": OF_ECS,
        "s3:DeleteBucketPolicy": KEPT_DATA,
        "s3:ListAllMyBuckets": KEPT_DATA,
    },
}

DOCKER = """#!{python}
import sys
import boto3
if "inspect" in sys.argv:
    print('"sha256:{digest}"')
elif "build" in sys.argv:
    repository, _, tag = sys.argv[sys.argv.index("--tag") + 1].partition("/")[2].rpartition(":")
    ecr = boto3.client("ecr", endpoint_url="{endpoint}", region_name="us-east-1", verify="{ca}",
                       aws_access_key_id="test", aws_secret_access_key="test")
    ecr.put_image(repositoryName=repository, imageManifest='{{"schemaVersion": 2}}', imageTag=tag)
"""


@pytest.fixture(scope="module")
def strict(replica_python: str) -> Iterator[Emulator]:
    with Emulator(python=replica_python, policies_enforced=True) as started:
        yield started


@pytest.fixture(scope="module")
def roles(strict: Emulator) -> Outputs:
    # An account that has used ECS has this role. The emulator would give it another name.
    trust = {"Version": "2012-10-17", "Statement": []}
    strict.client("iam").create_role(
        RoleName="AWSServiceRoleForECS",
        Path="/aws-service-role/ecs.amazonaws.com/",
        AssumeRolePolicyDocument=json.dumps(trust),
    )
    return ci_stack(strict, PREFIX)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose templates have only types that the emulator knows."""
    copy = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.is_dir() and (path / "__init__.py").exists() and path.name != "tests":
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docker", "requirements"):
        shutil.copytree(ROOT / name, copy / name)
    (copy / "infra").mkdir()
    templates_for_ministack(copy / "infra").rename(copy / "infra" / "cloudformation")
    return copy


@pytest.fixture(scope="module")
def docker(strict: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "docker"
    script.write_text(
        DOCKER.format(python=sys.executable, digest="1" * 64, endpoint=strict.endpoint_url, ca=strict.ca_bundle)
    )
    script.chmod(0o755)
    return folder


class Job:
    """A job of the workflow: it has a role by its token, and runs the command line."""

    def __init__(self, strict: Emulator, checkout: Path, docker: Path, role: str, subject: str) -> None:
        self.calls: set[Call] = set()
        self._checkout = checkout
        self._credentials = assume(strict, role, token(subject))
        self._environment = strict.environment(os.environ) | {"PATH": f"{docker}:{os.environ['PATH']}"}

    @contextmanager
    def started(self, strict: Emulator) -> Iterator[None]:
        proxy = FaultProxy(strict.endpoint_url, strict._tls())
        proxy.fault = self._note
        with proxy.running():
            self._environment |= {
                "AWS_ENDPOINT_URL": proxy.url,
                "AWS_ACCESS_KEY_ID": self._credentials["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": self._credentials["SecretAccessKey"],
                "AWS_SESSION_TOKEN": self._credentials["SessionToken"],
                "COLUMNS": "300",
            }
            yield

    def _note(self, request: Request) -> None:
        self.calls.update(calls_of(request))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deployment", *arguments, "--stage", STAGE]
        return subprocess.run(
            command,
            env=self._environment,
            cwd=self._checkout,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def grants_of_role(strict: Emulator, arn: str) -> list[Grant]:
    iam, name = strict.client("iam"), arn.rpartition("/")[2]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in inline]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return grants_of([*documents, *(document_of(strict, policy["PolicyArn"]) for policy in attached)])


def document_of(strict: Emulator, policy: str) -> dict[str, Any]:
    version = strict.client("iam").get_policy_version(PolicyArn=policy, VersionId="v1")
    document: dict[str, Any] = version["PolicyVersion"]["Document"]
    return document


def assert_least(strict: Emulator, roles: Outputs, role: str, calls: set[Call]) -> None:
    grants = grants_of_role(strict, roles[role])
    # AWS lets every principal ask who it is.
    asked = {call for call in calls if call.action != "sts:GetCallerIdentity"}
    assert [call for call in sorted(asked) if not any(grant.covers(call) for grant in grants)] == []
    unused = {grant.action for grant in grants} - {call.action for call in calls}
    assert unused - UNUSED_HERE[role].keys() == set()
    assert UNUSED_HERE[role].keys() - {grant.action for grant in grants} == set()


def given_zips(packages: dict[str, Path]) -> list[str]:
    """The options that name zips which are built already."""
    return [part for path in packages.values() for part in ("--zip", str(path))]


def test_a_stage_is_planned_deployed_changed_and_destroyed_with_these_roles_alone(
    strict: Emulator, roles: Outputs, checkout: Path, docker: Path, packages: dict[str, Path]
) -> None:
    deploying = Job(strict, checkout, docker, roles["DeployRoleArn"], f"repo:{REPOSITORY}:environment:{STAGE}")
    planning = Job(strict, checkout, docker, roles["PlanRoleArn"], f"repo:{REPOSITORY}:pull_request")
    parameters = {**WITHOUT_UNSUPPORTED_TYPES, "MappingState": "Disabled", "PermissionsBoundary": roles["BoundaryArn"]}
    given = [part for name, value in parameters.items() for part in ("--parameter", f"{name}={value}")]
    whole = ["deploy", "--whole", *given_zips(packages), *given]
    cloudformation = strict.client("cloudformation")

    with deploying.started(strict), planning.started(strict):
        first_plan = planning.run(*whole, "--dry-run", "--existing-only")
        assert first_plan.returncode == 0, first_plan.stderr
        assert f"{PREFIX}-{STAGE}-stream\n  a new stack\n" in first_plan.stdout

        first = deploying.run(*whole, "--service-role", roles["ServiceRoleArn"])
        assert first.returncode == 0, first.stderr
        image = image_of(strict)
        assert "@sha256:" in image

        plan = planning.run(*whole, "--parameter", "RetentionHours=48", "--dry-run", "--existing-only")
        assert plan.returncode == 0, plan.stderr
        assert "RetentionHours: 24 → 48" in plan.stdout

        changed = deploying.run(*whole, "--image", image, "--parameter", "RetentionHours=48")
        assert changed.returncode == 0, changed.stderr
        assert image_of(strict) == image
        assert_boundary_covers_the_roles_of_the_stage(strict, roles)

        removed = deploying.run("destroy", "--confirm", STAGE)
        assert removed.returncode == 0, removed.stderr
    left = {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]}
    assert left == {f"{PREFIX}-ci-{STAGE}"}
    assert_least(strict, roles, "PlanRoleArn", planning.calls)
    assert_least(strict, roles, "DeployRoleArn", deploying.calls)


def image_of(strict: Emulator) -> str:
    (stack,) = strict.client("cloudformation").describe_stacks(StackName=f"{PREFIX}-{STAGE}-producer")["Stacks"]
    return next(str(one["ParameterValue"]) for one in stack["Parameters"] if one["ParameterKey"] == "Image")


def assert_boundary_covers_the_roles_of_the_stage(strict: Emulator, roles: Outputs) -> None:
    """Every grant of a deployed role is within the boundary, with its resource."""
    iam = strict.client("iam")
    boundary = grants_of([document_of(strict, roles["BoundaryArn"])])
    deployed = [role["Arn"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith(f"{PREFIX}-{STAGE}-")]
    assert deployed
    for arn in deployed:
        for grant in grants_of_role(strict, arn):
            # AWS names a log group as every other resource. The emulator puts a path before the name.
            named = Grant(grant.action, grant.resource.replace(":/aws/cloudformation/", ":"))
            assert any(outer.contains(named) for outer in boundary), (arn, grant)


def test_the_plan_role_can_neither_deploy_nor_destroy(
    strict: Emulator, roles: Outputs, checkout: Path, docker: Path, packages: dict[str, Path]
) -> None:
    planning = Job(strict, checkout, docker, roles["PlanRoleArn"], f"repo:{REPOSITORY}:pull_request")
    with planning.started(strict):
        denied = planning.run("deploy", "--adopt", "new", *given_zips(packages))
    assert denied.returncode == 1
    assert "AccessDenied" in denied.stderr or "not authorized" in denied.stderr
