"""Runs a plan: asks for each chunk, archives the answer, stores its bars, and computes the indicators again.

It may be killed at any point and run again, also beside another run. A chunk is archived before its bars are written,
so the next run writes the rest of them without a request. Before minutes are written, a note says from where on the
indicators must be computed: see `refold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from backfill.chunk_file import decode_chunk, encode, key_of
from backfill.chunks import Chunk, FinishedChunk
from backfill.days import covered_minutes, uncovered
from backfill.errors import Forgotten, OtherCurrency, UnknownSymbol, Unreadable
from backfill.failures import Failures, outcome_of
from backfill.lane_refold import LaneIsBusy
from backfill.planner import Plan, Wish
from backfill.ports import Bars, Charts, Chunks, ignored
from backfill.refold import BarsAreBusy, Refolder
from backfill.rows import asked_row, bar_row, failed_row, is_same_bar
from backfill.summary import Summary
from bars.keys import ONE_MINUTE, bar_keys, start_of
from bars.provenance import BACKFILL, REPLACES, STREAM, provenance_of
from bars.resolutions import ONE_DAY
from processor_lambda.rows import Row
from quotes import Action
from yahoo_requests.breaker import PollOutcome
from yahoo_requests.errors import SourceError

MINUTE_SECONDS = 60
GO_ON = "run the same command again later: it goes on where this run stopped"
BEGIN_ANEW = "run the same command again later: with --again, it asks for everything once more"
CONFIRMED_AFTER = timedelta(hours=12)
"""So much later another answer that ends at the same time says that nothing was traded after it."""
Progress = Callable[[int], None]


class _Share:
    """The part of the progress that belongs to one step, which may write more or fewer rows than the plan says."""

    def __init__(self, rows: int, on_progress: Progress) -> None:
        self._left, self._on_progress = rows, on_progress

    def row(self, _: object = None) -> None:
        """A row is done."""
        if self._left:
            self._left -= 1
            self._on_progress(1)

    def end(self) -> None:
        """The step is done."""
        self._on_progress(self._left)
        self._left = 0


class _Asking:
    """What a run has learned from the answers so far."""

    def __init__(self) -> None:
        self.failures = Failures()
        self.splits: dict[str, tuple[Action, ...]] = {}
        self.chunks: dict[str, list[Chunk]] = {}
        """The chunks that were asked for with these splits, by symbol."""
        self.skipped: set[str] = set()
        """The symbols that are asked for no further."""
        self.failed: set[str] = set()
        self.answered: set[str] = set()


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
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        """`checkpoint` is called where nothing is half done. It may raise."""
        self._bars, self._chunks, self._charts, self._refolder = bars, chunks, charts, refolder
        self._now, self._ttl_days, self._checkpoint = now, ttl_days, checkpoint

    def fill(self, plan: Plan, summary: Summary, on_progress: Progress = ignored) -> None:
        """Store what the archive has, then ask for the chunks, until `failures` say that the source is out of order.

        The next run asks for the symbols that failed last of all. So none that can be filled waits for ever behind some
        that cannot.

        The counts are added to the summary, also of a run that ends with an error. `on_progress` gets how many of
        `plan.rows` are done.
        """
        summary.symbols = len(plan.symbols)
        summary.forgotten_days = sum(len(each.forgotten) for each in plan.symbols.values())
        summary.unknown_sessions = [name for name, each in plan.symbols.items() if each.is_unknown]
        for chunk in plan.archived:
            self._checkpoint()
            self._store(self._archived(chunk), plan, summary, on_progress)
            summary.from_archive += 1
        asking = _Asking()
        for chunk in plan.chunks:
            if asking.failures.forbid(chunk.symbol):
                break
            if chunk.symbol not in asking.skipped:
                try:
                    self._ask_for(chunk, asking, plan, summary, on_progress)
                except SourceError as error:
                    summary.failures.append(f"{chunk.symbol} from {_day_of(chunk, plan)}: {error}")
                    self._note_failure(chunk.symbol, outcome_of(error), asking, plan)
                else:
                    self._note_answer(chunk.symbol, asking, plan)
        if asking.failures.reason is not None:
            summary.failures.append(f"stopped: {asking.failures.reason}; {go_on(plan.wish)}")

    def _ask_for(self, chunk: Chunk, asking: _Asking, plan: Plan, summary: Summary, on_progress: Progress) -> None:
        """Ask for a chunk, and before the first one of a symbol for its splits. Raises `SourceError`.

        The source divides all prices before a split from the moment at which it declares it, which may be days after
        the split. So prices and splits must be of one state of the source. The splits of an earlier run say nothing.
        """
        symbol = chunk.symbol
        needs_splits = chunk.resolution != ONE_DAY.name and symbol not in asking.splits
        try:
            if needs_splits:
                asking.splits[symbol] = self._splits(symbol, plan, summary, on_progress)
            known = asking.splits.get(symbol, ())
            finished = self._ask(chunk, known, plan, summary, on_progress)
            summary.chunks += 1
            earlier = asking.chunks.setdefault(symbol, [])
            if earlier and not _days_of(_splits_of(finished)) <= _days_of(known):
                # The source has declared a split since it was asked for them, so earlier prices may be divided by it.
                asking.splits[symbol] = self._splits(symbol, plan, summary, ignored)
                for each in earlier:
                    self._ask(each, asking.splits[symbol], plan, summary, ignored)
            earlier.append(chunk)
        except UnknownSymbol as error:
            asking.skipped.add(symbol)
            summary.problems.append(f"{symbol}: Yahoo does not know it: {error}")
        except OtherCurrency as error:
            asking.skipped.add(symbol)
            summary.problems.append(f"{symbol}: nothing is stored: {error}")
        except Forgotten as error:
            summary.problems.append(f"{symbol} from {_day_of(chunk, plan)}: Yahoo no longer keeps these bars: {error}")
        except SourceError:
            if needs_splits and symbol not in asking.splits:
                asking.skipped.add(symbol)  # without its splits, none of its prices is known
            raise

    def _note_failure(self, symbol: str, outcome: PollOutcome, asking: _Asking, plan: Plan) -> None:
        """The next run asks for other symbols first, unless Yahoo has refused them all."""
        if outcome != "rate_limited" and symbol not in asking.failed:
            self._bars.put([failed_row(symbol, plan.wish.resolution, self._now())])
            asking.failed.add(symbol)
        asking.failures = asking.failures.after(symbol, outcome)

    def _note_answer(self, symbol: str, asking: _Asking, plan: Plan) -> None:
        if plan.symbols[symbol].failed_at is not None and symbol not in asking.failed | asking.answered:
            self._bars.put([failed_row(symbol, plan.wish.resolution, None)])
        asking.answered.add(symbol)
        asking.failures = Failures()

    def refold(self, plan: Plan, summary: Summary, on_progress: Progress = ignored) -> None:
        """Compute the indicators of the symbols whose minutes have changed, in this run or in an earlier one.

        `on_progress` gets how many of `plan.recomputed` are done.
        """
        if plan.wish.resolution != ONE_MINUTE:
            return
        for symbol, planned in plan.symbols.items():
            self._checkpoint()
            share = _Share(planned.recomputed, on_progress)
            try:
                refolded = self._refolder.refold(symbol, share.row)
            except (BarsAreBusy, LaneIsBusy) as error:  # what was noted stays, and the next run does it
                summary.failures.append(str(error))
            else:
                summary.refolded += refolded.bars
                summary.lanes += refolded.live
            share.end()

    def _splits(self, symbol: str, plan: Plan, summary: Summary, on_progress: Progress) -> tuple[Action, ...]:
        """The splits of a symbol up to now, from the chunk of its days."""
        daily = plan.symbols[symbol].daily
        return () if daily is None else _splits_of(self._ask(daily, (), plan, summary, on_progress))

    def _ask(
        self, chunk: Chunk, splits: Sequence[Action], plan: Plan, summary: Summary, on_progress: Progress
    ) -> FinishedChunk:
        """Ask for a chunk, archive the answer, and store it."""
        self._checkpoint()
        calendar, days = plan.symbols[chunk.symbol].calendar, plan.symbols[chunk.symbol].days
        known = () if calendar.is_unknown else days
        sessions = [span for day in known if day.start < chunk.end and day.end > chunk.start for span in day.sessions]
        summary.requests += 1
        finished = self._confirmed(self._charts.fetch(chunk, sessions, splits))
        self._chunks.put(chunk, encode(finished))
        self._store(finished, plan, summary, on_progress)
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

    def _store(self, finished: FinishedChunk, plan: Plan, summary: Summary, on_progress: Progress) -> None:
        """Write the bars of a chunk that are missing, and then which minutes it has none of."""
        chunk = finished.chunk
        share = _Share(plan.symbols[chunk.symbol].rows_in(chunk), on_progress)
        over_stream = plan.wish.over_stream
        stored = {str(row["key"]): row for row in self._bars.between(chunk.symbol, *_keys_of(chunk))}
        rows = [bar_row(finished, bar, self._ttl_days, over_stream=over_stream) for bar in finished.bars]
        pairs = [(row, stored.get(str(row["key"]))) for row in rows]
        new = [_corrected(row, old) for row, old in pairs if _is_wanted(row, old, over_stream=over_stream)]
        if new and chunk.resolution == ONE_MINUTE:
            self._refolder.mark(chunk.symbol, start_of(str(new[0]["key"])))
            new = self._refolder.computed(chunk.symbol, new, stored)
        is_for_splits = chunk.resolution != plan.wish.resolution

        def count(is_written: bool) -> None:  # noqa: FBT001  (`OnRow` has this form)
            summary.written += is_written
            summary.written_days += is_written and is_for_splits
            share.row()

        self._bars.put_bars(new, over_stream=over_stream, on_row=count)
        share.end()
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
        of = f"{chunk.symbol}, {chunk.resolution} from {_day_of(chunk, plan)}"
        summary.problems += [f"{of}: {problem}" for problem in finished.problems]


def go_on(wish: Wish) -> str:
    """What to do after a run that was stopped, for people."""
    return BEGIN_ANEW if wish.again else GO_ON


def _is_wanted(row: Row, stored: Row | None, *, over_stream: bool) -> bool:
    """Whether to write a row. A stored bar of a backfill is replaced if the source has corrected it since."""
    if stored is None:
        return True
    provenance = provenance_of(stored)
    if provenance == BACKFILL:
        return not is_same_bar(row, stored) and str(row["ingest_time"]) > str(stored.get("ingest_time", ""))
    return over_stream and provenance == STREAM


def _corrected(row: Row, stored: Row | None) -> Row:
    """The row, with the mark of the stored one that it may replace a bar of the stream, if that has it."""
    return row if stored is None or REPLACES not in stored else {**row, REPLACES: stored[REPLACES]}


def _splits_of(finished: FinishedChunk) -> tuple[Action, ...]:
    return tuple(each for each in finished.actions if each.action == "split")


def _days_of(splits: Iterable[Action]) -> set[date]:
    """The days of splits. Charts of minutes and of days may name different times of a day."""
    return {each.event_time.date() for each in splits}


def _keys_of(chunk: Chunk) -> tuple[str, str]:
    return bar_keys(chunk.resolution, chunk.start, chunk.end)


def _day_of(chunk: Chunk, plan: Plan) -> str:
    return f"{chunk.start.astimezone(plan.symbols[chunk.symbol].calendar.zone):%Y-%m-%d}"
