"""What the quarantine's commands print: a table, JSON Lines, the bytes of a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from operations.quarantine import Entry, Refusal, harmless, readable
from processor_lambda.ports import QuarantineMessage
from quotes import from_iso

SHOWN_BYTES = 4096
SHOWN_LINES = 20
"""Of one entry; all of it comes with `show --raw`."""
_HEX_WIDTH = 16


def table_of(entries: Iterable[Entry], now: datetime) -> Table:
    """A row an entry."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("id", "age", "shard", "line", "lines", "why"):
        table.add_column(name, justify="right" if name in {"age", "line", "lines"} else "left", overflow="fold")
    for entry in entries:
        message = entry.message
        if message is None:
            table.add_row(entry.handle, "", "", "", "", Text(entry.reason))
            continue
        table.add_row(
            entry.handle,
            age_of(now - from_iso(message.arrival)),
            Text(message.shard.removeprefix("shardId-").lstrip("0") or "0"),
            "" if message.line is None else str(message.line),
            str(message.lines),
            Text(harmless(message.reason)),
        )
    return table


def json_of(entry: Entry) -> str:
    """An entry as one line of JSON: the message as the processor wrote it, with its handle and number of copies."""
    fields: dict[str, object] = {"handle": entry.handle, "copies": len(entry.copies)}
    if entry.message is None:
        fields |= {"id": entry.id, "reason": entry.reason, "body": entry.copies[0].body}
    else:
        fields |= msgspec.to_builtins(entry.message)
    return msgspec.json.encode(fields).decode()


def description_of(entry: Entry, now: datetime) -> Iterator[str]:
    """What an entry is, where from and why, a line each."""
    yield f"id        {entry.id}"
    yield f"handle    {entry.handle}"
    message = entry.message
    if message is not None:
        yield f"arrived   {message.arrival} ({age_of(now - from_iso(message.arrival))} ago)"
        yield f"from      stream {message.stream}, {message.shard}, partition key {message.partition_key}"
        yield f"          sequence number {message.sequence_number}" + (
            f", line {message.line}" if message.line else ""
        )
        if message.object is not None:
            yield f"in        {message.object} ({message.lines} lines)"
    yield f"why       {entry.reason}"
    if len(entry.copies) > 1:
        yield f"copies    {len(entry.copies)}"


def contents_shown(contents: Sequence[tuple[QuarantineMessage, bytes]]) -> Iterator[str]:
    """The bytes of some lines, as text where a terminal can show them, else in hexadecimal."""
    for message, content in contents[:SHOWN_LINES]:
        yield ""
        yield f"line {message.line}, {len(content)} bytes: {harmless(message.reason)}" if message.line else "content:"
        yield from _shown(content[:SHOWN_BYTES], cut=len(content) > SHOWN_BYTES)
        if len(content) > SHOWN_BYTES:
            yield f"  … and {len(content) - SHOWN_BYTES} bytes more (--raw has all)"
    if len(contents) > SHOWN_LINES:
        yield f"\n… and {len(contents) - SHOWN_LINES} lines more (--raw has all)"


def refusals_of(refused: Mapping[str, list[Refusal]], entries: Iterable[Entry]) -> Iterator[str]:
    """What stayed, and why: a line for each refused line, up to so many an entry."""
    handles = {entry.id: entry.handle for entry in entries}
    for name, refusals in refused.items():
        for refusal in refusals[:SHOWN_LINES]:
            place = "" if refusal.line is None else f" line {refusal.line}"
            yield f"{handles[name]}{place} stays: {harmless(refusal.reason)}"
        if len(refusals) > SHOWN_LINES:
            yield f"{handles[name]} and {len(refusals) - SHOWN_LINES} more of its lines"


def age_of(age: timedelta) -> str:
    """`5 min`, `3 h`, `2 d`: enough to tell old from new."""
    minutes = max(0, int(age.total_seconds())) // 60
    if minutes < 2 * 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _shown(content: bytes, *, cut: bool) -> Iterator[str]:
    text = readable(content)
    if cut and text is None:  # in the midst of a character, perhaps: that is no reason for hexadecimal
        text = next(filter(None, (readable(content[:-bytes_]) for bytes_ in (1, 2, 3))), None)
    if text is not None:
        yield from (f"  {line}" for line in text.split("\n"))
        return
    for start in range(0, len(content), _HEX_WIDTH):
        part = content[start : start + _HEX_WIDTH]
        beside = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isprintable() else "." for byte in part)
        yield f"  {start:06x}  {part.hex(' '):<{_HEX_WIDTH * 3}} {beside}"
