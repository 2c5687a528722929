"""Recordings in files: minute bars, and the JSON Lines that the pipeline itself archives."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from pathlib import Path

import msgspec

from producer_service.sources.replay.bars import MINUTE, Bar, parse_bars
from producer_service.sources.replay.clock import DEFAULT_CLOCK, Clock
from quotes import Quote, decode, is_symbol, to_iso
from quotes.bounds import OutOfBounds, bounded_lines
from watchlist.symbol_names import usual_name

BARS_SUFFIX = "_1min.csv"
LINES_SUFFIXES = (".jsonl", ".jsonl.gz")
MAX_DECOMPRESSED = 256 * 2**20
"""The most bytes that a compressed file may hold, which may be a thousand times its size. All quotes stay in memory."""
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


def load(path: Path, symbols: Sequence[str] = (), clock: Clock = DEFAULT_CLOCK) -> Recordings:
    """Read a file, or every `SYMBOL_1min.csv`, `*.jsonl` and `*.jsonl.gz` in a directory and its subdirectories.

    If `symbols` is not empty, only these are loaded. `clock` says how bars name their minutes. Everything is held in
    memory, because files may overlap in time and need not be in order: about 0.6 KB per bar and 1.2 KB per JSON line.
    Invalid JSON Lines are skipped and counted. A mistake in minute bars is an error, and so are two bars of one symbol
    for the same minute, in one file or in two.
    """
    found = Recordings()
    try:
        files = _files(path)
        if not files:
            found.mistakes.append(f"{path}: no recordings here: neither SYMBOL{BARS_SUFFIX} nor *.jsonl nor *.jsonl.gz")
        for file in files:
            _read(file, frozenset(symbols), clock, found)
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


def _read(file: Path, symbols: frozenset[str], clock: Clock, found: Recordings) -> None:
    try:
        if not file.name.endswith(BARS_SUFFIX):
            _read_lines(file, symbols, found)
            return
        symbol = file.name.removesuffix(BARS_SUFFIX)
        if symbols and symbol not in symbols:
            return
        if is_symbol(symbol):
            _read_bars(file, symbol, clock, found)
        else:
            found.mistakes.append(f"{file}: {symbol!r} is not a symbol")
    except UnicodeDecodeError as error:
        found.mistakes.append(f"{file}: is not a CSV file in UTF-8: {error}")
    except OutOfBounds as error:
        found.mistakes.append(f"{file}: {error}")


def _read_bars(file: Path, symbol: str, clock: Clock, found: Recordings) -> None:
    with file.open("rb") as content:
        rows = (line.decode().removeprefix("\ufeff") for line in bounded_lines(content.read, max_size=math.inf))
        bars, mistakes = parse_bars(rows, str(file), clock)
    found.mistakes += mistakes
    if not bars and not mistakes:
        found.mistakes.append(f"{file}: has no rows")
    recording = found.by_symbol.setdefault(symbol, Recording())
    if recording.bars:
        known = {bar.start for bar in recording.bars}
        repeated = [bar.start for bar in bars if bar.start in known]
        if repeated:
            found.mistakes.append(
                f"{file}: has {len(repeated)} minutes that another file of {symbol} has too, from "
                f"{to_iso(repeated[0])} to {to_iso(repeated[-1])}; keep them in one of the files"
            )
    recording.bars = sorted([*recording.bars, *bars], key=attrgetter("start"))


def _read_lines(file: Path, symbols: frozenset[str], found: Recordings) -> None:
    is_compressed = file.name.endswith(".gz")
    try:
        with gzip.open(file) if is_compressed else file.open("rb") as content:
            lines = bounded_lines(content.read, max_size=MAX_DECOMPRESSED if is_compressed else math.inf)
            for number, line in enumerate(lines, start=1):
                decoded = decode(line.rstrip(b"\r"))  # a file may have passed through Windows
                for bad in decoded.bad:
                    found.skipped_lines += 1
                    found.first_skipped = found.first_skipped or f"{file}:{number}: {bad.reason}"
                for good in decoded.good:
                    quote = good.line
                    if isinstance(quote, Quote) and (not symbols or quote.symbol in symbols):
                        found.by_symbol.setdefault(quote.symbol, Recording()).quotes.append(quote)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        found.mistakes.append(f"{file}: is not a complete gzip file: {error}")


def _missing_symbols(path: Path, symbols: Sequence[str], by_symbol: dict[str, Recording]) -> list[str]:
    present = sorted(by_symbol)
    if not present and not symbols:
        return [f"{path}: the recordings have no quotes"]
    named = ", ".join(present[:_MAX_NAMED]) + (", …" if len(present) > _MAX_NAMED else "")
    return [
        f"{path}: {symbol} is not recorded"
        + (f"; did you mean {name}?" if (name := usual_name(symbol)) else f"; recorded are {named}" if named else "")
        for symbol in symbols
        if symbol not in present
    ]
