"""Which rebuilds correct the bars after lines were put back late, when their minutes were closed already. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from quotes import Quote, decode

_MAX_NAMED_SYMBOLS = 10


class RebuildHints:
    """Collects the symbols and days of the quotes that were put back."""

    def __init__(self) -> None:
        self._symbols: dict[date, set[str]] = {}

    def add(self, packets: Iterable[bytes]) -> None:
        """Add the quotes of some packets."""
        for packet in packets:
            for good in decode(packet).good:
                if isinstance(good.line, Quote):
                    self._symbols.setdefault(good.line.event_time.date(), set()).add(good.line.symbol)

    def commands(self, now: datetime, target: str = "") -> list[str]:
        """The commands that correct the bars, one for each day. `now` is when the quotes were put back.

        `target` are the options that name the deployment.
        """
        tomorrow = now.date() + timedelta(days=1)
        commands = []
        for day, symbols in sorted(self._symbols.items()):
            # By default, `rebuild` reads what arrived by the end of the next day.
            arrived = "" if day + timedelta(days=2) >= tomorrow else f" --arrived-until {tomorrow:%Y-%m-%d}"
            commands.append(f"stockstream rebuild{target} --day {day:%Y-%m-%d}{arrived} {_symbol_options(symbols)}")
        return commands


def _symbol_options(symbols: set[str]) -> str:
    if len(symbols) > _MAX_NAMED_SYMBOLS:
        return "--all-symbols"
    return " ".join(f"--symbol {symbol}" if symbol.isalnum() else f"--symbol '{symbol}'" for symbol in sorted(symbols))
