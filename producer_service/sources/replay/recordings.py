"""Recordings in files: minute bars, and the JSON Lines that the pipeline itself archives."""

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
    """Everything recorded of one symbol."""

    bars: list[Bar] = []
    """The bars, in order of time."""
    quotes: list[Quote] = []
    """The quotes, in order of time and revision."""

    @property
    def first(self) -> datetime:
        """The time of its first quote. The recording must not be empty."""
        return min([bar.start for bar in self.bars[:1]] + [quote.event_time for quote in self.quotes[:1]])

    @property
    def last(self) -> datetime:
        """The time of its last quote, or the end of its last bar if that is later."""
        return max([bar.start + MINUTE for bar in self.bars[-1:]] + [quote.event_time for quote in self.quotes[-1:]])


class Recordings(msgspec.Struct):
    """The recordings at a path."""

    by_symbol: dict[str, Recording] = {}
    mistakes: list[str] = []
    """The mistakes of the path and its files, with file and line. If there are any, recordings are incomplete."""
    skipped_lines: int = 0
    """The number of JSON Lines that are not valid: damaged, of another version, or archived as quarantined."""
    first_skipped: str = ""
    """The place of the first skipped line, and why it was skipped."""


def load(path: Path, symbols: Sequence[str] = ()) -> Recordings:
    """Read a file, or every `SYMBOL_1min.csv`, `*.jsonl` and `*.jsonl.gz` in a directory and its subdirectories.

    If `symbols` is not empty, only these are loaded. Everything is held in memory, because files may overlap in time
    and need not be in order: about 0.6 KB per bar and 1.2 KB per JSON line. If two files have a bar for the same
    minute, the one of the later file counts. Invalid JSON Lines are skipped and counted. A mistake in minute bars is an
    error.
    """
    found = Recordings()
    try:
        files = _files(path)
        if not files:
            found.mistakes.append(f"{path}: no recordings here: neither SYMBOL{BARS_SUFFIX} nor *.jsonl nor *.jsonl.gz")
        for file in files:
            _read(file, frozenset(symbols), found)
    except OSError as error:
        found.mistakes.append(f"{error.filename or path}: {error.strerror or error}")
    for recording in found.by_symbol.values():
        recording.quotes.sort(key=lambda quote: (quote.event_time, quote.revision))
    if not found.mistakes:
        found.mistakes += _missing_symbols(path, symbols, found.by_symbol)
    return found


def _files(path: Path) -> list[Path]:
    """The files with recordings at a path, in the order of their names. Raises OSError if the path does not exist."""
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
        found.mistakes += [] if mistakes else [f"{file}: has no rows"]
        return
    recording = found.by_symbol.setdefault(symbol, Recording())
    recording.bars = _merged(recording.bars, bars) if recording.bars else bars


def _read_lines(file: Path, symbols: frozenset[str], found: Recordings) -> None:
    try:
        with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as lines:
            for number, content in enumerate(lines, start=1):
                decoded = decode(content.rstrip(b"\r\n"))  # a file may have passed through Windows
                for bad in decoded.bad:
                    found.skipped_lines += 1
                    found.first_skipped = found.first_skipped or f"{file}:{number}: {bad.reason}"
                for good in decoded.good:
                    quote = good.line
                    if isinstance(quote, Quote) and (not symbols or quote.symbol in symbols):
                        found.by_symbol.setdefault(quote.symbol, Recording()).quotes.append(quote)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        found.mistakes.append(f"{file}: is not a complete gzip file: {error}")


def _merged(bars: Iterable[Bar], later: Iterable[Bar]) -> list[Bar]:
    by_start = {bar.start: bar for bar in bars} | {bar.start: bar for bar in later}
    return [by_start[start] for start in sorted(by_start)]


def _missing_symbols(path: Path, symbols: Sequence[str], by_symbol: dict[str, Recording]) -> list[str]:
    present = sorted(by_symbol)
    if not present and not symbols:
        return [f"{path}: the recordings have no quotes"]
    named = ", ".join(present[:_MAX_NAMED]) + (", …" if len(present) > _MAX_NAMED else "")
    return [
        f"{path}: {symbol} is not recorded" + (f"; recorded are {named}" if named else "")
        for symbol in symbols
        if symbol not in present
    ]
