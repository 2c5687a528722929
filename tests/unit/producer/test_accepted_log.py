"""The accepted log and the entries that wait for it in the journal, over crashes at any point between the two."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.accepted_log import AcceptedLog, read
from producer_service.journal import FILE, Journal
from producer_service.packing import Row
from quotes import Identity
from tests.support.quotes import OPEN
from tests.support.sizes import sized

ROW = Row(0, 0, b"{}\n", 1, 0.0)


def identities(first: int, count: int) -> list[Identity]:
    return [Identity("AAPL", OPEN, revision) for revision in range(first, first + count)]


class Producer:
    """A journal and an accepted log in a directory. Opening it is a start, which adds what the file lacks."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "log" / "accepted_log.jsonl"
        self.log = AcceptedLog(self.path)
        self.journal = Journal(directory / "journal", 1)
        self.journal.export(self.log.write)

    def commit(self, *accepted: Identity) -> None:
        self.journal.append([ROW], {}, log_entries=self.log.entries(accepted))

    def export(self) -> None:
        self.journal.export(self.log.write)

    def crash(self) -> None:
        self.log.close()
        self.journal.close()


step = st.tuples(st.integers(1, 4), st.sampled_from(["export", "crash", "crash within"]), st.integers(0, 300))


@settings(max_examples=sized(6, 100))
@given(st.lists(step, max_size=6))
def test_every_committed_identity_is_in_the_log_once_wherever_a_crash_comes(steps: list[tuple[int, str, int]]) -> None:
    with TemporaryDirectory() as directory:
        producer, committed = Producer(Path(directory)), 0
        for count, then, cut in steps:
            producer.commit(*identities(committed, count))
            committed += count
            size = producer.path.stat().st_size
            if then != "crash":
                producer.export()
            if then == "crash within":
                os.truncate(producer.path, min(size + cut, producer.path.stat().st_size))
            if then != "export":
                producer.crash()
                producer = Producer(Path(directory))
        producer.export()
        producer.crash()
        assert list(read(producer.path)) == identities(0, committed)


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[Producer]:
    before = os.umask(0)
    producer = Producer(tmp_path / "of" / "ours")
    yield producer
    producer.crash()
    os.umask(before)


class FullDisk:
    """A file that takes a few bytes, and then none."""

    def __init__(self, file: object, room: int) -> None:
        self._file = file
        self._room = room

    def write(self, data: bytes) -> int:
        if not self._room:
            raise OSError(28, "No space left on device")
        taken: int = self._file.write(data[: self._room])  # type: ignore[attr-defined]
        self._room -= taken
        return taken

    def __getattr__(self, name: str) -> Callable[..., object]:
        return getattr(self._file, name)  # type: ignore[no-any-return]


def test_what_a_full_disk_did_not_take_is_written_later(producer: Producer) -> None:
    file = producer.log._file
    producer.log._file = FullDisk(file, 100)  # type: ignore[assignment]
    producer.commit(*identities(0, 1))
    producer.export()
    for number in (1, 2):
        producer.commit(*identities(number, 1))
        with pytest.raises(OSError, match="No space"):
            producer.export()
    producer.log._file = file
    producer.export()
    assert list(read(producer.path)) == identities(0, 3)


def test_a_log_that_was_moved_away_begins_again(producer: Producer, tmp_path: Path) -> None:
    producer.commit(*identities(0, 1))
    producer.export()
    producer.path.rename(tmp_path / "kept")
    producer.crash()
    producer.__init__(tmp_path / "of" / "ours")  # type: ignore[misc]
    producer.commit(*identities(1, 1))
    producer.export()
    assert list(read(producer.path))[-1:] == identities(1, 1)


def test_without_a_path_nothing_is_kept(tmp_path: Path) -> None:
    log, journal = AcceptedLog(None), Journal(tmp_path, 1)
    journal.append([ROW], {}, log_entries=log.entries(identities(0, 3)))
    assert journal._db.execute("SELECT count(*) FROM log_entries").fetchone() == (0,)
    journal.export(lambda _: pytest.fail("nothing waits"))
    journal.close()


def test_entries_do_not_pile_up_in_the_journal(producer: Producer) -> None:
    for number in range(50):
        producer.commit(*identities(number, 1))
        producer.export()
    assert producer.journal._db.execute("SELECT count(*) FROM log_entries").fetchone() == (1,)


def test_a_journal_of_an_earlier_version_gets_the_table(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1)
    journal._db.execute("DROP TABLE log_entries")
    journal.append([ROW], {})
    journal.close()
    journal = Journal(tmp_path, 1)
    assert len(journal.rows()) == 1
    journal.append([ROW], {}, log_entries=b"{}\n")
    journal.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_user_can_read_what_the_producer_makes(producer: Producer, tmp_path: Path) -> None:
    producer.commit(*identities(0, 1))
    producer.export()
    made = sorted((tmp_path / "of").rglob("*"))
    assert {path.name for path in made} >= {FILE, f"{FILE}-wal", "accepted_log.jsonl"}
    assert {path.name: mode(path) for path in made if path.is_file()} == {
        path.name: 0o600 for path in made if path.is_file()
    }
    assert {mode(path) for path in [tmp_path / "of", *made] if path.is_dir()} == {0o700}


def test_a_directory_that_exists_keeps_its_mode_and_an_open_file_is_closed_to_others(tmp_path: Path) -> None:
    for name in ("journal", "log"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log" / "accepted_log.jsonl"
    log.touch(0o644)
    producer = Producer(tmp_path)
    producer.crash()
    assert {mode(tmp_path / name) for name in ("journal", "log")} == {0o755}
    assert mode(log) == 0o600
