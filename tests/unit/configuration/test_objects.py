"""A command reads an object of the configuration, and writes it only if nobody else did in the meantime."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from configuration import MAX_BYTES, RULES_KEY, ChangedMeanwhile, ConfigurationError, ConfigurationObject, Stored

ADDRESS = f"s3://archive/{RULES_KEY}"


class OneObject:
    """A client of S3 with one object, or with an error that it raises for every request."""

    def __init__(self, content: bytes | None = None, error: Exception | None = None) -> None:
        self.content, self.error, self.version = content, error, 1

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def get_object(self, **request: Any) -> dict[str, Any]:
        assert request == {"Bucket": "archive", "Key": RULES_KEY}
        if self.error is not None:
            raise self.error
        if self.content is None:
            raise refused("NoSuchKey", "GetObject")
        return {
            "Body": io.BytesIO(self.content),
            "ContentLength": len(self.content),
            "ETag": self.etag,
            "VersionId": str(self.version),
        }

    def put_object(self, **request: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        if request.get("IfMatch", self.etag) != self.etag or ("IfNoneMatch" in request and self.content is not None):
            raise refused("PreconditionFailed", "PutObject")
        self.content, self.version = request["Body"], self.version + 1
        return {"ETag": self.etag, "VersionId": str(self.version)}


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"the reason is {code}"}}, operation)


def rules(s3: OneObject) -> ConfigurationObject:
    return ConfigurationObject(s3, "archive", RULES_KEY)


def test_an_object_is_created_read_and_changed() -> None:
    one = rules(OneObject())
    assert one.read() is None
    created = one.write(b"first", None)
    assert one.read() == created == Stored(b"first", '"2"', "2")
    assert one.write(b"second", created) == one.read() == Stored(b"second", '"3"', "3")


def test_the_same_content_is_not_written_again() -> None:
    s3 = OneObject(b"same")
    read = rules(s3).read()
    assert rules(s3).write(b"same", read) == read
    assert s3.version == 1


@pytest.mark.parametrize("existed", [True, False])
def test_a_change_of_somebody_else_is_not_overwritten(existed: bool) -> None:  # noqa: FBT001
    s3 = OneObject(b"first" if existed else None)
    read = rules(s3).read()
    rules(s3).write(b"theirs", rules(s3).read())
    with pytest.raises(ChangedMeanwhile, match=f"{ADDRESS} was changed by somebody else in the meantime"):
        rules(s3).write(b"ours", read)
    assert s3.content == b"theirs"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refused("AccessDenied", "GetObject"), "the reason is AccessDenied"),
        (EndpointConnectionError(endpoint_url="http://nowhere"), "Could not connect to the endpoint URL"),
    ],
)
def test_an_error_names_the_object_and_the_reason(error: Exception, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{ADDRESS} cannot be read: {reason}"):
        rules(OneObject(error=error)).read()
    with pytest.raises(ConfigurationError, match=f"{ADDRESS} cannot be written: {reason}"):
        rules(OneObject(error=error)).write(b"x", None)


def test_an_object_of_enormous_size_is_neither_read_nor_written() -> None:
    enormous = b"#" * (MAX_BYTES + 1)
    with pytest.raises(ConfigurationError, match="1,000,001 bytes are too many; the most is 1,000,000"):
        rules(OneObject(enormous)).read()
    with pytest.raises(ConfigurationError, match="1,000,001 bytes are too many"):
        rules(OneObject()).write(enormous, None)
