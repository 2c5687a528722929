"""Which tokens of GitHub get the roles of a stage. The emulator evaluates the trust policies as AWS does.

A token says in its subject where its job runs: `repo:owner/name:` with the branch, `pull_request` or the environment.
GitHub issues no token to a workflow that the pull request of a fork starts, so the fork here is another repository.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from replica.emulator import Emulator
from tests.support.github import IMMUTABLE, OWNER_ID, REPOSITORY_ID, assume, ci_stack, ci_template, token

OLD = "octo-org/stockstream"
SUBJECTS = {
    "main": "repo:{}:ref:refs/heads/main",
    "a pull request": "repo:{}:pull_request",
    "the environment": "repo:{}:environment:dev",
    "another environment": "repo:{}:environment:prod",
    "a branch with the name of the environment": "repo:{}:ref:refs/heads/environment:dev",
}
FOREIGN = {
    "a fork": "repo:someone/stockstream:{}",
    "a fork with numbers": "repo:someone@654321/stockstream@987654:{}",
    "a renamed repository": "repo:octo-org/tickers:{}",
    "a renamed repository with numbers": f"repo:octo-org@{OWNER_ID}/tickers@{REPOSITORY_ID}:{{}}",
    "a repository that took the name": f"repo:octo-org@{OWNER_ID}/stockstream@999999:{{}}",
    "an owner that took the name": f"repo:octo-org@999999/stockstream@{REPOSITORY_ID}:{{}}",
    "a longer name": "repo:octo-org/stockstream-2:{}",
    "a reusable workflow's claim": "job_workflow_ref:octo-org/stockstream/.github/workflows/deploy.yml:{}",
}


@pytest.fixture(scope="module")
def strict(replica_python: str) -> Iterator[Emulator]:
    with Emulator(python=replica_python, policies_enforced=True) as started:
        yield started


@pytest.fixture(scope="module")
def roles(strict: Emulator) -> dict[str, dict[str, str]]:
    """The roles for a repository from before July 2026, and for a newer one."""
    numbers = {"OwnerId": OWNER_ID, "RepositoryId": REPOSITORY_ID}
    return {OLD: dict(ci_stack(strict, "older")), IMMUTABLE: dict(ci_stack(strict, "newer", **numbers))}


def gets(strict: Emulator, role: str, web_identity: str) -> bool:
    try:
        return bool(assume(strict, role, web_identity)["SessionToken"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False


@pytest.mark.parametrize("trusted", [OLD, IMMUTABLE], ids=["older", "newer"])
@pytest.mark.parametrize(("role", "where"), [("PlanRoleArn", "a pull request"), ("DeployRoleArn", "the environment")])
def test_only_its_own_place_gets_a_role(
    strict: Emulator, roles: dict[str, dict[str, str]], trusted: str, role: str, where: str
) -> None:
    arn = roles[trusted][role]
    written = {
        f"{place} of {named}": (subject.format(named))
        for named in (OLD, IMMUTABLE)
        for place, subject in SUBJECTS.items()
    }
    granted = {place for place, subject in written.items() if gets(strict, arn, token(subject))}
    assert granted == {f"{where} of {trusted}"}


@pytest.mark.parametrize("trusted", [OLD, IMMUTABLE], ids=["older", "newer"])
@pytest.mark.parametrize("who", FOREIGN)
def test_nobody_else_gets_a_role(strict: Emulator, roles: dict[str, dict[str, str]], trusted: str, who: str) -> None:
    for role, place in (("PlanRoleArn", "pull_request"), ("DeployRoleArn", "environment:dev")):
        assert not gets(strict, roles[trusted][role], token(FOREIGN[who].format(place)))


def test_a_token_for_another_audience_or_without_a_claim_gets_no_role(
    strict: Emulator, roles: dict[str, dict[str, str]]
) -> None:
    arn, subject = roles[OLD]["DeployRoleArn"], f"repo:{OLD}:environment:dev"
    assert gets(strict, arn, token(subject))
    assert not gets(strict, arn, token(subject, audience="https://github.com/octo-org"))
    assert not gets(strict, arn, token(subject, audience=None))
    assert not gets(strict, arn, token(None))


def test_the_service_role_is_for_cloudformation_and_not_for_a_token(
    strict: Emulator, roles: dict[str, dict[str, str]]
) -> None:
    assert not gets(strict, roles[OLD]["ServiceRoleArn"], token(f"repo:{OLD}:environment:dev"))


@pytest.mark.parametrize(
    ("wrong", "subject", "audience"),
    [
        (('"repo:${Repository}:environment:${Stage}"', '"repo:octo-org/*"'), "repo:octo-org/other:pull_request", None),
        (
            (
                "              StringEquals:\n                token",
                "              ForAllValues:StringEquals:\n                token",
            ),
            None,
            None,
        ),
    ],
    ids=["a wildcard", "ForAllValues"],
)
def test_a_wrong_policy_would_be_seen(
    strict: Emulator, request: pytest.FixtureRequest, wrong: tuple[str, str], subject: str | None, audience: str | None
) -> None:
    """The mistakes that are often made. With each of them, a token gets the role that must not have it."""
    body = ci_template().replace(*wrong)
    assert body != ci_template()
    if subject is not None:
        body = body.replace("StringEquals:\n                token", "StringLike:\n                token")
    prefix = f"wrong{request.node.callspec.indices['wrong']}"
    arn = ci_stack(strict, prefix, body)["DeployRoleArn"]
    assert gets(strict, arn, token(subject, audience or "sts.amazonaws.com") if subject else token(None, None))
