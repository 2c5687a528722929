"""The SQL in infra/athena: the templates contain it, and the local engine returns what Athena would return."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot.optimizer.annotate_types import annotate_types

from analytics import catalog, templates
from analytics.catalog import Catalog, Statement
from analytics.duckdb_engine import Engine, QueryError, view_columns
from analytics.formatting import as_csv
from analytics.result import Result
from analytics.views import views_for
from costs import prices
from deployment.stacks import TEMPLATES
from processor_lambda.rows import quote_row
from producer_service.sources.synthetic import SyntheticSource
from quotes import Action, Heartbeat, Line, Quote, encode_line
from tests.support.compacted_archives import compact
from tests.support.templates import ALL, resources

CATALOG: Catalog = catalog.read()
STATEMENTS = [*CATALOG.views, *CATALOG.queries]
LINE_FIELDS = {
    "quote": "kind v symbol event_time price source open high low previous_close volume currency exchange market_state "
    "delay_minutes source_time volume_period provenance ingest_time revision",
    "heartbeat": "kind v lane clock complete_to",
    "action": "kind v symbol action event_time source ingest_time numerator denominator amount currency",
    "quarantined": "kind v shard sequence_number line reason content",
}


def split(received: datetime) -> Action:
    return Action(
        symbol="A",
        action="split",
        event_time=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
        source="test",
        ingest_time=received,
        numerator=3,
        denominator=2,
    )


def dividend(received: datetime, amount: str = "0.2500000000000000000001", *, day: int = 23) -> Action:
    return Action(
        symbol="A",
        action="dividend",
        event_time=datetime(2026, 11, day, 14, 30, tzinfo=UTC),
        source="test",
        ingest_time=received,
        amount=Decimal(amount),
        currency="USD",
    )


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine over two days of a simulated market. Every object but the first of a day is there twice."""
    directory = tmp_path_factory.mktemp("archive")
    source, now = SyntheticSource(), datetime.now(UTC)
    for day in range(2):
        arrival = now - timedelta(days=day)
        for poll in range(5):
            quotes = source.fetch(SyntheticSource.symbols, arrival + timedelta(seconds=97 * poll)).quotes
            clock = Heartbeat(lane="lane-00-of-04", clock=quotes[0].ingest_time)
            lines: list[Line] = [*quotes, clock, split(clock.clock), dividend(clock.clock)]
            folder = directory / "raw-data" / f"dt={arrival:%Y-%m-%d}" / f"hour={arrival:%H}"
            folder.mkdir(parents=True, exist_ok=True)
            body = gzip.compress(b"".join(encode_line(line) for line in lines))
            for name in {f"shardId-000000000000-{poll}-{poll}", f"shardId-000000000000-0-{poll}"}:
                (folder / f"{name}.jsonl.gz").write_bytes(body)
    return Engine(CATALOG, directory)


def test_a_query_takes_bounded_memory_whatever_an_object_holds(engine: Engine, tmp_path: Path) -> None:
    assert engine.run("SELECT current_setting('memory_limit')").rows == (("953.6 MiB",),)  # 1 GB
    folder = tmp_path / "raw-data" / "dt=2026-11-23" / "hour=14"
    folder.mkdir(parents=True)
    (folder / "shardId-000000000000-1-2.jsonl.gz").write_bytes(gzip.compress(b"\0" * 40 * 2**20))
    with (
        closing(Engine(CATALOG, tmp_path)) as hostile,
        pytest.raises(QueryError, match="exceeded while reading file"),
    ):
        hostile.run("SELECT count(*) FROM quotes")


@pytest.mark.parametrize("name", ["views.yaml", "queries.yaml"])
def test_the_templates_contain_the_sql_of_the_files(name: str) -> None:
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert text == templates.render(CATALOG, view_columns(CATALOG))[name], (
        "run `.venv/bin/python -m analytics templates`"
    )


def test_every_saved_query_and_view_is_in_a_template_with_its_text() -> None:
    resources = ALL["queries"]["Resources"]
    texts = {each["Properties"]["Name"]: each["Properties"]["QueryString"].strip() for each in resources.values()}
    assert texts == {query.name: query.select for query in CATALOG.queries} | {
        f"view_{view.name}": f"CREATE OR REPLACE VIEW {view.name} AS\n{view.select}" for view in CATALOG.views
    }


def test_a_view_in_glue_is_the_document_that_athena_reads() -> None:
    for view, resource in zip(CATALOG.views, ALL["views"]["Resources"].values(), strict=True):
        table = resource["Properties"]["TableInput"]
        assert (table["Name"], table["TableType"], table["Parameters"]["presto_view"]) == (
            view.name,
            "VIRTUAL_VIEW",
            "true",
        )
        text, values = table["ViewOriginalText"]["Fn::Sub"]
        assert text == "/* Presto View: ${Document} */"
        document = json.loads(values["Document"]["Fn::Base64"]["Fn::Sub"])
        assert (document["originalSql"], document["schema"]) == (view.select, "${Database}")
        columns = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
        assert [column["name"] for column in document["columns"]] == columns


