"""The columns of many lines at once: what `quotes.decode` reads, in a third of its time.

A line in the encoder's form is recognized by one regular expression. Its members are then separated by `,"`, so Arrow
reads them as CSV and casts whole columns. The expression accepts less than the decoder, and what it does not accept
goes to the decoder. So a quote here is exactly what is a quote there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import compress
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from analytics.compacted_tables import QUOTE_VALUES
from compaction.disk import ARROW
from compaction.errors import Damaged
from quotes import MAX_CLOCK_SKEW, Action, Heartbeat, Quote, decode, lanes_of_key

ORIGIN = "origin"
"""The column with the number of the object that holds the line."""
SCHEMA = pa.schema([(column.name, ARROW[column.type]) for column in QUOTE_VALUES] + [(ORIGIN, pa.int64())])

_PRICE = r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,26})?"
_COUNT = "(?:0|[1-9][0-9]{0,17})"
_CHARACTER = r"!#-+\--\[\]-~"  # without the quotation mark, the backslash and the comma, which separates members
_TEXT = rf'"[{_CHARACTER}](?:[ {_CHARACTER}]{{0,38}}[{_CHARACTER}])?"'
_TIME = (
    '"(?:19[7-9][0-9]|2[01][0-9][0-9])-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])'
    r'T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"'
)
_MEMBERS = {
    "symbol": '"[A-Za-z0-9.^=&$_:/+-]{1,32}"',
    "event_time": _TIME,
    "price": _PRICE,
    "source": _TEXT,
    **dict.fromkeys(("open", "high", "low", "previous_close"), _PRICE),
    "volume": _COUNT,
    **dict.fromkeys(("currency", "exchange", "market_state"), _TEXT),
    "delay_minutes": _COUNT,
    "source_time": _TIME,
    "volume_period": '"24h"',
    "provenance": '"backfill"',
    "ingest_time": _TIME,
    "revision": _COUNT,
}
"""The members of a quote in the order of the encoder."""
_REQUIRED = {"symbol", "event_time", "price", "source", "ingest_time"}
_START = b'{"kind":"quote","v":1'
_SEPARATOR = b"\x01"
_MAX_SHAPES = 16
"""How many combinations of optional members are tried. Lines of others go to the decoder."""
_NAMES = re.compile(rb',"([a-z_]+)":')


class RefusedLine(msgspec.Struct, frozen=True, tag="quarantined", tag_field="kind"):
    """A line that the processor refused. The archive has it once for each time that its batch was processed."""

    shard: str
    sequence_number: str
    line: int


class Read(msgspec.Struct, frozen=True):
    """What some lines are."""

    quotes: pa.Table
    """The quotes, with the columns of `SCHEMA`."""
    actions: list[tuple[int, Action]]
    """The corporate actions, with the numbers of their objects."""
    heartbeats: list[Heartbeat]
    refused: list[RefusedLine]

    @property
    def lanes(self) -> int | None:
        """The largest number of lanes that a heartbeat names."""
        named = [count for each in self.heartbeats if (count := lanes_of_key(each.lane)) is not None]
        return max(named, default=None)


def read(lines: Sequence[bytes], origins: Sequence[int], address_of: Callable[[int], str]) -> Read:
    """The columns of lines. `origins` are the numbers of their objects. Raises `Damaged` for a line of no kind."""
    tables: list[pa.Table] = []
    usual = [line.startswith(_START) for line in lines]
    others = _kept(lines, origins, [not each for each in usual])
    rest = _kept(lines, origins, usual)
    for _ in range(_MAX_SHAPES):
        if not rest:
            break
        # The first line that is left tells the next shape.
        shape = _shape_of(rest[0][0])
        contents = [content for content, _ in rest]
        mask = [False] if shape is None else _matches(contents, shape)
        if not mask[0]:  # it only looks like a usual line
            others.append(rest.pop(0))
            continue
        found = list(compress(rest, mask))
        table = _columns([content for content, _ in found], [origin for _, origin in found], shape or ())
        if table is None:  # the decoder says which line it is, and why
            others.extend(found)
        else:
            tables.append(table)
        rest = [each for each, matches in zip(rest, mask, strict=True) if not matches]
    return _with_others(tables, [*others, *rest], address_of)


def _kept(lines: Sequence[bytes], origins: Sequence[int], mask: Sequence[bool]) -> list[tuple[bytes, int]]:
    return list(compress(zip(lines, origins, strict=True), mask))


def _matches(lines: Sequence[bytes], shape: tuple[str, ...]) -> list[bool]:
    mask: list[bool] = pc.match_substring_regex(pa.array(lines, pa.binary()), _pattern(shape)).to_pylist()
    return mask


def _shape_of(line: bytes) -> tuple[str, ...] | None:
    """The members of a line if they are those of a quote in the encoder's order, otherwise None."""
    if not line.startswith(_START):
        return None
    return _known_shape(tuple(_NAMES.findall(line, len(_START))))


