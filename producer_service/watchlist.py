"""Watch groups: which symbols are polled how often, when and from where; and the TOML file that may say so.

[[group]]
name = "london"
symbols = ["HSBA.L", "^FTSE"]
interval_seconds = 15       # the rest is optional, and PRODUCER_ variables say what holds without it
calendar = "XLON"
source = "yahoo"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from producer_service import calendars
from producer_service.errors import ConfigurationError
from producer_service.watch_group import MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, WatchGroup
from quotes import is_symbol

_ENDS = ("]", "}", '"""', "'''")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", re.ASCII)
_STRING_OR_COMMENT = re.compile(r"""#.*|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'""")


def read(
    path: Path, *, interval_seconds: float, calendar: str, source: str, sources: Collection[str]
) -> tuple[WatchGroup, ...]:
    """The groups of a file, at least one, in its order; no symbol is in two of them.

    The arguments hold for groups that do not say. Raises `ConfigurationError` with every mistake, each with file and
    line, in the order of the lines.
    """
    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: is not UTF-8: {error.reason}"]) from error
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        raise ConfigurationError([f"{path}:{where[1] if where else len(text.splitlines())}: {error}"]) from error
    reader = _Reader(
        _Places(text), {"interval_seconds": interval_seconds, "calendar": calendar, "source": source}, sources
    )
    groups = reader.groups(document)
    if reader.mistakes:
        raise ConfigurationError([f"{path}:{line}: {problem}" for line, problem in sorted(reader.mistakes)])
    return groups


