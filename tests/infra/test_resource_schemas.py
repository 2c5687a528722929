"""Every resource fits the schema that AWS publishes for its type, with the values that the deployer gives parameters.

CloudFormation checks that when it makes a change set, and emulators do not. In an empty account, a preview has only
placeholders for what the other stacks will have made.
"""

from __future__ import annotations

import zipfile
from typing import Any, cast

import pytest

from deployment.deployer import Deployment
from deployment.stacks import ALL_STACKS, ON_REQUEST
from deployment.waiting import Wait
from tests.fakes.scripted_cloudformation import ScriptedCloudFormation
from tests.support.resource_schemas import Resolved, problems
from tests.support.templates import ALL

STACKS = (*ALL_STACKS, *ON_REQUEST)
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What a preview of all stacks in an empty account gives their parameters."""
    code = tmp_path_factory.mktemp("code") / "processor.zip"
    zipfile.ZipFile(code, "w").close()
    aws = ScriptedCloudFormation()
    wait = Wait(pause=aws.pause, clock=aws.clock)
    deployment = Deployment(cast(Any, aws), cast(Any, None), "stockstream-test", stacks=STACKS, wait=wait)
    named = {
        "PermissionsBoundary": "arn:aws:iam::000000000000:policy/boundary",
        "Zones": "use1-az1,use1-az2",
        "Latency": "fast",
        "Serve": "dashboard",
        "Authentication": "jwt",
        "JwtIssuer": "https://login.example.org/realm",
        "JwtAudience": "quotes",
        "CorsOrigins": "https://a.example.org,https://b.example.org",
        "LoginClientId": "page",
        "DomainName": "quotes.example.org",
        "CertificateArn": CERTIFICATE,
        "HostedZoneId": "Z0123456789",
        "WebAclArn": "arn:aws:wafv2:us-east-1:000000000000:global/webacl/name/00000000",
    }
    deployment.preview(
        dict.fromkeys(STACKS, code), named, images={"Image": lambda known: f"{known.get('RepositoryUri', 'new')}:tag"}
    )
    return {
        name.removeprefix("stockstream-test-"): {
            one["ParameterKey"]: one["ParameterValue"] for one in request["Parameters"]
        }
        for name, request in aws.change_sets
    }


@pytest.mark.parametrize("name", STACKS)
def test_every_resource_fits_its_schema(name: str, values: dict[str, dict[str, str]]) -> None:
    template = ALL[name]
    found = {
        f"{resource} ({kind}): {problem}"
        for flipped in (None, *template.get("Conditions", {}))
        for resource, kind, properties in Resolved(template, values[name], flipped).resources()
        for problem in problems(kind, properties)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("kind", "properties", "problem"),
    [
        ("AWS::Kinesis::Stream", {"Shards": 1}, "'Shards' was unexpected"),
        ("AWS::Kinesis::Stream", {"RetentionPeriodHours": "a day"}, "is not of type 'integer'"),
        ("AWS::ECS::Service", {"LaunchType": "MOON"}, "'MOON' is not one of "),
        (
            "AWS::Lambda::EventSourceMapping",
            {"FunctionName": "f", "EventSourceArn": "no-arn-at-all"},
            "does not match ",
        ),
    ],
)
def test_what_a_schema_refuses_is_found(kind: str, properties: dict[str, Any], problem: str) -> None:
    (found,) = problems(kind, properties)
    assert problem in found
