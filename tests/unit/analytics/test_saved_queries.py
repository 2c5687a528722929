"""The saved queries that put quotes in order say what a walk through the quotes says, at any state of compaction.

The archives have duplicates, late and revised quotes, and lines that arrive again on a later day, as after a redrive.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import catalog
from analytics.duckdb_engine import Engine
from quotes import Quote
from tests.support.compacted_archives import Arrived, compact, write
from tests.support.sizes import sized

KNOWN = catalog.read()
GAPS = st.sampled_from([0, 1, 60, 3_600, 21_661, 21_661, 60_000])
"""Seconds from a quote to the next one of its symbol. Another session may begin after more than six hours."""
DELAYS = st.sampled_from([-60, 0, 0.5, 2, 90, 5_000, 90_000])
"""Seconds from an event to its receipt. A quote is late if a quote of a later event has a shorter delay."""
AGAIN = st.sampled_from([(), (), (0,), (1,), (26,)])
"""After how many hours the line of a quote arrives again."""
VOLUMES = st.sampled_from([None, 0, 40, 49, 50, 51, 99, 100, 101, 250, 1_000])
STATES = st.sampled_from([None, "REGULAR", "REGULAR", "REGULAR", "PRE", "POST"])
QUOTES = st.lists(
    st.tuples(
        GAPS, DELAYS, AGAIN, VOLUMES, st.sampled_from([None, "97", "97", "98"]), STATES, st.sampled_from([None, "24h"])
    ),
    min_size=10,
    max_size=sized(25, 60),
)
"""The quotes of one symbol."""

Row = Mapping[str, Any]


def lines_of(symbols: Iterable[list[tuple[Any, ...]]], first: datetime) -> list[Arrived]:
    """The quotes of some symbols in a few days, with the times at which they arrive."""
    found: list[Arrived] = []
    for number, quotes in enumerate(symbols):
        at, revision = first, 0
        for gap, delay, again, volume, close, state, period in quotes:
            at, revision = at + timedelta(seconds=gap), 0 if gap else revision + 1
            received = at + timedelta(seconds=delay)
            quote = Quote(
                symbol=f"S{number}",
                event_time=at,
                revision=revision,
                price=Decimal(len(found)),
                source="test",
                ingest_time=received,
                volume=volume,
                volume_period=period if number == 0 else None,
                previous_close=None if close is None else Decimal(close),
                market_state=state,
            )
            found += [(received + timedelta(hours=hours), quote) for hours in (0, *again)]
    return found


@pytest.mark.parametrize("open_days", range(6))
@settings(max_examples=sized(2, 10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(symbols=st.lists(QUOTES, min_size=8, max_size=20), random=st.randoms(use_true_random=False))
def test_the_queries_say_what_the_quotes_say_one_by_one(
    symbols: list[list[tuple[Any, ...]]], random: Random, open_days: int
) -> None:
    today = datetime.now(UTC).date()
    first = datetime.combine(today - timedelta(days=5), datetime.min.time(), UTC)
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory)
        write(archive, lines_of(symbols, first), random)
        raw = asked(archive)
        assert raw["data_quality"] == quality(raw["recent_quotes"], raw["lines"])
        assert raw["daily_ohlc"] == daily_volumes(raw["recent_quotes"])
        compact(archive, today - timedelta(days=open_days))
        assert asked(archive) == raw


def asked(archive: Path) -> dict[str, Any]:
    """What the queries and their input are over an archive."""
    ordered = "SELECT * FROM recent_quotes ORDER BY symbol, event_time, revision"
    arrived = "SELECT dt, count(*) AS lines FROM lines WHERE dt >= CAST(current_date - 7 AS varchar) GROUP BY dt"
    with closing(Engine(KNOWN, archive)) as engine:
        found = {"recent_quotes": ordered, "lines": arrived} | {
            name: query.select for name in ("data_quality", "daily_ohlc") if (query := KNOWN.query(name))
        }
        results = {name: engine.run(select) for name, select in found.items()}
    rows = {name: [dict(zip(of.columns, row, strict=True)) for row in of.rows] for name, of in results.items()}
    return {
        "recent_quotes": rows["recent_quotes"],
        "lines": {row["dt"]: row["lines"] for row in rows["lines"]},
        "data_quality": {row.pop("dt"): row for row in rows["data_quality"]},
        "daily_ohlc": {(row["symbol"], row["day"]): row["volume"] for row in rows["daily_ohlc"]},
    }


def quality(quotes: list[Row], lines: Mapping[str, int]) -> dict[str, Row]:
    """The rows of `data_quality`, without refused lines."""
    late: Counter[str] = Counter()
    newest: dict[str, datetime] = {}
    for row in sorted(quotes, key=lambda row: (row["ingest_time"], row["event_time"])):
        last = newest.setdefault(row["symbol"], row["event_time"])
        late[row["dt"]] += row["event_time"] < last
        newest[row["symbol"]] = max(last, row["event_time"])
    return {dt: _quality([row for row in quotes if row["dt"] == dt], late[dt], lines[dt]) for dt in lines}


def _quality(quotes: list[Row], late: int, lines: int) -> Row:
    delays = sorted((row["ingest_time"] - row["event_time"]).total_seconds() for row in quotes)
    return {
        "quotes": len(quotes),
        "duplicates": lines - len(quotes),
        "late": late,
        "revised": sum(row["revision"] > 0 for row in quotes),
        "quarantined": 0,
        "without_day_prices": len(quotes),
        "without_previous_close": sum(row["previous_close"] is None for row in quotes),
        "without_volume": sum(row["volume"] is None for row in quotes),
        "delay_p50": delays[(len(delays) + 1) // 2 - 1] if delays else None,
        "delay_p99": delays[-(len(delays) // 100) - 1] if delays else None,
        "delay_max": delays[-1] if delays else None,
    }


def daily_volumes(quotes: list[Row]) -> dict[tuple[str, date], int | None]:
    """The volumes of `daily_ohlc`: each quote adds what its volume is above the one before it in its session."""
    found: dict[tuple[str, date], int | None] = {}
    for symbol, of_symbol in groupby(quotes, key=lambda row: row["symbol"]):
        rows = list(of_symbol)
        traded: Counter[date] = Counter()
        last: Row | None = None
        highest = kept = 0
        for row in rows:
            if not row["volume"] or row["volume_period"] or row["market_state"] in {"PRE", "PREPRE"}:
                continue
            if last is not None and starts(last, row):
                highest = kept = 0
            highest = max(highest, row["volume"])
            if row["volume"] >= 0.5 * highest:
                traded[row["event_time"].date()] += row["volume"] - kept
                kept = row["volume"]
            last = row
        for day in {row["event_time"].date() for row in rows}:
            known = any(
                row["volume"] is not None and not row["volume_period"] and row["event_time"].date() == day
                for row in rows
            )
            found[symbol, day] = max(traded[day], 0) if known else None
    return found


def starts(last: Row, row: Row) -> bool:
    """Whether a session starts with a quote."""
    closes = (last["previous_close"], row["previous_close"])
    has_other_close = None not in closes and closes[0] != closes[1]
    minutes = (row["event_time"].replace(second=0) - last["event_time"].replace(second=0)) // timedelta(minutes=1)
    if (
        minutes > 360
        and row["market_state"] in {None, "REGULAR"}
        and (row["volume"] < last["volume"] or has_other_close)
    ):
        return True
    is_next_day = row["event_time"].date() != last["event_time"].date()
    return row["volume"] < 0.5 * last["volume"] and (has_other_close or (closes == (None, None) and is_next_day))
