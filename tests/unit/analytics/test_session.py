"""Statements, words and commands, one after the other, and what is printed of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analytics import catalog, cli, formatting, local_tables
from analytics.duckdb_engine import Engine, QueryError
from analytics.formatting import OutputFormat
from analytics.pager import Screen
from analytics.session import Session
from analytics.statements import split
from workspace import demo_record
from workspace.demo_record import DemoRecord

KNOWN = catalog.read()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(KNOWN, tmp_path_factory.mktemp("empty"))


def run(engine: Engine, text: str, output_format: OutputFormat = "table") -> bool:
    return Session(KNOWN, engine, Screen(None), output_format).run_all(split(text))


@pytest.mark.parametrize("text", ["help", "HELP;", "?", "?;", "\\?", "\\h", " Help ; "])
def test_help_is_printed(engine: Engine, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run(engine, text)
    printed = capsys.readouterr().out
    assert "exit, quit" in printed
    assert "\\d NAME" in printed
    assert all(len(line) < 80 for line in printed.splitlines())


@pytest.mark.parametrize("text", ["exit", "EXIT;", "quit", "Quit ;", "\\q", "\\q;", "\\Q"])
def test_leaving(engine: Engine, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert not run(engine, f"{text}\nselect 4711;")
    assert capsys.readouterr().out == ""


def test_all_statements_of_a_text_run_in_order(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "select ';1' as a; gaps; create temp table mine as select 5 as b;\nfrom mine; drop table mine")
    printed = capsys.readouterr().out
    assert printed.index(";1") < printed.index("gap_from") < printed.index("done: 1 row") < printed.index("│ 5 │")
    assert printed.endswith("done\n")


def test_an_error_says_which_statement_failed_and_how_many_did_not_run(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(QueryError) as failed:
        run(engine, "select 1;\nselect prize from quotes; select 4711;\n gaps")
    assert str(failed.value).startswith('statement 2 of 4 on line 2: Binder Error: Referenced column "prize"')
    assert str(failed.value).endswith("\n2 more statements did not run")
    assert "4711" not in capsys.readouterr().out
    with pytest.raises(QueryError, match=r"^Parser Error"):
        run(engine, "selec 1")
    with pytest.raises(QueryError, match=r"statement 1 of 2: Parser Error(?s:.*)\n1 more statement did not run"):
        run(engine, "selec 1; select 2")
    with pytest.raises(QueryError, match="unterminated quoted string"):
        run(engine, "select 'open; select 2")


def test_a_word_that_is_no_saved_query_is_explained(engine: Engine) -> None:
    with pytest.raises(QueryError, match=r"there is no saved query daily_ohcl\. The saved queries are biggest_movers"):
        run(engine, "daily_ohcl")
    with pytest.raises(QueryError, match=r"Quotes is no saved query, but a table or view: ask `FROM Quotes LIMIT 10;`"):
        run(engine, "Quotes")
    with pytest.raises(QueryError, match=r"there is no command .x: `help` lists the commands"):
        run(engine, "\\x")


def test_everything_is_listed_with_its_description(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    run(engine, "\\d; \\d bars; \\d lines; \\d gaps")
    printed = " ".join(capsys.readouterr().out.split())
    names = ["lines", "bars", "alerts", *(each.name for each in (*KNOWN.views, *KNOWN.queries))]
    assert [name for name in names if f" {name} " not in printed] == []
    assert "start TIMESTAMP The start of the bar" in printed
    assert "kind VARCHAR quote, heartbeat, action or quarantined" in printed
    assert "lead(minute) OVER" in printed


def test_json_of_several_results_is_several_documents(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    sql = (
        "select 1 as a, [1.50::decimal(9,2)] as b, {'x': date '2026-11-23'} as c; set threads = 1; select 2 where 1 = 0"
    )
    run(engine, sql, "json")
    first, second = capsys.readouterr().out.replace("]\n[", "]\0[").split("\0")
    assert json.loads(first) == [{"a": 1, "b": [1.5], "c": {"x": "2026-11-23"}}]
    assert json.loads(second) == []


def test_csv_of_several_results_is_separated_by_an_empty_line(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(engine, "select 1 as a, 'x;y' as b; select null as c union all select ['é']", "csv")
    parts = capsys.readouterr().out.split("\n\n")
    assert [list(csv.reader(io.StringIO(part))) for part in parts] == [
        [["a", "b"], ["1", "x;y"]],
        [["c"], [""], ['["é"]']],
    ]


def test_a_table_shows_so_many_rows_and_says_if_there_are_more(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(engine, "from range(1000000000000)")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == formatting.MAX_ROWS + 5
    assert lines[-1] == "these are the first 10,000 rows: --csv and --json print all"
    run(engine, f"from range({formatting.MAX_ROWS})")
    assert capsys.readouterr().out.splitlines()[-1] == "10,000 rows"


def test_a_wide_result_is_not_cut_where_there_is_no_terminal(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    run(engine, "select " + ", ".join(f"repeat('x', 90) || {number} as c{number}" for number in range(20)))
    printed = capsys.readouterr().out
    assert all("x" * 90 + str(number) in printed for number in range(20))
    assert len(printed.splitlines()) == 6


def test_asking_bars_where_there_are_none_says_so(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    run(engine, "select count(*) from bars as b where b.volume > 0; select * from quotes")
    assert capsys.readouterr().err == "note: there are no bars here: only a demo keeps them\n"


def test_sql_that_is_not_utf8_or_empty_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "raw-data").mkdir()
    for query, message in (("select '\udcff'", "the SQL is not UTF-8"), (" ", "there is no statement")):
        done = CliRunner().invoke(cli.app, ["sql", query, "--archive", str(tmp_path)])
        assert (done.exit_code, message in done.stderr) == (1, True), done.output


def demo(archive: Path) -> DemoRecord:
    return DemoRecord(
        stage="demo",
        process=1,
        started_at=datetime.now(UTC),
        endpoint_url="",
        region="",
        producer_url="",
        source="",
        outputs={},
        archive=str(archive),
    )


def test_without_an_archive_that_of_the_last_demo_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = tmp_path / "last"
    (last / "raw-data").mkdir(parents=True)
    local_tables.keep(last, [{"symbol": "KEPT", "key": "1m#2026-11-23T14:30:00.000Z"}], [])
    monkeypatch.setattr(demo_record, "last_ended", lambda: demo(last))
    monkeypatch.setattr(demo_record, "running", lambda: (demo(tmp_path / "running"),))
    done = CliRunner().invoke(cli.app, ["sql", "select symbol from bars", "--csv"])
    assert done.stdout == "symbol\nKEPT\n"
    assert done.stderr == "note: a demo is running, and its archive comes when it ends. This is an earlier one\n"
