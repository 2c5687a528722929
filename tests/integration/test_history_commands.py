"""The commands of the history on an archive in a directory: what they print, and what they say of wrong usage."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyiceberg.utils.concurrent import ExecutorFactory
from typer.testing import CliRunner, Result

from compaction.directory import DirectoryArchive
from compaction.errors import Unavailable
from compaction.job import Compaction
from operations.cli import app
from operations.every_day_cli import steps_of
from quotes import Quote
from tests.fakes.compacted_archive import CompactedArchive, Inline
from tests.support.waiting import wait_until

NOW = datetime.now(UTC)
CLOSED = NOW - timedelta(days=3)
FIRST, TODAY, TOMORROW = (f"{NOW + timedelta(days=days):%Y-%m-%d}" for days in (-3, 0, 1))


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    Inline.use(monkeypatch, ExecutorFactory)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with three quotes of a closed day."""
    CompactedArchive(tmp_path / "archive").arrive([quote(second) for second in range(3)], CLOSED)
    return tmp_path / "archive"


def quote(second: int) -> Quote:
    at = CLOSED.replace(hour=14, minute=30, second=second, microsecond=0)
    return Quote(symbol="AAPL", event_time=at, price=Decimal(100), source="test", ingest_time=at)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def refusal(*arguments: object) -> str:
    """What a command says of wrong usage."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


def last_line(result: Result) -> dict[str, Any]:
    """The line by which CloudWatch knows how a run ended. It is the only one on stdout."""
    (line,) = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_compact_says_what_it_did_to_people_and_programs(archive: Path, tmp_path: Path) -> None:
    result = run("compact", "--archive", archive, "--summary", tmp_path / "summary.json")
    assert result.exit_code == 0, result.output
    line = last_line(result)
    assert (line["event"], line["status"], line["quotes_added"], line["failures"]) == ("compaction", "done", 3, [])
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == line
    assert "days of arrival to read: 1; objects: 1; size: 0.1 KiB" in result.stderr
    assert f"the days before {line['compacted_to']} are complete in the tables" in result.stderr
    again = run("compact", "--archive", archive, "--day", FIRST, "--summary", tmp_path / "summary.json")
    assert (last_line(again)["status"], last_line(again)["quotes_added"]) == ("done", 0)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == last_line(again)


def test_a_dry_run_of_compact_lists_the_arrival_days(archive: Path) -> None:
    result = run("compact", "--archive", archive, "--dry-run")
    assert (result.exit_code, result.stdout) == (0, f"{FIRST}  objects: 1\n")


@pytest.mark.parametrize("catalog", [None, "compacted/catalog.db", "no/folder/catalog.db"])
@pytest.mark.parametrize("compacted", [False, True])
def test_a_dry_run_of_compact_changes_nothing(archive: Path, catalog: str | None, *, compacted: bool) -> None:
    if compacted:
        assert run("compact", "--archive", archive).exit_code == 0
    before = {file: file.read_bytes() if file.is_file() else None for file in archive.rglob("*")}
    options = () if catalog is None else ("--catalog", f"sqlite:///{archive / catalog}")
    result = run("compact", "--archive", archive, "--dry-run", *options)
    # Without its catalog, the tables are those that were published.
    assert (result.exit_code, result.stdout) == (0, "" if compacted else f"{FIRST}  objects: 1\n")
    assert {file: file.read_bytes() if file.is_file() else None for file in archive.rglob("*")} == before


def test_a_damaged_object_fails_the_run_and_is_named(archive: Path) -> None:
    CompactedArchive(archive).arrive(b"rubbish", CLOSED, number=7)
    result = run("compact", "--archive", archive)
    assert result.exit_code == 1
    line = last_line(result)
    assert line["status"] == "failed"
    assert "shard-0-7-7" in line["failures"][0]
    assert f"not done: {line['failures'][0]}" in result.stderr


class TestARunThatCannotBeginPrintsThatItFailed:
    """So the alarm fires at once, instead of a day later."""

    @pytest.mark.parametrize("command", ["compact", "backfill"])
    def test_because_of_wrong_usage(self, command: str, tmp_path: Path) -> None:
        result = run(command, "--outputs-file", tmp_path / "outputs")
        assert result.exit_code == 2
        line = last_line(result)
        assert (line["event"], line["status"]) == ({"compact": "compaction"}.get(command, command), "failed")
        assert "outputs cannot be read" in line["failures"][0]

    def test_because_of_its_catalog(self, archive: Path, tmp_path: Path) -> None:
        (tmp_path / "catalog.db").write_bytes(b"no database" * 100)
        result = run("compact", "--archive", archive, "--catalog", f"sqlite:///{tmp_path}/catalog.db")
        assert (result.exit_code, last_line(result)["status"]) == (1, "failed")
        assert "catalog.db cannot be opened: file is not a database" in result.stderr

    def test_while_it_plans(self, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("of a bug")

        monkeypatch.setattr(Compaction, "plan", fail)
        result = run("compact", "--archive", archive)
        line = last_line(result)
        assert (line["status"], line["failures"]) == ("failed", ["of a bug"])
        assert isinstance(result.exception, ZeroDivisionError)

    def test_without_the_libraries(self, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith(("compaction.catalogs", "compaction.job"))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "pyiceberg.catalog", None)
        result = run("compact", "--archive", archive)
        assert (result.exit_code, last_line(result)["status"]) == (1, "failed")
        assert "pyiceberg.catalog is not installed here, because it is large: run `make history`" in result.stderr

    @pytest.mark.parametrize("command", ["compact", "backfill"])
    def test_because_its_summary_cannot_be_written(
        self, command: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        given = ("--archive", archive) if command == "compact" else ()
        for target in ("nowhere/summary.json", "archive"):
            result = run(command, *given, "--summary", target)
            assert (result.exit_code, last_line(result)["status"]) == (2, "failed")
            assert f"--summary {target} cannot be written" in result.stderr
        assert not (archive / "compacted").exists()


@pytest.mark.parametrize("command", ["compact", "export --output -"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--archive {empty}", "has no folder raw-data"),
        ("--archive {empty}/nothing", "has no folder raw-data"),
        ("--archive s3://bucket/folder", "is not a bucket like s3://my-archive"),
        ("--archive {archive} --catalog glue", "--catalog glue needs an archive in S3"),
        ("--archive {archive} --catalog sqlite:///", "is neither glue nor like sqlite:///path/of/catalog.db"),
        ("--archive {archive} --catalog postgres://x", "is neither glue nor like sqlite:///path/of/catalog.db"),
        ("--archive {archive} --bars-table bars", "--bars-table and --calendars-table belong together"),
    ],
)
def test_an_archive_or_catalog_that_is_none_is_refused(
    command: str, options: str, message: str, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    given = options.format(archive=archive, empty=tmp_path / "empty")
    assert message in refusal(*command.split(), *given.split())
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (f"--day {TODAY}", f"--day {TODAY} is not closed yet"),
        (f"--day {TOMORROW}", "The last one that can be is"),
        ("--expire-raw-after-days 35", "Use 0 or at least 36"),
    ],
)
def test_compact_refuses_days_that_cannot_be(options: str, message: str, archive: Path) -> None:
    assert message in refusal("compact", "--archive", archive, *options.split())
    assert not (archive / "compacted").exists()


class TestExport:
    @pytest.mark.parametrize("compacted", [False, True])
    def test_writes_the_quotes_of_closed_and_open_days(self, archive: Path, tmp_path: Path, *, compacted: bool) -> None:
        if compacted:
            assert run("compact", "--archive", archive).exit_code == 0
        target = tmp_path / "quotes.parquet"
        target.write_text("older", encoding="utf-8")
        result = run("export", "--archive", archive, "--table", "quotes", "--output", target)
        assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "3 rows")
        assert pq.read_table(target).num_rows == 3
        assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []

    @pytest.mark.parametrize(
        ("name", "options", "is_csv"),
        [
            ("quotes.csv", "", True),
            ("QUOTES.CSV", "", True),
            ("quotes.csv", "--format parquet", False),
            ("quotes", "", False),
            ("quotes", "--format csv", True),
        ],
    )
    def test_takes_the_format_from_the_name_of_the_file(
        self, archive: Path, tmp_path: Path, name: str, options: str, *, is_csv: bool
    ) -> None:
        given = ("--archive", archive, "--table", "quotes", "--output", tmp_path / name)
        assert run("export", *given, *options.split()).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(b"symbol," if is_csv else b"PAR1")

    def test_says_where_a_demo_keeps_bars_that_are_not_compacted(self, archive: Path) -> None:
        assert "Those of a demo" not in refusal("export", "--archive", archive, "--output", "-")
        (archive / "tables").mkdir()
        (archive / "tables" / "bars.parquet").touch()
        said = refusal("export", "--archive", archive, "--output", "-")
        assert f"Those of a demo are in {archive / 'tables' / 'bars.parquet'}, a Parquet file" in said

    def test_names_the_symbols_without_rows(self, archive: Path) -> None:
        given = ("--table", "quotes", "--format", "csv", "--output", "-")
        result = run("export", "--archive", archive, *given, "--symbols", "AAPL,NOPE")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == 4
        assert "there are no quotes of NOPE in these days" in result.stderr
        assert "AAPL" not in result.stderr

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--symbols A,B!", "--symbols: 'B!' is not a symbol"),
            (f"--from {TOMORROW}", "is in the future"),
            (f"--from {TODAY} --to {FIRST}", f"--from {TODAY} is after --to {FIRST}"),
            ("--table quotes --resolution 5m", "--resolution 5m is of bars, and quotes have none"),
        ],
    )
    def test_refuses_symbols_and_days_that_cannot_be(self, options: str, message: str, archive: Path) -> None:
        assert message in refusal("export", "--archive", archive, "--output", "-", *options.split())

    @pytest.mark.parametrize(
        ("output", "message"), [("", "is a directory: name a file in it"), ("no/file", "cannot be written: No such")]
    )
    def test_refuses_an_output_that_cannot_be_written(
        self, output: str, message: str, archive: Path, tmp_path: Path
    ) -> None:
        assert message in refusal("export", "--table", "quotes", "--archive", archive, "--output", tmp_path / output)

    def test_writes_to_a_pipe_and_does_not_replace_it(self, archive: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            given = ("--table", "quotes", "--format", "csv", "--output", tmp_path / "pipe")
            assert run("export", "--archive", archive, *given).exit_code == 0
            assert os.read(reader, 1 << 16).count(b"\n") == 4
        finally:
            os.close(reader)
        assert (tmp_path / "pipe").is_fifo()


class TestEveryDay:
    def test_refuses_at_once_what_would_fail_every_night(self, tmp_path: Path) -> None:
        assert "is neither glue nor like" in refusal("every-day", "--catalog", "postgres://x")
        assert "outputs cannot be read" in refusal("every-day", "--outputs-file", tmp_path / "outputs")
        (tmp_path / "outputs").write_text("StreamName=s\n", encoding="utf-8")
        assert "ArchiveBucket" in refusal("every-day", "--outputs-file", tmp_path / "outputs")

    def test_leads_both_commands_to_its_deployment(self) -> None:
        times = [datetime.strptime(text, "%H:%M").replace(tzinfo=UTC) for text in ("01:10", "02:10")]
        backfill, compact = steps_of(times[0], times[1], " --outputs-file 'a b'", "yahoo", "sqlite:///c.db")
        assert (backfill.at.hour, compact.at.hour) == (1, 2)
        assert backfill.command == ("backfill", "--outputs-file", "a b", "--source", "yahoo")
        assert compact.command == ("compact", "--outputs-file", "a b", "--catalog", "sqlite:///c.db")


MANY = 2_000


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """An archive of two closed days, each quote in an object of its own."""
    archive = CompactedArchive(tmp_path / "many")
    for number in range(MANY):
        at = CLOSED.replace(hour=14, minute=number % 60, second=number // 60, microsecond=0)
        at -= timedelta(days=number % 2)
        line = Quote(symbol="AAPL", event_time=at, price=Decimal(100), source="test", ingest_time=at)
        archive.arrive([line], at)
    return tmp_path / "many"


class TestACommandThatIsAskedToStop:
    """ECS and compose stop a task by SIGTERM, and a person by Ctrl-C."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_with_its_summary_and_leaves_nothing_half_done(
        self, number: signal.Signals, many: Path, tmp_path: Path
    ) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        command = [sys.executable, "-m", "operations", "compact", "--archive", str(many)]
        environment = {**os.environ, "TMPDIR": str(scratch)}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_until(lambda: any(scratch.glob("*/rows.duckdb")), "the first quotes", seconds=60)
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert errors.splitlines()[-2:] == [
            "stopping at the next point where nothing is half done; press Ctrl-C to stop at once",
            "interrupted: what was not finished is where it was before; run the command again to finish it",
        ]
        summary = json.loads(output.splitlines()[-1])
        assert (summary["status"], summary["failures"]) == ("interrupted", [])
        assert summary["quotes_added"] < MANY
        assert list(scratch.iterdir()) == []
        assert not (many / "compacted" / "current.json").exists()
        # The next run goes on.
        result = run("compact", "--archive", many)
        assert result.exit_code == 0, result.output
        assert len(CompactedArchive(many).identities()) == MANY


