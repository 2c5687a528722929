"""What the quarantine commands print: a table, JSON Lines, and the bytes of lines. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from operations.quarantine import Entry, Refusal
from processor_lambda.ports import QuarantineMessage
from quotes import from_iso
from terminal import printable

MAX_BYTES = 4096
"""How many bytes of a line are shown. `show --raw` prints all of them."""
MAX_LINES = 20
"""How many lines of an entry are shown. `show --raw` prints all of them."""
MAX_CELL = 500
"""How many characters of a text a table shows. `list --json` prints all of them."""
_HEX_WIDTH = 16


def table_of(entries: Iterable[Entry], now: datetime) -> Table:
    """A table with one row for each entry."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("id", "age", "shard", "line", "lines", "why"):
        table.add_column(name, justify="right" if name in {"age", "line", "lines"} else "left", overflow="fold")
    for entry in entries:
        message = entry.message
        if message is None:
            table.add_row(entry.handle, "", "", "", "", _cell(entry.reason))
            continue
        table.add_row(
            entry.handle,
            age_text(now - from_iso(message.arrival)),
            _cell(message.shard.removeprefix("shardId-").lstrip("0") or "0"),
            "" if message.line is None else str(message.line),
            str(message.lines),
            _cell(message.reason),
        )
    return table


def json_of(entry: Entry) -> str:
    """An entry as one line of JSON in ASCII: the processor's message, the handle, and the number of copies."""
    fields: dict[str, object] = {"handle": entry.handle, "copies": len(entry.copies)}
    if entry.message is None:
        fields |= {"id": entry.id, "reason": entry.reason, "body": entry.copies[0].body}
    else:
        fields |= msgspec.to_builtins(entry.message)
    return json.dumps(fields, separators=(",", ":"))


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
        if message.release:
            yield f"release   {message.release} of the function refused it"
    yield f"why       {entry.reason}"
    if len(entry.copies) > 1:
        yield f"copies    {len(entry.copies)}"


def describe_contents(contents: Sequence[tuple[QuarantineMessage, bytes]]) -> Iterator[str]:
    """The bytes of some lines, as text if a terminal can show it, otherwise in hexadecimal. Long contents are cut.

    This and the other functions below return lines for `terminal.output.echo`, which makes them harmless.
    """
    for message, content in contents[:MAX_LINES]:
        yield ""
        yield f"line {message.line}, {len(content)} bytes: {message.reason}" if message.line else "content:"
        yield from _shown_bytes(content)
    if len(contents) > MAX_LINES:
        yield ""
        yield f"… and {len(contents) - MAX_LINES} more lines (--raw prints all)"


def describe_body(body: str) -> Iterator[str]:
    """The body of a message that is not the processor's."""
    yield ""
    yield "body:"
    yield from _shown_bytes(bytes_of(body))


def bytes_of(body: str) -> bytes:
    """The bytes of a message's body. JSON may have brought halves of a surrogate pair, which UTF-8 does not have."""
    return body.encode(errors="surrogatepass")


def describe_refusals(refused: Mapping[str, list[Refusal]], entries: Iterable[Entry]) -> Iterator[str]:
    """Which lines stay in quarantine and why, at most `MAX_LINES` for each entry."""
    handles = {entry.id: entry.handle for entry in entries}
    for name, refusals in refused.items():
        for refusal in refusals[:MAX_LINES]:
            place = "" if refusal.line is None else f" line {refusal.line}"
            yield f"{handles[name]}{place} stays: {refusal.reason}"
        if len(refusals) > MAX_LINES:
            yield f"{handles[name]} and {len(refusals) - MAX_LINES} more of its lines stay"


def age_text(age: timedelta) -> str:
    """An age in one unit: `5 min`, `3 h`, `2 d`."""
    minutes = max(0, int(age.total_seconds())) // 60
    if minutes < 2 * 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _shown_bytes(content: bytes) -> Iterator[str]:
    shown = content[:MAX_BYTES]
    text = _text_of(shown)
    if text is None and len(content) > MAX_BYTES:
        # The cut may be inside a character, which has up to four bytes.
        text = next(filter(None, (_text_of(shown[:-count]) for count in (1, 2, 3))), None)
    if text is not None:
        yield from (f"  {line}" for line in text.split("\n"))
    else:
        yield from _hexadecimal(shown)
    if len(content) > MAX_BYTES:
        yield f"  … and {len(content) - MAX_BYTES} more bytes (--raw prints all)"


def _hexadecimal(content: bytes) -> Iterator[str]:
    for start in range(0, len(content), _HEX_WIDTH):
        part = content[start : start + _HEX_WIDTH]
        ascii_text = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isprintable() else "." for byte in part)
        yield f"  {start:06x}  {part.hex(' '):<{_HEX_WIDTH * 3}} {ascii_text}"


def _text_of(content: bytes) -> str | None:
    """The text of some bytes. None if they are not UTF-8, or if a terminal cannot show it as it is, but for tabs."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    lines = text.replace("\t", " ").split("\n")
    return text if lines == [printable(line) for line in lines] else None


def _cell(text: str) -> Text:
    return Text(printable(text, MAX_CELL))
