"""The query function as an ASGI application, as API Gateway stands before it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.fakes.query_ports import event_of

Handler = Callable[[Mapping[str, Any]], dict[str, Any]]


def asgi_of(handler: Handler) -> Callable[..., Awaitable[None]]:
    """An application that hands each request to a handler."""

    async def application(scope: Mapping[str, Any], receive: object, send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ARG001
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        returned = handler(event_of(path, query, headers, scope["method"]))
        body = base64.b64decode(returned["body"]) if returned["isBase64Encoded"] else returned["body"].encode()
        sent = [(name.encode(), value.encode("latin-1")) for name, value in returned["headers"].items()]
        await send({"type": "http.response.start", "status": returned["statusCode"], "headers": sent})
        await send({"type": "http.response.body", "body": body})

    return application
