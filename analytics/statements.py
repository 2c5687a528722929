"""Splits typed, piped and given text into statements. DuckDB's own lexer decides what a semicolon means."""

from __future__ import annotations

import re

import duckdb
import msgspec

_WORD = re.compile(r"\?|\w[\w-]*")


class Statement(msgspec.Struct, frozen=True):
    """One statement without its semicolon: SQL, a single word, or a command that starts with a backslash."""

    text: str
    line: int
    """The line of the input on which it starts."""


class Splitter:
    """Takes lines and returns the statements that they complete.

    A semicolon ends SQL. A command, or a single word that is no keyword of SQL, is complete at the end of its line.
    """

    def __init__(self) -> None:
        self._pending, self._lines = "", 0

    @property
    def is_pending(self) -> bool:
        """Whether a statement has begun and is not complete."""
        return bool(self._pending)

    def drop(self) -> None:
        """Forget the statement that has begun."""
        self._pending = ""

    def feed(self, line: str) -> list[Statement]:
        """The statements that a line completes."""
        self._lines += 1
        found = []
        while not self._pending and line.lstrip().startswith("\\"):
            command, _, line = line.partition(";")
            found.append(Statement(command.strip(), self._lines))
        return found + self._split(line)

    def end(self) -> list[Statement]:
        """The statement that has begun, because the input ends here."""
        rest, line = self._pending.strip(), self._lines - self._pending.count("\n")
        self.drop()
        return [Statement(rest, line)] if rest else []

    def _split(self, line: str) -> list[Statement]:
        text = f"{self._pending}\n{line}" if self._pending else line
        content = text.encode()  # DuckDB counts bytes
        first_line = self._lines - content.count(b"\n")
        found: list[Statement] = []
        end = 0
        start: int | None = None
        for offset, _ in duckdb.tokenize(text):
            if content[offset : offset + 1] != b";":
                start = offset if start is None else start
                continue
            if start is not None:
                found.append(_statement(content[start:offset], first_line + content.count(b"\n", 0, start)))
            start, end = None, offset + 1
        rest = content[end:].decode().lstrip()
        is_complete = (end > 0 or not self._pending) and is_word(rest.rstrip())
        if is_complete:
            found.append(Statement(rest.rstrip(), self._lines))
        self._pending = rest if not is_complete and (start is not None or _is_open(rest)) else ""
        return found


def split(text: str) -> list[Statement]:
    """All statements of a text."""
    splitter = Splitter()
    statements = [statement for line in text.split("\n") for statement in splitter.feed(line)]
    return statements + splitter.end()


def is_word(text: str) -> bool:
    """Whether a text is a single word that is no keyword of SQL, and so the name of something, or `?`."""
    return bool(_WORD.fullmatch(text)) and duckdb.tokenize(text)[0][1] != duckdb.token_type.keyword


def words_of(text: str, kind: duckdb.token_type) -> frozenset[str]:
    """The words of a kind, such as keywords, in upper case. Comments, texts and quoted names are none."""
    content = text.encode()  # DuckDB counts bytes
    starts = [start for start, found in duckdb.tokenize(text) if found == kind]
    return frozenset(match[0].decode().upper() for start in starts if (match := re.match(rb"\w+", content[start:])))


def _statement(content: bytes, line: int) -> Statement:
    return Statement(content.decode().strip(), line)


def _is_open(text: str) -> bool:
    """Whether a text without a token is more than comments: a quoted text or a comment that has not ended."""
    return not duckdb.tokenize(f"{text}\n;")
