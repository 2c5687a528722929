"""The API and the dashboard on the emulator, from their templates as they are.

The emulator runs API Gateway: it asks for the login and calls the function. It lacks the library that verifies the
signature of a token, so it refuses every token here. A signed request of a program passes. It keeps what CloudFront
should do, and does not do it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from deployment.deployer import Deployment
from deployment.errors import DeploymentError
from deployment.serving import Serving
from deployment.stacks import ON_REQUEST, Outputs
from replica.emulator import Emulator
from tests.support.whole_deployment import templates_for_ministack, whole_deployment

ISSUER = "https://login.example.org/realm"
LOGIN = {"Authentication": "jwt", "JwtIssuer": ISSUER, "JwtAudience": "quotes", "LoginClientId": "page"}
LOGIN_OF_PAGE = {name: LOGIN[name] for name in ("JwtIssuer", "LoginClientId")}
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJxdW90ZXMifQ."  # it says that it needs no signature


@dataclass(frozen=True)
class Served:
    """A stage that serves the dashboard."""

    emulator: Emulator
    deployment: Deployment
    outputs: Outputs
    parameters: dict[str, str]

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send a request to the API, whose name the emulator knows by the header Host."""
        url = f"{self.emulator.endpoint_url}{path}"
        return httpx.request(method, url, headers={"Host": self.host, **(headers or {})}, timeout=30)

    @property
    def host(self) -> str:
        api = self.outputs["ApiUrl"].removeprefix("https://").partition(".")[0]
        return f"{api}.execute-api.{self.emulator.endpoint_url.removeprefix('http://')}"

    def signed(self, path: str) -> dict[str, str]:
        """The headers of a request that is signed with AWS credentials, as in docs/deploy.md."""
        request = AWSRequest("GET", f"http://{self.host}{path}")
        credentials = boto3.Session("test", "test").get_credentials()
        SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
        return dict(request.headers)


@pytest.fixture(scope="module")
def served(emulator: Emulator, deployed: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Both stacks in front of the query function that other tests use too."""
    templates = templates_for_ministack(tmp_path_factory.mktemp("served"))
    made = replace(whole_deployment(emulator, "served", [], templates), stacks=("operators", *ON_REQUEST))
    of_query = {name: deployed[name] for name in ("QueryFunctionName", "QueryLiveAliasArn")}
    parameters = of_query | {"MonthlyBudgetUsd": "0"}
    found = Served(emulator, made, made.deploy({}, parameters | LOGIN), parameters)
    yield found
    s3, bucket = emulator.client("s3"), found.outputs["PageBucket"]
    s3.put_object(Bucket=bucket, Key="index.html", Body=b"1")
    made.destroy()
    assert bucket not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def emulator_stacks(emulator: Emulator) -> list[str]:
    return [stack["StackName"] for stack in emulator.client("cloudformation").describe_stacks()["Stacks"]]


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {TOKEN}"}], ids=["no token", "a forged token"])
@pytest.mark.parametrize("path", ["/v1/symbols", "/v1/openapi.json", "/udf/config"])
def test_nobody_reads_without_a_login(served: Served, path: str, headers: dict[str, str]) -> None:
    assert [served.ask(method, path, headers).status_code for method in ("GET", "HEAD")] == [401, 401]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/v1/symbols", 404), ("OPTIONS", "/v1/symbols", 403)],
)
def test_nothing_else_reaches_the_function(served: Served, method: str, path: str, status: int) -> None:
    assert served.ask(method, path).status_code == status


def test_cloudfront_gets_both_origins_and_the_headers(served: Served) -> None:
    cloudfront = served.emulator.client("cloudfront")
    distributions = cloudfront.list_distributions()["DistributionList"]["Items"]
    (found,) = [one for one in distributions if one["DomainName"] in served.outputs["DashboardUrl"]]
    origins = {origin["Id"]: origin["DomainName"] for origin in found["Origins"]["Items"]}
    assert origins["api"] == served.outputs["ApiUrl"].removeprefix("https://")
    assert origins["page"].startswith(served.outputs["PageBucket"])
    paths = {one["PathPattern"]: one["TargetOriginId"] for one in found["CacheBehaviors"]["Items"]}
    assert paths == {"/assets/*": "page", "/v1/*": "api", "/udf/*": "api", "/widgets.json": "api"}
    policy = found["DefaultCacheBehavior"]["ResponseHeadersPolicyId"]
    config = cloudfront.get_response_headers_policy(Id=policy)["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]
    rules = config["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert "connect-src 'self' https://login.example.org ;" in rules


def test_the_page_is_uploaded_with_the_configuration_of_its_stage(served: Served, tmp_path: Path) -> None:
    s3, bucket = served.emulator.client("s3"), served.outputs["PageBucket"]
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "main-1.js").write_text("1")
    nothing = replace(served.deployment, stacks=())
    Serving(served.deployment, nothing, "test", bundle=tmp_path).complete(served.outputs)
    stored: dict[str, Any] = {
        one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]
    }
    assert {key: answer["CacheControl"] for key, answer in stored.items()} == {
        "assets/main-1.js": "public, max-age=31536000, immutable",
        "config.json": "no-cache",
        "index.html": "no-cache",
    }
    assert stored["assets/main-1.js"]["ContentType"] == "text/javascript; charset=utf-8"
    assert b'"stage": "test"' in stored["config.json"]["Body"].read()


def test_a_program_reads_with_signed_requests(served: Served) -> None:
    by_iam = replace(served.deployment, prefix="programs", stacks=("operators", "api"))
    outputs = by_iam.deploy({}, served.parameters | {"Authentication": "iam"})
    try:
        programs = replace(served, outputs=outputs)
        assert programs.ask("GET", "/v1/symbols").status_code == 403
        answer = programs.ask("GET", "/v1/symbols", programs.signed("/v1/symbols"))
        assert (answer.status_code, answer.json()["symbols"]) == (200, [])
    finally:
        Serving(replace(by_iam, stacks=()), by_iam, "test").complete({})
    stacks = emulator_stacks(served.emulator)
    assert not any(name.startswith("programs-") for name in stacks)


def test_the_page_is_refused_in_front_of_an_api_for_programs(served: Served) -> None:
    web = replace(served.deployment, prefix="refused", stacks=("web",))
    with pytest.raises(DeploymentError, match="The dashboard needs Authentication=jwt"):
        web.deploy({}, {"ApiUrl": served.outputs["ApiUrl"], "ApiAuthentication": "iam", **LOGIN_OF_PAGE})
