"""/metrics, /healthz, /readyz and /status over real HTTP on this machine."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog
from prometheus_client import CollectorRegistry

from producer_service import http
from producer_service.health import Health
from producer_service.http import MAX_CONNECTIONS, Server
from producer_service.metrics import Metrics
from tests.fakes.empty_outbox import EmptyOutbox
from tests.support.sizes import sized
from tests.support.waiting import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def url(health: Health) -> Iterator[str]:
    registry = CollectorRegistry()
    Metrics(registry).watch_outbox(EmptyOutbox(), limit_bytes=1)
    server = Server("127.0.0.1", 0, registry, health, lambda: b'{"groups": []}')
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def get(url: str, method: str = "GET") -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_name_every_outcome_from_the_start(url: str) -> None:
    status, body = get(f"{url}/metrics")
    assert status == 200
    for outcome in ("accepted", "suppressed", "late", "rejected"):
        assert f'stockstream_quotes_total{{outcome="{outcome}"}} 0.0' in body


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../etc/passwd", "/status/us"])
def test_any_other_path_is_404_and_names_the_paths(url: str, path: str) -> None:
    status, body = get(url + path)
    assert status == 404
    assert body == "not found; the paths are /metrics, /healthz, /readyz and /status\n"


def test_status_serves_the_page_that_it_is_given(url: str) -> None:
    assert get(f"{url}/status") == (200, '{"groups": []}')


def test_a_query_is_ignored_and_head_has_no_body(url: str) -> None:
    assert get(f"{url}/healthz?verbose=1")[0] == 200
    assert get(f"{url}/healthz", "HEAD") == (200, "")


def test_liveness_fails_when_a_loop_stops_advancing(url: str, health: Health, clock: Clock) -> None:
    health.expect("poll", 60)
    clock.now = 60
    assert get(f"{url}/healthz")[0] == 200
    clock.now = 61
    status, body = get(f"{url}/healthz")
    assert (status, body) == (503, "poll has not advanced for 61 s\n")
    health.beat("poll")
    assert get(f"{url}/healthz")[0] == 200


def test_readiness_follows_the_last_answer_of_the_stream(url: str, health: Health) -> None:
    assert get(f"{url}/readyz")[0] == 503
    health.stream_answered(is_alive=True)
    assert get(f"{url}/readyz")[0] == 200
    health.stream_answered(is_alive=False, detail="timeout")
    assert get(f"{url}/readyz") == (503, "the stream fails: timeout\n")
    assert get(f"{url}/healthz")[0] == 200


def test_no_page_shows_the_password_of_a_url(health: Health) -> None:
    detail = 'Could not connect to the endpoint URL: "http://joe:secret@host/"'
    health.stream_answered(is_alive=False, detail=detail)
    server = Server("127.0.0.1", 0, CollectorRegistry(), health, lambda: json.dumps({"detail": detail}).encode())
    server.start()
    ready, status = (get(f"http://127.0.0.1:{server.port}/{page}") for page in ("readyz", "status"))
    server.stop()
    shown = detail.replace("joe:secret", "***")
    assert ready == (503, f"the stream fails: {shown}\n")
    assert json.loads(status[1]) == {"detail": shown}


def test_a_released_loop_may_stop(url: str, health: Health, clock: Clock) -> None:
    health.expect("poll us", 60)
    health.release("poll us")
    clock.now = 61
    assert get(f"{url}/healthz") == (200, "the loops advance\n")


@contextmanager
def connections(url: str, count: int, opening: bytes) -> Iterator[list[socket.socket]]:
    """Connections of clients that send an opening and then nothing."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection(address_of(url), timeout=10))
            opened[-1].sendall(opening)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def exchange(url: str, request: bytes) -> bytes:
    """What the server answers to some bytes, until it closes the connection."""
    answer = b""
    with socket.create_connection(address_of(url), timeout=10) as connection:
        connection.sendall(request)
        with suppress(ConnectionError):  # it may not have read everything
            while received := connection.recv(65536):
                answer += received
    return answer


