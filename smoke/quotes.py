"""The steps that follow quotes: they arrive, and everybody has the same ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property

from analytics import catalog
from operations.s3 import S3ObjectStore
from smoke.archive import Archive, count_of_moments, count_of_view, rows
from smoke.athena import Athena
from smoke.checks import (
    Counts,
    Identity,
    Span,
    counts_agree,
    needs_other_engine,
    queries_answered,
    quotes_arrived,
)
from smoke.deadline import Deadline
from smoke.stage import Stage
from smoke.verdicts import Verdict

SETTLING = timedelta(seconds=5)
"""A span ends this long before now. If quotes of it arrive later, the comparison is repeated."""
LONGEST = timedelta(minutes=10)
"""The longest span of the first comparison, which a stage with many symbols reads quickly."""


class Quotes:
    """The quotes since the start of the test."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def arrive(self, deadline: Deadline) -> Verdict:
        """Wait for quotes in the archive and in the table."""

        def look() -> Verdict:
            span = Span(self.stage.started_at, self.stage.clock.now())
            archived = self.archived(span)
            return quotes_arrived(archived, archived & self._rows(archived, span))

        return deadline.until(look)

    def agree(self, deadline: Deadline) -> Verdict:
        """Compare the quotes of the last minutes."""
        return deadline.until(lambda: counts_agree(self._counts(deadline, LONGEST)))

    def still_agree(self, deadline: Deadline) -> Verdict:
        """Compare the quotes of the whole test."""
        return deadline.until(lambda: counts_agree(self._counts(deadline, timedelta.max)))

    def have_come_since(self, time: datetime) -> bool:
        """Whether the archive has a quote with a later event time."""
        return bool(self.symbols_since(time))

    def symbols_since(self, time: datetime) -> frozenset[str]:
        """The symbols of the quotes with a later event time."""
        return frozenset(symbol for symbol, _ in self.archived(Span(time, self.stage.clock.now())))

    def rate(self) -> tuple[int, float]:
        """The number of symbols, and the quotes a second, so far."""
        archived = self.archived(Span(self.stage.started_at, self.stage.clock.now()))
        times = sorted(time[: len("2026-11-23T14:30:00.000Z")] for _, time in archived)
        if not times:
            return 0, 0.0
        seconds = (datetime.fromisoformat(times[-1]) - datetime.fromisoformat(times[0])).total_seconds()
        return len({symbol for symbol, _ in archived}), len(archived) / max(1.0, seconds)

    def saved_queries(self, deadline: Deadline) -> Verdict:
        """Run each saved query."""
        athena = self._athena
        other = needs_other_engine(athena.engine(deadline))
        if other is not None:
            return other
        names = [query.name for query in catalog.read().queries]
        return queries_answered(names, list(athena.saved(deadline)))

    def span(self, longest: timedelta) -> Span:
        """The last part of the test, of at most this length, without the moments before now."""
        end = self.stage.clock.now() - SETTLING
        return Span(end - min(longest, end - self.stage.started_at), end)

    def archived(self, span: Span) -> frozenset[Identity]:
        """The quotes of a span that the archive has now."""
        return self._archive.quotes(span, self.stage.clock.now())

    def accepted(self, span: Span) -> int:
        """How many quotes the archive has that the producer accepted in a span."""
        return self._archive.accepted(span, self.stage.clock.now())

    def _counts(self, deadline: Deadline, longest: timedelta) -> Counts:
        span = self.span(longest)
        archived = self.archived(span)
        stored = self._rows(archived, span)
        athena = self._athena
        view: int | None = None
        if needs_other_engine(athena.engine(deadline)) is None:
            view = int(athena.value(count_of_view(span), deadline))
        return Counts(
            span=span,
            archived=archived,
            rows=stored,
            moments_in_lines=int(athena.value(count_of_moments(span), deadline)),
            quotes_in_view=view,
            archived_after=self.archived(span),
            batches_given_up=self._archive.batches_given_up(self.stage.started_at),
            every_quote_has_a_row=self.stage.parameters("processor").get("RowResolution", "every") == "every",
        )

    def _rows(self, archived: frozenset[Identity], span: Span) -> frozenset[Identity]:
        symbols = {symbol for symbol, _ in archived}
        return rows(self.stage.client("dynamodb"), self.stage.output("QuotesTable"), symbols, span)

    @cached_property
    def _archive(self) -> Archive:
        return Archive(S3ObjectStore(self.stage.client("s3")), self.stage.output("ArchiveBucket"))

    @property
    def _athena(self) -> Athena:
        return Athena(self.stage.client("athena"), self.stage.output("Workgroup"), self.stage.output("Database"))
