"""The bars and alerts of a demo are kept exactly, and can be asked beside its archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from analytics import catalog, local_tables
from analytics.duckdb_engine import Engine
from indicators import NAMES
from lane_state import Alert, Bar, encode_alert
from processor_lambda.rows import bar_row

MINUTE = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
BIG, SMALL = Decimal("999999999999." + 26 * "9"), Decimal("0." + 25 * "0" + "1")
FULL_BAR = Bar(
    symbol="A",
    minute=MINUTE,
    open=Decimal("13.4"),
    high=BIG,
    low=-SMALL,
    close=SMALL,
    volume=2**62,
    quotes=7,
    ingest_time=MINUTE,
    indicators={name: 0.1 + 1.7e9 * number for number, name in enumerate(NAMES)},
)
LONELY_BAR = Bar(
    symbol="B",
    minute=MINUTE + timedelta(minutes=1),
    open=Decimal(1),
    high=Decimal(1),
    low=Decimal(1),
    close=Decimal(1),
    volume=None,
    quotes=1,
    ingest_time=MINUTE,
)
OF_A_QUOTE = Alert(
    id="price_move:A:2026-11-23T14:30:00.123Z#2",
    rule="price_move",
    severity="warning",
    symbol="A",
    timestamp="2026-11-23T14:30:00.123Z#2",
    subject="A moved +3% to 'x'; \"y\"",
    values={"price": BIG, "threshold": Decimal(3)},
)
OF_A_LANE = Alert(
    id="stale_feed:lane-00-of-01:2026-11-23T14:31:00.000Z",
    rule="stale_feed",
    severity="critical",
    symbol="lane-00-of-01",
    timestamp="2026-11-23T14:31:00.000Z",
    subject="2 symbols are stale",
    values={"count": Decimal(2)},
    symbols=("A", "B"),
)


def items(bars: Iterable[Bar]) -> list[dict[str, str]]:
    """The items of the bars table, as a scan returns them, with texts for all attributes."""
    return [
        {name: f"{value:f}" if isinstance(value, Decimal) else str(value) for name, value in bar_row(bar, 30).items()}
        for bar in bars
    ]


def keep(directory: Path) -> None:
    local_tables.keep(
        directory, items([FULL_BAR, LONELY_BAR]), (encode_alert(each).decode() for each in (OF_A_QUOTE, OF_A_LANE))
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine over two bars and two alerts."""
    directory = tmp_path_factory.mktemp("kept")
    keep(directory)
    with closing(Engine(catalog.read(), directory)) as engine:
        yield engine


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine over a directory without files."""
    with closing(Engine(catalog.read(), tmp_path_factory.mktemp("empty"))) as engine:
        yield engine


def rows(engine: Engine, sql: str) -> list[dict[str, object]]:
    result = engine.run(sql)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def test_bars_keep_every_attribute_and_all_digits(kept: Engine) -> None:
    full, lonely = rows(kept, "SELECT * FROM bars ORDER BY symbol")
    row = bar_row(FULL_BAR, 0)
    of_the_key = ("key", "resolution", "start", "day", "provenance")
    assert {name: value for name, value in full.items() if name not in (*of_the_key, *NAMES)} == {
        name: value for name, value in row.items() if name not in (*of_the_key, *NAMES)
    }
    assert {name: full[name] for name in NAMES} == {name: float(row[name]) for name in NAMES}  # of 12 digits
    assert full["day"] == MINUTE.date()
    assert (full["resolution"], full["start"], full["provenance"]) == ("1m", MINUTE.replace(tzinfo=None), "stream")
    assert [name for name, value in lonely.items() if value is None] == ["volume", *NAMES]


def test_the_table_of_bars_has_a_column_for_every_attribute_of_a_bar_but_its_expiry() -> None:
    assert {column.name for column in local_tables.BARS.columns} == (
        bar_row(FULL_BAR, 30).keys() - {"expires_at", "key"}
    ) | {"resolution", "start", "day", "provenance"}


def test_alerts_keep_every_field_of_their_message(kept: Engine) -> None:
    by_lane, by_quote = rows(kept, "SELECT * FROM alerts ORDER BY severity")
    assert by_quote["message"] == encode_alert(OF_A_QUOTE).decode()
    for name in ("id", "rule", "severity", "symbol", "subject"):
        assert by_quote[name] == getattr(OF_A_QUOTE, name)
    assert (by_quote["symbols"], by_lane["symbols"]) == (["A"], ["A", "B"])
    assert by_quote["event_time"] == datetime(2026, 11, 23, 14, 30, 0, 123_000)  # noqa: DTZ001  (SQL's have no zone)
    assert (by_quote["values"], by_lane["values"]) == ({"price": 1e12, "threshold": 3.0}, {"count": 2.0})
    assert kept.run("SELECT rule FROM alerts WHERE values['threshold'] > 2.5").rows == (("price_move",),)


def test_what_is_kept_replaces_what_was(tmp_path: Path) -> None:
    keep(tmp_path)
    local_tables.keep(tmp_path, [], [])
    engine = Engine(catalog.read(), tmp_path)
    assert engine.run("SELECT count(*) FROM bars, alerts").rows == ((0,),)
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


@pytest.mark.parametrize("table", local_tables.TABLES, ids=lambda table: table.name)
def test_without_the_files_the_tables_are_empty_and_have_the_same_columns(
    empty: Engine, kept: Engine, table: local_tables.LocalTable
) -> None:
    assert empty.lacking == {"bars", "alerts"}
    assert empty.run(f"SELECT * FROM {table.name}").rows == ()
    assert kept.lacking == set()
    declared = tuple((column.name, column.type) for column in table.columns)
    assert empty.columns(table.name).rows == kept.columns(table.name).rows == declared


def test_columns_that_an_older_file_lacks_are_null(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    duckdb.execute(f"COPY (SELECT 'A' AS symbol, 1 AS quotes, 2 AS other) TO '{tmp_path}/tables/bars.parquet'")
    [bar] = rows(Engine(catalog.read(), tmp_path), "SELECT * FROM bars")
    assert {name: value for name, value in bar.items() if value is not None} == {"symbol": "A", "quotes": 1}
    assert len(bar) == len(local_tables.BARS.columns)


def test_any_program_can_read_the_files(tmp_path: Path) -> None:
    keep(tmp_path)
    found = duckdb.sql(f"SELECT high FROM '{tmp_path}/tables/bars.parquet' WHERE symbol = 'A'")
    assert found.fetchall() == [(BIG,)]