def test_compaction_writes_the_views_of_the_template_until_there_are_compacted_tables() -> None:
    declared = [resource["Properties"]["TableInput"] for resource in ALL["views"]["Resources"].values()]
    for view, table in zip(views_for(None), declared, strict=True):
        text, values = table["ViewOriginalText"]["Fn::Sub"]
        document = (
            values["Document"]["Fn::Base64"]["Fn::Sub"].replace("${Database}", "prod_analytics").removesuffix("\n")
        )
        encoded = b64encode(document.encode()).decode()
        expected = table | {"ViewOriginalText": text.replace("${Document}", encoded)}
        assert view.table_input("prod_analytics") == expected


def test_the_views_over_compacted_tables_name_their_day_and_keep_their_columns() -> None:
    before, after = ({view.name: view for view in views_for(day)} for day in (None, date(2026, 11, 27)))
    assert {name: view.columns for name, view in after.items()} == {name: view.columns for name, view in before.items()}
    changed = {name for name, view in after.items() if view.select != before[name].select}
    assert changed == {view.name for view in CATALOG.compacted}
    assert all("1970" not in view.select for view in after.values())
    assert "WHERE day < DATE '2026-11-27'" in after["quotes"].select


def test_every_view_says_that_it_has_no_serde() -> None:
    """Athena reads the SerDe of every table, of a view too: a view without any fails with HIVE_METASTORE_ERROR."""
    views = [
        table["Properties"]["TableInput"]
        for _, _, table in resources("AWS::Glue::Table")
        if table["Properties"]["TableInput"]["TableType"] == "VIRTUAL_VIEW"
    ]
    assert [view["Name"] for view in views] == [view.name for view in CATALOG.views]
    assert [view["StorageDescriptor"]["SerdeInfo"] for view in views] == [{}] * len(views)


def test_the_table_has_a_column_for_every_field_of_every_kind_of_line() -> None:
    fields = {field for of in LINE_FIELDS.values() for field in of.split()}
    assert {column.name for column in CATALOG.table.columns} == fields
    assert [key.name for key in CATALOG.table.partition_keys] == ["dt", "hour"]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.name)
def test_trino_would_return_what_the_local_engine_returns(engine: Engine, statement: Statement) -> None:
    """sqlglot translates the SQL from Trino's dialect to DuckDB's. The translation has the same result."""
    assert rows(engine.run(translated(statement.select))) == rows(engine.run(statement.select))


