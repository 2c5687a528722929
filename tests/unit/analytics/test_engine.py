"""SQL reaches the archive, and nothing else on the machine unless files are allowed."""

from __future__ import annotations

import gzip
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analytics import catalog
from analytics.cli import app
from analytics.duckdb_engine import Engine, QueryError

KNOWN = catalog.read()
LINE = b'{"kind":"heartbeat","v":1,"lane":"lane-00-of-01","clock":"2026-11-23T14:30:00.000Z"}\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an archive and another file."""
    tmp_path = tmp_path_factory.mktemp("place")
    hour = tmp_path / "archive" / "raw-data" / "dt=2026-11-23" / "hour=14"
    hour.mkdir(parents=True)
    (hour / "a.jsonl.gz").write_bytes(gzip.compress(LINE))
    (tmp_path / "archive" / "raw-data-2").mkdir()
    (tmp_path / "archive" / "raw-data-2" / "x.csv").write_text("x\n4711\n")
    (tmp_path / "secret.csv").write_text("x\n4711\n")
    return tmp_path


@pytest.fixture(scope="module")
def locked(place: Path) -> Engine:
    return Engine(KNOWN, place / "archive")


@pytest.fixture(scope="module")
def engines(place: Path, locked: Engine) -> tuple[Engine, Engine]:
    """An engine without and one with access to files."""
    return locked, Engine(KNOWN, place / "archive", allow_files=True)


def files(place: Path) -> set[Path]:
    return {path for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{place}/secret.csv')",
        "SELECT * FROM '{place}/secret.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('{place}/archive/raw-data/../../secret.csv')",
        "SELECT * FROM read_csv('{place}/archive/raw-data-2/x.csv')",
        "SELECT * FROM read_csv('file:///{place}/secret.csv')",
        "SELECT * FROM sniff_csv('{place}/secret.csv')",
        "SELECT * FROM parquet_metadata('{place}/secret.csv')",
        "SELECT * FROM glob('{place}/*')",
        "CREATE TEMP MACRO f() AS TABLE SELECT * FROM read_text('{place}/secret.csv'); FROM f()",
        "CREATE TEMP TABLE t (x VARCHAR); COPY t FROM '{place}/secret.csv'",
        "COPY (SELECT 1) TO '{place}/out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "/* ü */ copy (SELECT 1) TO '{place}/archive/raw-data/out.csv'",
        "SELECT 1; COPY (SELECT 1) TO '{place}/archive/raw-data/out.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 'é') TO '{place}/archive/raw-data/out.csv'",
        "explain (analyze) /* */ copy (SELECT 1) TO '{place}/archive/raw-data/out.csv'",
        "PREPARE p AS COPY (SELECT 1) TO '{place}/archive/raw-data/out.csv'; EXECUTE p",
        "EXPORT DATABASE '{place}/archive/raw-data'",
        "IMPORT DATABASE '{place}'",
        "ATTACH '{place}/x.db'",
        "ATTACH '{place}/archive/raw-data/x.db'",
        "ATTACH ':memory:' AS other",
    ],
)
def test_sql_reads_and_writes_no_files_beside_the_archive(locked: Engine, place: Path, sql: str) -> None:
    before = files(place)
    with pytest.raises(QueryError, match="add --allow-files"):
        locked.run(sql.format(place=place))
    assert files(place) == before
    assert locked.run("SELECT count(*) FROM lines").rows == ((1,),)


@pytest.mark.parametrize(
    "sql",
    [
        "INSTALL httpfs",
        "FORCE INSTALL httpfs FROM community",
        "LOAD httpfs",
        "LOAD '/tmp/x.duckdb_extension'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET allowed_configs = ['lock_configuration']",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "SET autoinstall_known_extensions = true",
        "SET temp_directory = '/tmp'",
        "SET home_directory = '/tmp'",
        "SET log_query_path = '/tmp/log'",
        "CREATE PERSISTENT SECRET s (TYPE http)",
        "SELECT getenv('HOME')",
        "SELECT * FROM secrets",
    ],
)
def test_extensions_settings_and_the_environment_are_always_out_of_reach(
    engines: tuple[Engine, Engine], sql: str
) -> None:
    secrets = {"a variable": "of this program"}
    for engine in engines:
        with pytest.raises(QueryError):
            engine.run(sql)
    assert secrets


