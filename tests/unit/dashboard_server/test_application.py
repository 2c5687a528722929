"""The local dashboard, asked in this process: its page, its settings, and the API behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette

from dashboard_server.application import application
from dashboard_server.headers import SECURITY_HEADERS
from dashboard_server.proxy import Proxy

API = "http://127.0.0.1:4566/_aws/execute-api/0a1b2c3d"
Upstream = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>stockstream</title>", encoding="utf-8")
    (folder / "NOTICE.txt").write_text("notice", encoding="utf-8")
    (folder / "assets" / "index-0a1b2c3d.js").write_text("0", encoding="utf-8")
    return folder


class Answer(NamedTuple):
    """An answer with its body as it was sent, compressed or not."""

    status_code: int
    headers: httpx.Headers
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class Browser:
    """Asks an application in this process, and adds nothing to a request of its own."""

    def __init__(self, asked: Starlette) -> None:
        self._transport = httpx.ASGITransport(asked)

    def get(self, path: str, **headers: str) -> Answer:
        """The answer to a request for a path, which is sent as it is."""
        return self.request("GET", path, **headers)

    def request(self, method: str, path: str, **headers: str) -> Answer:
        """The answer to a request. Underscores in the names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = httpx.URL("http://127.0.0.1:8000").copy_with(raw_path=path.encode())
        return asyncio.run(self._answer(httpx.Request(method, url, headers=named)))

    async def _answer(self, request: httpx.Request) -> Answer:
        answer = await self._transport.handle_async_request(request)
        body = b"".join([part async for part in answer.aiter_raw()])
        return Answer(answer.status_code, answer.headers, body)


def dashboard(page: Path, upstream: Upstream) -> Browser:
    return Browser(application(Proxy(API, transport=httpx.MockTransport(upstream)), page, stage="demo-2"))


def untouched(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"the API was asked: {request.url}")


