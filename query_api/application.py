"""The application: from an event to its answer. Everything that it needs comes as arguments."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from aws_requests import Unavailable
from query_api import http
from query_api.errors import NewerState, Problem
from query_api.http import Request, Response
from query_api.ports import Stores
from query_api.routes import ALLOW, allowed, checked, endpoint_of

RETRY_SECONDS = 1


class Application:
    """Answers requests. Bad input is a 4xx, an AWS that does not answer is a 503, and only a bug is a 500."""

    def __init__(self, stores: Stores, now: Callable[[], datetime], log: Callable[[dict[str, Any]], None]) -> None:
        self._stores, self._now, self._log = stores, now, log

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an event of payload version 2.0."""
        method: str = event["requestContext"]["http"]["method"]
        headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
        problem = partial(http.problem, is_udf=http.path_of(event).startswith("/udf/"))
        try:
            response = self._response(http.request_of(event, self._now()))
        except Problem as error:
            response = problem(error)
        except Unavailable as error:
            self._log({"event": "request_unavailable", "path": event.get("rawPath"), "error": str(error)})
            response = problem(_unavailable("AWS does not answer in time. Try again in a second."))
        except NewerState as error:
            self._log({"event": "request_unavailable", "path": event.get("rawPath"), "error": str(error)})
            response = problem(_unavailable(_NEWER))
        except Exception as error:  # noqa: BLE001  (the edge: whatever it is, the caller gets an answer)
            self._log(
                {
                    "event": "request_failed",
                    "path": event.get("rawPath"),
                    "query": event.get("rawQueryString"),
                    "error": f"{type(error).__name__}: {error}",
                    "trace": traceback.format_exc(),
                }
            )
            response = problem(Problem(500, "failed", "The function failed", "Its log has the reason."))
        return http.answer(response, headers, method, self._stores.settings.cors_origins)

    def _response(self, request: Request) -> Response:
        endpoint, symbol = endpoint_of(request.path)
        allowed(request)
        if request.method == "OPTIONS":
            return http.preflight(request.headers, self._stores.settings.cors_origins, ALLOW)
        checked(endpoint, symbol)
        return endpoint.answer(replace(request, symbol=symbol), self._stores)


_NEWER = (
    "A newer version of the stream function wrote the state of a lane, and this version cannot read it. Deploy the "
    "query function of the same version."
)


def _unavailable(detail: str) -> Problem:
    headers = {"retry-after": str(RETRY_SECONDS)}
    return Problem(503, "unavailable", "The data cannot be read now", detail, headers=headers)
