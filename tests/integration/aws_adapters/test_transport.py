"""The client's requests, against responses as AWS gives them and connections that break."""

from __future__ import annotations

import select
import threading
import traceback

import pytest

from aws_requests import ATTEMPTS, Refused, Service, Unavailable, WrongEnvironment, connection
from aws_requests import service as service_
from aws_requests.service import RETRY_SECONDS
from tests.fakes.scripted_server import ScriptedServer, Step, response
from tests.support.aws_adapters import DONE, Clock, Connect, error


def test_requests_are_signed_and_share_one_connection(server: ScriptedServer, dynamodb: Service) -> None:
    server.play(DONE, DONE)
    for body in (b"{}", b'{"TableName":"a"}'):
        assert dynamodb.send("PutItem", {"x-amz-target": "DynamoDB_20120810.PutItem"}, body) == b"{}"
    assert [(request.connection, request.line, request.body) for request in server.requests] == [
        (1, "POST / HTTP/1.1", b"{}"),
        (1, "POST / HTTP/1.1", b'{"TableName":"a"}'),
    ]
    headers = server.requests[0].headers
    assert headers["host"] == server.url.removeprefix("http://")
    assert headers["x-amz-security-token"] == "first"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target" in headers["authorization"]


@pytest.mark.parametrize(
    "raw",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n3;x=y\r\n:1}\r\n0\r\nTrailer: x\r\n\r\n',
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:7\r\n\r\n{"a":1}',
    ],
    ids=["chunked", "continued"],
)
def test_a_response_may_have_any_form_of_http(server: ScriptedServer, dynamodb: Service, raw: bytes) -> None:
    server.play(raw, DONE)
    assert dynamodb.send("PutItem", {}, b"") == b'{"a":1}'
    assert dynamodb.send("PutItem", {}, b"") == b"{}"
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize(
    "step",
    [
        Step(response(200, b"{}"), "close"),
        Step(response(200, b"{}", "Connection: close"), "close"),
    ],
    ids=["silently", "announced"],
)
def test_a_connection_that_was_closed_while_idle_costs_no_attempt(
    server: ScriptedServer, dynamodb: Service, clock: Clock, step: Step
) -> None:
    server.play(step)
    dynamodb.send("PutItem", {}, b"")
    if (idle := dynamodb._connection._socket) is not None:
        select.select([idle], [], [], 30)  # until the close has arrived
    server.play(DONE)
    dynamodb.send("PutItem", {}, b"")
    assert [request.connection for request in server.requests] == [1, 2]
    assert clock.pauses == []


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step(b"", "reset"), "ConnectionResetError"),
        (Step(b"", "close"), "closed before a response"),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Le", "close"), "cut off"),
        (Step(response(200, b'{"Unprocess')[:-4], "close"), "ended after 7 of 11 bytes"),
        (Step(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{}", "close"), "ended after 2 of 8 bytes"),
        (Step(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", "close"), "longer than it"),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "close"), "b'many' is neither a number"),
        (Step(b"HTTP/1.1 200 OK\r\n\r\n", "close"), "the response has no length"),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "close"), "b'-1' is neither a number"),
        (Step(b"SSH-2.0-OpenSSH\r\n", "close"), "is not HTTP: b'SSH-2.0"),
        (Step(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500, "close"), "more than 200 headers"),
        (Step(response(500), "keep"), "HTTP 500"),
        (Step(response(503, b"<html>busy</html>"), "keep"), "HTTP 503"),
        (Step(error("InternalServerError", 500), "keep"), "InternalServerError: why"),
        (Step(error("ProvisionedThroughputExceededException"), "keep"), "ProvisionedThroughputExceededException"),
        (Step(error("ThrottlingException"), "keep"), "ThrottlingException"),
        (Step(response(429), "keep"), "HTTP 429"),
    ],
)
def test_a_transient_error_is_retried_and_reported_if_it_persists(
    server: ScriptedServer, dynamodb: Service, clock: Clock, step: Step, problem: str
) -> None:
    server.play(step, step, DONE)
    assert dynamodb.send("PutItem", {}, b"") == b"{}"
    assert len(clock.pauses) == 2
    assert all(0 <= pause <= 0.05 * 2**attempt for attempt, pause in enumerate(clock.pauses))

    server.play(*[step] * ATTEMPTS)
    with pytest.raises(Unavailable, match="dynamodb PutItem failed 6 times; the last error was ") as raised:
        dynamodb.send("PutItem", {}, b"")
    assert problem in str(raised.value)
    server.play(DONE)
    assert dynamodb.send("PutItem", {}, b"") == b"{}"


