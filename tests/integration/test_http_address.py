"""The address of the producer's pages: those that can be opened, and the message for those that cannot."""

from __future__ import annotations

import socket
import urllib.request
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from producer_service.cli import _server
from producer_service.errors import ConfigurationError
from producer_service.health import Health
from producer_service.settings import Settings
from producer_service.wiring import Producer


def producer(host: str, port: int = 0) -> Producer:
    settings = Settings.model_construct(http_host=host, http_port=port)
    parts: dict[str, Any] = {
        "settings": settings,
        "metrics": SimpleNamespace(registry=CollectorRegistry()),
        "health": Health(lambda: 0.0),
        "status": SimpleNamespace(page=lambda: b"{}"),
    }
    return cast("Producer", SimpleNamespace(**parts))


def mistake(host: str, port: int = 0) -> str:
    with pytest.raises(ConfigurationError) as caught:
        _server(producer(host, port))
    (found,) = caught.value.mistakes
    return found


@pytest.mark.parametrize(
    ("host", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("0.0.0.0", "127.0.0.1")],
)
def test_the_pages_are_at_their_url(host: str, asked: str) -> None:
    server = _server(producer(host))
    server.start()
    try:
        url = Settings.model_construct(http_host=asked).http_url(server.port)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/status", timeout=10) as response:
            assert response.read() == b"{}"
    finally:
        server.stop()


def test_a_port_in_use_names_the_setting_of_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = mistake("127.0.0.1", port)
    assert found.startswith(f"PRODUCER_HTTP_PORT: http://127.0.0.1:{port} cannot be opened: Address already in use")


@pytest.mark.parametrize("host", ["203.0.113.1", "256.1.1.1", "a..b", "x" * 300, "127.0.0.1:8080", "http://127.0.0.1"])
def test_an_address_that_cannot_be_opened_names_the_setting_of_the_host(host: str) -> None:
    found = mistake(host)
    assert found.startswith("PRODUCER_HTTP_HOST: http://")
    assert " cannot be opened: " in found
    assert found.endswith("name an address of this machine, such as 127.0.0.1 or ::1, or 0.0.0.0 or :: for all of them")
