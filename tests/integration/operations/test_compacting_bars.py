"""What `compact` reads of the tables of bars and calendars and of backfilled chunks, and what SQL then says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.utils.concurrent import ExecutorFactory
from typer.testing import CliRunner

from backfill.chunk_file import encode, key_of
from backfill.chunks import Chunk, FinishedChunk
from bars.keys import asked_key, bar_key
from compaction.directory import DirectoryArchive
from compaction.errors import Damaged, Unavailable
from operations.backfill_stores import BackfillBars
from operations.calendar_table import CalendarTable
from operations.cli import app
from operations.stored_history import StoredHistory
from quotes import to_iso
from replica.emulator import Emulator
from tests.fakes.compacted_archive import Inline
from tests.support.sql_command import query_rows

BARS, CALENDARS = "compacted-history-bars", "compacted-history-calendars"
DAY = (datetime.now(UTC) - timedelta(days=4)).date()
OPENS = datetime.combine(DAY, time(14, 30), UTC)
CLOSES = OPENS + timedelta(minutes=5)
LATER = OPENS + timedelta(days=2)
"""The begin of a session two days after that. Its day is closed at any time of this one, also before 02:00 UTC."""
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    Inline.use(monkeypatch, ExecutorFactory)


@pytest.fixture(scope="module")
def dynamodb(emulator: Emulator) -> Iterator[Any]:
    """Two tables: a session of five minutes, of which a bar is of the stream, one of a backfill, and one is quiet."""
    client = emulator.client("dynamodb")
    for name, keys in ((BARS, ("symbol", "key")), (CALENDARS, ("id", "name"))):
        client.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    known = {"known_from": str(DAY), "known_to": str(LATER.date())}
    years: dict[str, list[list[str]]] = {}
    for opens, closes in ((OPENS, CLOSES), (LATER, LATER + MINUTE)):
        years.setdefault(f"{opens:%Y}", []).append([str(opens.date()), to_iso(opens), to_iso(closes)])
    items = [{"id": "XNYS", "name": year, "sessions": json.dumps(days), **known} for year, days in years.items()]
    for row in ({"id": "symbols", "name": "AAPL", "calendar": "XNYS"}, *items):
        put(client, CALENDARS, {name: {"S": value} for name, value in (row | {"timezone": "America/New_York"}).items()})
    quiet = [[to_iso(OPENS + 1 * MINUTE), to_iso(OPENS + 3 * MINUTE)]]  # and one of both has got a bar since
    put(
        client,
        BARS,
        {"symbol": {"S": "AAPL"}, "key": {"S": asked_key("1m", OPENS)}, "without_trades": {"S": json.dumps(quiet)}},
    )
    put(client, BARS, bar("1m", OPENS))
    put(client, BARS, bar("1m", OPENS + MINUTE) | {"provenance": {"S": "backfill"}})
    put(client, BARS, bar("1d", OPENS))
    put(client, BARS, bar("1m", LATER))
    yield client
    for name in (BARS, CALENDARS):
        client.delete_table(TableName=name)


def put(client: Any, table: str, item: Mapping[str, Any]) -> None:
    client.put_item(TableName=table, Item=item)


def bar(resolution: str, start: datetime) -> dict[str, Any]:
    prices = {name: {"N": "190.25"} for name in ("open", "high", "low", "close")}
    counts = {"volume": {"N": "100"}, "quotes": {"N": "4"}}
    return {"symbol": {"S": "AAPL"}, "key": {"S": bar_key(resolution, start)}, **prices, **counts}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with a chunk that a backfill has asked for."""
    folder = tmp_path / "archive"
    chunk = Chunk("AAPL", "1m", OPENS, CLOSES)
    file = folder / key_of(chunk)
    file.parent.mkdir(parents=True)
    file.write_bytes(encode(FinishedChunk(chunk=chunk, fetched_at=CLOSES, complete_to=CLOSES, source="yahoo")))
    (folder / "raw-data").mkdir()
    return folder


@pytest.fixture
def stored(dynamodb: Any, archive: Path) -> StoredHistory:
    return StoredHistory(DirectoryArchive(archive), BackfillBars(dynamodb, BARS), CalendarTable(dynamodb, CALENDARS))


def test_bars_of_a_resolution_and_range(stored: StoredHistory) -> None:
    assert stored.symbols() == ["AAPL"]
    found = list(stored.bars("AAPL", "1m", OPENS, LATER))
    assert [row["key"] for row in found] == [bar_key("1m", OPENS), bar_key("1m", OPENS + MINUTE)]
    assert [row["key"] for row in stored.bars("AAPL", "1d", OPENS, LATER)] == [bar_key("1d", OPENS)]
    assert list(stored.bars("MSFT", "1m", OPENS, LATER)) == []


def test_sessions_that_are_over_with_their_quiet_minutes(stored: StoredHistory) -> None:
    (session,) = stored.sessions(LATER)
    assert session == {
        "symbol": "AAPL",
        "calendar": "XNYS",
        "timezone": "America/New_York",
        "day": DAY,
        "opens": OPENS.replace(tzinfo=None),
        "closes": CLOSES.replace(tzinfo=None),
        "expected": 5,
        "without_trades": 1,
    }
    assert list(stored.sessions(CLOSES - MINUTE)) == []