def test_trino_would_return_the_same_over_compacted_tables(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    lines: list[Line] = [quote("A", "1.5"), split(now), dividend(now, day=22)]
    start = datetime(2026, 11, 20, 14, 30)  # noqa: DTZ001  (SQL's timestamps have no zone)
    bar = {"symbol": "A", "resolution": "1m", "start": start, "day": start.date(), "close": Decimal(9), "volume": 7}
    session = {"symbol": "A", "day": start.date(), "opens": start, "closes": start, "expected": 1, "without_trades": 0}
    engine_over(tmp_path, lines)
    compact(tmp_path, now.date(), compacted_bars=[bar], compacted_sessions=[session])
    with closing(Engine(CATALOG, tmp_path)) as engine:
        for view in CATALOG.views_at(now.date()):
            found = rows(engine.run(translated(view.select)))
            assert found == rows(engine.run(view.select)), view.name
            assert found or view.name == "quarantined", view.name


def translated(text: str) -> str:
    return annotate_types(sqlglot.parse_one(text, read="trino"), dialect="trino").sql("duckdb")


def rows(result: Result) -> list[Any]:
    return sorted(result.rows, key=repr)


def test_every_statement_about_quotes_finds_rows_in_the_simulated_market(engine: Engine) -> None:
    counts = {each.name: len(engine.run(each.select).rows) for each in STATEMENTS}
    without = {"quarantined", "bars", "adjusted_bars", "sessions", "coverage", "missing_minutes"}
    assert {name for name, count in counts.items() if not count} == without
    assert counts["quote_lines"] > counts["quotes"] == counts["recent_quotes"]


def test_a_division_of_integers_would_be_noticed(engine: Engine) -> None:
    """Trino truncates its result and DuckDB does not, so the comparison above notices different semantics."""
    text = "SELECT count(*) / 1000 FROM quotes"
    assert rows(engine.run(translated(text))) != rows(engine.run(text))


def test_an_action_is_there_once_with_its_last_content(tmp_path: Path) -> None:
    first, later = (datetime(2026, 11, day, 9, tzinfo=UTC) for day in (23, 24))
    corrected = dividend(later, "0.3")
    lines: list[Line] = [split(first), dividend(first), dividend(first, day=24), split(later), corrected]
    result = engine_over(tmp_path, lines).run("SELECT * FROM corporate_actions ORDER BY event_time, action")
    found = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    effective = datetime(2026, 11, 23, 14, 30)  # noqa: DTZ001  (SQL's timestamps have no zone)
    assert [(row["action"], row["event_time"], row["ingest_time"]) for row in found] == [
        ("dividend", effective, later.replace(tzinfo=None)),
        ("split", effective, later.replace(tzinfo=None)),
        ("dividend", effective + timedelta(days=1), first.replace(tzinfo=None)),
    ]
    assert [row["amount"] for row in found] == [Decimal("0.3"), None, Decimal("0.2500000000000000000001")]
    assert [(row["numerator"], row["denominator"], row["currency"]) for row in found[:2]] == [
        (None, None, "USD"),
        (3, 2, None),
    ]


def engine_over(directory: Path, lines: Sequence[Line]) -> Engine:
    """An engine over an archive with these lines."""
    now = datetime.now(UTC)
    folder = directory / "raw-data" / f"dt={now:%Y-%m-%d}" / f"hour={now:%H}"
    folder.mkdir(parents=True)
    (folder / "shardId-000000000000-1-1.jsonl.gz").write_bytes(gzip.compress(b"".join(map(encode_line, lines))))
    return Engine(CATALOG, directory)


def quote(symbol: str, price: str, previous_close: str | None = None, *, second: int = 0) -> Quote:
    time = datetime(2026, 11, 23, 14, 30, second, tzinfo=UTC)
    close = None if previous_close is None else Decimal(previous_close)
    return Quote(
        symbol=symbol, event_time=time, price=Decimal(price), source="test", ingest_time=time, previous_close=close
    )


def test_p7_the_biggest_movers_have_the_change_of_their_rows(tmp_path: Path) -> None:
    moves = [
        ("10.01", "-37.63"),
        ("-37.63", "18.27"),
        ("-40", "-37.63"),
        ("-12.5", "-37.63"),
        ("0.0000000012345", "0.000000000123"),
        ("741971.39", "735000.01"),
        ("0", "-0.5"),
    ]
    moved = [quote(f"S{number}", *move) for number, move in enumerate(moves)]
    query = CATALOG.query("biggest_movers")
    assert query is not None
    result = engine_over(tmp_path, moved).run(query.select)
    symbol, change = map(result.columns.index, ("symbol", "change_percent"))
    assert {row[symbol]: row[change] for row in result.rows} == {
        each.symbol: round(float(quote_row(each, Decimal(5), 0)["change_percent"]), 2) for each in moved
    }


def test_p9_every_statement_keeps_all_digits_of_a_price(tmp_path: Path) -> None:
    prices = ["0.0000000012345678901", "741971.39012345678901", "999999999999." + 26 * "9", "0." + 25 * "0" + "1"]
    engine = engine_over(tmp_path, [quote("A", price, prices[0], second=second) for second, price in enumerate(prices)])
    exact = [Decimal(price) for price in prices]
    assert sorted(row[0] for row in engine.run("SELECT price FROM lines").rows) == sorted(prices)
    for view in ("quote_lines", "quotes", "recent_quotes"):
        assert sorted(row[0] for row in engine.run(f"SELECT price FROM {view}").rows) == sorted(exact)
    ohlc = engine.run(next(each.select for each in CATALOG.queries if each.name == "daily_ohlc"))
    [day] = [dict(zip(ohlc.columns, row, strict=True)) for row in ohlc.rows]
    assert [day[name] for name in ("open", "high", "low", "close")] == [exact[0], exact[2], exact[3], exact[3]]
    assert f"{exact[2]:f}" in "\n".join(as_csv(ohlc))
    movers = engine.run(next(each.select for each in CATALOG.queries if each.name == "biggest_movers"))
    assert movers.rows[0][movers.columns.index("previous_close")] == exact[0]
    difference = engine.run("SELECT max(price - previous_close) FROM quotes").rows
    assert difference == ((Decimal("999999999999.99999999876543210989999999"),),)


def test_the_cost_query_has_the_prices_of_the_price_table() -> None:
    parsed = sqlglot.parse_one(CATALOG.query("cost").select, read="trino")  # type: ignore[union-attr]
    with_prices = next(each for each in parsed.find_all(sqlglot.exp.CTE) if each.alias == "prices")
    found = {each.alias: float(each.this.this) for each in with_prices.this.expressions}
    listed = prices.read()
    assert found == pytest.approx(
        {
            "kinesis_million_units": 1e6 * listed.usd("kinesis_payload_unit"),
            "dynamodb_million_writes": 1e6 * listed.usd("dynamodb_write_on_demand"),
            "s3_million_puts": 1e6 * listed.usd("s3_put"),
            "lambda_million_requests": 1e6 * listed.usd("lambda_request"),
        }
    )


@pytest.mark.parametrize(
    "text", ["SELECT 1", "-- no statement\n", "-- two\nSELECT 1; SELECT 2", "-- not one\nDROP TABLE x"]
)
def test_a_file_without_a_description_and_one_select_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "x.sql").write_text(text)
    with pytest.raises(catalog.CatalogError, match=r"x\.sql: the first line"):
        catalog.read(directory=tmp_path)
