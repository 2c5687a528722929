"""Whether answers of the query function are what its OpenAPI document says."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema

from query_api.openapi import document
from query_api.routes import ENDPOINTS
from tests.fakes.query_ports import Answer


@cache
def described() -> dict[str, Any]:
    """The document, as if no object could have members that are not described."""
    closed: dict[str, Any] = _closed(document(ENDPOINTS))
    return closed


@cache
def _of_problems() -> jsonschema.Draft202012Validator:
    return _validator(described()["components"]["schemas"]["Problem"])


def problems_of_problem(value: object) -> list[str]:
    """What is wrong with a problem, by its schema."""
    return [error.message for error in _of_problems().iter_errors(value)]


def problems_of_answer(path: str, answer: Answer, method: str = "get") -> list[str]:
    """What is wrong with an answer, by the document. `path` is a path of the document."""
    responses = described()["paths"][path][method]["responses"]
    if (response := responses.get(str(answer.status))) is None:
        return [f"{answer.status} is not documented"]
    if "$ref" in response:
        response = described()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    if not answer.body:
        return []
    media = answer.headers["content-type"].partition(";")[0]
    if media not in response.get("content", {}):
        return [f"{media} is not documented"]
    schema = response["content"][media]["schema"]
    if "$ref" in schema:
        schema = described()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return (
        []
        if media == "text/csv"
        else [f"{error.json_path}: {error.message}" for error in _validator(schema).iter_errors(answer.numbers())]
    )


def _validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
