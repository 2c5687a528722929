"""Puts an entrance without login in front of the function `query`, by calls of the API.

It exists only here. On AWS, the entrance is the stack `api` (infra/cloudformation/api.yaml), which asks for a login.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def create(client: Callable[..., Any], name: str, alias_arn: str) -> str:
    """Create an HTTP API that passes every request on to a function, and return its id.

    The function gets events of the payload format 2.0, without a stage in their paths. `client` makes a boto3 client of
    a service, and `alias_arn` is the alias of the function.
    """
    gateway = client("apigatewayv2")
    api: str = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=alias_arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    gateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    partition, region, account = _place(alias_arn)
    client("lambda").add_permission(
        FunctionName=alias_arn,
        StatementId=f"api-{api}",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:{partition}:execute-api:{region}:{account}:{api}/*",
    )
    return api


def url(endpoint_url: str, api: str) -> str:
    """The address of an HTTP API at MiniStack, without a slash at the end.

    Its name at AWS, `<id>.execute-api.<host>`, leads to an emulator only where somebody resolves it.
    """
    return f"{endpoint_url}/_aws/execute-api/{api}"


def _place(arn: str) -> tuple[str, str, str]:
    _, partition, _, region, account, *_ = arn.split(":")
    return partition, region, account
