"""Tokens as GitHub issues them to the jobs of a workflow, without a signature, which the emulator does not check."""

from __future__ import annotations

import base64
import json
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from deployment.cloudformation import StackClient, Template
from deployment.stacks import TEMPLATES, Outputs
from replica.emulator import REGION, Emulator

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
REPOSITORY = "octo-org/stockstream"
OWNER_ID, REPOSITORY_ID = "123456", "456789"
STAGE = "dev"
IMMUTABLE = f"octo-org@{OWNER_ID}/stockstream@{REPOSITORY_ID}"
"""How a subject names the repository since July 2026: the names with their numbers."""


def token(subject: str | None, audience: str | None = AUDIENCE) -> str:
    """The token of a job. A claim that is None is missing."""
    claims = {"iss": ISSUER, "sub": subject, "aud": audience, "repository": REPOSITORY}
    parts = ({"alg": "RS256"}, {name: value for name, value in claims.items() if value is not None})
    return ".".join([*(_encoded(json.dumps(part).encode()) for part in parts), _encoded(b"signature")])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def ci_template() -> str:
    """The template of the roles, for the emulator.

    Its CloudFormation has no identity providers, and its policies do not know the names of change sets.
    """
    text = (TEMPLATES / "ci.yaml").read_text(encoding="utf-8")
    text = text.replace("Type: AWS::IAM::OIDCProvider", "Type: AWS::CloudFormation::WaitConditionHandle")
    return text.replace("                Condition: {StringLike: {cloudformation:ChangeSetName: preview-*}}\n", "")


def ci_stack(emulator: Emulator, prefix: str, body: str | None = None, **parameters: str) -> Outputs:
    """Create the roles of a stage on the emulator, with an identity provider that was made before."""
    iam = emulator.client("iam")
    arn = f"arn:aws:iam::000000000000:oidc-provider/{ISSUER.removeprefix('https://')}"
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    if arn not in {provider["Arn"] for provider in listed}:
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE])
    values = {"Stage": STAGE, "Prefix": prefix, "Repository": REPOSITORY, "ProviderArn": arn} | parameters
    client = StackClient(emulator.client("cloudformation"), lambda _: None)
    return client.put(f"{prefix}-ci-{STAGE}", Template(body or ci_template(), values))


def assume(emulator: Emulator, role: str, web_identity: str) -> dict[str, Any]:
    """The credentials that AWS gives for a token. Raises `ClientError` if the role does not trust it."""
    sts = boto3.client(
        "sts",
        endpoint_url=emulator.endpoint_url,
        region_name=REGION,
        verify=emulator.ca_bundle,
        config=Config(signature_version=UNSIGNED, proxies={}),
    )
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="test", WebIdentityToken=web_identity)
    credentials: dict[str, Any] = answer["Credentials"]
    return credentials