class TestWhatCanBeWrong:
    """Each message says what is wrong, where, and what to do. No command ends with a traceback."""

    @pytest.mark.parametrize("command", ["compact", "export --table quotes --format csv --output -"])
    def test_a_disk_that_is_full(self, command: str, many: Path, tmp_path: Path) -> None:
        # No file may have more than 50 KiB, which the catalog has not.
        limited = f"ulimit -f 100; exec {sys.executable} -m operations {command} --archive {many}"
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(["sh", "-c", limited], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert f"rows cannot be sorted in {tmp_path}: " in done.stderr
        assert "Set TMPDIR to a directory with room for the largest day, and run this again" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.glob("stockstream-*"))
        if command == "compact":
            assert json.loads(done.stdout)["status"] == "failed"

    def assert_commands_say(self, message: str, archive: Path) -> None:
        """With a late quote, `compact` has to read the table, as `export` does."""
        CompactedArchive(archive).arrive([quote(9)], CLOSED, number=9)
        for command in (("compact",), ("export", "--table", "quotes", "--format", "csv", "--output", "-")):
            result = run(*command, "--archive", archive)
            assert result.exit_code == 1, result.output
            assert message in result.stderr
            assert "(docs/history.md, When tables are damaged)" in result.stderr

    @pytest.mark.parametrize("kind", ["metadata", "data"])
    def test_a_file_of_the_table_that_is_gone(self, kind: str, archive: Path) -> None:
        assert run("compact", "--archive", archive).exit_code == 0
        for file in (archive / "compacted" / "compacted_quotes" / kind).rglob("*"):
            if file.is_file():
                file.unlink()
        self.assert_commands_say("a file of the table is gone: ", archive)

    def test_a_file_of_the_table_that_is_gone_though_nothing_is_new(self, archive: Path) -> None:
        assert run("compact", "--archive", archive).exit_code == 0
        (file,) = (archive / "compacted" / "compacted_quotes" / "data").rglob("*.parquet")
        file.unlink()
        result = run("compact", "--archive", archive)
        assert result.exit_code == 1, result.output
        assert last_line(result)["status"] == "failed"
        assert f"a file of the table is gone: {file}" in result.stderr

    @pytest.mark.parametrize("file", ["*.metadata.json", "snap-*.avro", "*-m0.avro", "*.parquet"])
    @pytest.mark.parametrize(
        "damaged", [lambda _: b"", lambda body: body[:700], lambda body: bytes(255 - c for c in body)]
    )
    def test_a_file_of_the_table_that_is_damaged(
        self, file: str, damaged: Callable[[bytes], bytes], archive: Path
    ) -> None:
        assert run("compact", "--archive", archive).exit_code == 0
        for path in (archive / "compacted" / "compacted_quotes").rglob(file):
            path.write_bytes(damaged(path.read_bytes()))
        self.assert_commands_say("a file of the table is damaged: ", archive)

    def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
        self, archive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scandir = os.scandir

        def refused(path: Any) -> Any:
            if "hour=" in str(path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refused)
        result = run("compact", "--archive", archive)
        assert result.exit_code == 1, result.output
        assert re.search(r"/hour=\d\d: Permission denied", result.stderr)
        assert not (archive / "compacted" / "current.json").exists()

    @pytest.mark.parametrize("name", ["unlink", "read_bytes", "write_bytes"])
    def test_a_file_that_may_not_be_changed_or_read(
        self, name: str, archive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(self: Path, *_: Any, **__: Any) -> Any:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

        monkeypatch.setattr(Path, name, refused)
        store = DirectoryArchive(archive)
        calls: dict[str, Callable[[], object]] = {
            "unlink": lambda: store.delete(["raw-data/x"]),
            "read_bytes": lambda: store.get("raw-data/x"),
            "write_bytes": lambda: store.put("compacted/new.json", b"", replaces=None),
        }
        with pytest.raises(Unavailable, match=r"Permission denied"):
            calls[name]()

    def test_bars_of_an_archive_that_has_none(self, archive: Path) -> None:
        assert "has no bars, because none were compacted there" in refusal(
            "export", "--archive", archive, "--output", "-", "--format", "csv"
        )

    def test_quotes_of_a_day_that_is_not_closed(self, archive: Path) -> None:
        at = NOW.replace(microsecond=0)
        CompactedArchive(archive).arrive(
            [Quote(symbol="AAPL", event_time=at, price=Decimal(1), source="test", ingest_time=at)], at, number=5
        )
        result = run("compact", "--archive", archive)
        assert last_line(result)["quotes_waiting"] == 1
        assert "quotes that wait, because their days are not closed yet: 1" in result.stderr
