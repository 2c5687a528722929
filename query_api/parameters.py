"""The values of a request's parameters. Pure. What is not allowed raises `Problem` with status 400."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from query_api.errors import Problem, wrong_parameter
from quotes import is_symbol, to_iso

Order = Literal["desc", "asc"]
Format = Literal["json", "csv"]

MAX_SYMBOLS = 1_000
"""The most symbols that one request may name."""
MAX_WORD = 100
"""The most characters of a filter."""
_FIRST_KEY, _LAST_KEY = "0", ":"
"""Before and after every range key that begins with a time."""
_AFTER_SUFFIXES = "#~"
"""Sorts after what follows a time in a range key: `#` and a revision, or a space and an id."""
_TIME = re.compile(
    r"(19[7-9]\d|[2-9]\d{3})-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d))?", re.ASCII | re.IGNORECASE
)
_UNIX = re.compile(r"\d{1,12}", re.ASCII)
_MAX_UNIX = 253_402_300_799
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMS = "a time such as 2026-11-27T15:10:00Z, a date such as 2026-11-27 (UTC), or Unix seconds"


class Range(NamedTuple):
    """A range of times, as far as it is given."""

    start: datetime | None
    """Inclusive."""
    end: datetime | None
    """Exclusive."""

    @property
    def first_key(self) -> str:
        """The first range key of the range. Keys begin with a time."""
        return _FIRST_KEY if self.start is None else to_iso(self.start)

    @property
    def last_key(self) -> str:
        """A range key that sorts after every one of the range, and before every later one."""
        return _LAST_KEY if self.end is None else to_iso(self.end - timedelta(milliseconds=1)) + _AFTER_SUFFIXES


class Parameters:
    """The parameters of a request's query, each at most once."""

    def __init__(self, query: Collection[tuple[str, str]], allowed: Collection[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in query:
            if name not in allowed:
                known = f"It takes {', '.join(sorted(allowed))}." if allowed else "It takes none."
                detail = f"The parameter {name[:40]!r} is unknown here. {known}"
                raise Problem(400, "parameter-unknown", "A parameter is unknown", detail, parameter=name[:40])
            if name in self._values:
                detail = f"The parameter {name} is there twice. Give it once."
                raise Problem(400, "parameter-repeated", "A parameter is repeated", detail, parameter=name)
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """A value as it is; None if it is absent."""
        return self._values.get(name)

    def word(self, name: str) -> str | None:
        """A text of 1 to `MAX_WORD` characters; None if it is absent."""
        text = self._values.get(name)
        if text is not None and not 1 <= len(text) <= MAX_WORD:
            raise wrong_parameter(name, f"it has {len(text)} characters. Give 1 to {MAX_WORD}.")
        return text

    def identity(self) -> str:
        """What the parameters ask for, without those that only say how much of it to send, and how."""
        asked = {name: value for name, value in self._values.items() if name not in ("cursor", "limit", "format")}
        return "&".join(f"{name}={value}" for name, value in sorted(asked.items()))

    def limit(self, default: int, most: int) -> int:
        """The most items of a page."""
        text = self._values.get("limit")
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
            raise wrong_parameter("limit", f"{_shown(text)} is not a whole number from 1 to {most}.")
        return int(text)

    def is_newest_first(self) -> bool:
        """Whether the newest items come first, which is the default."""
        return self.choice("order", ("desc", "asc")) == "desc"

    def is_csv(self) -> bool:
        """Whether the answer is CSV."""
        return self.choice("format", ("json", "csv")) == "csv"

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of some values. The first is the default."""
        text = self._values.get(name, allowed[0])
        if text not in allowed:
            raise wrong_parameter(name, f"{_shown(text)} is not one of {', '.join(allowed)}.")
        return text

    def symbols(self) -> list[str]:
        """The symbols of the parameter `symbols`, separated by commas, each once. Empty if it is absent."""
        text = self._values.get("symbols")
        if text is None:
            return []
        found = list(dict.fromkeys(text.split(",")))
        if len(found) > MAX_SYMBOLS:
            raise wrong_parameter("symbols", f"{len(found)} symbols are too many. Name at most {MAX_SYMBOLS}.")
        for symbol in found:
            check_symbol(symbol, "symbols")
        return found

    def times(self) -> Range:
        """The range of `start` and `end`."""
        start, end = self._time("start"), self._time("end")
        if start is not None and end is not None and start >= end:
            raise wrong_parameter("end", f"{to_iso(end)} is not after the start, {to_iso(start)}.")
        if end is not None and end <= EPOCH:
            raise wrong_parameter("end", "it is not after 1970-01-01T00:00:00Z.")
        return Range(start, end)

    def _time(self, name: str) -> datetime | None:
        text = self._values.get(name)
        if text is None:
            return None
        if _UNIX.fullmatch(text) and int(text) <= _MAX_UNIX:
            return EPOCH + timedelta(seconds=int(text))
        try:
            time = datetime.fromisoformat(text.upper()) if _TIME.fullmatch(text) else None
            time = time and (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC))
        except (ValueError, OverflowError):
            time = None
        if time is None:
            detail = f"{_shown(text)} is not {_FORMS}."
            if " " in text:
                detail += " Write the + of an offset as %2B."
            raise wrong_parameter(name, detail)
        if time < EPOCH:
            raise wrong_parameter(name, f"{_shown(text)} is before 1970.")
        return time.replace(microsecond=time.microsecond // 1_000 * 1_000)


def check_symbol(symbol: str, parameter: str) -> None:
    """Raise `Problem` if a text cannot be a symbol."""
    if not is_symbol(symbol):
        raise wrong_parameter(
            parameter,
            f"{_shown(symbol)} is not a symbol. A symbol has 1 to 32 letters, digits and .^=&$_:/+- only.",
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")  # noqa: PLR2004  (long enough to recognize)