class _Reader:
    """Judges a document, and collects its mistakes as (line, problem)."""

    def __init__(self, places: _Places, defaults: Mapping[str, Any], sources: Collection[str]) -> None:
        self._sources = sources
        self.mistakes: list[tuple[int, str]] = []
        self._places = places
        self._defaults = defaults
        self._names: dict[str, int] = {}
        self._symbols: dict[str, str] = {}
        self._checks: dict[str, Callable[[int, Any], str | None]] = {
            "name": self._name,
            "interval_seconds": _interval,
            "calendar": _calendar,
            "source": self._source,
        }

    def groups(self, document: Mapping[str, Any]) -> tuple[WatchGroup, ...]:
        """The groups as they would be without the mistakes."""
        for key in document.keys() - {"group"}:
            self._unknown(self._places.line(None, key), key, ["group"])
        tables = document.get("group", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._note(self._places.line(None, "group"), "group is not a list of tables: begin each with [[group]]")
            return ()
        if not tables:
            self._note(1, "no group: begin one with [[group]]")
        return tuple(self._group(index, table) for index, table in enumerate(tables))

    def _group(self, index: int, table: Mapping[str, Any]) -> WatchGroup:
        for key in table.keys() - set(WatchGroup.__struct_fields__):
            self._unknown(self._places.line(index, key), key, WatchGroup.__struct_fields__)
        for key in ("name", "symbols"):
            if key not in table:
                self._note(self._places.line(index), f"{key} is missing")
        for key, check in self._checks.items():
            if key in table and (problem := check(index, table[key])):
                self._note(self._places.line(index, key), problem)
        fields = {key: table.get(key, default) for key, default in self._defaults.items()}
        name = str(table.get("name", ""))
        return WatchGroup(name=name, symbols=self._checked_symbols(index, name, table.get("symbols")), **fields)

    def _name(self, index: int, name: object) -> str | None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"name {name!r:.60} is not 1 to 40 letters, digits, or _ . - behind the first"
        first = self._names.setdefault(name, index)
        return None if first == index else f"name {name!r} is that of the group in line {self._places.line(first)}"

    def _checked_symbols(self, index: int, group: str, symbols: object) -> tuple[str, ...]:
        if symbols is None:
            return ()
        if not isinstance(symbols, list) or not symbols:
            self._note(self._places.line(index, "symbols"), 'symbols is not a list of some, as in ["AAPL", "BTC-USD"]')
            return ()
        good: dict[str, str] = {}
        for line, symbol in zip(self._places.lines(index, "symbols", symbols), symbols, strict=True):
            if not isinstance(symbol, str) or not is_symbol(symbol):
                self._note(line, f"{symbol!r:.60} is not a symbol")
            elif symbol in good:
                self._note(line, f"{symbol} is in this group twice")
            elif symbol in self._symbols:
                self._note(line, f"{symbol} is in the group {self._symbols[symbol]!r} already")
            else:
                good[symbol] = group
        self._symbols.update(good)
        return tuple(good)

    def _source(self, _index: int, name: object) -> str | None:
        return None if name in self._sources else f"source {name!r:.40} is not one of {', '.join(self._sources)}"

    def _unknown(self, line: int, key: str, known: list[str] | tuple[str, ...]) -> None:
        close = difflib.get_close_matches(key, known, n=1)
        advice = f"{close[0]} is meant?" if close else f"what there can be is {', '.join(known)}"
        self._note(line, f"{key}: unknown; {advice}")

    def _note(self, line: int, problem: str) -> None:
        self.mistakes.append((line, problem))


def _interval(_index: int, seconds: object) -> str | None:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if is_number and MIN_INTERVAL_SECONDS <= seconds <= MAX_INTERVAL_SECONDS:  # type: ignore[operator]  # a number
        return None
    return f"interval_seconds {seconds!r:.40} is not a number from {MIN_INTERVAL_SECONDS:g} to {MAX_INTERVAL_SECONDS:g}"


def _calendar(_index: int, name: object) -> str | None:
    problem = calendars.name_problem(name) if isinstance(name, str) else "is not a name"
    return problem and f"calendar {name!r:.40} {problem}"


class _Places:
    """Where in a document, which is known to be TOML, its keys stand; tomllib does not say.

    A statement ends with the first line at which what was read since the last one is a document by itself.
    """

    def __init__(self, text: str) -> None:
        self._statements: dict[tuple[int | None, str], tuple[int, str]] = {}
        index: int | None = None
        groups = 0
        elsewhere = False
        for line, statement in _statements(text):
            key = next(iter(tomllib.loads(statement)), None)
            if key is None:  # empty, or a comment
                continue
            if not statement.lstrip().startswith("["):
                if not elsewhere:
                    self._statements.setdefault((index, key), (line, statement))
            elif key == "group" and statement.lstrip().startswith("[["):
                index, groups, elsewhere = groups, groups + 1, False
                self._statements[index, ""] = (line, statement)
                self._statements.setdefault((None, key), (line, statement))
            else:
                elsewhere = True
                self._statements.setdefault((None, key), (line, statement))

    def line(self, index: int | None, key: str = "") -> int:
        """The line of a key of a group (None: of the document), or of the group, or of what holds it."""
        for place in ((index, key), (index, ""), (None, "group")):
            if place in self._statements:
                return self._statements[place][0]
        return 1

    def lines(self, index: int, key: str, items: list[object]) -> list[int]:
        """The lines of a list's strings; all that of the key, should they not be found as they were meant."""
        first, statement = self._statements.get((index, key), (self.line(index, key), ""))
        found = [
            (first + statement.count("\n", 0, match.start()), match[1] or match[2])
            for match in _STRING_OR_COMMENT.finditer(statement)
            if not match[0].startswith("#")
        ]
        if [text for _, text in found] == items:
            return [line for line, _ in found]
        return [first] * len(items)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The statements of a document, each with the number of its first line."""
    lines: list[str] = []
    first = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        lines.append(line)
        # Only a line that may end a statement of several is tried, or a list of a thousand lines were read as often.
        if (len(lines) == 1 or any(end in line for end in _ENDS)) and _is_whole(lines):
            yield first, "\n".join(lines)
            lines, first = [], number + 1


def _is_whole(lines: list[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True
