"""The outcome of each record of a PutRecords request, from answers as Kinesis gives them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from producer_service.errors import ConfigurationError, StreamUnreachable
from producer_service.kinesis import KinesisStream
from producer_service.packing import Packet, Row
from tests.support.clocks import Host

PACKETS = [Packet(lane, f"lane-0{lane}-of-03", (Row(lane, lane, b"{}\n", 1, 0.0),)) for lane in range(3)]
STORED = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}


@cache
def shared_loader(_: str | None) -> Loader:
    """One loader of the descriptions of AWS's services, because reading them takes most of the time of these tests."""
    return create_loader()


def make_stream(monkeypatch: pytest.MonkeyPatch, **options: Any) -> KinesisStream:
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("botocore.session.create_loader", shared_loader)
    return KinesisStream("quotes", 1, read_timeout_seconds=5, **options)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> KinesisStream:
    return make_stream(monkeypatch)


def stub(stream: KinesisStream) -> Stubber:
    return Stubber(stream._aws.get())


def test_each_record_has_its_own_outcome(stream: KinesisStream) -> None:
    failed = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded for shard"}
    broken = {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."}
    with stub(stream) as stubber:
        stubber.add_response("put_records", {"FailedRecordCount": 2, "Records": [failed, STORED, broken]})
        result = stream.put(PACKETS)
    assert result.failures == ("throttled", None, "internal")
    assert result.detail == "ProvisionedThroughputExceededException: Rate exceeded for shard"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ProvisionedThroughputExceededException", "throttled"),
        ("LimitExceededException", "throttled"),
        ("KMSThrottlingException", "throttled"),
        ("InternalFailure", "internal"),
        ("ServiceUnavailable", "internal"),
        ("500", "internal"),
        ("ResourceNotFoundException", "refused"),
        ("AccessDeniedException", "refused"),
    ],
)
def test_a_refused_request_acknowledges_nothing(stream: KinesisStream, code: str, reason: str) -> None:
    with stub(stream) as stubber:
        stubber.add_client_error("put_records", code)
        assert stream.put(PACKETS).failures == (reason,) * 3


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ReadTimeoutError(endpoint_url="https://kinesis"), "timeout"),
        (ConnectTimeoutError(endpoint_url="https://kinesis"), "timeout"),
        (EndpointConnectionError(endpoint_url="https://kinesis"), "connection"),
        (ResponseParserError("garbage"), "connection"),
    ],
)
def test_a_request_without_an_answer_acknowledges_nothing(
    stream: KinesisStream, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(stream._aws.get(), "put_records", fail)
    assert stream.put(PACKETS).failures == (reason,) * 3


def test_an_answer_of_another_length_acknowledges_nothing(stream: KinesisStream) -> None:
    with stub(stream) as stubber:
        stubber.add_response("put_records", {"Records": [STORED]})
        assert stream.put(PACKETS).failures == ("connection",) * 3


def test_a_missing_stream_is_reported_with_advice(stream: KinesisStream) -> None:
    with stub(stream) as stubber:
        stubber.add_client_error("describe_stream_summary", "ResourceNotFoundException")
        with pytest.raises(StreamUnreachable, match="set PRODUCER_STREAM_NAME"):
            stream.check()


def test_without_a_region_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION: missing"):
        KinesisStream("quotes", 1, read_timeout_seconds=5)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://joe:pa/ss@127.0.0.1:4566", "http://***@127.0.0.1:4566"),
        ("http://joe:12/ss@127.0.0.1:4566", "http://***@127.0.0.1:4566"),
        ("http://joe:pa#ss@127.0.0.1:4566", "http://***@127.0.0.1:4566"),
        ("http://joe:12?ss@127.0.0.1:4566", "http://***@127.0.0.1:4566"),
        ("http://127.0.0.1:99999", "http://127.0.0.1:99999"),
        ("ftp://127.0.0.1", "ftp://127.0.0.1"),
    ],
)
def test_an_endpoint_that_cannot_be_reached_is_a_mistake_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str, shown: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(ConfigurationError) as caught:
        make_stream(monkeypatch)
    [mistake] = caught.value.mistakes
    assert mistake.startswith(f"the AWS settings of the environment are wrong: {shown} is no endpoint; ")


@pytest.mark.parametrize("url", ["http://joe:pa%2Fss@127.0.0.1:4566", "https://[::1]:4566/path", "http://localstack"])
def test_an_endpoint_may_have_a_user_and_a_path(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    make_stream(monkeypatch)


DATE = "Mon, 23 Nov 2026 14:30:00 GMT"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"date": DATE}, 200),
        ({"date": DATE}, 400),  # a refusal, as of a request whose signature is too old, states the time too
        ({"date": "tomorrow"}, 200),
        ({"date": ""}, 400),
        ({}, 200),
    ],
)
def test_every_answer_tells_the_clock_the_time(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], code: int
) -> None:
    host = Host(error=3600)
    stream = make_stream(monkeypatch, clock=host.clock)
    body = b'{"Records":[]}' if code == 200 else b'{"__type":"InvalidSignatureException"}'
    signed_at: list[str] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        signed_at.append(request.headers["X-Amz-Date"].decode())
        return AWSResponse("https://kinesis", code, headers, RawBody(body))

    stream._aws.get().meta.events.register("before-send.kinesis", answer)
    stream.put(PACKETS)
    stream.put(PACKETS)
    is_told = headers.get("date") == DATE
    assert host.wrong_by() == pytest.approx(0 if is_told else 3600, abs=0.01)
    assert signed_at == ["20261123T153000Z", "20261123T143000Z" if is_told else "20261123T153000Z"]


class RawBody:
    """The body of an HTTP response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> list[bytes]:
        return [self._body]
