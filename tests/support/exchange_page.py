"""The tables of docs/exchanges.md. `python -m tests.support.exchange_page` writes them again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

from deployment.functions import ROOT
from producer_service.exchanges import EXCHANGES, UNITED_STATES, UNKNOWN, WORLD_WEEK, Exchange, Trading, trading_of

PAGE = ROOT / "docs" / "exchanges.md"
TABLE = re.compile(r"(<!-- (\w+) -->\n)(?:\|.*\n)*")
KINDS = ("AAPL", "^GSPC", "VTSAX", "EURUSD=X", "GC=F", "BTC=F", "BTC-USD", "^VIX", "USDSAR=X", "ABC.XYZ")


def with_tables() -> str:
    """The page with the tables as the code has them now. They follow comments with their names."""
    tables = {"exchanges": _exchanges(), "kinds": _kinds()}
    return TABLE.sub(lambda found: found[1] + tables[found[2]], PAGE.read_text(encoding="utf-8"))


def _exchanges() -> str:
    header = "exchange", "suffixes", "calendar", "opens earlier", "closes later", "days off", "settles", "delay"
    ordered = (UNITED_STATES, *sorted(EXCHANGES, key=lambda exchange: exchange.name), WORLD_WEEK, UNKNOWN)
    return _table(header, (_exchange(exchange) for exchange in ordered))


def _exchange(exchange: Exchange) -> Sequence[str]:
    suffixes = " ".join(f"`.{suffix}`" for suffix in exchange.suffixes) or "any other" * (exchange is UNKNOWN) or "none"
    return (
        exchange.name,
        suffixes,
        f"`{exchange.calendar}`",
        _minutes(exchange.opens_earlier),
        _minutes(exchange.closes_later),
        "open" if exchange.doubtful_days_off else "",
        "" if exchange is UNKNOWN else _minutes(exchange.settling),
        _minutes(exchange.delay),
    )


def _kinds() -> str:
    header = "symbol", "calendar", "settles", "event times from"
    return _table(header, ((f"`{symbol}`", *_kind(trading_of(symbol))) for symbol in KINDS))


def _kind(trading: Trading) -> Sequence[str]:
    never_closes = trading.calendar == UNKNOWN.calendar
    before = trading.stamped_before_close // timedelta(minutes=1)
    return (
        f"`{trading.calendar}`",
        "" if never_closes else _minutes(trading.settling // timedelta(minutes=1)),
        "" if never_closes else f"{before} min before the close" if before else "the close",
    )


def _minutes(minutes: int) -> str:
    return f"{minutes} min" if minutes else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(with_tables(), encoding="utf-8")
