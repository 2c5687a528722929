"""The watchlist: a TOML file of watch groups. Pure.

[[group]]
name = "london"
symbols = ["HSBA.L", "^FTSE"]
interval_seconds = 15       # the rest is optional, and the PRODUCER_ variables hold where it is left out
calendar = "XLON"
source = "yahoo"
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from io import StringIO
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from quotes import is_symbol
from quotes.bounds import MAX_TOML, OutOfBounds, read_toml
from quotes.encodings import NotUtf8, decode_text
from watchlist.calendar_names import name_problem
from watchlist.groups import AUTO, DEFAULT_GROUP, MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, WatchGroup
from watchlist.suggestions import did_you_mean
from watchlist.symbol_names import refused

SOURCES = ("yahoo", "yahoo_stream", "replay", "synthetic")
"""The names of the sources that the producer knows."""
SYNTHETIC_SYMBOLS = (
    *("AAPL", "AMD", "AMZN", "BAC", "BRK-B", "CSCO", "DIS", "GOOG", "INTC", "JNJ", "JPM", "KO"),
    *("MA", "META", "MSFT", "NFLX", "NVDA", "ORCL", "PFE", "QQQ", "SPY", "TSLA", "V", "WMT"),
)
"""The symbols of the simulated market, if the user names none."""
MAX_BYTES = 4 * MAX_TOML
"""The longest watchlist, in bytes. A character has at most four."""

_TYPES: Mapping[str, Any] = {
    "name": Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z")],
    "symbols": Annotated[tuple[str, ...], Meta(min_length=1)],
    "interval_seconds": Annotated[float, Meta(ge=MIN_INTERVAL_SECONDS, le=MAX_INTERVAL_SECONDS)],
    "calendar": str,
    "source": str,
}
_KEYS = ", ".join(_TYPES)
_NAME_RULE = "a name has 1 to 40 letters, digits or _ . - and begins with a letter or digit"
_HEAD = """\
# The watch groups. The producer reads this file again when it changes, within a minute.
# `stockstream symbols` edits it, and docs/symbols.md describes it.
"""


class Defaults(NamedTuple):
    """What holds for a group that does not say it itself."""

    interval_seconds: float = 10
    calendar: str = AUTO
    source: str = "yahoo"


_DEFAULTS = Defaults()


class InvalidWatchlist(ValueError):
    """A watchlist that cannot be used. Each mistake is one line for the user, with the group and the key."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def parse(content: bytes, defaults: Defaults = _DEFAULTS, sources: Collection[str] = SOURCES) -> tuple[WatchGroup, ...]:
    """The groups of a watchlist, in its order. There is at least one, and no symbol is in two of them.

    `sources` are the names of the known sources. Raises `InvalidWatchlist` with every mistake.
    """
    if len(content) > MAX_BYTES:
        raise InvalidWatchlist([f"it is longer than {MAX_TOML:,} characters"])
    try:
        document = read_toml(StringIO(decode_text(content), newline="").read)
    except NotUtf8 as error:
        raise InvalidWatchlist([str(error)]) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidWatchlist([f"is not TOML: {error}"]) from error
    except OutOfBounds as error:
        raise InvalidWatchlist([str(error)]) from error
    reader = _Reader(defaults._asdict(), sources)
    groups = reader.groups(document)
    if reader.mistakes:
        raise InvalidWatchlist(reader.mistakes)
    return groups


def written(symbols: Sequence[str]) -> bytes:
    """A new watchlist with one group. The symbols must be valid, so they need no escapes."""
    lines = "".join(f'    "{symbol}",\n' for symbol in symbols)
    return f'{_HEAD}\n[[group]]\nname = "{DEFAULT_GROUP}"\nsymbols = [\n{lines}]\n'.encode()


class _Reader:
    """Reads a document and collects its mistakes."""

    def __init__(self, defaults: Mapping[str, Any], sources: Collection[str]) -> None:
        self.mistakes: list[str] = []
        self._defaults = defaults
        self._sources = sources
        self._labels_by_name: dict[str, str] = {}
        self._labels_by_symbol: dict[str, str] = {}

    def groups(self, document: Mapping[str, Any]) -> tuple[WatchGroup, ...]:
        """The groups of the document, as far as they can be read."""
        for key in document:
            if key != "group":
                advice = did_you_mean(key, ["group"], otherwise="the only key is group")
                self.mistakes.append(f"{key}: unknown; {advice}")
        tables = document.get("group", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.mistakes.append("group: is not a list of tables; begin each group with [[group]]")
            return ()
        if not tables:
            self.mistakes.append("there is no group; begin one with [[group]]")
        return tuple(self._group(number, table) for number, table in enumerate(tables, start=1))

    def _group(self, number: int, table: Mapping[str, Any]) -> WatchGroup:
        name = table.get("name")
        label = f"group {number} ({name})" if isinstance(name, str) else f"group {number}"
        values: dict[str, Any] = {"name": "", "symbols": (), **self._defaults}
        problems = [f"{key}: missing" for key in ("name", "symbols") if key not in table]
        for key, value in table.items():
            try:
                values[key] = _converted(key, value)
                problems += [f"{key}: {problem}" for problem in self._problems(label, key, values[key])]
            except ValueError as error:
                problems.append(f"{key}: {error}")
        self.mistakes += [f"{label}: {problem}" for problem in problems]
        return WatchGroup(**{key: values[key] for key in _TYPES})

    def _problems(self, label: str, key: str, value: Any) -> list[str]:
        """What is wrong with a value that is of the right type."""
        match key:
            case "name":
                return self._name_problems(label, value)
            case "symbols":
                return self._symbol_problems(label, value)
            case "calendar" if problem := name_problem(value):
                return [f"{value!r:.40}: {problem}"]
            case "source" if value not in self._sources:
                advice = did_you_mean(value, self._sources, otherwise=f"the sources are {', '.join(self._sources)}")
                return [f"{value!r:.40}: is not a source; {advice}"]
        return []

    def _name_problems(self, label: str, name: str) -> list[str]:
        first = self._labels_by_name.setdefault(name, label)
        return [] if first == label else [f"{first} has the same name"]

    def _symbol_problems(self, label: str, symbols: tuple[str, ...]) -> list[str]:
        problems: list[str] = []
        for symbol in symbols:
            other = self._labels_by_symbol.get(symbol)
            if not is_symbol(symbol):
                problems.append(f"{refused(symbol)} is not a symbol")
            elif other is not None:
                problems.append(f"{symbol} is in {'this group twice' if other == label else other + ' already'}")
            else:
                self._labels_by_symbol[symbol] = label
        return problems


def _converted(key: str, value: object) -> Any:
    """A value of a group as the type of its key. Raises `ValueError` with what is wrong."""
    if key not in _TYPES:
        raise ValueError(f"unknown; {did_you_mean(key, _TYPES, otherwise=f'the keys are {_KEYS}')}")
    try:
        return msgspec.convert(value, _TYPES[key])
    except msgspec.ValidationError as error:
        problem = _NAME_RULE if key == "name" else f"{str(error)[0].lower()}{str(error)[1:]}"
        raise ValueError(f"{value!r:.60}: {problem}") from error
