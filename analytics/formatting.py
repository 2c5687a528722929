"""The result of a query as a table or CSV for a person, or as JSON for a program. Pure.

Names and values may come from outsiders. A terminal or a spreadsheet that shows a table or CSV obeys none of them. JSON
is exact.
"""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Literal

import msgspec
from rich.cells import cell_len, set_cell_size

from analytics.result import OpenResult
from terminal import ascii_json, printable

OutputFormat = Literal["table", "json", "csv"]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
MAX_ROWS = 10_000
"""How many rows a table shows."""
MAX_CELL = 1_000
"""How many characters of a value a table shows."""
_FORMULA = re.compile(r"[=+\-@＝＋－＠]")  # noqa: RUF001  (some spreadsheets take the wide forms for the same)
"""How a formula of a spreadsheet begins: https://owasp.org/www-community/attacks/CSV_Injection."""
_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")


class Texts(msgspec.Struct, frozen=True):
    """The first rows of a result as texts for a person, and nothing else of it."""

    header: tuple[str, ...]
    is_number: tuple[bool, ...]
    """Whether the column has numbers."""
    rows: tuple[tuple[str, ...], ...]
    has_more: bool
    """Whether the result has more rows than these."""

    @property
    def closing(self) -> str:
        """How many rows these are."""
        counted = count(len(self.rows))
        return f"these are the first {counted}: --csv and --json print all" if self.has_more else counted


def texts(result: OpenResult) -> Texts:
    """The first `MAX_ROWS` rows of a result as texts."""
    rows = iter(result.rows)
    return Texts(
        tuple(map(_cell, result.columns)),
        tuple(any(part in kind for part in _NUMBERS) for kind in result.types),
        tuple(tuple("" if value is None else _cell(_text(value)) for value in row) for row in islice(rows, MAX_ROWS)),
        next(rows, None) is not None,
    )


def table(shown: Texts) -> list[str]:
    """The lines of a table. Every column has its full width, and numbers are aligned to the right."""
    widths = [max(map(cell_len, column)) for column in zip(shown.header, *shown.rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        aligned = map(_aligned, cells, widths, shown.is_number)
        return f"│ {' │ '.join(aligned)} │"

    def rule(left: str, middle: str, right: str) -> str:
        return left + middle.join("─" * (width + 2) for width in widths) + right

    return [
        rule(*"┌┬┐"),
        line(shown.header),
        rule(*"├┼┤"),
        *map(line, shown.rows),
        rule(*"└┴┘"),
        shown.closing,
    ]


def records(shown: Texts) -> Iterator[str]:
    """The same with a line for each value, which fits on narrow terminals."""
    width = max(map(cell_len, shown.header), default=0)
    for number, row in enumerate(shown.rows, start=1):
        yield f"row {number:,}"
        yield from (f"  {set_cell_size(name, width)}  {value}" for name, value in zip(shown.header, row, strict=True))
    yield shown.closing


def count(rows: int) -> str:
    """A number of rows in words."""
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def listing(result: OpenResult, width: int) -> Iterator[str]:
    """Rows of texts without a frame. The last column is broken into lines that fit into the width."""
    rows = [tuple(map(printable, row)) for row in result.rows]
    *sizes, _ = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
    indent = " " * (sum(sizes) + 2 * len(sizes))
    for *cells, last in rows:
        head = "".join(f"{set_cell_size(cell, size)}  " for cell, size in zip(cells, sizes, strict=True))
        lines = textwrap.wrap(last, max(width - len(indent), 20)) or [""]
        yield from ((head if number == 0 else indent) + line for number, line in enumerate(lines))


def as_json(result: OpenResult) -> Iterator[str]:
    """The lines of a JSON array in ASCII, with an object a row. Texts and numbers are exact, and times ISO strings."""
    yield "["
    line = ""
    for row in result.rows:
        if line:
            yield f"{line},"
        values = {name: _plain(value) for name, value in zip(result.columns, row, strict=True)}
        line = "  " + ascii_json(_ENCODER.encode(values).decode())
    if line:
        yield line
    yield "]"


def as_csv(result: OpenResult) -> Iterator[str]:
    """The lines of CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    yield _csv_line(_csv(name) for name in result.columns)
    for row in result.rows:
        yield _csv_line("" if value is None else _csv(value) for value in row)


def _aligned(text: str, width: int, is_number: bool) -> str:  # noqa: FBT001  (an argument of `map`)
    return " " * (width - cell_len(text)) + text if is_number else set_cell_size(text, width)


def _cell(text: str) -> str:
    return printable(text, MAX_CELL)


def _csv_line(cells: Iterable[str]) -> str:
    output = io.StringIO()
    csv.writer(output, lineterminator="").writerow(cells)
    return output.getvalue()


def _csv(value: Any) -> str:
    text = _text(value)
    is_formula = isinstance(value, str) and _FORMULA.match(text.lstrip()) and not _NUMBER.fullmatch(text)
    return printable(f"'{text}" if is_formula else text, len(text) + 1)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _trimmed(value)
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
    return _text(value)


def _text(value: Any) -> str:
    match value:
        case Decimal():
            return f"{_trimmed(value):f}"
        case datetime():
            return value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
        case date():
            return value.isoformat()
        case list() | tuple() | dict():
            return _ENCODER.encode(_plain(value)).decode()
    return str(value)


def _trimmed(value: Decimal) -> Decimal:
    """The same number without trailing zeros, which come from the scale of its column."""
    text = f"{value:f}"  # `normalize` would round to 28 digits
    return Decimal(text.rstrip("0").removesuffix(".") if "." in text else text)
