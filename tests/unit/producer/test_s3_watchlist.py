"""The watchlist in S3: what its answers mean. tests/integration runs it against an emulator."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from producer_service.errors import WatchlistUnavailable
from producer_service.s3_watchlist import S3Watchlist
from producer_service.watchlist_store import Found
from watchlist import MAX_BYTES


class FakeS3:
    """Answers each request with the next of its answers."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def get(self) -> FakeS3:
        return self

    def renew_credentials(self) -> None:
        """See `AwsClient`."""

    def get_object(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


def found(content: bytes, etag: str) -> dict[str, Any]:
    return {"Body": BytesIO(content), "ETag": etag}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> S3Watchlist:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return S3Watchlist("s3://archive/configuration/watchlist.toml")


def answers(store: S3Watchlist, *given: dict[str, Any] | Exception) -> FakeS3:
    fake = FakeS3(*given)
    store._aws = fake  # type: ignore[assignment]
    return fake


def test_only_another_version_is_asked_for(store: S3Watchlist) -> None:
    fake = answers(store, found(b"a", '"1"'), refusal("304"), found(b"b", '"2"'))
    assert store.read(None) == Found(b"a", '"1"')
    assert store.read('"1"') is None
    assert store.read('"1"') == Found(b"b", '"2"')
    assert fake.asked[0] == {"Bucket": "archive", "Key": "configuration/watchlist.toml"}
    assert [asked.get("IfNoneMatch") for asked in fake.asked] == [None, '"1"', '"1"']


def test_an_s3_that_ignores_the_condition_changes_nothing(store: S3Watchlist) -> None:
    answers(store, found(b"a", '"1"'))
    assert store.read('"1"') is None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal("NoSuchKey"), "there is no such object"),
        (refusal("AccessDenied"), "AccessDenied.*; perhaps the object does not exist"),
        (refusal("SlowDown"), "SlowDown"),
        (EndpointConnectionError(endpoint_url="http://s3"), "Could not connect"),
    ],
)
def test_what_keeps_it_from_being_read_is_named(store: S3Watchlist, error: Exception, message: str) -> None:
    answers(store, error)
    with pytest.raises(WatchlistUnavailable, match=f"s3://archive/configuration/watchlist.toml: .*{message}"):
        store.read(None)


def test_no_more_is_read_than_a_watchlist_may_have(store: S3Watchlist) -> None:
    answers(store, found(b"x" * (MAX_BYTES + 100), '"1"'))
    read = store.read(None)
    assert read is not None
    assert len(read.content) == MAX_BYTES + 1