def test_sessions_whose_minutes_have_begun_to_expire_are_left_out(dynamodb: Any, archive: Path) -> None:
    place, bars, calendars = DirectoryArchive(archive), BackfillBars(dynamodb, BARS), CalendarTable(dynamodb, CALENDARS)
    after = DAY + timedelta(days=1)
    assert len(list(StoredHistory(place, bars, calendars, DAY).sessions(LATER))) == 1
    assert list(StoredHistory(place, bars, calendars, after).sessions(LATER)) == []


def test_the_watched_symbols_are_those_of_the_list_that_have_a_calendar(dynamodb: Any, stored: StoredHistory) -> None:
    def write(number: int, symbols: list[str], items: int) -> None:
        item = {"id": "watched", "name": f"{number:04}", "symbols": json.dumps(symbols), "items": str(items)}
        put(dynamodb, CALENDARS, {name: {"S": text} for name, text in item.items()})

    def watched() -> list[str]:
        return list(CalendarTable(dynamodb, CALENDARS).watched())

    try:
        assert watched() == ["AAPL"]  # a producer of an earlier version writes no list
        write(0, ["MSFT"], 2)
        write(1, ["AAPL"], 2)
        assert watched() == ["AAPL"]  # no calendar of MSFT is known
        write(0, ["MSFT"], 1)  # AAPL was removed, and the second item is left of a longer list
        assert watched() == []
        assert stored.symbols() == ["AAPL"]  # its bars are compacted all the same
        assert list(stored.sessions(LATER)) == []
    finally:
        for number in range(2):
            dynamodb.delete_item(TableName=CALENDARS, Key={"id": {"S": "watched"}, "name": {"S": f"{number:04}"}})


def test_chunks_since_a_time(stored: StoredHistory, archive: Path) -> None:
    (chunk,) = stored.chunks(None)
    assert (chunk.symbol, chunk.resolution, chunk.start, chunk.end) == ("AAPL", "1m", OPENS, CLOSES)
    assert list(stored.chunks(datetime.now(UTC) + MINUTE)) == []
    (archive / chunk.key).write_bytes(b"rubbish")
    with pytest.raises(Damaged, match="backfill/1m/AAPL"):
        list(stored.chunks(None))


def test_a_table_that_does_not_exist_is_named(dynamodb: Any, archive: Path) -> None:
    without = StoredHistory(
        DirectoryArchive(archive), BackfillBars(dynamodb, "no-bars"), CalendarTable(dynamodb, "no-calendars")
    )
    with pytest.raises(Unavailable, match="no-calendars"):
        without.symbols()
    with pytest.raises(Unavailable, match="no-bars"):
        list(without.bars("AAPL", "1m", OPENS, CLOSES))


def test_sessions_of_another_calendar_replace_those_of_the_earlier_one(
    emulator: Emulator, dynamodb: Any, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = emulator.environment()
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, environment[name])
    tables = ("--bars-table", BARS, "--calendars-table", CALENDARS)

    def expected() -> list[tuple[str, int]]:
        done = CliRunner().invoke(app, ["compact", "--archive", str(archive), *tables])
        assert done.exit_code == 0, done.output
        rows = query_rows(archive, "SELECT calendar, expected FROM coverage")
        return sorted((row["calendar"], row["expected"]) for row in rows)

    def follow(calendar: str) -> None:
        symbol = {"id": "symbols", "name": "AAPL", "calendar": calendar, "timezone": "America/New_York"}
        put(dynamodb, CALENDARS, {name: {"S": value} for name, value in symbol.items()})

    opens = OPENS + timedelta(minutes=1)
    sessions = [[str(DAY), to_iso(opens), to_iso(opens + timedelta(minutes=7))]]
    year = {"id": "XLON", "name": str(DAY.year), "timezone": "Europe/London", "sessions": json.dumps(sessions)}
    year |= {"known_from": str(DAY), "known_to": str(LATER.date())}
    put(dynamodb, CALENDARS, {name: {"S": value} for name, value in year.items()})
    both = [("XNYS", 1), ("XNYS", 5)]
    assert expected() == both
    try:
        follow("XLON")
        assert expected() == expected() == [("XLON", 7)]
    finally:
        follow("XNYS")
    assert expected() == both


@pytest.mark.usefixtures("dynamodb")
def test_sql_says_which_minutes_are_missing_of_the_compacted_bars(
    emulator: Emulator, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = emulator.environment()
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, environment[name])
    tables = ("--bars-table", BARS, "--calendars-table", CALENDARS)
    done = CliRunner().invoke(app, ["compact", "--archive", str(archive), *tables])
    assert done.exit_code == 0, done.output
    (row,) = query_rows(archive, "missing_minutes")
    counts = ("symbol", "day", "expected", "stored", "stream", "backfill", "without_trades", "missing")
    assert [row[name] for name in counts] == ["AAPL", str(DAY), 5, 2, 1, 1, 1, 2]
    form = ("--format", "csv", "--output", "-")
    exported = CliRunner().invoke(app, ["export", "--archive", str(archive), *tables, *form])
    assert exported.exit_code == 0, exported.output
    starts = [OPENS, OPENS + MINUTE, LATER]
    assert [line.split(",")[2] for line in exported.stdout.splitlines()[1:]] == [to_iso(start) for start in starts]