def test_what_does_not_fit_into_memory_goes_to_a_directory_that_is_removed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = Engine(KNOWN, place / "archive")
    spilled = Path(engine.run("SELECT current_setting('temp_directory')").rows[0][0])
    before = sorted(tmp_path.iterdir())
    engine.run("SET memory_limit = '40MB'; SET threads = 1")
    sql = "SELECT count(*) FROM (SELECT i, hash(i) AS h FROM range(4000000) t(i) ORDER BY h LIMIT 3900000)"
    assert engine.run(sql).rows == ((3_900_000,),)
    assert sorted(tmp_path.iterdir()) == before
    engine.close()
    assert not spilled.is_relative_to(tmp_path)
    assert not spilled.exists()


def test_time_zone_memory_and_threads_can_be_set(locked: Engine) -> None:
    locked.run("SET TimeZone = 'America/New_York'; SET memory_limit = '1GB'; SET threads = 1")
    assert locked.run("SELECT current_setting('TimeZone')").rows == (("America/New_York",),)
    locked.run("RESET TimeZone; RESET memory_limit; RESET threads")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMP TABLE t AS SELECT * FROM lines; SELECT count(*) FROM t",
        "EXPLAIN SELECT 'copy' AS \"copy\" FROM lines -- COPY",
        "PREPARE q AS SELECT 1; EXECUTE q",
        "PIVOT lines ON kind USING count(*)",
        "CREATE TEMP VIEW v AS FROM lines; DESCRIBE v",
        "SET VARIABLE x = 1; SELECT getvariable('x')",
    ],
)
def test_questions_are_allowed(locked: Engine, sql: str) -> None:
    assert locked.run(sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {name} VALUES (1)",
        "INSERT INTO {name} BY NAME SELECT 'A' AS symbol",
        "UPDATE {name} SET symbol = 'A'",
        "DELETE FROM {name}",
        "TRUNCATE {name}",
        "MERGE INTO {name} USING quotes AS new ON {name}.symbol = new.symbol WHEN MATCHED THEN DELETE",
        "DROP VIEW {name}",
        "DROP VIEW IF EXISTS archive.main.{name} CASCADE",
        "DROP TABLE {name}",
        "ALTER VIEW {name} RENAME TO mine",
        "CREATE OR REPLACE VIEW {name} AS SELECT 1",
        "CREATE OR REPLACE TABLE {name} (symbol VARCHAR)",
        "CREATE TABLE mine AS FROM {name}",
        "CREATE SCHEMA mine",
        "CREATE INDEX mine ON {name} (symbol)",
        "DROP SCHEMA archive.main CASCADE",
        "COMMENT ON VIEW {name} IS 'mine'",
        "DROP MACRO price_of",
    ],
)
@pytest.mark.parametrize("name", ["lines", "bars", "quotes"])
def test_no_statement_changes_the_archive(locked: Engine, sql: str, name: str) -> None:
    with pytest.raises(QueryError, match=r"^the archive is read-only\. CREATE TEMP TABLE"):
        locked.run(sql.format(name=name))
    assert locked.run("SELECT count(*) FROM lines").rows == ((1,),)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMP TABLE lines AS SELECT 1",
        "CREATE OR REPLACE TEMP VIEW Quotes AS SELECT 1",
        "CREATE TEMP TABLE temp.main.bars AS SELECT 1",
        "CREATE TEMP MACRO price_of(text) AS 1",
        "CREATE TEMP MACRO alerts() AS TABLE SELECT 1",
        "CREATE OR REPLACE TEMP TABLE own AS SELECT 1; ALTER TABLE own RENAME TO lines",
        "CREATE OR REPLACE TEMP TABLE own AS SELECT 1; DROP TABLE IF EXISTS q; ALTER TABLE own RENAME TO lines",
        "USE memory",
        "/* */ use memory.main",
        "DETACH archive",
    ],
)
def test_no_name_of_the_archive_gets_another_meaning(locked: Engine, sql: str) -> None:
    with pytest.raises(QueryError, match=r"is a name of the archive: use another name|is off: "):
        locked.run(sql)
    assert locked.run("SELECT count(*) FROM lines").rows == ((1,),)
    assert locked.run("SELECT count(*) FROM quotes").rows == ((0,),)


