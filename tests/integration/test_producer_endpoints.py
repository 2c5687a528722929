"""/metrics, /healthz, /readyz and /status over real HTTP on this machine."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from producer_service.health import Health
from producer_service.http import Server
from producer_service.metrics import Metrics
from tests.fakes.empty_outbox import EmptyOutbox


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


def test_a_released_loop_may_stop(url: str, health: Health, clock: Clock) -> None:
    health.expect("poll us", 60)
    health.release("poll us")
    clock.now = 61
    assert get(f"{url}/healthz") == (200, "the loops advance\n")
