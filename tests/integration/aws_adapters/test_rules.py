"""The object with the alert rules on S3: read on a condition, and its earlier versions."""

from __future__ import annotations

import pytest

from aws_requests import Refused, Unavailable
from processor_lambda.adapters.rules import MAX_VERSIONS, S3Rules
from processor_lambda.adapters.s3 import url_of_bucket
from processor_lambda.ports import NoRules, RulesObject
from tests.fakes.scripted_server import ScriptedServer, response
from tests.support.aws_adapters import Connect

KEY = "configuration/rules.toml"
FOUND = response(200, b"rules", 'ETag: "e1"', "x-amz-version-id: v1")
# S3 states the length of the object, but sends no body: https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
NOT_MODIFIED = b'HTTP/1.1 304 Not Modified\r\nETag: "e1"\r\nContent-Length: 5\r\n\r\n'
VERSIONS = b"""<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<DeleteMarker><Key>configuration/rules.toml</Key><VersionId>v4</VersionId></DeleteMarker>
<Version><Key>configuration/rules.toml</Key><VersionId>v/3+</VersionId></Version>
<Version><Key>configuration/rules.toml</Key><VersionId>v2</VersionId></Version>
<Version><Key>configuration/rules.toml.old</Key><VersionId>v1</VersionId></Version></ListVersionsResult>"""


@pytest.fixture
def rules(server: ScriptedServer, connect: Connect) -> S3Rules:
    return S3Rules(connect("s3", url_of_bucket("my-bucket", server.url)), "my-bucket", KEY)


def test_an_object_that_has_not_changed_is_not_read_again(server: ScriptedServer, rules: S3Rules) -> None:
    server.play(FOUND, NOT_MODIFIED, FOUND)
    assert rules.newest("") == RulesObject(b"rules", '"e1"', "v1")
    assert rules.newest('"e1"') is None
    assert rules.newest('"e0"') == RulesObject(b"rules", '"e1"', "v1")
    assert {request.line for request in server.requests} == {f"GET /my-bucket/{KEY} HTTP/1.1"}
    assert [request.headers.get("if-none-match") for request in server.requests] == [None, '"e1"', '"e0"']
    assert {request.connection for request in server.requests} == {1}


@pytest.mark.parametrize("body", [b"<Error><Code>NoSuchKey</Code></Error>", b""], ids=["S3", "without a body"])
def test_an_object_that_does_not_exist_is_named(server: ScriptedServer, rules: S3Rules, body: bytes) -> None:
    server.play(response(404, body))
    with pytest.raises(NoRules, match=f"s3://my-bucket/{KEY} does not exist"):
        rules.newest("")


def test_an_object_that_may_not_be_read_is_not_one_that_does_not_exist(server: ScriptedServer, rules: S3Rules) -> None:
    server.play(response(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"))
    with pytest.raises(Refused, match="s3 GetObject: AccessDenied: no"):
        rules.newest("")


def test_earlier_versions_are_read_one_by_one_newest_first(server: ScriptedServer, rules: S3Rules) -> None:
    server.play(response(200, VERSIONS), FOUND, FOUND)
    earlier = rules.earlier()
    assert next(earlier).content == b"rules"
    assert len(server.requests) == 2
    assert len(list(earlier)) == 1
    assert [request.line for request in server.requests] == [
        f"GET /my-bucket/?max-keys={MAX_VERSIONS}&prefix=configuration%2Frules.toml&versions= HTTP/1.1",
        f"GET /my-bucket/{KEY}?versionId=v%2F3%2B HTTP/1.1",
        f"GET /my-bucket/{KEY}?versionId=v2 HTTP/1.1",
    ]


def test_a_list_of_versions_that_is_no_xml_is_read_again_later(server: ScriptedServer, rules: S3Rules) -> None:
    server.play(response(200, b"<ListVersionsResult>"))
    with pytest.raises(Unavailable, match="s3 ListObjectVersions: invalid response"):
        list(rules.earlier())
