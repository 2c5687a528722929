"""The result of a query as a table or CSV for a person, or as JSON for a program. Pure.

Names and values may come from outsiders. A terminal or a spreadsheet that shows a table or CSV obeys none of them. JSON
is exact.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from rich.table import Table
from rich.text import Text

from analytics.result import Result
from terminal import ascii_json, printable

OutputFormat = Literal["table", "json", "csv"]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
MAX_CELL = 1_000
"""How many characters of a value a table shows."""
_FORMULA = re.compile(r"[=+\-@＝＋－＠]")  # noqa: RUF001  (some spreadsheets take the wide forms for the same)
"""How a formula of a spreadsheet begins: https://owasp.org/www-community/attacks/CSV_Injection."""
_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")


def table(result: Result) -> Table:
    """A table of rich, with numbers aligned to the right."""
    drawn = Table()
    for name, kind in zip(result.columns, result.types, strict=True):
        drawn.add_column(
            _cell(name), justify="right" if any(part in kind for part in _NUMBERS) else "left", overflow="fold"
        )
    for row in result.rows:
        drawn.add_row(*(_cell("" if value is None else _text(value)) for value in row))
    return drawn


def as_json(result: Result) -> str:
    """A JSON array in ASCII with an object for each row. Texts and numbers are exact, and times are ISO strings."""
    rows = [{name: _plain(value) for name, value in zip(result.columns, row, strict=True)} for row in result.rows]
    return ascii_json(msgspec.json.format(_ENCODER.encode(rows)).decode())


def as_csv(result: Result) -> str:
    """CSV with a header line. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(map(_csv, result.columns))
    writer.writerows(["" if value is None else _csv(value) for value in row] for row in result.rows)
    return output.getvalue().rstrip("\n")


def _cell(text: str) -> Text:
    return Text(printable(text, MAX_CELL))


def _csv(value: Any) -> str:
    text = _text(value)
    is_formula = isinstance(value, str) and _FORMULA.match(text.lstrip()) and not _NUMBER.fullmatch(text)
    return printable(f"'{text}" if is_formula else text, len(text) + 1)


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
