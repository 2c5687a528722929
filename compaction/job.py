"""A run of the compaction: the raw objects of arrival days become rows of the tables.

The steps of an arrival day, in this order, each of which may be the last before the run is killed:

1. Its objects are read into files of this machine.
2. Each closed event day that it has quotes of gets one commit, with those quotes and the rows that it had.
3. Its counts are noted (`counted`), and the ledger gets its row. A day without this row is read again, which changes
   nothing twice.

At the end, `compacted/current.json` and then the views name the tables and the first day that is not closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path

import msgspec

from analytics.compacted_tables import LEDGER, SESSIONS
from analytics.current import BarsRead
from compaction import actions, arrivals, bar_ranges, counted, expiring, ledger, quote_days, small_tables
from compaction.arrivals import RAW, Arrival
from compaction.bar_months import BarMonths
from compaction.bar_ranges import OVERLAP
from compaction.counted import Counts
from compaction.errors import CompactionError, Conflict, CountsDiffer, Damaged, Unavailable
from compaction.iceberg import Tables
from compaction.ports import Archive, ArchiveObject, History, Views
from compaction.publishing import publish, published
from compaction.quote_days import DayResult
from compaction.reading import ArrivalReader, ArrivedAction
from compaction.sessions import with_withdrawn
from compaction.staging import Staging
from compaction.summary import Summary
from quotes import from_iso, to_iso, whole_milliseconds

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows how far a step is: it gets the name of the step and its size."""


class Plan(msgspec.Struct, frozen=True):
    """The arrival days that a run reads."""

    days: tuple[tuple[date, tuple[ArchiveObject, ...]], ...]

    @property
    def objects(self) -> int:
        """How many objects they have."""
        return sum(len(objects) for _, objects in self.days)

    @property
    def bytes(self) -> int:
        """The size of the objects."""
        return sum(each.bytes for _, objects in self.days for each in objects)


class DayRead(msgspec.Struct, frozen=True, kw_only=True):
    """An arrival day that was read completely, until the ledger says so."""

    day: date
    objects: tuple[ArchiveObject, ...]
    present: frozenset[str]
    """Their keys."""
    uncounted: frozenset[str]
    """The keys of those that `counts` is of."""
    counts: Counts
    closed_to: date