def test_no_attempt_starts_after_the_time_for_retries(server: ScriptedServer, dynamodb: Service, clock: Clock) -> None:
    def hang() -> None:
        clock.now += RETRY_SECONDS

    server.before_response = hang
    server.play(response(503), DONE)
    with pytest.raises(Unavailable, match="failed 1 times"):
        dynamodb.send("PutItem", {}, b"")
    assert len(server.requests) == 1


def test_a_server_that_does_not_respond_is_given_up(
    server: ScriptedServer, dynamodb: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.05)
    is_over = threading.Event()
    server.before_response = lambda: assert_(is_over.wait(30))
    server.play(*[Step(b"", "close")] * ATTEMPTS)
    with pytest.raises(Unavailable, match="TimeoutError"):
        dynamodb.send("PutItem", {}, b"")
    is_over.set()


def assert_(holds: bool) -> None:  # noqa: FBT001  (an assertion for a lambda)
    assert holds


def test_an_endpoint_that_refuses_connections_is_reported(connect: Connect) -> None:
    with pytest.raises(Unavailable, match="ConnectionRefusedError"):
        connect(url="http://127.0.0.1:1").send("PutItem", {}, b"")


@pytest.mark.parametrize(
    "url", ["localhost:4566", "ftp://joe:hunter2@here", "https://", "", "http://joe:hunter2/x@here", "http://[hunter2"]
)
def test_an_endpoint_that_is_not_a_url_is_reported_without_its_password(url: str, connect: Connect) -> None:
    with pytest.raises(WrongEnvironment, match="the endpoint of dynamodb is not a URL such as https://") as raised:
        connect(url=url)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value, limit=0))


def test_a_missing_certificate_file_is_reported(connect: Connect, server: ScriptedServer) -> None:
    service = connect(url=server.url.replace("http:", "https:"), ca="/nowhere.pem")
    with pytest.raises(Unavailable, match=r"AWS_CA_BUNDLE names the file '/nowhere\.pem', which does not exist"):
        service.send("PutObject", {}, b"")


@pytest.mark.parametrize(
    ("raw", "code", "text"),
    [
        (error("AccessDeniedException"), "AccessDeniedException", "why"),
        (response(400, b'{"__type":"com.amazon.coral#ValidationException","Message":"x"}'), "ValidationException", "x"),
        (
            response(
                403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            ),
            "AccessDenied",
            "Access Denied",
        ),
        (response(301, b"<Error><Code>PermanentRedirect</Code></Error>"), "PermanentRedirect", ""),
        (response(404, b"\xff\xfe"), "HTTP 404", ""),
        (response(400, b"[" * 100_000), "HTTP 400", ""),
    ],
)
def test_a_refusal_is_not_retried_and_has_its_code(
    server: ScriptedServer, dynamodb: Service, raw: bytes, code: str, text: str
) -> None:
    server.play(raw)
    with pytest.raises(Refused) as raised:
        dynamodb.send("PutItem", {}, b"")
    assert (raised.value.code, len(server.requests)) == (code, 1)
    assert str(raised.value) == f"dynamodb PutItem: {code}" + (f": {text}" if text else "")


def test_expired_credentials_are_loaded_again(
    server: ScriptedServer, connect: Connect, clock: Clock, keys: dict[str, str]
) -> None:
    service = connect(environment=keys)
    server.before_response = lambda: keys.update(AWS_SESSION_TOKEN="second")
    server.play(error("ExpiredTokenException"), DONE)
    assert service.send("PutItem", {}, b"") == b"{}"
    tokens = [request.headers["x-amz-security-token"] for request in server.requests]
    assert (tokens, clock.pauses) == (["first", "second"], [])

    server.play(error("ExpiredTokenException"), error("ExpiredTokenException"))
    with pytest.raises(Refused, match="ExpiredTokenException"):
        service.send("PutItem", {}, b"")


def test_pauses_have_full_jitter() -> None:
    pauses = list(service_.pauses())
    assert len(pauses) == ATTEMPTS
    assert len(set(pauses)) == ATTEMPTS
