"""The views over compacted bars: coverage by the sessions, and series adjusted for splits and dividends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics import catalog, local_tables
from analytics.duckdb_engine import Engine
from tests.support.compacted_archives import compact

KNOWN = catalog.read()
FRIDAY = datetime(2026, 11, 20, 14, 30)  # noqa: DTZ001  (SQL's timestamps have no zone)
MINUTE = timedelta(minutes=1)
COMPACTED_TO = date(2026, 11, 27)


def bar(start: datetime, provenance: str = "stream", *, symbol: str = "A", **columns: Any) -> dict[str, Any]:
    prices = dict.fromkeys(("open", "high", "low", "close"), columns.pop("close", Decimal(10)))
    common = {"symbol": symbol, "resolution": "1m", "start": start, "day": start.date(), "volume": 100, "quotes": 1}
    return {**common, **prices, "provenance": provenance, **columns}


def session(opens: datetime, closes: datetime, day: date | None = None, without_trades: int = 0) -> dict[str, Any]:
    return {
        "symbol": "A",
        "calendar": "XTKS",
        "timezone": "Asia/Tokyo",
        "day": day or opens.date(),
        "opens": opens,
        "closes": closes,
        "expected": (closes - opens) // MINUTE,
        "without_trades": without_trades,
    }


def action(kind: str, at: datetime, **columns: Any) -> dict[str, Any]:
    return {"symbol": "A", "action": kind, "event_time": at, "dt": "2026-11-20", "hour": 1, **columns}


@contextmanager
def engine_over(archive: Path, **rows: Sequence[dict[str, Any]]) -> Iterator[Engine]:
    compact(archive, COMPACTED_TO, **rows)
    with closing(Engine(KNOWN, archive)) as engine:
        yield engine


def test_coverage_counts_the_minutes_of_sessions_by_provenance(tmp_path: Path) -> None:
    lunch = [session(FRIDAY, FRIDAY + 5 * MINUTE, without_trades=1), session(FRIDAY + 9 * MINUTE, FRIDAY + 12 * MINUTE)]
    bars = [
        bar(FRIDAY - MINUTE),  # before the open
        bar(FRIDAY),
        bar(FRIDAY + MINUTE, "backfill"),
        bar(FRIDAY + 6 * MINUTE),  # in the break
        bar(FRIDAY + 10 * MINUTE, "rebuild"),
        bar(FRIDAY + 12 * MINUTE),  # at the close
        bar(FRIDAY + 2 * MINUTE, resolution="5m"),
        bar(FRIDAY + 2 * MINUTE, symbol="B"),
    ]
    with engine_over(tmp_path, compacted_sessions=lunch, compacted_bars=bars) as engine:
        found = engine.run("SELECT * FROM coverage")
    [row] = found.rows
    assert dict(zip(found.columns, row, strict=True)) == {
        "symbol": "A",
        "day": FRIDAY.date(),
        "calendar": "XTKS",
        "opens": FRIDAY,
        "closes": FRIDAY + 12 * MINUTE,
        "expected": 8,
        "stored": 3,
        "stream": 1,
        "backfill": 1,
        "rebuild": 1,
        "without_trades": 1,
        "missing": 4,
    }


def test_a_session_over_midnight_counts_the_bars_of_both_days_once(tmp_path: Path) -> None:
    evening = datetime(2026, 11, 19, 23, 0)  # noqa: DTZ001
    night = session(evening, evening + timedelta(hours=2), day=date(2026, 11, 20))
    bars = [bar(evening), bar(evening + timedelta(minutes=119))]
    with engine_over(tmp_path, compacted_sessions=[night], compacted_bars=bars) as engine:
        found = engine.run("SELECT day, expected, stored, missing FROM coverage").rows
    assert found == ((date(2026, 11, 20), 120, 2, 118),)


def test_a_day_without_bars_is_missing_and_a_saved_query_lists_it(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    opens = datetime.combine(today - timedelta(days=3), datetime.min.time())
    compact(tmp_path, today, compacted_sessions=[session(opens, opens + 3 * MINUTE)])
    query = KNOWN.query("missing_minutes")
    assert query is not None
    with closing(Engine(KNOWN, tmp_path)) as engine:
        found = engine.run(query.select)
    [row] = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert (row["symbol"], row["day"], row["missing"], row["stored"]) == ("A", opens.date(), 3, 0)


EX_DATE = datetime(2026, 11, 24, 14, 30)  # noqa: DTZ001
"""The open of the day on which an action takes effect: a day of New York begins at 05:00 UTC."""


def test_a_split_changes_the_prices_and_volumes_before_its_day(tmp_path: Path) -> None:
    bars = [
        bar(EX_DATE - timedelta(hours=18), close=Decimal(30)),  # the close of the day before
        bar(EX_DATE - timedelta(hours=5), close=Decimal(11)),  # before the open of the day
        bar(EX_DATE, close=Decimal(10)),
        bar(EX_DATE - timedelta(hours=33.5), resolution="1d", close=Decimal(30)),  # the day before
        bar(EX_DATE - timedelta(hours=9.5), resolution="1d", close=Decimal(10)),  # the day
        bar(EX_DATE, symbol="B", close=Decimal(30)),
    ]
    split = action("split", EX_DATE, numerator=3, denominator=1)
    columns = "resolution, start, close, volume, split_factor"
    with engine_over(tmp_path, compacted_actions=[split], compacted_bars=bars) as engine:
        found = engine.run(f"SELECT {columns} FROM adjusted_bars WHERE symbol = 'A' ORDER BY resolution, start").rows
        assert engine.run("SELECT close FROM adjusted_bars WHERE symbol = 'B'").rows == ((30.0,),)
    assert [row[2] for row in found] == pytest.approx([10, 10, 10, 11, 10], rel=1e-14)
    assert [row[3] for row in found] == pytest.approx([300, 100, 300, 100, 100], rel=1e-14)
    assert [row[4] for row in found] == pytest.approx([1 / 3, 1, 1 / 3, 1, 1], rel=1e-14)


@pytest.mark.parametrize(("hours", "length"), [(0, 24), (0, 23), (9, 24), (14.5, 25)])
def test_a_split_changes_the_bar_of_the_day_before_however_early_the_exchange_opens(
    hours: float, length: int, tmp_path: Path
) -> None:
    """In Asia, an exchange that no calendar knows opens with the day of UTC."""
    midnight = EX_DATE - timedelta(hours=hours)
    bars = [bar(start, resolution="1d") for start in (midnight - timedelta(hours=length), midnight)]
    split = action("split", EX_DATE, numerator=2, denominator=1)
    with engine_over(tmp_path, compacted_actions=[split], compacted_bars=bars) as engine:
        assert engine.run("SELECT close FROM adjusted_bars ORDER BY start").rows == ((5.0,), (10.0,))


def test_the_example_of_yahoo_for_a_dividend_has_its_result(tmp_path: Path) -> None:
    """https://help.yahoo.com/kb/SLN28256.html: a dividend of 0.08 after a close of 24.96 is the factor 0.9968."""
    bars = [
        bar(EX_DATE - timedelta(hours=57.5), resolution="1d", close=Decimal("25.50")),
        bar(EX_DATE - timedelta(hours=33.5), resolution="1d", close=Decimal("24.96")),
        bar(EX_DATE - timedelta(hours=9.5), resolution="1d", close=Decimal("24.80")),
    ]
    dividend = action("dividend", EX_DATE, amount=Decimal("0.08"), currency="USD")
    with engine_over(tmp_path, compacted_actions=[dividend], compacted_bars=bars) as engine:
        found = engine.run("SELECT dividend_factor, close, volume FROM adjusted_bars ORDER BY start").rows
    factor = 1 - 0.08 / 24.96
    assert round(factor, 4) == 0.9968
    assert [row[0] for row in found] == pytest.approx([factor, factor, 1], rel=1e-12)
    assert [row[1] for row in found] == pytest.approx([25.5 * factor, 24.96 * factor, 24.8], rel=1e-12)
    assert [row[2] for row in found] == [100, 100, 100]


