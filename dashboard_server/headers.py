"""Protects the browser: security headers on every answer, and no answer to a name that is not this server's."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard_server.problems import problem

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names of this machine for itself."""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Protection:
    """An ASGI application that answers only requests to this server's own names, and adds the security headers.

    A foreign page can let its own name lead to 127.0.0.1 and then read what is served there (DNS rebinding). The name
    that the browser asked for is in the header `Host`.
    """

    def __init__(self, application: ASGIApp, names: Iterable[str]) -> None:
        self._application = application
        self._names = {*LOOPBACK, *names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def protected_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        application = self._application
        if _name(Headers(scope=scope).get("host", "")) not in self._names:
            application = problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host-unknown",
                f"This server answers only to {', '.join(sorted(self._names))}. Open it by one of these names.",
            )
        await application(scope, receive, protected_send)


def _name(host: str) -> str | None:
    """The name in a header `Host`, without the port. None if it is no name."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
