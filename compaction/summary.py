"""What a compaction did, for people and programs. Pure."""

from __future__ import annotations

from datetime import date

import msgspec


class Summary(msgspec.Struct, kw_only=True):
    """The counts of a run. It is one line of JSON."""

    event: str = "compaction"
    status: str = "done"
    compacted_to: date | None = None
    """The first event day that is not closed."""
    arrival_days: int = 0
    """The arrival days that were read."""
    objects: int = 0
    bytes: int = 0
    quote_lines: int = 0
    quotes_added: int = 0
    quotes_waiting: int = 0
    """The quotes that were read, and whose days are not closed yet. A later run adds them."""
    copies: int = 0
    """The copies of quotes that the tables hold only once."""
    days_changed: list[date] = msgspec.field(default_factory=list)
    actions_added: int = 0
    """The splits and dividends that are new, or have other values than before."""
    counts_kept: list[date] = msgspec.field(default_factory=list)
    """The arrival days that were read again after objects of them had expired. `archive_days` still counts these."""
    bar_months_changed: int = 0
    files_deleted: int = 0
    raw_objects_deleted: int = 0
    seconds: float = 0
    counts_differ: int = 0
    """How many failures say that what was written differs from what was read."""
    failures: list[str] = msgspec.field(default_factory=list)
    """What could not be done. The status is `failed` if there is any."""


def summary_lines(summary: Summary) -> list[str]:
    """The counts of a run that has ended, for a person."""
    quotes, days, months = f"{summary.quotes_added:,}", len(summary.days_changed), summary.bar_months_changed
    lines = [f"quotes added: {quotes}; days changed: {days}; months of bars changed: {months}"]
    if summary.quotes_waiting:
        lines.append(f"quotes that wait, because their days are not closed yet: {summary.quotes_waiting:,}")
    if summary.counts_kept:
        kept = ", ".join(map(str, summary.counts_kept))
        lines.append(f"raw objects of {kept} are gone, and archive_days still counts them")
    if summary.files_deleted or summary.raw_objects_deleted:
        lines.append(f"{summary.files_deleted:,} old files and {summary.raw_objects_deleted:,} raw objects deleted")
    if summary.compacted_to is not None:
        lines.append(f"the days before {summary.compacted_to} are complete in the tables")
    return [*lines, *(f"not done: {failure}" for failure in summary.failures)]
