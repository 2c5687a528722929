"""Runs a plan: asks for each chunk, archives the answer, stores its bars, and computes the indicators again.

It may be killed at any point and run again, also beside another run. A chunk is archived before its bars are written,
so the next run writes the rest of them without a request. Before minutes are written, a note says from where on the
indicators must be computed: see `refold`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from backfill.chunk_file import decode_chunk, encode, key_of
from backfill.chunks import Chunk, FinishedChunk
from backfill.days import covered_minutes, uncovered
from backfill.errors import OtherCurrency, UnknownSymbol, Unreadable
from backfill.lane_refold import LaneIsBusy
from backfill.planner import Plan
from backfill.ports import Bars, Charts, Chunks
from backfill.refold import BarsAreBusy, Refolder
from backfill.rows import asked_row, bar_row, is_same_bar
from backfill.summary import Summary
from bars.keys import ONE_MINUTE, bar_keys, start_of
from bars.provenance import BACKFILL, STREAM, provenance_of
from bars.resolutions import ONE_DAY
from processor_lambda.rows import Row
from quotes import Action
from yahoo_requests.breaker import Breaker, PollOutcome
from yahoo_requests.errors import SourceError

MINUTE_SECONDS = 60
GO_ON = "run the same command again later: it goes on where this run stopped"
CONFIRMED_AFTER = timedelta(hours=12)
"""So much later another answer that ends at the same time says that nothing was traded after it."""
Progress = Callable[[int], None]


def _ignored(_: int) -> None:
    pass


class Runner:
    """Runs plans on one table of bars and one archive."""

    def __init__(
        self,
        bars: Bars,
        chunks: Chunks,
        charts: Charts,
        refolder: Refolder,
        *,
        now: Callable[[], datetime],
        ttl_days: int,
    ) -> None:
        self._bars, self._chunks, self._charts, self._refolder = bars, chunks, charts, refolder
        self._now, self._ttl_days = now, ttl_days

    def fill(self, plan: Plan, summary: Summary, on_progress: Progress = _ignored) -> None:
        """Store what the archive has, then ask for the chunks. The first refusal of the source ends it.

        The counts are added to the summary. `on_progress` gets the number of requests that a step took.
        """
        summary.symbols = len(plan.symbols)
        summary.forgotten_days = sum(len(each.forgotten) for each in plan.symbols.values())
        summary.unknown_sessions = [name for name, each in plan.symbols.items() if each.is_unknown]
        for chunk in plan.archived:
            self._store(self._archived(chunk), plan, summary)
            summary.from_archive += 1
        breaker = Breaker()
        splits: dict[str, tuple[Action, ...]] = {}
        skipped: set[str] = set()
        for chunk in plan.chunks:
            if chunk.symbol in skipped:
                continue
            try:
                if chunk.resolution != ONE_DAY.name and chunk.symbol not in splits:
                    splits[chunk.symbol] = self._splits(chunk.symbol, plan, summary, on_progress)
                self._ask(chunk, splits.get(chunk.symbol, ()), plan, summary)
                summary.chunks += 1
                on_progress(1)
            except UnknownSymbol as error:
                skipped.add(chunk.symbol)
                summary.problems.append(f"{chunk.symbol}: Yahoo does not know it: {error}")
            except OtherCurrency as error:
                skipped.add(chunk.symbol)
                summary.problems.append(f"{chunk.symbol}: nothing is stored: {error}")
            except SourceError as error:
                day = chunk.start.astimezone(plan.symbols[chunk.symbol].calendar.zone)
                summary.failures.append(f"{chunk.symbol} from {day:%Y-%m-%d}: {error}")
                if chunk.resolution != ONE_DAY.name and chunk.symbol not in splits:
                    skipped.add(chunk.symbol)  # without its splits, none of its prices is known
                breaker = breaker.after(_outcome(error), self._now(), 0.0)
                if breaker.permits(self._now()) != "all":
                    summary.failures.append(f"stopped: {_refusal(error)}; {GO_ON}")
                    return
                continue
            breaker = breaker.after("answered", self._now(), 0.0)

    def refold(self, plan: Plan, summary: Summary, on_progress: Progress = _ignored) -> None:
        """Compute the indicators of the symbols whose minutes have changed, in this run or in an earlier one."""
        if plan.wish.resolution != ONE_MINUTE:
            return
        for symbol in plan.symbols:
            try:
                refolded = self._refolder.refold(symbol)
            except (BarsAreBusy, LaneIsBusy) as error:  # what was noted stays, and the next run does it
                summary.failures.append(str(error))
            else:
                summary.refolded += refolded.bars
                summary.lanes += refolded.live
            on_progress(1)

    def _splits(self, symbol: str, plan: Plan, summary: Summary, on_progress: Progress) -> tuple[Action, ...]:
        """The splits of a symbol up to now, from the chunk of its days."""
        planned = plan.symbols[symbol]
        if planned.daily is None:
            return ()
        if planned.is_daily_archived:
            finished = self._archived(planned.daily)
            self._store(finished, plan, summary)
        else:
            finished = self._ask(planned.daily, (), plan, summary)
            on_progress(1)
        return tuple(each for each in finished.actions if each.action == "split")

    def _ask(self, chunk: Chunk, splits: Sequence[Action], plan: Plan, summary: Summary) -> FinishedChunk:
        """Ask for a chunk, archive the answer, and store it."""
        days = plan.symbols[chunk.symbol].days
        sessions = [span for day in days if day.start < chunk.end and day.end > chunk.start for span in day.sessions]
        summary.requests += 1
        finished = self._confirmed(self._charts.fetch(chunk, sessions, splits))
        self._chunks.put(chunk, encode(finished))
        self._store(finished, plan, summary)
        return finished

    def _confirmed(self, finished: FinishedChunk) -> FinishedChunk:
        """An answer that ends early, as a whole one if an answer of another day ends at the same time.

        Yahoo may have cut the answer, or nothing was traded any more. Only the second is still so later.
        """
        chunk = finished.chunk
        if finished.complete_to >= chunk.end or chunk.end > finished.fetched_at:
            return finished
        content = self._chunks.get(chunk)
        with suppress(Unreadable):
            earlier = None if content is None else decode_chunk(content, key_of(chunk))
            if (
                earlier is not None
                and earlier.complete_to == finished.complete_to
                and finished.fetched_at - earlier.fetched_at >= CONFIRMED_AFTER
            ):
                return replace(finished, complete_to=chunk.end)
        return finished

    def _archived(self, chunk: Chunk) -> FinishedChunk:
        content = self._chunks.get(chunk)
        if content is None:
            raise Unreadable(f"{key_of(chunk)} was removed from the archive meanwhile: run the command again")
        return decode_chunk(content, key_of(chunk))

    def _store(self, finished: FinishedChunk, plan: Plan, summary: Summary) -> None:
        """Write the bars of a chunk that are missing, and then which minutes it has none of."""
        chunk = finished.chunk
        over_stream = plan.wish.over_stream
        stored = {str(row["key"]): row for row in self._bars.between(chunk.symbol, *_keys_of(chunk))}
        rows = [bar_row(finished, bar, self._ttl_days) for bar in finished.bars]
        new = [row for row in rows if _is_wanted(row, stored.get(str(row["key"])), over_stream=over_stream)]
        if new and chunk.resolution == ONE_MINUTE:
            self._refolder.mark(chunk.symbol, min(start_of(str(row["key"])) for row in new))
        summary.written += self._bars.put_bars(new, over_stream=over_stream)
        covered = covered_minutes(chunk.resolution, [bar.start for bar in finished.bars])
        asked: list[Row] = []
        for day in plan.symbols[chunk.symbol].days:
            if chunk.start <= day.start and day.end <= chunk.end:
                spans = uncovered(day, chunk.resolution, covered, before=finished.complete_to)
                if spans:
                    asked.append(asked_row(finished, day.start, spans, self._ttl_days))
                summary.without_trades += sum(
                    int((each.end - each.start).total_seconds()) // MINUTE_SECONDS for each in spans
                )
        self._bars.put(asked)
        summary.bars += len(rows)
        summary.actions += len(finished.actions)
        summary.problems += [f"{chunk.symbol}: {problem}" for problem in finished.problems]


def _is_wanted(row: Row, stored: Row | None, *, over_stream: bool) -> bool:
    """Whether to write a row. A stored bar of a backfill is replaced if the source has corrected it since."""
    if stored is None:
        return True
    provenance = provenance_of(stored)
    if provenance == BACKFILL:
        return not is_same_bar(row, stored) and str(row["ingest_time"]) > str(stored.get("ingest_time", ""))
    return over_stream and provenance == STREAM


def _keys_of(chunk: Chunk) -> tuple[str, str]:
    return bar_keys(chunk.resolution, chunk.start, chunk.end)


def _outcome(error: SourceError) -> PollOutcome:
    match error.reason:
        case "rate_limited" | "unauthorized" as refused:
            return refused
        case _:
            return "failed"


def _refusal(error: SourceError) -> str:
    if error.reason == "rate_limited":
        return "Yahoo refuses further requests for now, and counts those of the producer together with these"
    return "Yahoo did not answer several requests in a row"
