"""The compaction with S3 and Glue: the same tables, one winner of a race, and views that name the closed days."""

import base64
import gzip
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics.compacted_tables import LEDGER, QUOTES
from analytics.current import KEY
from compaction.catalogs import glue_tables
from compaction.errors import Conflict
from compaction.expiring import PREFIX
from compaction.iceberg import Tables
from compaction.job import Compaction
from compaction.summary import Summary
from compaction.upkeep import Upkeep
from operations.archive_bucket import BucketArchive
from operations.glue_views import GlueViews
from quotes import Quote, encode
from replica.emulator import Emulator
from tests.fakes.compacted_archive import NOW, no_progress
from tests.fakes.stopped_calls import Killed

BUCKET, DATABASE = "compacted-archive", "compacted_archive"
MONDAY = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def quote(second: int, price: str = "1.5") -> Quote:
    at = MONDAY + timedelta(seconds=second)
    return Quote(symbol="AAPL", event_time=at, price=Decimal(price), source="test", ingest_time=at)


class AnswerLost:
    """A client of Glue of which every first change of a table is done, and refused when it is repeated."""

    def __init__(self, client: Any) -> None:
        self.client, self.lost = client, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def update_table(self, **call: Any) -> None:
        """Change a table, and do it once more if that has a version."""
        self.client.update_table(**call)
        if "VersionId" in call:
            self.lost += 1
            refused = {"Error": {"Code": "ConcurrentModificationException", "Message": "Update table failed"}}
            raise self.client.exceptions.ConcurrentModificationException(refused, "UpdateTable")


class DyingBucket(BucketArchive):
    """A bucket whose program is killed after it has deleted one raw object."""

    def delete(self, keys: Iterable[str]) -> None:
        """See `compaction.ports.Archive`."""
        named = list(keys)
        raw = [key for key in named if key.startswith("raw-data/")]
        super().delete(raw[:1] or named)
        if raw:
            raise Killed


def expire(archive: BucketArchive, tables: Tables) -> int:
    """Delete raw objects as a run 40 days later does. Returns how many."""
    summary = Summary(compacted_to=date(2026, 11, 28))
    Upkeep(archive, tables, NOW + timedelta(days=40), summary).run(7, 36)
    return summary.raw_objects_deleted


def view_document(glue: Any) -> str:
    """What Athena reads of the view quotes."""
    view = glue.get_table(DatabaseName=DATABASE, Name="quotes")["Table"]
    return base64.b64decode(view["ViewOriginalText"].split()[3]).decode()


def test_compacts_a_bucket_into_tables_of_glue(emulator: Emulator) -> None:
    s3, glue = emulator.client("s3"), emulator.client("glue")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    glue.create_database(DatabaseInput={"Name": DATABASE})
    archive = BucketArchive(s3, BUCKET)

    def tables() -> Tables:
        files = {
            "s3.endpoint": s3.meta.endpoint_url,
            "s3.region": "eu-west-1",
            "s3.access-key-id": "test",
            "s3.secret-access-key": "test",
        }
        return glue_tables(glue, DATABASE, archive.root, files)

    def run() -> date | None:
        views = GlueViews(glue, DATABASE)
        job = Compaction(archive, tables(), now=NOW, progress=no_progress, views=views)
        job.quotes_and_actions(job.plan(None))
        job.publish()
        assert job.summary.failures == []
        return job.summary.compacted_to

    def arrive(number: int, quotes: list[Quote]) -> None:
        body = gzip.compress(encode(quotes))
        s3.put_object(Bucket=BUCKET, Key=f"raw-data/dt=2026-11-23/hour=14/s-{number}-{number}.jsonl.gz", Body=body)

    def rows() -> list[dict[str, Any]]:
        table = tables().open(QUOTES)
        return [row for path in table.files().paths for batch in table.batches(path) for row in batch.to_pylist()]

    arrive(1, [quote(1), quote(0)])
    arrive(2, [quote(1), quote(2, "123456789012.12345678901234567890123456")])
    assert run() == date(2026, 11, 28)
    assert [row["event_time"].second for row in rows()] == [0, 1, 2]
    assert str(rows()[2]["price"]) == "123456789012.12345678901234567890123456"
    assert archive.get(KEY) is not None

    stale = tables().open(LEDGER)
    arrive(3, [quote(3)])
    assert run() == date(2026, 11, 28)
    assert len(rows()) == 4
    with pytest.raises(Conflict, match="archive_days"):
        stale.replace(stale.files(), stale.files().paths)

    # A commit of which the answer got lost is repeated by the SDK, and Glue refuses the repetition.
    arrive(4, [quote(4)])
    glue = AnswerLost(glue)
    assert run() == date(2026, 11, 28)
    assert glue.lost
    assert len(rows()) == 5
    glue = glue.client

    with pytest.raises(Conflict, match="was changed by another program"):
        archive.put(KEY, b"{}", replaces=None)
    assert {"compacted_quotes", "2026-11-28"} <= set(re.findall(r"[\w-]+", view_document(glue)))

    # An expiry that is killed after its first deletion is finished by the next one.
    with pytest.raises(Killed):
        expire(DyingBucket(s3, BUCKET), tables())
    assert [len(list(archive.objects(prefix))) for prefix in ("raw-data/", PREFIX)] == [3, 1]
    assert run() == date(2026, 11, 28)
    assert expire(archive, tables()) == 3
    assert [*archive.objects("raw-data/"), *archive.objects(PREFIX)] == []
    assert len(rows()) == 5

    # A stage that is deleted and made again has the archive and an empty database.
    glue.delete_database(Name=DATABASE)
    glue.create_database(DatabaseInput={"Name": DATABASE})
    assert run() == date(2026, 11, 28)
    assert len(rows()) == 5
