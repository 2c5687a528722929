"""Reads from recorded requests which calls they are, and from policies which calls they allow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from replica.emulator import REGION
from tests.fakes.fault_proxy import Request

ACCOUNT = "000000000000"
ANY = "*"
"""The resource of a request that names none, such as a request for the result of a query by its id."""

_SERVICES = {
    "Kinesis_20131202": "kinesis",
    "DynamoDB_20120810": "dynamodb",
    "AmazonSQS": "sqs",
    "AmazonAthena": "athena",
    "AWSGlue": "glue",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
}
_QUERY_SERVICES = {
    "2010-03-31": "sns",
    "2010-05-08": "iam",
    "2010-05-15": "cloudformation",
    "2011-06-15": "sts",
    "2016-11-15": "ec2",
}
"""The versions of the APIs whose requests are forms."""
# AWS allows these batch operations under the name of the single operation.
_ACTIONS = {"sqs:SendMessageBatch": "sqs:SendMessage", "sns:PublishBatch": "sns:Publish"}
_S3 = {
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",  # the begin and the end of an upload in parts
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "DELETE": "s3:DeleteObject",
}


class Call(msgspec.Struct, frozen=True, order=True):
    """An IAM action, and the ARN of its resource."""

    action: str
    resource: str


class Grant(msgspec.Struct, frozen=True, order=True):
    """An IAM action that a policy allows, and a pattern of the ARNs of its resources."""

    action: str
    resource: str

    def covers(self, call: Call) -> bool:
        """Whether it allows a call. It ignores conditions, which the emulator checks."""
        matches = call.resource == ANY or fnmatchcase(call.resource, self.resource)
        return self.action == call.action and matches

    def contains(self, other: Grant) -> bool:
        """Whether it allows all that another grant allows. Both may have patterns. It ignores conditions."""
        return fnmatchcase(other.action, self.action) and fnmatchcase(other.resource, self.resource)


def calls_of(request: Request) -> Iterator[Call]:
    """The calls of a request: one for each resource that it names."""
    if request.target:
        api, _, operation = request.target.partition(".")
        service = _SERVICES[api.rpartition(".")[2] if api not in _SERVICES else api]
        body = json.loads(request.body or b"{}")
        action = _ACTIONS.get(f"{service}:{operation}", f"{service}:{operation}")
        for resource in _resources(service, operation, body):
            yield Call(action, resource)
    elif b"Action=" in request.body:
        form = parse_qs(request.body.decode())
        service = _QUERY_SERVICES[form["Version"][0]]
        action = f"{service}:{form['Action'][0]}"
        yield Call(_ACTIONS.get(action, action), _resource_of_form(service, form))
        if "RoleARN" in form:
            yield Call("iam:PassRole", form["RoleARN"][0])
    else:
        yield _s3(request)


def _resource_of_form(service: str, form: Mapping[str, list[str]]) -> str:
    match service:
        case "sns":
            return form["TopicArn"][0]
        case "cloudformation":
            stack = form.get("StackName", [ANY])[0]
            return stack if stack == ANY or stack.startswith("arn:") else _arn("cloudformation", f"stack/{stack}/id")
        case "iam":
            role = form.get("RoleName") or [f"aws-service-role/{form['AWSServiceName'][0]}/role"]
            return f"arn:aws:iam::{ACCOUNT}:role/{role[0]}"
    return ANY


def _resources(service: str, operation: str, body: Mapping[str, Any]) -> list[str]:
    match service:
        case "kinesis":
            return [body.get("StreamARN") or _arn("kinesis", f"stream/{body['StreamName']}")]
        case "dynamodb":
            tables = body.get("RequestItems") or [body.get("TableName")]
            return [ANY if table is None else _arn("dynamodb", f"table/{table}") for table in tables]
        case "sqs":
            return [_arn("sqs", body["QueueUrl"].rpartition("/")[2])]
        case "ecr":
            return [_arn(service, f"repository/{body['repositoryName']}") if "repositoryName" in body else ANY]
        case "athena":
            return [_of_athena(operation, body)]
        case "glue":
            return _of_glue(operation, body)
    raise AssertionError(f"this test does not know the resources of {service}:{operation}")


def _of_athena(operation: str, body: Mapping[str, Any]) -> str:
    if "CatalogName" in body or operation == "GetDataCatalog":
        return _arn("athena", f"datacatalog/{body.get('CatalogName') or body['Name']}")
    return _arn("athena", f"workgroup/{body['WorkGroup']}") if "WorkGroup" in body else ANY


def _of_glue(operation: str, body: Mapping[str, Any]) -> list[str]:
    """AWS also checks the permission on the catalog, and on the database of a table."""
    if operation == "GetDatabases":
        return [_arn("glue", "catalog"), _arn("glue", "database/any-of-them")]
    database = body["Name" if operation == "GetDatabase" else "DatabaseName"]
    parents = [_arn("glue", "catalog"), _arn("glue", f"database/{database}")]
    if operation == "GetDatabase":
        return parents
    table = body.get("TableName", body.get("Name", "all-of-them"))
    return [*parents, _arn("glue", f"table/{database}/{table}")]


def _s3(request: Request) -> Call:
    path = urlsplit(request.path)
    bucket, _, key = path.path.lstrip("/").partition("/")
    if not bucket:
        return Call("s3:ListAllMyBuckets", ANY)
    if not key and request.method == "POST" and "delete" in path.query:
        return Call("s3:DeleteObject", f"arn:aws:s3:::{bucket}/any")
    if not key:
        assert request.method == "GET", request
        actions = {"location": "s3:GetBucketLocation", "versions": "s3:ListBucketVersions"}
        action = next((action for word, action in actions.items() if word in path.query), "s3:ListBucket")
        return Call(action, f"arn:aws:s3:::{bucket}")
    action = "s3:GetObjectVersion" if "versionId=" in path.query else _S3[request.method]
    return Call(action, f"arn:aws:s3:::{bucket}/{key}")


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def grants_of(documents: list[dict[str, Any]]) -> list[Grant]:
    """The grants of policies: one for each action and resource."""
    return [
        Grant(action, resource)
        for document in documents
        for statement in document["Statement"]
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