@pytest.mark.parametrize("opening", [b"", b"GET /healthz HTTP/1.1\r\nX-"], ids=["silent", "half a request"])
@pytest.mark.timed
def test_health_answers_during_a_flood_of_slow_connections(url: str, opening: bytes) -> None:
    threads_before, descriptors_before = threading.active_count(), descriptors()
    count = sized(150, 900)
    with connections(url, count, opening):
        for _ in range(5):
            began = time.monotonic()
            assert get(f"{url}/healthz")[0] == 200
            assert time.monotonic() - began < 2
        assert threading.active_count() - threads_before <= MAX_CONNECTIONS
        assert descriptors() - descriptors_before - count <= MAX_CONNECTIONS
    wait_until(lambda: threading.active_count() <= threads_before, "the threads of the connections end")


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.timed
def test_a_request_has_a_deadline_however_often_it_sends_a_byte(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.3)
    began = time.monotonic()
    with socket.create_connection(address_of(url), timeout=10) as connection:
        connection.settimeout(0.05)
        while True:
            assert time.monotonic() - began < 5
            try:
                connection.sendall(b"x")
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert time.monotonic() - began >= 0.3


def test_as_many_scrapers_as_places_are_all_answered(url: str) -> None:
    with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        answers = list(pool.map(get, [f"{url}/metrics"] * sized(100, 1000)))
    assert {status for status, _ in answers} == {200}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=a.b.c",
        "application/openmetrics-text;version=",
        "application/openmetrics-text;version=1.\x00.0",
        "text/plain;version=0.0.x,application/openmetrics-text;version=x",
        "text/plain;version=1.0.0;escaping=\xff",
        ";;;,,,===",
        "application/openmetrics-text;version=" + "9" * 6000,
    ],
)
def test_a_broken_accept_header_gets_some_format(url: str, accept: str, capfd: pytest.CaptureFixture[str]) -> None:
    answer = exchange(url, f"GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode("latin-1"))
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"stockstream_quotes_total" in answer
    assert capfd.readouterr() == ("", "")


def test_a_folded_header_does_not_reach_the_answer(url: str) -> None:
    answer = exchange(
        url, b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=2.0\r\n Set-Cookie: a=b\r\n\r\n"
    )
    assert b"Set-Cookie" not in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"BREW /healthz HTTP/1.1\r\n\r\n", b" 501 "),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345", b" 501 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
        (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b" 431 "),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b" 431 "),
        (b"GET /healthz HTTP/99999999999999999999.1\r\n\r\n", b""),
        (b"GET /healthz HTTP/2.0\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b""),
        (b"GET\r\n\r\n", b"400"),
        (b"GET http://[::1 HTTP/1.1\r\n\r\n", b" 404 "),
        (b"\r\n\r\n", b""),
        (b"\xff\xfe\x00 \x00 \x00\r\n\r\n", b""),
    ],
)
def test_an_absurd_request_gets_an_answer_and_no_traceback(
    url: str, request_: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert status in exchange(url, request_)
    assert get(f"{url}/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_scrape_that_is_reset_logs_nothing(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        with socket.create_connection(address_of(url)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert get(f"{url}/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_page_that_fails_is_a_500_and_one_line_in_the_log(health: Health) -> None:
    def status() -> bytes:
        raise RuntimeError("the outbox is closed")

    server = Server("127.0.0.1", 0, CollectorRegistry(), health, status)
    server.start()
    with structlog.testing.capture_logs() as logged:
        answer = get(f"http://127.0.0.1:{server.port}/status")
    server.stop()

    assert answer == (500, "this page failed; the log says why\n")
    assert [(line["event"], line["error"]) for line in logged] == [
        ("http_request_failed", "RuntimeError('the outbox is closed')")
    ]


@pytest.mark.parametrize(("host", "client"), [("::1", "[::1]"), ("::", "[::1]"), ("::", "127.0.0.1")])
def test_listens_on_addresses_of_ipv6(health: Health, host: str, client: str) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    server = Server(host, 0, CollectorRegistry(), health, lambda: b"{}")
    server.start()
    assert get(f"http://{client}:{server.port}/status") == (200, "{}")
    server.stop()
