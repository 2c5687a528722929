"""An export has closed days of the tables and open ones of the archive."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest

from analytics.compacted_tables import QUOTES
from compaction import disk, parquet_files
from compaction.directory import DirectoryArchive
from compaction.export import Exporter, Wanted
from compaction.row_files import write
from tests.fakes.compacted_archive import CompactedArchive
from tests.support.compacted_quotes import MIDNIGHT, MONDAY, filled, identities, quote


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