class Compaction:
    """One run at the time `now`, which it counts in `summary`. It keeps quotes in `scratch` while it sorts them.

    `checkpoint` is called where nothing is half done, and may raise what ends the run.
    """

    def __init__(
        self,
        archive: Archive,
        tables: Tables,
        *,
        now: datetime,
        progress: Progress,
        checkpoint: Callable[[], None] = lambda: None,
        views: Views | None = None,
        history: History | None = None,
        scratch: Path | None = None,
        summary: Summary | None = None,
    ) -> None:
        self._archive, self._tables, self._views, self._history = archive, tables, views, history
        self._now, self._progress, self._checkpoint, self._scratch = now, progress, checkpoint, scratch
        self._limit = arrivals.closed_to(now)
        self._bars: BarsRead | None = None
        self._empty: set[date] = set()
        """The arrival days whose folders have no object, such as those that a console makes. They keep no day open."""
        self.summary = summary or Summary()

    def plan(self, wanted: Sequence[date] | None) -> Plan:
        """What a run reads: by default everything that the tables lack, or what `wanted` event days arrived in.

        It changes nothing.
        """
        last = published(self._archive)  # the tables may be those of another archive
        if last is not None:
            self._tables.recover(last.tables)
        known = self._known()
        days: list[tuple[date, tuple[ArchiveObject, ...]]] = []
        # Of an expiring day, some objects are gone. All of them are compacted, and the ledger has counted them.
        present = sorted(set(self._arrival_days()) - {day for day, _ in expiring.days(self._archive)})
        for day in arrivals.candidates(present, known, self._limit, wanted):
            self._checkpoint()
            objects = tuple(arrivals.objects_of(self._archive, day))
            if not objects:
                self._empty.add(day)
            elif wanted is not None or arrivals.is_to_be_read(day, arrivals.fingerprint(objects), known, self._limit):
                days.append((day, objects))
        return Plan(tuple(days))

    def quotes_and_actions(self, plan: Plan) -> None:
        """Read the planned days, and commit what they have."""
        arrived: list[ArrivedAction] = []
        read: dict[str, DayRead] = {}
        self._tables.open(LEDGER)  # before hours of reading, if no table can be made
        with (
            Staging(self._scratch) as staging,
            self._progress("compacting the archive", plan.bytes) as on_progress,
        ):
            reader = ArrivalReader(self._archive, staging)

            def on_read(size: int) -> None:
                on_progress(size)
                self._checkpoint()

            for position, (day, objects) in enumerate(plan.days):
                try:
                    read[day.isoformat()], found = self._read(reader, day, objects, on_read)
                except (Damaged, Unavailable) as error:
                    staging.forget_arrival(day.isoformat())
                    self.failed(f"arrival day {day}: {error}", error)
                    continue
                arrived += found
                # The quotes of a day arrive on the next day too, so its commit waits for that.
                following = plan.days[position + 1][0] if position + 1 < len(plan.days) else None
                self._flush(staging, read, arrived, self._limit if following is None else min(day, self._limit))
            self._flush(staging, read, arrived, self._limit)
            waiting = (day for day in staging.days() if day >= self._limit)
            self.summary.quotes_waiting = sum(staging.staged(day).rows for day in waiting)

    def bars(self, wanted: Sequence[date] | None) -> None:
        """Commit the bars, sessions and backfilled actions of closed days. Without a table of bars, do nothing."""
        if self._history is None:
            return
        before = published(self._archive)
        closed_before = None if before is None else before.compacted_to
        to = arrivals.compacted_to(self._arrival_days(), self._known(), self._limit, closed_before)
        read = None if before is None else before.bars
        chunks = list(self._history.chunks(None if read is None else from_iso(read.at) - OVERLAP))
        self.summary.actions_added += actions.commit_fetched(self._tables, chunks)
        read_to = None if read is None else read.to
        ranges = list(bar_ranges.ranges(self._history.symbols(), chunks, read_to, to, wanted))
        with (
            BarMonths(self._tables, self._history, self._checkpoint, self._scratch) as months,
            self._progress("compacting bars", len(ranges)) as on_progress,
        ):
            months.read(ranges, on_progress)
            self.summary.bar_months_changed = months.commit()
        ended = datetime.combine(to, time(), UTC)
        read_sessions = partial(self._history.sessions, ended)
        small_tables.commit(
            self._tables,
            SESSIONS,
            lambda: with_withdrawn(self._tables, read_sessions(), ended),
        )
        self._checkpoint()
        self._bars = BarsRead(to=to if wanted is None else read_to, at=to_iso(whole_milliseconds(self._now)))

    def publish(self) -> None:
        """Tell readers which files are the tables, and which days are closed."""
        self.summary.compacted_to = publish(
            self._archive,
            self._tables,
            lambda before: arrivals.compacted_to(self._arrival_days(), self._known(), self._limit, before),
            self._now,
            self._bars,
        )
        if self._views is not None:
            self._views.replace(self.summary.compacted_to)

    def _read(
        self,
        reader: ArrivalReader,
        day: date,
        objects: tuple[ArchiveObject, ...],
        on_read: Callable[[int], None],
    ) -> tuple[DayRead, list[ArrivedAction]]:
        """Stage a day, and count the objects whose counts are needed: see `counted`."""
        present = frozenset(each.key for each in objects)
        uncounted = counted.read(self._archive, day).uncounted(present)
        counts, found = reader.read([each for each in objects if each.key in uncounted], on_read)
        others, found_again = reader.read([each for each in objects if each.key not in uncounted], on_read)
        all_counts = counts.plus(others)
        self._count(all_counts)
        read = DayRead(
            day=day,
            objects=objects,
            present=present,
            uncounted=uncounted,
            counts=counts,
            closed_to=arrivals.closed_by(day, all_counts.ahead, self._limit),
        )
        return read, [*found, *found_again]

    def _flush(self, staging: Staging, read: dict[str, DayRead], arrived: list[ArrivedAction], before: date) -> None:
        """Commit the closed event days before a day, and then what was read completely."""
        for day in [each for each in staging.days() if each < before]:
            try:
                done = quote_days.commit(self._tables, staging, day)
            except CompactionError as error:
                for dt in staging.arrivals(day):
                    read.pop(dt, None)  # it is read again by the next run
                self.failed(f"event day {day}: {error}", error)
            else:
                self._committed(done)
            staging.drop(day)
            self._checkpoint()
        waiting = {dt for day in staging.days() if day < self._limit for dt in staging.arrivals(day)}
        complete = [dt for dt in read if dt not in waiting]
        if not complete:
            return
        self.summary.actions_added += actions.commit(
            self._tables, [each for each in arrived if each.place.dt in complete]
        )
        arrived[:] = [each for each in arrived if each.place.dt not in complete]
        rows = []
        for each in (read.pop(dt) for dt in complete):
            try:
                noted = counted.add(self._archive, each.day, each.present, each.uncounted, each.counts)
            except (Conflict, Damaged) as error:
                self.failed(str(error), error)
                continue
            self.summary.counts_kept += [] if noted.keys <= each.present else [each.day]
            rows.append(
                ledger.row(each.day, arrivals.fingerprint(each.objects), noted.counts, each.closed_to, self._now)
            )
        ledger.put(self._tables, rows)

    def _committed(self, done: DayResult) -> None:
        self.summary.copies += done.copies
        self.summary.quotes_added += done.added
        if done.is_changed:
            self.summary.days_changed.append(done.day)

    def _count(self, counts: Counts) -> None:
        self.summary.arrival_days += 1
        self.summary.objects += counts.objects
        self.summary.bytes += counts.bytes
        self.summary.quote_lines += counts.quote_lines

    def failed(self, reason: str, error: CompactionError) -> None:
        """Let the summary say what could not be done."""
        self.summary.status = "failed"
        self.summary.counts_differ += isinstance(error, CountsDiffer)
        self.summary.failures.append(reason)

    def _known(self) -> dict[date, Arrival]:
        return ledger.arrivals(self._tables)

    def _arrival_days(self) -> list[date]:
        return [day for day in arrivals.arrival_days(self._archive.folders(RAW)) if day not in self._empty]
