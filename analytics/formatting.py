"""An answer of SQL as a person or a program reads it."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from rich.table import Table
from rich.text import Text

from analytics.duckdb_engine import Answer

Form = Literal["table", "json", "csv"]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")


def table(answer: Answer) -> Table:
    """A table of rich; numbers to the right."""
    drawn = Table()
    for name, kind in zip(answer.columns, answer.types, strict=True):
        drawn.add_column(
            Text(name), justify="right" if any(part in kind for part in _NUMBERS) else "left", overflow="fold"
        )
    for row in answer.rows:
        drawn.add_row(*(Text("" if value is None else _text(value)) for value in row))
    return drawn


def as_json(answer: Answer) -> str:
    """A JSON array of an object a row: exact numbers, times as ISO texts."""
    rows = [{name: _plain(value) for name, value in zip(answer.columns, row, strict=True)} for row in answer.rows]
    return msgspec.json.format(_ENCODER.encode(rows)).decode()


def as_csv(answer: Answer) -> str:
    """CSV with a header."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(["" if value is None else _text(value) for value in row] for row in answer.rows)
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
    """Without the zeros that a column's scale puts behind it."""
    value = value.normalize()
    return value.quantize(Decimal(1)) if value.as_tuple().exponent > 0 else value  # type: ignore[operator]  # finite