def from_network(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    """An answer whose body is still to be read."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


class Recorded:
    """An API that notes what reaches it and always gives the same answer."""

    def __init__(self, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._body, self._headers = body, headers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return from_network(self._body, headers=self._headers)


@pytest.mark.parametrize(
    ("path", "cache", "kind"),
    [
        ("/", "no-cache", "text/html"),
        ("/index.html", "no-cache", "text/html"),
        ("/NOTICE.txt", "no-cache", "text/plain"),
        ("/assets/index-0a1b2c3d.js", "public, max-age=31536000, immutable", "javascript"),
        ("/config.json", "no-cache", "application/json"),
    ],
)
def test_a_browser_keeps_only_what_never_changes(page: Path, path: str, cache: str, kind: str) -> None:
    client = dashboard(page, untouched)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, cache)
    assert kind in answer.headers["content-type"]


def test_the_page_is_asked_for_again_by_its_tag(page: Path) -> None:
    client = dashboard(page, untouched)
    tag = client.get("/").headers["etag"]
    again = client.get("/", if_none_match=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


def test_the_settings_lead_the_page_to_this_server_without_a_login(page: Path) -> None:
    client = dashboard(page, untouched)
    assert client.get("/config.json").json() == {
        "name": "stockstream",
        "stage": "demo-2",
        "apiBase": "",
        "auth": None,
    }


@pytest.mark.parametrize("path", ["/", "/config.json", "/nothing", "/v1/latest", "/v1/../x"])
def test_every_answer_has_the_security_headers(page: Path, path: str) -> None:
    client = dashboard(page, lambda _: from_network(b"{}"))
    answer = client.get(path)
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_the_api_gets_the_path_and_the_query_as_they_are(page: Path) -> None:
    api = Recorded()
    client = dashboard(page, api)
    client.get("/v1/bars/BRK%2EB%2F%5EX?start=2026-11-27T14%3A30%3A00%2B01%3A00&limit=5&limit=6")
    client.get("/udf/config")
    client.get("/widgets.json")
    assert [request.url.raw_path.decode() for request in api.requests] == [
        "/_aws/execute-api/0a1b2c3d/v1/bars/BRK%2EB%2F%5EX?start=2026-11-27T14%3A30%3A00%2B01%3A00&limit=5&limit=6",
        "/_aws/execute-api/0a1b2c3d/udf/config",
        "/_aws/execute-api/0a1b2c3d/widgets.json",
    ]
    assert {request.headers["host"] for request in api.requests} == {"127.0.0.1:4566"}


def test_the_api_gets_no_cookie_and_no_credentials(page: Path) -> None:
    api = Recorded()
    client = dashboard(page, api)
    client.get("/v1/latest", cookie="a=b", authorization="Bearer x", if_none_match='"1"')
    (request,) = api.requests
    assert request.headers["if-none-match"] == '"1"'
    assert not {"cookie", "authorization"} & set(request.headers)


def test_the_api_is_asked_for_what_the_browser_takes(page: Path) -> None:
    api = Recorded()
    for headers in ({}, {"accept_encoding": "identity"}, {"accept_encoding": "gzip, br"}):
        dashboard(page, api).get("/v1/latest", **headers)
    assert [request.headers.get("accept-encoding") for request in api.requests] == [None, "identity", "gzip, br"]


def test_the_api_may_have_another_address_than_its_name() -> None:
    api = Recorded()
    proxy = Proxy(
        "http://abc.lambda-url.us-east-1.localhost:4566/",
        connect_to="http://localstack:4566",
        transport=httpx.MockTransport(api),
    )
    Browser(application(proxy, Path("none"), stage="dev")).get("/v1/latest?symbols=A")
    (request,) = api.requests
    assert str(request.url) == "http://localstack:4566/v1/latest?symbols=A"
    assert request.headers["host"] == "abc.lambda-url.us-east-1.localhost:4566"


COMPRESSED = bytes.fromhex("1f8b08000000000000ffabae0500439bbf4302000000")
"""`{}` with one byte that is wrong: who passes it on has not unpacked it."""


def test_an_answer_comes_back_as_it_is(page: Path) -> None:
    headers = {
        "ETag": '"abc-gzip"',
        "Cache-Control": "private, max-age=60",
        "Content-Encoding": "gzip",
        "Content-Type": "application/json",
        "Vary": "Accept-Encoding, Origin",
        "Link": '</v1/alerts?cursor=x>; rel="next"',
    }
    other = {"Access-Control-Allow-Origin": "*", "Set-Cookie": "a=b", "x-amzn-requestid": "1"}
    api = Recorded(COMPRESSED, headers | other)
    answer = dashboard(page, api).get("/v1/alerts")
    assert answer.content == COMPRESSED
    assert {name: answer.headers[name] for name in headers} == headers
    assert not {name.lower() for name in other} & set(answer.headers)


class Unread(httpx.AsyncByteStream):
    """A body that breaks off after its first part."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        raise httpx.ReadError("cut off")

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_body_that_breaks_off_leaves_no_connection_to_the_api_open(page: Path) -> None:
    body = Unread()
    with pytest.raises(httpx.ReadError):
        dashboard(page, lambda _: httpx.Response(200, stream=body)).get("/v1/latest")
    assert body.is_closed


@pytest.mark.parametrize("status", [304, 400, 404, 500, 503])
def test_a_status_and_its_problem_come_back_as_they_are(page: Path, status: int) -> None:
    problem = {"type": "urn:stockstream:x", "status": status, "detail": "Because."}
    content = b"" if status == 304 else json.dumps(problem).encode()
    headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
    client = dashboard(page, lambda _: from_network(content, status, headers))
    answer = client.get("/v1/status")
    assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (status, content, "1")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (httpx.ConnectError("refused"), 502, "api-unreachable"),
        (httpx.RemoteProtocolError("cut off"), 502, "api-unreachable"),
        (httpx.ReadTimeout(""), 504, "api-too-slow"),
        (httpx.ConnectTimeout(""), 504, "api-too-slow"),
        (httpx.PoolTimeout(""), 504, "api-too-slow"),
    ],
)
def test_an_api_that_gives_no_answer_is_a_problem_in_words(
    page: Path, error: httpx.TransportError, status: int, kind: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    client = dashboard(page, fail)
    answer = client.get("/v1/latest")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["type"] == f"urn:stockstream:{kind}"
    assert answer.json()["detail"].startswith("The query API ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/v1/latest", "/config.json", "/"])
def test_only_reading_requests_are_served(page: Path, method: str, path: str) -> None:
    client = dashboard(page, untouched)
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.json()["type"] == "urn:stockstream:method-not-allowed"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/%2e%2e/2015-03-31/functions",
        "/v1/%2E%2E%2F_ministack/reset",
        "/v1/%2e/latest",
        "/udf/a/..",
        "//other.host/v1",
        "/2015-03-31/functions",
        "/_aws/sqs/messages",
        "/http://other.host/v1/latest",
    ],
)
def test_nothing_but_the_api_can_be_reached(page: Path, path: str) -> None:
    client = dashboard(page, untouched)
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST"])
def test_a_name_of_this_machine_is_answered(page: Path, host: str) -> None:
    client = dashboard(page, untouched)
    assert client.get("/", host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "a@b:c"])
def test_another_name_that_leads_here_reads_nothing(page: Path, host: str) -> None:
    client = dashboard(page, untouched)
    for path in ("/", "/v1/latest"):
        answer = client.get(path, host=host)
        assert answer.status_code == 421
        assert "127.0.0.1" in answer.json()["detail"]


def test_without_a_page_the_api_is_served_and_the_root_says_what_is_missing(tmp_path: Path) -> None:
    client = dashboard(tmp_path, lambda _: from_network(b'{"quotes":[]}'))
    assert client.get("/v1/latest").json() == {"quotes": []}
    answer = client.get("/")
    assert answer.status_code == 404
    assert "git checkout web/dist" in answer.json()["detail"]
