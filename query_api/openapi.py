"""The OpenAPI document, made of what each endpoint says of itself. Pure.

An `Endpoint` is both what answers and what is documented: a parameter that is not in its description is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from query_api.http import CSV, JSON, PROBLEM, Request, Response
from query_api.ports import Stores

Schema = Mapping[str, Any]

VERSION = "1"
_TAGS = {"v1": "The data, as JSON or CSV.", "udf": "TradingView's UDF protocol, for charting clients."}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the query, or the symbol of the path."""

    name: str
    description: str
    schema: Schema
    place: str = "query"
    is_required: bool = False


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A path, what answers there, and its description."""

    path: str
    """Such as `/v1/quotes/{symbol}`. A symbol is always the end of a path, since it may have a slash."""
    answer: Callable[[Request, Stores], Response]
    summary: str
    description: str
    schema: Schema
    """Of the JSON body of the answer."""
    parameters: tuple[Parameter, ...] = ()
    has_csv: bool = False
    content_type: str = JSON

    @property
    def names(self) -> frozenset[str]:
        """The names of the parameters that the query may have."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.place == "query")

    @property
    def is_about_a_symbol(self) -> bool:
        """Whether the path or a parameter names the one symbol that the answer is about."""
        return any(parameter.name == "symbol" and parameter.is_required for parameter in self.parameters)

    @property
    def has_symbol(self) -> bool:
        """Whether the path names a symbol."""
        return self.path.endswith("/{symbol}")


def array(items: Schema, description: str = "") -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items} | ({"description": description} if description else {})


def record(members: Mapping[str, Schema], optional: Sequence[str] = (), description: str = "") -> dict[str, Any]:
    """The schema of an object. Members that are not optional are always there."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
    }
    return schema | ({"description": description} if description else {})


def described(schema: Schema, description: str) -> dict[str, Any]:
    """A schema with a description of what it means here."""
    return {**schema, "description": description}


TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2026-11-27T15:10:00.000Z"]}
DAY: Schema = {"type": "string", "format": "date", "examples": ["2026-11-27"]}
PRICE: Schema = {"type": "number", "examples": [271.49]}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
SYMBOL_SCHEMA: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9.^=&$_:/+-]{1,32}$",
    "minLength": 1,
    "maxLength": 32,
    "examples": ["AAPL"],
}
FRESHNESS: Schema = {"type": "string", "enum": ["fresh", "stale", "closed"]}
NEXT: Schema = {"type": ["string", "null"], "description": "The cursor of the next page; null if this is the last one."}
AS_OF: Schema = described(
    {"type": ["string", "null"], "format": "date-time"}, "The newest time that the data has; null without any data."
)

SYMBOL = Parameter(
    "symbol", "A symbol. Percent-encode `^`, `/` and `+`.", SYMBOL_SCHEMA, place="path", is_required=True
)
_RANGE: Schema = {
    "type": "string",
    "pattern": r"^((19[7-9]\d|[2-9]\d{3})-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d))?|\d{1,12})$",
    "examples": ["2026-11-27", "2026-11-27T15:10:00Z", "1795791000"],
}
START = Parameter("start", "From this time on: ISO 8601 with an offset, a date (UTC), or Unix seconds.", _RANGE)
END = Parameter("end", "Before this time.", _RANGE)
ORDER = Parameter(
    "order",
    "`desc`, the newest first, or `asc`, the oldest first.",
    {"type": "string", "enum": ["desc", "asc"], "default": "desc"},
)
CURSOR = Parameter("cursor", "`next` of the page before. The other parameters stay as they were.", TEXT)
FORMAT = Parameter(
    "format",
    "`json`, or `csv` (RFC 4180). A page of CSV has its next page in the header `Link`.",
    {"type": "string", "enum": ["json", "csv"], "default": "json"},
)


def limit(default: int, most: int) -> Parameter:
    """The parameter `limit`."""
    schema: Schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter("limit", "The most items of a page. A page may be shorter and still have a next one.", schema)


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document of some endpoints."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stockstream",
            "version": VERSION,
            "description": "Quotes, bars and alerts of a feed, read-only. Numbers have the digits that are stored: "
            "parse them as decimals.",
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {endpoint.path: _path_item(endpoint) for endpoint in endpoints},
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "headers": {name: {"schema": TEXT, "description": text} for name, text in _HEADERS.items()},
            "responses": {name: _problem_response(text) for name, (_, text) in _PROBLEMS.items()},
        },
    }


_PROBLEM = record(
    {
        "type": described(TEXT, "`urn:stockstream:` and what kind of problem this is."),
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": described(TEXT, "What is wrong, and what is allowed."),
        "parameter": described(TEXT, "The parameter that is wrong."),
        "s": described({"type": "string", "enum": ["error"]}, "Only under /udf, for its clients."),
        "errmsg": described(TEXT, "Only under /udf: the detail."),
    },
    optional=["parameter", "s", "errmsg"],
    description="A problem (RFC 9457).",
)
_HEADERS = {
    "ETag": "Names this answer. Send it as If-None-Match, and the answer is 304 as long as nothing has changed.",
    "Cache-Control": "How long the answer may be used without asking again.",
    "Link": "The address of the next page, with rel=next. Only CSV has it.",
}
_PROBLEMS = {
    "WrongRequest": (400, "A parameter is unknown, repeated or wrong, or the request is not encoded well."),
    "NotFound": (404, "Nothing is stored of the symbol."),
    "Failed": (500, "The function failed. Its log says why."),
    "Unavailable": (
        503,
        "AWS does not answer in time, or a newer version wrote the data. Try again after Retry-After.",
    ),
}


def _path_item(endpoint: Endpoint) -> dict[str, Any]:
    name = endpoint.path.strip("/").replace("/", "_").replace("{", "").replace("}", "").replace(".", "_")
    return {"get": _operation(endpoint, name), "head": _operation(endpoint, f"{name}_head", has_body=False)}


def _operation(endpoint: Endpoint, name: str, *, has_body: bool = True) -> dict[str, Any]:
    content: dict[str, Any] = {endpoint.content_type: {"schema": endpoint.schema}}
    if endpoint.has_csv:
        content[CSV.partition(";")[0]] = {"schema": TEXT}
    headers = {
        each: {"$ref": f"#/components/headers/{each}"} for each in _HEADERS if each != "Link" or endpoint.has_csv
    }
    problems = {"304": {"description": "Nothing has changed since the answer that If-None-Match names."}}
    for kind, (status, text) in _PROBLEMS.items():
        if kind != "NotFound" or endpoint.is_about_a_symbol:
            problems[str(status)] = {"$ref": f"#/components/responses/{kind}"} if has_body else {"description": text}
    return {
        "operationId": name,
        "tags": ["v1" if endpoint.path.startswith("/v1/") else "udf"],
        "summary": endpoint.summary if has_body else f"{endpoint.summary} Without the body.",
        "description": endpoint.description,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "responses": {
            "200": {"description": endpoint.summary, "headers": headers} | ({"content": content} if has_body else {}),
            **problems,
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _problem_response(text: str) -> dict[str, Any]:
    return {"description": text, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
