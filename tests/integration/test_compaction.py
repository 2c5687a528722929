"""A run of the compaction makes the same tables whatever happens to it, and every quote is in them once."""

import gzip
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pyiceberg.utils.concurrent import ExecutorFactory

from analytics import catalog, current
from analytics.compacted_tables import ACTIONS, BARS, LEDGER, QUOTES, SESSIONS, TABLES
from analytics.current import KEY
from analytics.duckdb_engine import Engine
from bars.keys import bar_key
from compaction import disk, parquet_files
from compaction.directory import DirectoryArchive
from compaction.errors import Damaged
from compaction.export import Exporter, Wanted
from compaction.iceberg import Tables
from compaction.job import Compaction
from compaction.row_files import write
from compaction.summary import Summary
from compaction.upkeep import Upkeep
from quotes import Action, Heartbeat, Line, Quote, encode
from tests.fakes.compacted_archive import NOW, CompactedArchive, Inline, MemoryHistory, no_progress
from tests.fakes.stopped_calls import Killed, Stopping
from tests.support.quotes import make_quote
from tests.support.sizes import sized

MONDAY = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    Inline.use(monkeypatch, ExecutorFactory)


@pytest.fixture
def archive(tmp_path: Path) -> CompactedArchive:
    return CompactedArchive(tmp_path)


def quote(symbol: str = "AAPL", at: datetime = MONDAY, price: str = "100", revision: int = 0) -> Quote:
    return Quote(
        symbol=symbol, event_time=at, revision=revision, price=Decimal(price), source="test", ingest_time=at + SECOND
    )


def identities(quotes: Sequence[Quote]) -> list[tuple[object, ...]]:
    return sorted((each.symbol, each.event_time.replace(tzinfo=None), each.revision) for each in quotes)


def filled(archive: CompactedArchive) -> list[Quote]:
    """Quotes of two days, which overlap midnight and arrived twice, with other lines between them."""
    first = [quote(symbol, MONDAY + second * SECOND) for second in range(3) for symbol in ("MSFT", "AAPL")]
    second = [quote(at=MIDNIGHT - SECOND), quote(at=MIDNIGHT), quote(at=MIDNIGHT, revision=1)]
    split = Action(
        symbol="AAPL", action="split", event_time=MONDAY, source="test", ingest_time=MONDAY, numerator=2, denominator=1
    )
    others: list[Line] = [Heartbeat(lane="lane-01-of-04", clock=MONDAY), split]
    archive.arrive([*first, *others], MONDAY)
    archive.arrive(first[2:], MONDAY)
    archive.arrive(second, MIDNIGHT - SECOND)
    archive.arrive(second, MIDNIGHT + SECOND)
    return [*first, *second]


