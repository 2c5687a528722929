"""Which arrival days are closed, and what the ledger counts of them, whatever came late, expired or is damaged."""

from __future__ import annotations

import gzip
from contextlib import suppress
from datetime import date, timedelta
from random import Random

import pytest

from analytics.compacted_tables import LEDGER
from compaction.directory import DirectoryArchive
from quotes import Heartbeat
from tests.fakes.compacted_archive import CompactedArchive
from tests.fakes.stopped_calls import Killed, Stopping
from tests.support.compacted_quotes import MIDNIGHT, MONDAY, SECOND, Dying, expire, filled, identities, quote
from tests.support.sizes import sized


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
