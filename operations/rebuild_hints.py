"""What is still due after lines were put back late: the bars of their minutes, which the fold had closed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from quotes import Quote, decode

_NAMED_SYMBOLS = 10


class Due:
    """Gathers which symbols' days were touched."""

    def __init__(self) -> None:
        self._symbols: dict[date, set[str]] = {}

    def add(self, packets: Iterable[bytes]) -> None:
        """Take note of the quotes in packets."""
        for packet in packets:
            for good in decode(packet).good:
                if isinstance(good.line, Quote):
                    self._symbols.setdefault(good.line.event_time.date(), set()).add(good.line.symbol)

    def commands(self, now: datetime) -> list[str]:
        """The commands that correct the bars, a day each; what is put back now arrives now."""
        tomorrow = now.date() + timedelta(days=1)
        commands = []
        for day, symbols in sorted(self._symbols.items()):
            arrived = "" if day + timedelta(days=2) >= tomorrow else f" --arrived-until {tomorrow:%Y-%m-%d}"
            commands.append(f"python -m operations rebuild --day {day:%Y-%m-%d}{arrived} {_named(symbols)}")
        return commands


def _named(symbols: set[str]) -> str:
    if len(symbols) > _NAMED_SYMBOLS:
        return "--all-symbols"
    return " ".join(f"--symbol {symbol}" if symbol.isalnum() else f"--symbol '{symbol}'" for symbol in sorted(symbols))
