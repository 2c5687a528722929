"""The archive's object of a finished chunk: gzip JSON Lines. It is the record of what the source was asked. Pure.

The first line describes the chunk, and one line for each bar and each corporate action follows:

    {"kind":"backfill","v":1,"symbol":"AAPL","resolution":"1m","start":"2026-11-23T05:00:00.000Z","end":…,"fetched_at":…}
    {"kind":"bar","start":"2026-11-23T14:30:00.000Z","open":171.6,"high":171.75,"low":171.58,"close":171.7,"volume":310}
    {"kind":"action","v":1,"symbol":"AAPL","action":"dividend",…}

The lines of actions are those of the stream. Equal chunks have equal bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from msgspec import Raw

from backfill.chunks import Chunk, FinishedChunk, SourceBar
from backfill.errors import Unreadable
from quotes import Action, decode, encode_line, price_text, to_iso

PREFIX = "backfill/"
"""The prefix of all chunks in the archive's bucket."""
VERSION = 1
MAX_BYTES = 64 * 2**20
"""The largest content of a file. A chunk of 10 years of days, or of a week of minutes, has under 2 MB."""

_GZIP = 31
"""zlib's `wbits` for gzip. This format holds no time."""
_TIME = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(r"backfill/(1m|5m|1h|1d)/([^/]+)/(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)\.jsonl\.gz")


class _Head(msgspec.Struct, frozen=True, tag="backfill", tag_field="kind"):
    v: int
    symbol: str
    resolution: str
    start: datetime
    end: datetime
    fetched_at: datetime
    complete_to: datetime
    source: str
    problems: tuple[str, ...] = ()


class _Bar(msgspec.Struct, frozen=True, tag="bar", tag_field="kind", gc=False):
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None = None


_ENCODER = msgspec.json.Encoder()
_HEAD = msgspec.json.Decoder(_Head)
_BAR = msgspec.json.Decoder(_Bar)


def prefix_of(symbol: str, resolution: str) -> str:
    """The prefix of the keys of a symbol's chunks."""
    return f"{PREFIX}{resolution}/{quote(symbol, safe='')}/"


def key_of(chunk: Chunk) -> str:
    """The key of a chunk: `backfill/1m/AAPL/20261123T050000Z_20261127T210000Z.jsonl.gz`."""
    return f"{prefix_of(chunk.symbol, chunk.resolution)}{chunk.start:{_TIME}}_{chunk.end:{_TIME}}.jsonl.gz"


def chunk_of(key: str) -> Chunk | None:
    """The chunk with a key. None if it is not the key of a chunk."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    resolution, symbol, start, end = found.groups()
    return Chunk(unquote(symbol), resolution, _time(start), _time(end))


def encode(finished: FinishedChunk) -> bytes:
    """The bytes of a finished chunk."""
    chunk = finished.chunk
    head = {
        "kind": "backfill",
        "v": VERSION,
        "symbol": chunk.symbol,
        "resolution": chunk.resolution,
        "start": to_iso(chunk.start),
        "end": to_iso(chunk.end),
        "fetched_at": to_iso(finished.fetched_at),
        "complete_to": to_iso(finished.complete_to),
        "source": finished.source,
    }
    if finished.problems:
        head["problems"] = list(finished.problems)
    lines = [_ENCODER.encode(head) + b"\n"]
    lines += [_ENCODER.encode(_line_of(bar)) + b"\n" for bar in finished.bars]
    lines += [encode_line(action) for action in finished.actions]
    compressor = zlib.compressobj(6, wbits=_GZIP)
    return compressor.compress(b"".join(lines)) + compressor.flush()


def decode_chunk(content: bytes, name: str) -> FinishedChunk:
    """The chunk that `encode` wrote. Raises `Unreadable`, with the name of the file."""
    try:
        lines = _lines(content)
        head = _HEAD.decode(next(lines, b""))
        if head.v != VERSION:
            raise Unreadable(
                f"{name} has version {head.v}, but this program reads version {VERSION}: use a later release"
            )
        bars: list[SourceBar] = []
        actions: list[Action] = []
        for line in lines:
            if line.startswith(b'{"kind":"bar"'):
                bar = _BAR.decode(line)
                bars.append(SourceBar(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume))
            else:
                actions.append(_action(line))
        chunk = Chunk(head.symbol, head.resolution, head.start, head.end)
    except (ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise Unreadable(f"{name} is damaged: {error}") from error
    return FinishedChunk(
        chunk=chunk,
        fetched_at=head.fetched_at,
        complete_to=head.complete_to,
        source=head.source,
        bars=tuple(bars),
        actions=tuple(actions),
        problems=head.problems,
    )


def _lines(content: bytes) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(wbits=_GZIP)
    text = decompressor.decompress(content, MAX_BYTES)
    if not decompressor.eof:
        raise ValueError("it ends early, or is longer than any chunk")
    yield from text.removesuffix(b"\n").split(b"\n")


def _line_of(bar: SourceBar) -> dict[str, Any]:
    line: dict[str, Any] = {"kind": "bar", "start": to_iso(bar.start)}
    line |= {name: Raw(price_text(getattr(bar, name)).encode()) for name in ("open", "high", "low", "close")}
    return line if bar.volume is None else line | {"volume": bar.volume}


def _action(line: bytes) -> Action:
    for good in decode(line).good:
        if isinstance(good.line, Action):
            return good.line
    raise ValueError(f"{line[:60]!r} is not a bar or a corporate action")


def _time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
