"""The query of docs/sql.md about bars of a day says the same as `/v1/bars`."""

from __future__ import annotations

import random
import re
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from analytics import catalog
from analytics.duckdb_engine import Engine
from bars.keys import bar_key
from quotes import to_iso
from tests.fakes.query_ports import QueryWorld
from tests.support.compacted_archives import compact
from tests.support.query_bars import MINUTE, NEW_YORK, at, bar_row, minutes_from, sessions_of
from tests.support.sizes import sized
from workspace.places import ROOT

DAY, COMPACTED_TO = timedelta(days=1), date(2026, 11, 27)
MIDNIGHT = at("2026-11-23 05:00")
SESSIONS = (("14:30", "15:00"), ("15:30", "16:00"))
PRICES = ("open", "high", "low", "close", "volume")


class TestDays:
    """Of which any minutes are stored, and any are known to be without trades. Each has a stored bar."""

    def test_are_the_same_in_sql_and_in_the_api(self, tmp_path: Path) -> None:
        chance = random.Random(1)
        archive = _Archive()
        for number in range(sized(60, 300)):
            archive.add_day(f"SYM{number}", chance)
        compact(tmp_path, COMPACTED_TO, compacted_bars=archive.bars, compacted_sessions=archive.sessions)
        with closing(Engine(catalog.read(), tmp_path)) as engine:
            found = engine.run(_query())
        days = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        assert {day["symbol"]: [day[name] for name in PRICES] for day in days} == archive.answers()
        assert {day["volume"] == _Archive.OF_DAY for day in days} == {True, False}


def _query() -> str:
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    section = page.partition("\n## Bars of a day\n")[2]
    [found] = re.findall(r"```sql\n(.*?);\n```", section.partition("\n## ")[0], re.DOTALL)
    return str(found)


class _Archive:
    """The same days in compacted tables and in the tables of the query function."""

    OF_DAY = 99_999_999
    """The volume of each stored bar of a day."""

    def __init__(self) -> None:
        self.world = QueryWorld()
        days = [("2026-11-23", f"2026-11-23 {opens}", f"2026-11-23 {closes}") for opens, closes in SESSIONS]
        self.world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", days))
        self.bars: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []

    def add_day(self, symbol: str, chance: random.Random) -> None:
        spans = [(at(f"2026-11-23 {opens}"), at(f"2026-11-23 {closes}")) for opens, closes in SESSIONS]
        expected = [minute for opens, closes in spans for minute in minutes_from(opens, (closes - opens) // MINUTE)]
        missing = set(chance.sample(expected, chance.choice([0, 0, 1, 2, len(expected) - 3, len(expected)])))
        quiet = missing if chance.random() < 0.5 else set(chance.sample(expected, chance.randint(0, 3)))
        self.world.calendars.put({**NEW_YORK, "name": symbol})
        others = [at("2026-11-23 12:00"), at("2026-11-23 15:10"), at("2026-11-23 16:00")]  # outside of sessions
        stored = [minute for minute in expected if minute not in missing]
        for minute in stored + chance.sample(others, chance.randint(0, 3)):
            self._add(symbol, "1m", minute, chance.choice(["stream", "rebuild", "backfill"]), chance.randint(1, 900))
        self._add(symbol, "1d", MIDNIGHT, "backfill", self.OF_DAY)
        spans_text = ",".join(f'["{to_iso(minute)}","{to_iso(minute + MINUTE)}"]' for minute in sorted(quiet))
        key = f"asked#{bar_key('1m', MIDNIGHT)}"
        self.world.bars.put({"symbol": symbol, "key": key, "without_trades": f"[{spans_text}]"})
        for opens, closes in spans:
            without = sum(opens <= minute < closes for minute in quiet - set(stored))
            count = (closes - opens) // MINUTE
            row = {"symbol": symbol, "calendar": "XNYS", "timezone": "America/New_York", "day": date(2026, 11, 23)}
            times = {"opens": _plain(opens), "closes": _plain(closes)}
            self.sessions.append({**row, **times, "expected": count, "without_trades": without})

    def answers(self) -> dict[str, list[Any]]:
        """What the API says of the day of each symbol."""
        symbols = {row["symbol"] for row in self.bars}
        found = {symbol: self.world.get(f"/v1/bars/{symbol}", resolution="1d").json()["bars"] for symbol in symbols}
        return {symbol: [Decimal(bar[name]) for name in PRICES] for symbol, (bar,) in found.items()}

    def _add(self, symbol: str, resolution: str, start: datetime, provenance: str, number: int) -> None:
        prices = {"open": number, "high": number + 2, "low": number - 1, "close": number + 1}
        values = {name: Decimal(price) for name, price in prices.items()} | {"volume": number, "quotes": 0}
        row = bar_row(symbol, start, **values, provenance=provenance)
        self.world.bars.put({**row, "key": bar_key(resolution, start)})
        times = {"start": _plain(start), "day": start.date(), "resolution": resolution}
        self.bars.append({"symbol": symbol, "provenance": provenance, **values, **times})


def _plain(moment: datetime) -> datetime:
    """A time as SQL has it, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