@lru_cache(maxsize=1_024)
def _known_shape(found: tuple[bytes, ...]) -> tuple[str, ...] | None:
    names = tuple(name.decode() for name in found)
    ordered = tuple(name for name in _MEMBERS if name in names)
    return names if names == ordered and set(names) >= _REQUIRED else None


@lru_cache(maxsize=256)
def _pattern(shape: tuple[str, ...]) -> str:
    members = "".join(f',"{name}":{_MEMBERS[name]}' for name in shape)
    return rf'^\{{"kind":"quote","v":1{members}\}}$'


def _columns(lines: Sequence[bytes], origins: Sequence[int], shape: tuple[str, ...]) -> pa.Table | None:
    """The quotes in lines of one shape. None if a value of one is impossible, which the decoder then says."""
    body = b"\n".join(lines).replace(b',"', _SEPARATOR)
    names = ["kind", "v", *shape]
    parts = csv.read_csv(
        pa.py_buffer(body),
        read_options=csv.ReadOptions(column_names=names, use_threads=False, block_size=len(body) + 1),
        parse_options=csv.ParseOptions(
            delimiter=_SEPARATOR.decode(), quote_char=False, double_quote=False, escape_char=False
        ),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    columns: dict[str, pa.ChunkedArray] = {}
    for name in shape:
        written = pc.utf8_slice_codeunits(parts[name], len(name) + 2)  # after `price":`
        if name == shape[-1]:
            written = pc.utf8_slice_codeunits(written, 0, -1)  # the closing brace
        try:
            columns[name] = _value(name, written)
        except pa.ArrowInvalid:  # such as the 30th of February
            return None
    late = pc.subtract(columns["event_time"], columns["ingest_time"])
    if pc.any(pc.greater(late, pa.scalar(MAX_CLOCK_SKEW, pa.duration("us")))).as_py():
        return None
    columns[ORIGIN] = pa.array(origins, pa.int64())
    if "revision" not in columns:
        columns["revision"] = pa.array([0], pa.int64()).take(pa.array([0] * len(lines)))
    return pa.table([columns.get(field.name, pa.nulls(len(lines), field.type)) for field in SCHEMA], schema=SCHEMA)


def _value(name: str, written: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = SCHEMA.field(name).type
    if pa.types.is_string(kind):
        written = pc.utf8_slice_codeunits(written, 1, -1)
    elif pa.types.is_timestamp(kind):
        written = pc.utf8_slice_codeunits(written, 1, 24)
    return pc.cast(written, kind)


def _with_others(tables: list[pa.Table], others: Sequence[tuple[bytes, int]], address_of: Callable[[int], str]) -> Read:
    """What was read by shapes, and the lines that the decoder reads."""
    rows: list[dict[str, Any]] = []
    actions: list[tuple[int, Action]] = []
    heartbeats: list[Heartbeat] = []
    refused: list[RefusedLine] = []
    for content, origin in others:
        if not content:
            continue
        decoded = decode(content)
        for good in decoded.good:
            match good.line:
                case Quote():
                    rows.append(_row(good.line, origin))
                case Action():
                    actions.append((origin, good.line))
                case Heartbeat():
                    heartbeats.append(good.line)
        for bad in decoded.bad:
            try:
                refused.append(_decode_refused(content))
            except msgspec.MsgspecError:
                raise Damaged(
                    f"{address_of(origin)} has a line that the processor cannot have written: {bad.reason}. Update "
                    "this program if a later version wrote it; otherwise move the object elsewhere"
                ) from None
    if rows:
        tables.append(pa.Table.from_pylist(rows, schema=SCHEMA))
    return Read(pa.concat_tables(tables) if tables else SCHEMA.empty_table(), actions, heartbeats, refused)


_decode_refused = msgspec.json.Decoder(RefusedLine).decode


def _row(quote: Quote, origin: int) -> dict[str, Any]:
    row = {column.name: getattr(quote, column.name) for column in QUOTE_VALUES}
    row = {name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()}
    return {**row, ORIGIN: origin}