def test_tables_of_ones_own_can_be_made_changed_and_dropped(locked: Engine) -> None:
    assert locked.run("CREATE TEMP TABLE mine AS SELECT kind FROM lines").written == 1
    assert locked.run("INSERT INTO mine VALUES ('x'), ('y')").written == 2
    assert locked.run("DELETE FROM mine WHERE kind = 'x'").written == 1
    assert locked.run("SELECT kind FROM mine ORDER BY kind").rows == (("heartbeat",), ("y",))
    assert locked.run("DROP TABLE mine").columns == ()


def test_an_engine_leaves_no_file_behind(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = Engine(KNOWN, place / "archive")
    assert list(tmp_path.iterdir()) == []
    assert engine.run("SELECT count(*) FROM lines").rows == ((1,),)


def test_rows_are_read_while_they_are_iterated(locked: Engine) -> None:
    rows = iter(locked.open("SELECT * FROM range(1000000000000)").rows)
    assert [next(rows), next(rows)] == [(0,), (1,)]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_a_query_and_the_next_one_runs(locked: Engine) -> None:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        locked.run("SELECT count(*) FROM range(100000000000) AS t (i) WHERE hash(i) = 1")
    assert locked.run("SELECT 42").rows == ((42,),)


@pytest.mark.parametrize("sql", ["", " -- nothing", ";"])
def test_no_statement_is_a_mistake(locked: Engine, sql: str) -> None:
    with pytest.raises(QueryError, match="there is no statement"):
        locked.run(sql)


def test_a_relative_archive_can_be_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert Engine(KNOWN, Path("archive")).run("SELECT count(*) FROM lines").rows == ((1,),)


def test_a_query_may_need_more_than_the_memory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    locked = Engine(KNOWN, place / "archive")
    locked.run("SET memory_limit = '20MB'; SET threads = 1")
    sorted_ = "SELECT row_number() OVER (ORDER BY hash(i)) AS n, repeat('x', 50) FROM range(500000) AS t (i)"
    assert locked.run(f"SELECT max(n) FROM ({sorted_})").rows == ((500_000,),)


def test_with_allow_files_sql_reads_and_writes_files(
    engines: tuple[Engine, Engine], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    _, engine = engines
    assert engine.run(f"SELECT * FROM read_csv('{place}/secret.csv')").rows == ((4711,),)
    engine.run("COPY (SELECT kind FROM lines) TO 'out.csv'")
    assert (place / "out.csv").read_text() == "kind\nheartbeat\n"
    assert engine.run("SELECT * FROM 'out.csv'").rows == (("heartbeat",),)
    engine.run(f"ATTACH '{place}/x.db' AS x")


def test_the_command_has_the_switch(place: Path) -> None:
    arguments = ["sql", f"SELECT * FROM '{place}/secret.csv'", "--archive", str(place / "archive")]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1
    assert "add --allow-files (SQL_ARGS=--allow-files with make) to let SQL read and write files" in refused.stderr
    assert "4711" in CliRunner().invoke(app, [*arguments, "--allow-files"]).stdout
