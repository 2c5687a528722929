"""Bars are compacted by month, and the row that counts most stays."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.compacted_tables import BARS, SESSIONS
from bars.keys import bar_key
from compaction import disk
from compaction.directory import DirectoryArchive
from compaction.export import Exporter
from compaction.job import Compaction
from tests.fakes.compacted_archive import NOW, CompactedArchive, MemoryHistory, no_progress
from tests.support.compacted_quotes import MONDAY


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
