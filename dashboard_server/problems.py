"""Answers that say what is wrong, as problem details (RFC 9457), in the form of the query API's own."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response


def problem(status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says in a sentence what is wrong, and what to do."""
    content = {
        "type": f"urn:stockstream:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return JSONResponse(
        content,
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )
