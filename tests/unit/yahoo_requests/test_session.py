"""The errors of the HTTP client in words for people."""

from __future__ import annotations

from curl_cffi.requests import exceptions

from yahoo_requests.session import source_error


def test_a_yahoo_that_cannot_be_reached_is_said_with_the_reason_alone() -> None:
    text = (
        "Failed to perform, curl: (7) Failed to connect to 127.0.0.1:1 after 0 ms: Could not connect to server. "
        "See https://curl.se/libcurl/c/libcurl-errors.html first for more details."
    )
    assert str(source_error(exceptions.ConnectionError(text))) == (
        "connection: Yahoo cannot be reached: curl: (7) Failed to connect to 127.0.0.1:1 after 0 ms: "
        "Could not connect to server"
    )
    assert str(source_error(exceptions.ProxyError(""))) == "connection: Yahoo cannot be reached: ProxyError"
