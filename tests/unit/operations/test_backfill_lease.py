"""Only one backfill of a stage runs at a time, and one that was killed holds up the next one for a short time only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backfill.lease import KEY, LENGTH, SYMBOL, lease_of
from operations.backfill_lease import only_backfill
from operations.errors import Unavailable
from processor_lambda.rows import Row
from tests.fakes.backfill_ports import MemoryBars

START = datetime(2026, 11, 28, 1, 10, tzinfo=UTC)


class Table(MemoryBars):
    """The table of bars, with a clock that goes on while a run waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.said: list[str] = []

    def put_lease(self, row: Row, read: int) -> bool:
        return self.put_note(row, read)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def is_held(self) -> bool:
        return lease_of(self.between(SYMBOL, KEY, KEY)).is_held(self.now)

    def run(self, name: str, error: BaseException | None = None) -> None:
        with only_backfill(self, name, lambda: self.now, self.said.append, self.wait):
            assert lease_of(self.between(SYMBOL, KEY, KEY)).run == name
            if error is not None:
                raise error


def test_one_run_after_another_waits_for_nothing() -> None:
    table = Table()
    table.run("first")
    with pytest.raises(KeyboardInterrupt):
        table.run("second", KeyboardInterrupt())
    table.run("third")
    assert (table.now, table.said, table.is_held()) == (START, [], False)


def test_the_lease_of_a_killed_run_ends_and_the_next_run_says_since_when_it_waits() -> None:
    table = Table()
    with pytest.raises(Unavailable):  # such a run does not release its lease, as if it were killed
        table.run("killed", Unavailable("no answer"))
    assert table.is_held()
    table.run("next")
    assert LENGTH <= table.now - START <= LENGTH + timedelta(seconds=1)
    (said,) = table.said
    assert said.startswith("another backfill of this stage has been running since 2026-11-28 01:10 (UTC)")


def test_a_run_waits_for_as_long_as_another_one_renews_its_lease() -> None:
    table = Table()
    renewals = iter(range(20))

    def wait_beside_a_run(seconds: float) -> None:
        table.now += timedelta(seconds=seconds) + LENGTH / 2
        if next(renewals, None) is not None:
            lease = lease_of(table.between(SYMBOL, KEY, KEY))
            assert table.put_lease(lease.renewed(table.now).row(), lease.version)

    assert table.put_lease(lease_of([]).taken("other", START).row(), 0)
    with only_backfill(table, "own", lambda: table.now, table.said.append, wait_beside_a_run):
        assert next(renewals, None) is None
    assert len(table.said) == 1


def test_of_two_that_take_it_at_once_one_waits() -> None:
    table = Table()
    read = lease_of([])
    assert table.put_lease(read.taken("one", START).row(), read.version)
    assert not table.put_lease(read.taken("two", START).row(), read.version)
