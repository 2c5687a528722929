"""Reads the values of Yahoo's JSON, which may be of any type. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeGuard

from quotes import Invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS = 2**33
_MAX_LABEL = 40


class MalformedResponse(ValueError):
    """The response is not what was requested: an HTML page, half a document, or an error with status 200."""


def document(body: bytes) -> Any:
    """The document of a body, with exact decimals. Raises `MalformedResponse`."""
    try:
        # The standard decoder accepts NaN and Infinity: one such price must not fail the other 49 symbols.
        return json.loads(body, parse_float=_decimal, parse_constant=Decimal)
    except (ValueError, RecursionError) as error:
        raise MalformedResponse(f"the body is not JSON: {error}") from error


def time_of(field: str, value: object) -> datetime:
    """A time in seconds since 1970. Raises `Invalid`."""
    if not is_number(value):
        raise Invalid(field, "is missing" if value is None else f"{value!r:.40} is not a number")
    if not 0 <= value < _MAX_SECONDS:
        raise Invalid(field, f"{value!r:.40} is not a time in seconds since 1970")
    return _EPOCH + timedelta(milliseconds=int(value * 1000))


def optional_label(value: object) -> str | None:
    """The text if the quote contract accepts it as a label, or None."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        return None
    return value if 0 < len(value) <= _MAX_LABEL else None


def is_number(value: object) -> TypeGuard[int | Decimal]:
    """Whether a value is a finite number."""
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent with too many digits
        return Decimal("NaN")