def test_factors_of_several_actions_multiply_and_future_ones_have_no_effect(tmp_path: Path) -> None:
    day = timedelta(days=1)
    start = EX_DATE - timedelta(hours=9.5)
    bars = [bar(start - number * day, resolution="1d", close=Decimal(100)) for number in range(6)]
    future = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + 3 * day
    actions = [
        action("split", EX_DATE - 2 * day, numerator=2, denominator=1),
        action("split", EX_DATE, numerator=4, denominator=1),
        action("dividend", EX_DATE - 2 * day, amount=Decimal(10)),
        action("dividend", EX_DATE - 3 * day, amount=Decimal(100)),  # not below the close
        action("split", future, numerator=7, denominator=1),
    ]
    with engine_over(tmp_path, compacted_actions=actions, compacted_bars=bars) as engine:
        found = engine.run("SELECT split_factor, dividend_factor FROM adjusted_bars ORDER BY start DESC").rows
    assert found == ((1.0, 1.0), (0.25, 1.0), (0.25, 1.0), (0.125, 0.9), (0.125, 0.9), (0.125, 0.9))


def test_the_bars_of_a_demo_stand_beside_the_compacted_ones_which_win(tmp_path: Path) -> None:
    kept = {"symbol": "A", "open": "1", "high": "1", "low": "1", "close": "1", "quotes": "1"}
    local_tables.keep(
        tmp_path,
        [{**kept, "key": "1m#2026-11-20T14:30:00.000Z"}, {**kept, "key": "1m#2026-11-27T14:30:00.000Z"}],
        [],
    )
    with engine_over(tmp_path, compacted_bars=[bar(FRIDAY, close=Decimal(10))]) as engine:
        found = engine.run("SELECT day, close FROM bars ORDER BY day").rows
    assert found == ((FRIDAY.date(), Decimal(10)), (date(2026, 11, 27), Decimal(1)))
