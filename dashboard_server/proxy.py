"""Passes requests on to one query API, and its answers back as they are."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dashboard_server.problems import problem

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""How long the API may take to begin its answer, and then to send its next part."""
CONNECTIONS = 16
FORWARDED = (
    "accept",
    "accept-encoding",
    "if-none-match",
    "user-agent",
)
"""The headers of a request that reach the API. Cookies and credentials of the browser do not."""
RETURNED = (
    "allow",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "etag",
    "link",
    "retry-after",
    "vary",
)
"""The headers of an answer that reach the browser. An emulator's own permissions for other origins do not."""


class Proxy:
    """Passes requests on to the API at a URL, and to nothing else.

    `connect_to` is the address to connect to, in place of that in the URL: an emulator serves many names at one
    address. `ca_bundle` is the file of the certificates to trust, in place of the usual ones. `transport` replaces the
    network.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_to: str | None = None,
        ca_bundle: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        named = httpx.URL(url)
        self._address = named if connect_to is None else named.copy_with(**_place(httpx.URL(connect_to)))
        self._host = named.netloc.decode()
        self._prefix = named.raw_path.rstrip(b"/")
        self._client = httpx.AsyncClient(
            trust_env=False,  # a proxy of the environment is not for this
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            transport=transport or _network(ca_bundle),
        )
        self._client.headers.clear()  # httpx would ask for a compressed body where the browser did not

    async def close(self) -> None:
        """Close the connections to the API."""
        await self._client.aclose()

    async def answer(self, request: Request) -> Response:
        """The API's answer to a request, or a problem that says why there is none."""
        # The API's own server might take them as a way out of the API. `path` is decoded.
        if {".", ".."} & set(request.scope["path"].split("/")):
            return problem(HTTPStatus.NOT_FOUND, "path-unknown", "The path may not hold '.' or '..' as a part.")
        query = request.scope["query_string"]
        target = self._prefix + request.scope["raw_path"] + (b"?" + query if query else b"")
        passed_on = self._client.build_request(
            request.method,
            self._address.copy_with(raw_path=target),
            headers={"host": self._host, **_chosen(request.headers.items(), FORWARDED)},
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS + ANSWER_SECONDS):
                answer = await self._client.send(passed_on, stream=True)
        except (httpx.TimeoutException, TimeoutError):
            return problem(
                HTTPStatus.GATEWAY_TIMEOUT,
                "api-too-slow",
                f"The query API did not answer within {ANSWER_SECONDS:.0f} seconds. Try again.",
            )
        except httpx.TransportError as error:
            return problem(
                HTTPStatus.BAD_GATEWAY,
                "api-unreachable",
                f"The query API does not answer: {error}. Check that the pipeline still runs.",
            )
        return _Returned(answer)


class _Returned(StreamingResponse):
    """An answer of the API with its bytes as they came, compressed or not.

    However its way back ends, its connection to the API is free again.
    """

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.aiter_raw(), answer.status_code, _chosen(answer.headers.items(), RETURNED))
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._answer):
            await super().__call__(scope, receive, send)


def _network(ca_bundle: Path | None) -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(cafile=ca_bundle), limits=httpx.Limits(max_connections=CONNECTIONS)
    )


def _chosen(headers: Iterable[tuple[str, str]], names: Iterable[str]) -> dict[str, str]:
    return {name: value for name, value in headers if name in names}


def _place(url: httpx.URL) -> dict[str, object]:
    return {"scheme": url.scheme, "host": url.host, "port": url.port}
