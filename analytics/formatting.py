"""The result of a query as a table for a person, or as JSON or CSV for a program. Pure."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from rich.table import Table
from rich.text import Text

from analytics.result import Result

OutputFormat = Literal["table", "json", "csv"]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")


def table(result: Result) -> Table:
    """A table of rich, with numbers aligned to the right."""
    drawn = Table()
    for name, kind in zip(result.columns, result.types, strict=True):
        drawn.add_column(
            Text(name), justify="right" if any(part in kind for part in _NUMBERS) else "left", overflow="fold"
        )
    for row in result.rows:
        drawn.add_row(*(Text("" if value is None else _text(value)) for value in row))
    return drawn


def as_json(result: Result) -> str:
    """A JSON array with an object for each row. Numbers are exact, and times are ISO strings."""
    rows = [{name: _plain(value) for name, value in zip(result.columns, row, strict=True)} for row in result.rows]
    return msgspec.json.format(_ENCODER.encode(rows)).decode()


def as_csv(result: Result) -> str:
    """CSV with a header line."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows(["" if value is None else _text(value) for value in row] for row in result.rows)
    return output.getvalue().rstrip("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _trimmed(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _text(value)


def _text(value: Any) -> str:
    match value:
        case Decimal():
            return f"{_trimmed(value):f}"
        case datetime():
            return value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
        case date():
            return value.isoformat()
    return str(value)


def _trimmed(value: Decimal) -> Decimal:
    """The same number without trailing zeros, which come from the scale of its column."""
    text = f"{value:f}"  # `normalize` would round to 28 digits
    return Decimal(text.rstrip("0").removesuffix(".") if "." in text else text)
