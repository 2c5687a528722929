"""The connection to Yahoo's stream, where it needs no endpoint."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from producer_service.sources.yahoo_stream.connection import Connection, ConnectionEvent, Lost
from tests.support.quotes import OPEN


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://", "proxy"])
def test_a_proxy_that_cannot_be_used_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    events: SimpleQueue[ConnectionEvent] = SimpleQueue()
    connection = Connection(["AAPL"], events, now=lambda: OPEN, jitter=lambda: 1.0)
    running = threading.Thread(target=connection.run, daemon=True)
    running.start()
    try:
        lost = events.get(timeout=10)
    finally:
        connection.close()
        running.join(10)

    assert isinstance(lost, Lost)
    assert "proxy" in lost.detail
    assert not running.is_alive()
