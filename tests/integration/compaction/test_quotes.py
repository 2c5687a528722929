"""Every quote of the archive is in the tables once, in the files of the day of its event."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from analytics import catalog, current
from analytics.compacted_tables import ACTIONS, LEDGER
from analytics.current import KEY
from analytics.duckdb_engine import Engine
from quotes import Quote, encode
from tests.fakes.compacted_archive import CompactedArchive
from tests.support.compacted_quotes import MIDNIGHT, MONDAY, SECOND, filled, identities, quote
from tests.support.quotes import make_quote


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


def test_lines_of_other_encoders_are_the_same_quotes(archive: CompactedArchive) -> None:
    line = encode([make_quote()])
    other = line.replace(b",", b" , ").replace(b'"price" :100', b'"price":100.00')
    archive.arrive(other, MONDAY)
    archive.run()
    assert archive.identities() == identities([make_quote()])
