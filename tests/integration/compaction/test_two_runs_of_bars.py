"""Of two runs that read bars at the same time, the later reading stays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from analytics.compacted_tables import BARS, SESSIONS
from bars.keys import bar_key
from compaction.directory import DirectoryArchive
from compaction.job import Compaction
from tests.fakes.compacted_archive import NOW, CompactedArchive, MemoryHistory, no_progress
from tests.fakes.stopped_calls import Killed, Stopping
from tests.support.compacted_quotes import MONDAY
from tests.support.sizes import sized


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
