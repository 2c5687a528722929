"""The watchlist: a TOML file of watch groups.

[[group]]
name = "london"
symbols = ["HSBA.L", "^FTSE"]
interval_seconds = 15       # the rest is optional, and the PRODUCER_ variables hold where it is left out
calendar = "XLON"
source = "yahoo"
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from producer_service import calendars
from producer_service.errors import ConfigurationError
from producer_service.suggestions import did_you_mean
from producer_service.symbol_names import refused
from producer_service.watch_group import MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, WatchGroup
from quotes import is_symbol
from quotes.bounds import OutOfBounds, read_toml
from quotes.encodings import decoding_problem

_TYPES: Mapping[str, Any] = {
    "name": Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}\Z")],
    "symbols": Annotated[tuple[str, ...], Meta(min_length=1)],
    "interval_seconds": Annotated[float, Meta(ge=MIN_INTERVAL_SECONDS, le=MAX_INTERVAL_SECONDS)],
    "calendar": str,
    "source": str,
}
_KEYS = ", ".join(_TYPES)
_NAME_RULE = "a name has 1 to 40 letters, digits or _ . - and begins with a letter or digit"


def read(
    path: Path, *, interval_seconds: float, calendar: str, source: str, sources: Collection[str]
) -> tuple[WatchGroup, ...]:
    """The groups of a file, in its order. There is at least one, and no symbol is in two of them.

    The other arguments hold for groups that do not set them. `sources` are the names of the known sources. Raises
    `ConfigurationError` with every mistake, each with the file, the group and the key.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            document = read_toml(file.read)
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: {decoding_problem(error)}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path}: is not TOML: {error}"]) from error
    except OutOfBounds as error:
        raise ConfigurationError([f"{path}: {error}"]) from error
    reader = _Reader({"interval_seconds": interval_seconds, "calendar": calendar, "source": source}, sources)
    groups = reader.groups(document)
    if reader.mistakes:
        raise ConfigurationError([f"{path}: {mistake}" for mistake in reader.mistakes])
    return groups


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
            case "calendar" if problem := calendars.name_problem(value):
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
