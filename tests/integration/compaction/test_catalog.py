"""An archive that was copied, and a catalog that was lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analytics.compacted_tables import LEDGER
from analytics.current import KEY
from compaction.directory import DirectoryArchive
from compaction.errors import Damaged
from compaction.export import Exporter, Wanted
from tests.fakes.compacted_archive import CompactedArchive
from tests.support.compacted_quotes import MIDNIGHT, MONDAY, filled, identities


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
