"""Puts the page, its settings and the proxy together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from dashboard_server.headers import Protection
from dashboard_server.problems import problem
from dashboard_server.proxy import Proxy
from dashboard_server.site import Site, is_built, settings

METHODS = ("GET", "HEAD", "OPTIONS")
API_PATHS = ("/v1/{path:path}", "/udf/{path:path}", "/widgets.json")


def application(proxy: Proxy, folder: Path, *, stage: str, names: Iterable[str] = ()) -> Starlette:
    """The dashboard of a stage, with the page in `folder`. `names` are those of this server beside the loopback's."""

    async def configuration(_: Request) -> Response:
        return settings(stage)

    async def missing_page(_: Request) -> Response:
        return problem(HTTPStatus.NOT_FOUND, "page-not-built", missing(folder))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await proxy.close()

    page: BaseRoute = Mount("/", Site(folder)) if is_built(folder) else Route("/", missing_page)
    return Starlette(
        routes=[
            *(Route(path, proxy.answer, methods=METHODS) for path in API_PATHS),
            Route("/config.json", configuration),
            page,
        ],
        middleware=[Middleware(Protection, names=names)],
        exception_handlers={HTTPException: _refused},
        lifespan=lifespan,
    )


def missing(folder: Path) -> str:
    """Why there is no page, and what to do."""
    return (
        f"There is no page in {folder}, only the API under /v1/ and /udf/. The page is part of the repository: "
        "`git checkout web/dist` brings it back."
    )


async def _refused(_: Request, error: Exception) -> Response:
    """What no route answers, as a problem."""
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    headers = dict(getattr(error, "headers", None) or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return problem(status, "method-not-allowed", f"Only {', '.join(METHODS)} are served.", headers)
    return problem(
        status, "path-unknown", "There is nothing at this path. The page is at /, the API under /v1/.", headers
    )
