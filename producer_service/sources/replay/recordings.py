"""Recorded quotes on file: minute bars, and the JSON Lines that the pipeline itself archives."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from producer_service.sources.replay.bars import MINUTE, Bar, read_bars
from quotes import Quote, decode, is_symbol

BARS_SUFFIX = "_1min.csv"
LINES_SUFFIXES = (".jsonl", ".jsonl.gz")
_MAX_NAMED = 10


class Recording(msgspec.Struct, gc=False):
    """What is recorded of one symbol."""

    bars: list[Bar] = []
    """In order of time."""
    quotes: list[Quote] = []
    """In order of time and revision."""

    @property
    def first(self) -> datetime:
        """When its first quote is. Of a recording that is not empty."""
        return min([bar.start for bar in self.bars[:1]] + [quote.event_time for quote in self.quotes[:1]])

    @property
    def last(self) -> datetime:
        """When its last quote is, or the end of its last bar."""
        return max([bar.start + MINUTE for bar in self.bars[-1:]] + [quote.event_time for quote in self.quotes[-1:]])


class Recordings(msgspec.Struct):
    """What a path holds, symbol by symbol."""

    by_symbol: dict[str, Recording] = {}
    mistakes: list[str] = []
    """Of the path and its files, with file and line. What was read is whole if there are none."""
    skipped_lines: int = 0
    """JSON Lines that are no quote: damaged, of a newer version, or archived as undecodable."""
    first_skipped: str = ""
    """The first of them, and why."""


def load(path: Path, symbols: Sequence[str] = ()) -> Recordings:
    """Read a file, or every `SYMBOL_1min.csv`, `*.jsonl` and `*.jsonl.gz` below a directory.

    `symbols` narrows what is kept; none is all. Everything is held in memory, since files overlap in time and need not
    be in order: about 0.6 KB a bar and 1.2 KB a JSON line. Of two bars for one minute the later file's stands. A line
    that is no quote is skipped and counted; of minute bars every mistake is told.
    """
    found = Recordings()
    try:
        files = _files(path)
        if not files:
            found.mistakes.append(f"{path}: no recordings: neither SYMBOL{BARS_SUFFIX} nor *.jsonl nor *.jsonl.gz")
        for file in files:
            _read(file, frozenset(symbols), found)
    except OSError as error:
        found.mistakes.append(f"{error.filename or path}: {error.strerror or error}")
    for recording in found.by_symbol.values():
        recording.quotes.sort(key=lambda quote: (quote.event_time, quote.revision))
    if not found.mistakes:
        found.mistakes += _absent(path, symbols, found.by_symbol)
    return found


def _files(path: Path) -> list[Path]:
    """The recordings at a path, in the order of their names. Raises OSError if there is nothing at the path."""
    path.stat()
    files = path.rglob("*") if path.is_dir() else (path,)
    return sorted(file for file in files if file.name.endswith((BARS_SUFFIX, *LINES_SUFFIXES)) and file.is_file())


def _read(file: Path, symbols: frozenset[str], found: Recordings) -> None:
    if not file.name.endswith(BARS_SUFFIX):
        _read_lines(file, symbols, found)
        return
    symbol = file.name.removesuffix(BARS_SUFFIX)
    if symbols and symbol not in symbols:
        return
    if not is_symbol(symbol):
        found.mistakes.append(f"{file}: {symbol!r} is not a symbol")
        return
    bars, mistakes = read_bars(file)
    found.mistakes += mistakes
    if not bars:
        found.mistakes += [] if mistakes else [f"{file}: no rows"]
        return
    recording = found.by_symbol.setdefault(symbol, Recording())
    recording.bars = _later_stands(recording.bars, bars) if recording.bars else bars


def _read_lines(file: Path, symbols: frozenset[str], found: Recordings) -> None:
    try:
        with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as lines:
            for number, content in enumerate(lines, start=1):
                decoded = decode(content.rstrip(b"\r\n"))  # a file may have been through Windows
                for bad in decoded.bad:
                    found.skipped_lines += 1
                    found.first_skipped = found.first_skipped or f"{file}:{number}: {bad.reason}"
                for good in decoded.good:
                    quote = good.line
                    if isinstance(quote, Quote) and (not symbols or quote.symbol in symbols):
                        found.by_symbol.setdefault(quote.symbol, Recording()).quotes.append(quote)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        found.mistakes.append(f"{file}: not a whole gzip file: {error}")


def _later_stands(bars: Iterable[Bar], later: Iterable[Bar]) -> list[Bar]:
    by_start = {bar.start: bar for bar in bars} | {bar.start: bar for bar in later}
    return [by_start[start] for start in sorted(by_start)]


def _absent(path: Path, symbols: Sequence[str], by_symbol: dict[str, Recording]) -> list[str]:
    present = sorted(by_symbol)
    if not present and not symbols:
        return [f"{path}: its recordings hold no quote"]
    named = ", ".join(present[:_MAX_NAMED]) + (", …" if len(present) > _MAX_NAMED else "")
    return [
        f"{path}: nothing recorded of {symbol}" + (f", but of {named}" if named else "")
        for symbol in symbols
        if symbol not in present
    ]
