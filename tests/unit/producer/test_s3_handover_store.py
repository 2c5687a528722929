"""Requests of the handover store are signed with the producer's time, whatever the clock of the host says."""

from __future__ import annotations

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from producer_service.s3_handover_store import S3HandoverStore
from tests.support.clocks import Host


class Empty:
    """The body of an HTTP response without content."""

    def stream(self) -> list[bytes]:
        return []


@pytest.mark.parametrize(("answers", "signed_at"), [(1, "20261123T143000Z"), (0, "20261123T153000Z")])
def test_requests_bear_the_time_that_kinesis_stated(
    monkeypatch: pytest.MonkeyPatch, answers: int, signed_at: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    host = Host(error=3600)
    for _ in range(answers):
        host.ask_service()
    store = S3HandoverStore("a-bucket", "quotes", clock=host.clock)
    requests: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        requests.append(request)
        return AWSResponse("https://s3", 204, {}, Empty())

    store._aws.get().meta.events.register("before-send.s3", answer)
    store.delete("1-a")

    [request] = requests
    assert request.headers["X-Amz-Date"].decode() == signed_at
    assert f"Credential=AKID/{signed_at[:8]}/eu-west-1/s3/aws4_request" in request.headers["Authorization"].decode()
    assert "X-Amz-Content-SHA256" in request.headers  # S3's own form of the signature
