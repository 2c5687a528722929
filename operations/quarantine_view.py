"""What the quarantine commands print: a table, JSON Lines, and the bytes of lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from operations.quarantine import Entry, Refusal, escaped, printable_text
from processor_lambda.ports import QuarantineMessage
from quotes import from_iso

MAX_BYTES = 4096
"""How many bytes of a line are shown. `show --raw` prints all of them."""
MAX_LINES = 20
"""How many lines of an entry are shown. `show --raw` prints all of them."""
_HEX_WIDTH = 16


def table_of(entries: Iterable[Entry], now: datetime) -> Table:
    """A table with one row for each entry."""
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
            age_text(now - from_iso(message.arrival)),
            Text(message.shard.removeprefix("shardId-").lstrip("0") or "0"),
            "" if message.line is None else str(message.line),
            str(message.lines),
            Text(escaped(message.reason)),
        )
    return table


def json_of(entry: Entry) -> str:
    """An entry as one line of JSON: the message that the processor wrote, the handle, and the number of copies."""
    fields: dict[str, object] = {"handle": entry.handle, "copies": len(entry.copies)}
    if entry.message is None:
        fields |= {"id": entry.id, "reason": entry.reason, "body": entry.copies[0].body}
    else:
        fields |= msgspec.to_builtins(entry.message)
    return msgspec.json.encode(fields).decode()


def description_of(entry: Entry, now: datetime) -> Iterator[str]:
    """Lines that say what an entry is, where it came from, and why it is in quarantine."""
    yield f"id        {entry.id}"
    yield f"handle    {entry.handle}"
    message = entry.message
    if message is not None:
        yield f"arrived   {message.arrival} ({age_text(now - from_iso(message.arrival))} ago)"
        yield f"from      stream {message.stream}, {message.shard}, partition key {message.partition_key}"
        yield f"          sequence number {message.sequence_number}" + (
            f", line {message.line}" if message.line else ""
        )
        if message.object is not None:
            yield f"in        {message.object} ({message.lines} lines)"
    yield f"why       {entry.reason}"
    if len(entry.copies) > 1:
        yield f"copies    {len(entry.copies)}"


def describe_contents(contents: Sequence[tuple[QuarantineMessage, bytes]]) -> Iterator[str]:
    """The bytes of some lines, as text if a terminal can show it, otherwise in hexadecimal. Long contents are cut."""
    for message, content in contents[:MAX_LINES]:
        yield ""
        yield f"line {message.line}, {len(content)} bytes: {escaped(message.reason)}" if message.line else "content:"
        yield from _shown_bytes(content[:MAX_BYTES], is_cut=len(content) > MAX_BYTES)
        if len(content) > MAX_BYTES:
            yield f"  … and {len(content) - MAX_BYTES} more bytes (--raw prints all)"
    if len(contents) > MAX_LINES:
        yield f"\n… and {len(contents) - MAX_LINES} more lines (--raw prints all)"


def describe_refusals(refused: Mapping[str, list[Refusal]], entries: Iterable[Entry]) -> Iterator[str]:
    """Which lines stay in quarantine and why, at most `MAX_LINES` for each entry."""
    handles = {entry.id: entry.handle for entry in entries}
    for name, refusals in refused.items():
        for refusal in refusals[:MAX_LINES]:
            place = "" if refusal.line is None else f" line {refusal.line}"
            yield f"{handles[name]}{place} stays: {escaped(refusal.reason)}"
        if len(refusals) > MAX_LINES:
            yield f"{handles[name]} and {len(refusals) - MAX_LINES} more of its lines stay"


def age_text(age: timedelta) -> str:
    """An age in one unit: `5 min`, `3 h`, `2 d`."""
    minutes = max(0, int(age.total_seconds())) // 60
    if minutes < 2 * 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _shown_bytes(content: bytes, *, is_cut: bool) -> Iterator[str]:
    text = printable_text(content)
    if is_cut and text is None:
        # The cut may be inside a character, which has up to four bytes.
        text = next(filter(None, (printable_text(content[:-count]) for count in (1, 2, 3))), None)
    if text is not None:
        yield from (f"  {line}" for line in text.split("\n"))
        return
    for start in range(0, len(content), _HEX_WIDTH):
        part = content[start : start + _HEX_WIDTH]
        ascii_text = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isprintable() else "." for byte in part)
        yield f"  {start:06x}  {part.hex(' '):<{_HEX_WIDTH * 3}} {ascii_text}"
