"""CSV as RFC 4180 describes it: a header, lines that end with CR LF, quotation marks where they are needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SPECIAL = frozenset(',"\r\n')


def csv_of(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> bytes:
    """A table. None is an empty field."""
    lines = [columns, *rows]
    return "".join([",".join([_field(value) for value in line]) + "\r\n" for line in lines]).encode()


def _field(value: str | None) -> str:
    if value is None:
        return ""
    return '"' + value.replace('"', '""') + '"' if not _SPECIAL.isdisjoint(value) else value