def test_every_quote_is_there_once_sorted_in_the_files_of_the_day_of_its_event(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    summary = archive.run()
    assert (summary.status, summary.quote_lines, summary.quotes_added) == ("done", 16, 9)
    rows = archive.rows()
    assert [
        (row["symbol"], row["event_time"], row["revision"]) for row in rows if row["day"] == date(2026, 11, 23)
    ] == (identities([each for each in quotes if each.event_time < MIDNIGHT]))
    assert archive.identities() == identities(quotes)
    assert all(row["day"] == row["event_time"].date() for row in rows)
    assert summary.compacted_to == date(2026, 11, 28)
    [action] = archive.rows(ACTIONS)
    assert (action["numerator"], action["day"]) == (2, date(2026, 11, 23))

    # Readers without a catalog find the files of the tables.
    found = current.decode((archive.directory / KEY).read_bytes())
    files = found.tables["compacted_quotes"].files
    assert [(each.day, each.rows) for each in files] == [(date(2026, 11, 23), 7), (date(2026, 11, 24), 2)]
    assert all(Path(each.path).stat().st_size == each.bytes for each in files)
    assert found.compacted_to == date(2026, 11, 28)


def test_values_keep_all_38_digits(archive: CompactedArchive) -> None:
    price = "-123456789012.12345678901234567890123456"
    full = Quote(
        symbol="^GSPC",
        event_time=MONDAY + timedelta(milliseconds=1),
        price=Decimal(price),
        source="test",
        ingest_time=MONDAY + SECOND,
        open=Decimal("0.00000000000000000000000001"),
        volume=2**63 - 1,
        currency="a, b",
        source_time=MONDAY,
        volume_period="24h",
    )
    archive.arrive([full], MONDAY)
    archive.run()
    [row] = archive.rows()
    assert (str(row["price"]), row["open"], row["high"]) == (price, full.open, None)
    assert (row["volume"], row["currency"], row["source_time"]) == (2**63 - 1, "a, b", MONDAY.replace(tzinfo=None))
    assert (row["event_time"].microsecond, row["dt"], row["hour"]) == (1000, "2026-11-23", 14)


def test_of_two_contents_of_an_identity_the_last_arrival_counts(archive: CompactedArchive) -> None:
    # As text, the name of the later object sorts before that of the earlier one.
    archive.arrive([quote(price="2")], MONDAY, number=10)
    archive.arrive([quote(price="1")], MONDAY, number=9)
    archive.run()
    assert [row["price"] for row in archive.rows()] == [2]
    # An object that is found later, but arrived before the other ones, changes nothing.
    archive.arrive([quote(price="3")], MONDAY, number=8)
    assert archive.run().days_changed == []
    archive.arrive([quote(price="4")], MONDAY + timedelta(hours=1), number=1)
    assert archive.run().days_changed == [MONDAY.date()]
    assert [row["price"] for row in archive.rows()] == [4]


def test_late_objects_are_added_by_a_later_run(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    archive.run()
    late = [quote("NVDA", MONDAY), quote("NVDA", MIDNIGHT)]
    archive.arrive(late, MIDNIGHT + timedelta(days=2))
    summary = archive.run()
    assert (summary.arrival_days, summary.quotes_added) == (1, 2)
    assert archive.identities() == identities([*quotes, *late])


def test_a_run_without_anything_new_commits_nothing(archive: CompactedArchive) -> None:
    filled(archive)
    archive.run()
    before = archive.rows(), archive.tables().open(LEDGER).files().paths
    summary = archive.run()
    assert (summary.objects, summary.days_changed) == (0, [])
    assert archive.run(day=MONDAY.date()).days_changed == []
    assert archive.rows() == before[0]


def test_quotes_of_an_open_day_wait_until_it_is_closed(archive: CompactedArchive) -> None:
    early = MIDNIGHT + timedelta(hours=3)
    archive.arrive([quote(at=MIDNIGHT - SECOND), quote(at=MIDNIGHT)], MIDNIGHT - SECOND)
    first = archive.run(now=early)
    assert (first.compacted_to, archive.identities()) == (MIDNIGHT.date(), identities([quote(at=MIDNIGHT - SECOND)]))
    second = archive.run(now=early + timedelta(days=1))
    assert second.compacted_to == date(2026, 11, 25)
    assert archive.identities() == identities([quote(at=MIDNIGHT - SECOND), quote(at=MIDNIGHT)])


@pytest.mark.parametrize(("hours", "closed"), [(0.5, 24), (2, 23), (30, 22)])
def test_sql_finds_a_quote_of_an_open_day_however_long_before_it_its_batch_began(
    archive: CompactedArchive, hours: float, closed: int
) -> None:
    began = MIDNIGHT - timedelta(hours=hours)
    archive.arrive([quote(at=began), quote(at=MIDNIGHT + SECOND)], began)  # of a function that was behind
    assert archive.run(now=MIDNIGHT + timedelta(hours=3)).compacted_to == date(2026, 11, closed)
    assert Engine(catalog.read(), archive.directory).run("SELECT count(*) FROM quotes").rows == ((2,),)
    assert archive.run(now=MIDNIGHT + timedelta(hours=27)).compacted_to == date(2026, 11, 25)
    assert len(archive.identities()) == 2


def test_the_ledger_counts_what_arrived(archive: CompactedArchive) -> None:
    filled(archive)
    refused = b'{"kind":"quarantined","v":1,"shard":"s","sequence_number":"7","line":2,"reason":"r","content":"YQ=="}\n'
    archive.arrive(refused + refused + refused.replace(b'"line":2', b'"line":3'), MONDAY)
    archive.run()
    monday, tuesday = archive.rows(LEDGER)
    counted = ("dt", "objects", "quote_lines", "heartbeats", "actions", "quarantined", "lanes", "packets")
    assert [monday[name] for name in counted] == ["2026-11-23", 4, 13, 1, 1, 2, 4, 13]
    assert [tuesday[name] for name in counted] == ["2026-11-24", 1, 3, 0, 0, 0, None, 2]
    assert archive.run().objects == 0


@pytest.mark.parametrize("late", [1, 3, 4])
def test_a_day_whose_objects_have_expired_counts_them_and_those_that_came_late(
    archive: CompactedArchive, late: int
) -> None:
    quotes = filled(archive)
    archive.run()
    before = archive.rows(LEDGER)
    files = list(archive.directory.glob("raw-data/dt=2026-11-23/*/*"))
    for file in files:
        file.unlink()
    others = [quote("NVDA", MONDAY + second * SECOND) for second in range(late)]
    written = [archive.arrive([each], MONDAY) for each in others]
    summary = archive.run(day=MONDAY.date())
    assert (summary.counts_kept, summary.quotes_added) == ([MONDAY.date()], late)
    assert archive.identities() == identities([*quotes, *others])
    added = {
        "objects": late,
        "bytes": sum(each.stat().st_size for each in written),
        "quote_lines": late,
        "packets": late,
    }
    counted = (*added, "heartbeats", "actions", "quarantined", "lanes", "first_event_day", "last_event_day")
    monday, tuesday = archive.rows(LEDGER)
    assert [monday[name] for name in counted] == [
        before[0][name] + added[name] if name in added else before[0][name] for name in counted
    ]
    assert [tuesday[name] for name in counted] == [before[1][name] for name in counted]
    assert archive.run().arrival_days == 0  # what is left has been read


def test_a_day_without_quotes_is_closed_too(archive: CompactedArchive) -> None:
    assert archive.run().compacted_to == date(2026, 11, 28)
    archive.arrive([Heartbeat(lane="lane-00-of-01", clock=MONDAY)], MONDAY)
    assert archive.run().status == "done"
    assert archive.rows() == []
    assert [row["heartbeats"] for row in archive.rows(LEDGER)] == [1]


def test_a_folder_without_objects_keeps_no_day_open(archive: CompactedArchive) -> None:
    filled(archive)
    (archive.directory / "raw-data/dt=2026-11-20/hour=14").mkdir(parents=True)  # as a console makes it
    (archive.directory / "raw-data/dt=2026-02-30").mkdir()
    assert archive.run().compacted_to == date(2026, 11, 28)
    archive.arrive([quote("NVDA", MONDAY - timedelta(days=3))], MONDAY - timedelta(days=3))
    assert archive.run().quotes_added == 1


def test_damaged_objects_are_named_and_their_days_stay_open(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    bodies = {
        gzip.compress(b"x" * 100)[:-9]: "is damaged: Compressed file ended",
        b"no gzip": "is damaged: Not a gzipped file",
        gzip.compress(b'{"kind":"quote"}\n'): "has a line that the processor cannot have written",
    }
    lost = [quote("NVDA", MIDNIGHT + timedelta(days=number)) for number in range(3)]
    files = [archive.arrive([each], each.event_time) for each in lost]
    good = [each.read_bytes() for each in files]
    for file, body in zip(files, bodies, strict=True):
        file.write_bytes(body)
    summary = archive.run()
    assert summary.status == "failed"
    for day, file, reason, failure in zip((24, 25, 26), files, bodies.values(), summary.failures, strict=True):
        assert failure.startswith(f"arrival day 2026-11-{day}: {file}")
        assert reason in failure
    # The quotes of Monday arrived on Tuesday too, so Monday is not complete either.
    assert summary.compacted_to == date(2026, 11, 23)
    assert archive.identities() == identities(quotes)
    for file, body in zip(files, good, strict=True):
        file.write_bytes(body)
    assert archive.run().compacted_to == date(2026, 11, 28)
    assert archive.identities() == identities([*quotes, *lost])


def test_an_object_of_another_name_is_named(archive: CompactedArchive) -> None:
    archive.arrive([quote()], MONDAY).rename(archive.directory / "raw-data/dt=2026-11-23/hour=14/notes.txt")
    assert "notes.txt is not an object that the processor archived" in archive.run().failures[0]


def test_a_run_that_is_killed_anywhere_and_run_again_makes_the_same_tables(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    undisturbed = CompactedArchive(tmp_path / "undisturbed")
    quotes = filled(undisturbed)
    counting = Stopping()
    undisturbed.run(counting)
    assert {"replace", "put", "written", "get", "files"} <= set(counting.calls)
    expected = undisturbed.rows(), undisturbed.rows(ACTIONS)
    steps = len(counting.calls)
    points = [(at, is_after) for at in range(1, steps + 1) for is_after in (False, True)]
    every = len(points) // sized(2, 8)
    for at, is_after in points[every // 2 :: every]:
        with subtests.test(call=counting.calls[at - 1], at=at, is_after=is_after):
            archive = CompactedArchive(tmp_path / f"{at}-{is_after}")
            filled(archive)
            with pytest.raises(Killed):
                archive.run(Stopping(at, is_after=is_after))
            assert archive.run().status == "done"
            assert (archive.rows(), archive.rows(ACTIONS)) == expected
            assert archive.identities() == identities(quotes)


class Interrupted:
    """A checkpoint that ends the run when it is called for the n-th time. With None, it only counts."""

    def __init__(self, at: int | None = None) -> None:
        self.calls, self._at = 0, at

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            raise KeyboardInterrupt


def test_a_run_that_is_asked_to_stop_leaves_no_file_without_a_commit(tmp_path: Path, subtests: pytest.Subtests) -> None:
    def run(archive: CompactedArchive, checkpoint: Interrupted) -> None:
        store, tables = DirectoryArchive(archive.directory), archive.tables()
        prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(1))
        history = MemoryHistory([{"symbol": "AAPL", "key": bar_key("1m", MONDAY), **prices}])
        job = Compaction(
            store, tables, now=NOW, progress=no_progress, checkpoint=checkpoint, history=history, scratch=tmp_path
        )
        job.quotes_and_actions(job.plan(None))
        job.bars(None)
        job.publish()
        Upkeep(store, tables, NOW, job.summary, checkpoint).run(7, 0)

    undisturbed, counting = CompactedArchive(tmp_path / "undisturbed"), Interrupted()
    filled(undisturbed)
    run(undisturbed, counting)
    expected = undisturbed.rows(), undisturbed.rows(ACTIONS), undisturbed.rows(BARS)
    for at in range(1, counting.calls + 1, sized(4, 2)):
        with subtests.test(checkpoint=at):
            archive = CompactedArchive(tmp_path / str(at))
            filled(archive)
            with pytest.raises(KeyboardInterrupt):
                run(archive, Interrupted(at))
            assert not list(tmp_path.glob("stockstream-compaction-*"))
            referenced = set().union(*(archive.tables().open(each).referenced() for each in TABLES))
            written = archive.directory.glob("compacted/*/data/**/*.parquet")
            assert {str(each) for each in written} <= {each.removeprefix("file://") for each in referenced}
            run(archive, Interrupted())
            assert (archive.rows(), archive.rows(ACTIONS), archive.rows(BARS)) == expected


def test_two_runs_at_once_make_the_same_tables(tmp_path: Path) -> None:
    alone = CompactedArchive(tmp_path / "alone")
    quotes = filled(alone)
    alone.run()
    both = CompactedArchive(tmp_path / "both")
    filled(both)
    both.run(now=MONDAY)  # it makes the tables, and closes no day
    runs = [threading.Thread(target=both.run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert both.rows() == alone.rows()
    assert both.identities() == identities(quotes)
    assert both.run().days_changed == []


def test_a_commit_between_reading_and_writing_is_merged(tmp_path: Path) -> None:
    archive = CompactedArchive(tmp_path)
    archive.arrive([quote()], MONDAY)

    class Interrupting(Stopping):
        def call(self, name: str, run: Callable[[], Any]) -> Any:
            if name == "replace" and "replace" not in self.calls:
                self.calls.append(name)
                archive.arrive([quote("NVDA")], MONDAY)
                archive.run()
            return super().call(name, run)

    archive.run(Interrupting())
    assert archive.identities() == identities([quote(), quote("NVDA")])
    assert archive.run().compacted_to == date(2026, 11, 28)
    assert archive.identities() == identities([quote(), quote("NVDA")])


def test_lines_of_other_encoders_are_the_same_quotes(archive: CompactedArchive) -> None:
    line = encode([make_quote()])
    other = line.replace(b",", b" , ").replace(b'"price" :100', b'"price":100.00')
    archive.arrive(other, MONDAY)
    archive.run()
    assert archive.identities() == identities([make_quote()])


def test_bars_are_compacted_by_month_and_replaced_by_later_ones(archive: CompactedArchive) -> None:
    def bar(at: datetime, close: str, resolution: str = "1m", **attributes: Any) -> dict[str, Any]:
        prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(close))
        return {"symbol": "AAPL", "key": bar_key(resolution, at), **prices, **attributes}

    october = MONDAY - timedelta(days=30)
    minute, later = bar(MONDAY, "1.25", rsi_14=Decimal("50.5"), quotes=Decimal(3)), NOW.replace(hour=2)
    history = MemoryHistory([minute, bar(october, "2", "1d", provenance="backfill"), bar(later, "9")])

    def run(wanted: list[date] | None = None) -> int:
        job = Compaction(
            DirectoryArchive(archive.directory), archive.tables(), now=NOW, progress=no_progress, history=history
        )
        job.bars(wanted)
        job.publish()
        return job.summary.bar_months_changed

    archive.run()  # it does not know the table of bars, so it leaves them to the next run
    assert Exporter(DirectoryArchive(archive.directory), archive.tables(), None).bars_to is None
    assert run() == 2
    assert Exporter(DirectoryArchive(archive.directory), archive.tables(), None).bars_to == NOW.date()
    assert [(row["symbol"], row["expected"]) for row in archive.rows(SESSIONS)] == [("AAPL", 390)]
    first, second = sorted(archive.rows(BARS), key=lambda row: row["start"])
    assert (first["resolution"], first["provenance"], first["close"]) == ("1d", "backfill", 2)
    assert (second["start"], second["rsi_14"], second["quotes"]) == (MONDAY.replace(tzinfo=None), 50.5, 3)
    assert second["provenance"] == "stream"  # the bar of the open day waits
    # A backfill fills a gap of a closed day, and a rebuild corrects a bar.
    filled = MONDAY + timedelta(minutes=1)
    history.rows += [bar(filled, "3", provenance="backfill")]
    history.fetched = [history.chunk("AAPL", "1m", filled, filled + timedelta(minutes=1))]
    archive.run()
    assert run() == 1
    assert run() == 0
    history.rows[0] = bar(MONDAY, "4", provenance="rebuild")
    assert run([MONDAY.date()]) == 1
    found = {row["start"].minute: row["close"] for row in archive.rows(BARS) if row["resolution"] == "1m"}
    assert found == {30: 4, 31: 3}


@pytest.mark.parametrize("new", [1, 2])
def test_a_month_is_merged_wherever_a_batch_of_its_rows_ends(
    archive: CompactedArchive, monkeypatch: pytest.MonkeyPatch, new: int
) -> None:
    batch = 2048  # DuckDB returns no smaller ones
    monkeypatch.setattr(disk, "BATCH_ROWS", batch)
    prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(1))
    keys = [bar_key("1m", MONDAY + timedelta(minutes=minute)) for minute in range(batch // 2 + new)]
    rows = [{"symbol": "AAPL", "key": key, **prices} for key in keys]
    # With one new bar, the second batch is a copy of the last bar in the first one, and nothing else.
    for stored in (rows[new:], rows):
        job = Compaction(
            DirectoryArchive(archive.directory),
            archive.tables(),
            now=NOW,
            progress=no_progress,
            history=MemoryHistory(stored),
        )
        job.bars([MONDAY.date()])
    assert len(archive.rows(BARS)) == len(rows)


@pytest.mark.parametrize(
    ("compacted", "stored", "is_replaced"),
    [
        ({}, {"provenance": "backfill"}, False),  # the bar of the stream had expired
        ({"provenance": "rebuild"}, {"provenance": "backfill"}, False),
        ({}, {"provenance": "backfill", "replaces": "stream"}, True),  # --overwrite stream
        ({"provenance": "rebuild"}, {"provenance": "backfill", "replaces": "stream"}, False),
        ({}, {"provenance": "rebuild"}, True),
        ({"provenance": "rebuild"}, {"provenance": "rebuild"}, True),
        ({"provenance": "rebuild"}, {}, False),
        ({}, {}, True),
        ({"provenance": "backfill"}, {}, True),
        ({"provenance": "backfill"}, {"provenance": "backfill"}, True),
    ],
)
def test_no_bar_replaces_one_that_counts_more(
    archive: CompactedArchive, compacted: dict[str, str], stored: dict[str, str], *, is_replaced: bool
) -> None:
    def run(close: str, attributes: dict[str, str]) -> None:
        prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(close))
        history = MemoryHistory([{"symbol": "AAPL", "key": bar_key("1m", MONDAY), **prices, **attributes}])
        job = Compaction(
            DirectoryArchive(archive.directory), archive.tables(), now=NOW, progress=no_progress, history=history
        )
        job.bars([MONDAY.date()])

    run("1", compacted)
    run("2", stored)
    (found,) = archive.rows(BARS)
    kept = stored if is_replaced else compacted
    assert (found["close"], found["provenance"]) == (2 if is_replaced else 1, kept.get("provenance", "stream"))


class Meeting(Stopping):
    """Lets something happen before the n-th call of a run, which may be killed at a later call."""

    def __init__(self, at: int, meanwhile: Callable[[], None], killed_at: int | None = None) -> None:
        super().__init__(killed_at)
        self._meeting, self._meanwhile = at, meanwhile

    def call(self, name: str, run: Callable[[], Any]) -> Any:
        if len(self.calls) + 1 == self._meeting:
            self._meanwhile()
        return super().call(name, run)


class TestTwoRunsThatReadBarsAtOnce:
    """A row does not say when it was written. The later reading must win, whichever run commits last."""

    LAST_MONTH = MONDAY - timedelta(days=30)

    def run(self, archive: CompactedArchive, history: MemoryHistory, stopping: Stopping, wanted: list[date]) -> None:
        job = Compaction(
            stopping.wrapped(DirectoryArchive(archive.directory)),
            stopping.wrapped(archive.tables(), opens="open"),
            now=NOW,
            progress=no_progress,
            history=stopping.wrapped(history),
        )
        job.bars(wanted or None)
        job.publish()

    def bar(self, at: datetime, close: int, resolution: str = "1m") -> dict[str, Any]:
        prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(close))
        return {"symbol": "AAPL", "key": bar_key(resolution, at), **prices}

    def closes(self, archive: CompactedArchive) -> list[int]:
        return [int(row["close"]) for row in sorted(archive.rows(BARS), key=lambda row: row["start"])]

    def test_the_newest_rows_stay_wherever_they_meet_and_are_killed(
        self, tmp_path: Path, subtests: pytest.Subtests
    ) -> None:
        days = [self.LAST_MONTH.date(), MONDAY.date()]
        counting = Stopping()
        self.run(
            CompactedArchive(tmp_path / "counted"),
            MemoryHistory([self.bar(self.LAST_MONTH, 1), self.bar(MONDAY, 1)]),
            counting,
            [],
        )
        steps = len(counting.calls)
        assert {"bars", "open", "files", "replace", "put"} <= set(counting.calls)
        random = Random(1)
        kills = [None, *range(1, steps + 1)]
        cases: list[tuple[int, int | None, int | None]] = [(at, None, None) for at in range(1, steps + 1, sized(3, 2))]
        # A run that is killed before the other one begins does not meet it, so half of all pairs are one case.
        cases += [(steps, random.randint(1, steps - 1), None) for _ in range(sized(1, 2))]
        for _ in range(sized(5, 10)):
            at = random.randint(1, steps)
            cases.append((at, random.choice([None, *range(at, steps + 1)]), random.choice(kills)))
        for number, (at, first_killed, second_killed) in enumerate(cases):
            with subtests.test(meeting=at, first_killed=first_killed, second_killed=second_killed):
                archive = CompactedArchive(tmp_path / str(number))
                history = MemoryHistory([self.bar(self.LAST_MONTH, 1), self.bar(MONDAY, 1)])

                def rebuilt_and_compacted(
                    archive: CompactedArchive = archive,
                    history: MemoryHistory = history,
                    at: int | None = second_killed,
                ) -> None:
                    history.rows = [self.bar(self.LAST_MONTH, 2), self.bar(MONDAY, 2)]
                    history.without_trades = 2
                    with suppress(Killed):
                        self.run(archive, history, Stopping(at), days)

                with suppress(Killed):
                    self.run(archive, history, Meeting(at, rebuilt_and_compacted, first_killed), [])
                if second_killed is not None or history.rows[0]["close"] == 1:
                    rebuilt_and_compacted(at=None)  # whoever has rebuilt the bars repeats what was killed
                assert self.closes(archive) == [2, 2]
                assert [row["without_trades"] for row in archive.rows(SESSIONS)] == [2]

    def test_a_bar_of_another_month_is_not_read_again(self, archive: CompactedArchive) -> None:
        """Bars of an hour, since of minutes all later ones are read as well."""

        def hours(close: int) -> list[dict[str, Any]]:
            return [self.bar(at, close, "1h") for at in (self.LAST_MONTH, MONDAY)]

        history = MemoryHistory(hours(1))
        self.run(archive, history, Stopping(), [])
        history.rows = hours(2)

        def of_this_month() -> None:
            self.run(archive, history, Stopping(), [MONDAY.date()])

        counting = Stopping()
        self.run(archive, history, counting, [self.LAST_MONTH.date()])
        expected = counting.calls.count("bars")
        history.rows = hours(3)
        meeting = Meeting(counting.calls.index("replace") + 1, of_this_month)
        self.run(archive, history, meeting, [self.LAST_MONTH.date()])
        assert self.closes(archive) == [3, 3]
        assert meeting.calls.count("bars") == expected


def test_an_export_has_closed_days_of_the_table_and_open_ones_of_the_archive(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    archive.run(now=MIDNIGHT + timedelta(hours=3))
    exporter = Exporter(DirectoryArchive(archive.directory), archive.tables(), None)
    assert exporter.compacted_to == MIDNIGHT.date()

    def exported(symbols: list[str] | None, first: date, last: date) -> list[tuple[Any, ...]]:
        batches = exporter.quotes(Wanted(symbols=symbols, first=first, last=last))
        rows = [row for batch in batches for row in batch.to_pylist()]
        return [(row["symbol"], row["event_time"], row["revision"]) for row in rows]

    assert sorted(exported(None, MONDAY.date(), MIDNIGHT.date())) == identities(quotes)
    tuesday = [each for each in quotes if each.event_time >= MIDNIGHT]
    assert exported(["AAPL"], MIDNIGHT.date(), MIDNIGHT.date()) == identities(tuesday)
    assert exported(["MSFT"], MIDNIGHT.date(), MIDNIGHT.date()) == []


def test_an_export_is_in_order_also_if_a_day_has_many_files(
    archive: CompactedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROWS_OF_A_GROUP", "ROWS_OF_A_FILE"):
        monkeypatch.setattr(parquet_files, name, 2)
    monkeypatch.setattr(disk, "BATCH_ROWS", 2)
    archive.arrive([quote(f"S{number:02}") for number in range(40)], MONDAY)
    archive.run()
    assert len(archive.tables().open(QUOTES).files().paths) > 5
    exporter = Exporter(DirectoryArchive(archive.directory), archive.tables(), None)
    wanted = Wanted(symbols=None, first=MONDAY.date(), last=MONDAY.date())
    symbols = [symbol for batch in exporter.quotes(wanted) for symbol in batch["symbol"].to_pylist()]
    assert symbols == [f"S{number:02}" for number in range(40)]


def test_a_csv_has_exact_prices_and_times_of_the_contract(archive: CompactedArchive) -> None:
    archive.arrive([quote(price="0.00000000000000000000000001"), quote("MSFT", price="100")], MONDAY)
    archive.run()
    exporter = Exporter(DirectoryArchive(archive.directory), archive.tables(), None)
    file = BytesIO()
    wanted = Wanted(symbols=None, first=MONDAY.date(), last=MONDAY.date())
    assert write(exporter.quotes(wanted), ("symbol", "event_time", "price", "volume"), "csv", file) == 2
    assert file.getvalue().decode() == (
        "symbol,event_time,price,volume\n"
        "AAPL,2026-11-23T14:30:00.000Z,0.00000000000000000000000001,\n"
        "MSFT,2026-11-23T14:30:00.000Z,100,\n"
    )


def test_an_archive_that_was_copied_is_compacted_again(archive: CompactedArchive, tmp_path: Path) -> None:
    filled(archive)
    archive.run()
    copied = CompactedArchive(tmp_path.with_name(f"{tmp_path.name}-copied"))
    shutil.copytree(archive.directory, copied.directory)
    with pytest.raises(Damaged, match="was moved or copied"):
        Exporter(DirectoryArchive(copied.directory), copied.tables(), None)
    with pytest.raises(Damaged, match="was moved or copied"):
        copied.run()
    (copied.directory / KEY).unlink()
    with pytest.raises(Damaged, match="the catalog has archive_days at"):
        copied.run()
    shutil.rmtree(copied.directory / "compacted")
    assert copied.run().status == "done"
    assert copied.rows() == archive.rows()


def test_a_catalog_that_was_lost_gets_the_published_tables_again(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    archive.run()
    ledger = archive.rows(LEDGER)
    shutil.rmtree(archive.directory / "raw-data")  # all of it has expired
    (archive.directory / "compacted/catalog.db").unlink()
    assert archive.run().status == "done"
    assert archive.identities() == identities(quotes)
    assert archive.rows(LEDGER) == ledger
    (archive.directory / "compacted/catalog.db").unlink()
    wanted = Wanted(symbols=None, first=MONDAY.date(), last=MIDNIGHT.date())
    exported = Exporter(DirectoryArchive(archive.directory), archive.tables(), None).quotes(wanted)
    assert sum(batch.num_rows for batch in exported) == len(quotes)


def test_a_snapshot_stays_for_the_queries_that_began_before_it_was_replaced(archive: CompactedArchive) -> None:
    archive.arrive([quote()], MONDAY)
    archive.run()
    replaced = archive.tables().open(QUOTES).files().paths
    archive.arrive([quote("NVDA")], MONDAY)
    began = datetime.now(UTC)
    archive.run()
    for before, is_kept in ((began, True), (datetime.now(UTC), False)):
        archive.tables().open(QUOTES).expire_snapshots(before)
        assert (set(replaced) <= archive.tables().open(QUOTES).referenced()) == is_kept


def test_the_last_snapshot_stays_though_the_clock_of_an_earlier_run_was_ahead(
    archive: CompactedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.arrive([quote()], MONDAY)
    with monkeypatch.context() as ahead:
        later = time.time() + timedelta(hours=1).total_seconds()
        ahead.setattr("pyiceberg.table.snapshots.time.time", lambda: later)
        archive.run()
    replaced = archive.tables().open(QUOTES).files().paths
    archive.arrive([quote("NVDA")], MONDAY)
    archive.run()
    stored = archive.rows()
    archive.tables().open(QUOTES).expire_snapshots(datetime.now(UTC) + timedelta(days=8))
    assert archive.rows() == stored
    assert not set(replaced) & archive.tables().open(QUOTES).referenced()


def test_old_snapshots_orphans_and_compacted_raw_objects_are_removed(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    archive.run()
    archive.arrive([quote("NVDA")], MONDAY)
    archive.run()
    orphan = archive.directory / "compacted/compacted_quotes/data/orphan.parquet"
    orphan.write_bytes(b"of a run that was killed")
    stored = archive.rows()
    for days, files, objects in ((1, 0, 0), (8, 5, 0), (40, 0, 5)):
        summary = Summary(compacted_to=date(2026, 11, 28))
        tables = archive.tables()
        now = datetime.now(UTC) + timedelta(days=days)
        Upkeep(DirectoryArchive(archive.directory), tables, now, summary).run(7, 36 if objects else 0)
        assert (summary.files_deleted >= files, summary.raw_objects_deleted) == (True, objects)
        assert archive.rows() == stored
    assert not orphan.exists()
    assert archive.identities() == identities([*quotes, quote("NVDA")])
    # A run over what is left of the archive changes nothing.
    assert archive.run().status == "done"
    assert archive.rows() == stored


class Dying(DirectoryArchive):
    """An archive whose program is killed before its n-th change: a deletion of an object, or a write of one."""

    def __init__(self, directory: Path, changes: int) -> None:
        super().__init__(directory)
        self.left = changes

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """See `ports.Archive`."""
        self._change()
        super().put(key, body, replaces=replaces)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ports.Archive`."""
        for key in keys:
            self._change()
            super().delete([key])

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


def expire(archive: DirectoryArchive, tables: Tables, days: int = 36) -> int:
    """Expire raw objects long after they were compacted. Returns how many were deleted."""
    summary = Summary(compacted_to=date(2026, 11, 28))
    Upkeep(archive, tables, NOW + timedelta(days=40), summary).run(7, days)
    return summary.raw_objects_deleted


class TestExpiryOfRawObjects:
    def raw_objects(self, archive: CompactedArchive) -> list[str]:
        return sorted(each.name for each in archive.directory.glob("raw-data/*/*/*.jsonl.gz"))

    def test_goes_on_wherever_it_was_killed(self, tmp_path: Path) -> None:
        before = CompactedArchive(tmp_path / "before")
        quotes = filled(before)
        before.run()
        count = len(self.raw_objects(before))
        whole = Dying(before.directory, 1_000)
        ledger = before.rows(LEDGER)
        expire(whole, before.tables())
        changes = 1_000 - whole.left
        assert changes >= count + 2 * 2  # both days have a list, which is written and deleted
        for at in range(changes):
            archive = CompactedArchive(tmp_path / str(at))
            filled(archive)
            archive.run()
            with pytest.raises(Killed):
                expire(Dying(archive.directory, at), archive.tables())
            left = len(self.raw_objects(archive))
            # Neither a run nor one that is asked to read the day again takes the rest of it for the whole day.
            assert archive.run().status == archive.run(day=MONDAY.date()).status == "done"
            assert expire(DirectoryArchive(archive.directory), archive.tables(), days=0) == 0
            assert len(self.raw_objects(archive)) == left
            assert expire(DirectoryArchive(archive.directory), archive.tables()) == left
            assert self.raw_objects(archive) == []
            assert not list(archive.directory.glob("compacted/expiring/*.json"))
            assert archive.identities() == identities(quotes)
            assert [row["quote_lines"] for row in archive.rows(LEDGER)] == [row["quote_lines"] for row in ledger]

    def test_never_deletes_what_is_not_compacted(self, archive: CompactedArchive) -> None:
        filled(archive)
        archive.run()
        count = len(self.raw_objects(archive))
        while len(self.raw_objects(archive)) == count:
            with pytest.raises(Killed):
                expire(Dying(archive.directory, 1), archive.tables())
        # An object of the day arrives late, and a listed one is written again with other lines.
        late = archive.arrive([quote("NVDA")], MONDAY)
        changed = next(each for each in archive.directory.glob("raw-data/dt=2026-11-23/*/*") if each != late)
        changed.write_bytes(gzip.compress(encode([quote("TSLA")])))
        expire(DirectoryArchive(archive.directory), archive.tables())
        assert {late.name, changed.name} == set(self.raw_objects(archive))

    def test_a_list_that_is_damaged_is_named(self, archive: CompactedArchive) -> None:
        filled(archive)
        archive.run()
        (archive.directory / "compacted/expiring").mkdir()
        (archive.directory / "compacted/expiring/2026-11-23.json").write_text("[")
        with pytest.raises(Damaged, match=r"compacted/expiring/2026-11-23\.json is damaged: .*\. Delete it"):
            expire(DirectoryArchive(archive.directory), archive.tables())


class OneDay:
    """An arrival day to which things happen. Object `n` has 2**n quotes, so a sum tells which objects it counts."""

    def __init__(self, archive: CompactedArchive, random: Random) -> None:
        self.archive, self.random = archive, random
        self.read: set[int] = set()

    def there(self) -> set[int]:
        return {int(each.name.split("-")[2]) for each in self.archive.directory.glob("raw-data/*/*/*.jsonl.gz")}

    def is_expiring(self) -> bool:
        return any(self.archive.directory.glob("compacted/expiring/*.json"))

    def counted(self) -> int:
        return sum(row["quote_lines"] for row in self.archive.rows(LEDGER))

    def arrive(self) -> None:
        """For the first time, or again."""
        number = self.random.randrange(6)
        self.archive.arrive(
            [quote(f"N{number}", MONDAY + each * SECOND) for each in range(2**number)], MONDAY, number=number
        )

    def run(self) -> None:
        assert self.archive.run(day=self.random.choice((None, MONDAY.date()))).status == "done"
        if not self.is_expiring():
            self.read |= self.there()

    def run_killed(self) -> None:
        with suppress(Killed):
            stopping = Stopping(self.random.randrange(1, 40), is_after=self.random.random() < 0.5)
            self.archive.run(stopping, day=MONDAY.date())
        assert self.counted() in {self.lines_of(self.read), self.lines_of(self.read | self.there())}
        self.run()

    def expire(self) -> None:
        expire(DirectoryArchive(self.archive.directory), self.archive.tables())

    def expire_killed(self) -> None:
        with suppress(Killed):
            expire(Dying(self.archive.directory, self.random.randrange(6)), self.archive.tables())

    def lose(self) -> None:
        """By the lifecycle of the bucket, or by hand."""
        for file in self.archive.directory.glob("raw-data/*/*/*.jsonl.gz"):
            if self.random.random() < 0.5:
                file.unlink()

    @staticmethod
    def lines_of(numbers: set[int]) -> int:
        return sum(2**number for number in numbers)


@pytest.mark.parametrize("seed", range(sized(2, 6)))
def test_every_object_that_was_ever_read_counts_once(archive: CompactedArchive, seed: int) -> None:
    random = Random(seed)
    day = OneDay(archive, random)
    day.arrive()
    for _ in range(10):
        step = random.choice((day.arrive, day.run, day.run_killed, day.expire, day.expire_killed, day.lose))
        step()
        assert day.counted() == len(archive.identities()) == day.lines_of(day.read), step.__name__
