"""The watchlist of a stage: what a deployment writes to S3, and how it differs from what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configuration import WATCHLIST_KEY, ConfigurationObject, Stored
from deployment.errors import ParameterError
from deployment.stage_file import Wishes
from quotes import is_symbol
from watchlist import (
    DEFAULT_LANES,
    SYNTHETIC_SYMBOLS,
    InvalidWatchlist,
    WatchGroup,
    changes,
    lane_problems,
    parse,
    written,
)
from watchlist.symbol_names import refused, yahoo_hint

SOURCE = "Source"
LANES = "Lanes"
_ADVICE = "name Symbols=AAPL,MSFT,BTC-USD or WATCHLIST=FILE"


@dataclass(frozen=True, slots=True)
class WatchlistChange:
    """What a deployment does with the watchlist of its stage."""

    content: bytes | None = None
    """The watchlist to write. None leaves the one that is there."""
    read: Stored | None = None
    """The watchlist that it replaces; None if there is none, or its bucket is not known yet."""
    is_first: bool = False
    """Whether it is only for a stage that has no watchlist yet, because the user names none."""
    lines: tuple[str, ...] = ()
    """What changes, for a person."""
    notes: tuple[str, ...] = ()
    """What a person should look at."""

    def write(self, s3: Any, bucket: str) -> str | None:
        """Write it, and return its address; None if nothing changes. Raises `ConfigurationError`."""
        if self.content is None:
            return None
        target = ConfigurationObject(s3, bucket, WATCHLIST_KEY)
        read = self.read or target.read()  # a bucket that was adopted may have one
        if self.is_first and read is not None:
            return None
        target.write(self.content, read)
        return target.address


def stored_watchlist(s3: Any, bucket: str | None) -> Stored | None:
    """The watchlist in the archive's bucket, if both exist. Raises `ConfigurationError`."""
    return None if bucket is None else ConfigurationObject(s3, bucket, WATCHLIST_KEY).read()


def choose_watchlist(
    stored: Stored | None, wishes: Wishes, parameters: Mapping[str, str], held: Mapping[str, str]
) -> WatchlistChange:
    """What to write: what the user names; else what is there; else the symbols of the simulated market.

    `parameters` are those that the user names, and `held` those of the producer's stack, empty without one. Earlier
    versions of that stack named the symbols itself. Raises `ParameterError` with everything that is wrong.
    """
    values = {**held, **parameters}
    named = _named(wishes)
    content = _first(values) if named is None and stored is None else named
    before, mistakes = _before(stored)
    groups = before if content is None else parse(content)
    symbols = [symbol for group in groups for symbol in group.symbols]
    lanes = values.get(LANES) or str(DEFAULT_LANES)
    if lanes.isdecimal() and int(lanes) and (problems := lane_problems(symbols, int(lanes))):
        raise ParameterError("\n".join(problems))
    found = changes(before, groups)
    notes = [f"the stored one has mistakes: {mistake}" for mistake in mistakes]
    notes += [f"{symbol}: {hint}" for symbol in found.added_symbols if (hint := yahoo_hint(symbol, is_missing=False))]
    if content is None or (stored is not None and not mistakes and not found):
        return WatchlistChange(notes=tuple(notes))
    return WatchlistChange(content, stored, named is None, tuple(found.lines()), tuple(notes))


def _named(wishes: Wishes) -> bytes | None:
    if wishes.watchlist is not None:
        return _content(Path(wishes.watchlist))
    if wishes.symbols is None:
        return None
    symbols = _split(wishes.symbols)
    if bad := [refused(symbol) for symbol in symbols if not is_symbol(symbol)]:
        raise ParameterError(f"Symbols: not a symbol: {', '.join(bad)}; separate symbols by commas, as in AAPL,BTC-USD")
    if not symbols:
        raise ParameterError(f"Symbols: names none; {_ADVICE}, or leave it out to keep the watchlist that is there")
    return written(symbols)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        parse(content)
    except OSError as error:
        raise ParameterError(f"WATCHLIST: {path}: {error.strerror}") from error
    except InvalidWatchlist as error:
        raise ParameterError("\n".join(f"WATCHLIST: {path}: {mistake}" for mistake in error.mistakes)) from error
    return content


def _first(values: Mapping[str, str]) -> bytes:
    """The watchlist of a stage that has none."""
    if values.get("Symbols"):
        return written(_split(values["Symbols"]))
    if values.get("Watchlist"):
        raise ParameterError(f"the producer has its watchlist in its image, and now reads it from S3: {_ADVICE}")
    if (source := values.get(SOURCE, "")).startswith("yahoo"):
        raise ParameterError(f"Source={source} needs symbols: {_ADVICE}")
    return written(SYNTHETIC_SYMBOLS)


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _before(stored: Stored | None) -> tuple[tuple[WatchGroup, ...], list[str]]:
    try:
        return (() if stored is None else parse(stored.content)), []
    except InvalidWatchlist as error:
        return (), error.mistakes
