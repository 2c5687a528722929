"""What one poll did, and what is known of a group since its last poll. Pure.

A result that a pushed source delivers counts as a poll.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from producer_service.deduplication import Deduplicated
from producer_service.sources import ConnectionReport, Failure, FetchResult

Outcome = Literal["complete", "partial", "failed", "paused"]


class PollReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll did. fetched = accepted + suppressed + late + rejected."""

    fetched: int = 0
    accepted: int = 0
    suppressed: int = 0
    late: int = 0
    rejected: int = 0
    missing: int = 0
    failures: int = 0
    paused: bool = False
    """Nothing was asked for, because the source's breaker is open."""
    more: bool = False
    """The source has more quotes that are due now."""
    ended: bool = False
    """The source has no quotes left and never will have."""

    @property
    def outcome(self) -> Outcome:
        """The outcome that metrics count: `partial` if some requests failed, `failed` if all did."""
        if self.paused:
            return "paused"
        if not self.failures:
            return "complete"
        return "partial" if self.fetched + self.missing else "failed"


class PollStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a group since its last poll."""

    polled_at: datetime | None = None
    report: PollReport | None = None
    missing: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    paused_until: datetime | None = None
    failed_at: datetime | None = None
    """When the last poll with a failure began."""
    failure: Failure | None = None
    """The last failure, however long ago."""
    connection: ConnectionReport | None = None
    """The connection of a pushed source, as it was at the last result."""

    def after(self, asked_at: datetime, result: FetchResult, report: PollReport) -> PollStatus:
        """The status after another poll. A paused poll says nothing about missing symbols, so they stay.

        What was pushed says nothing about any other symbol, or about polls.
        """
        status = replace(self, polled_at=asked_at, report=report, connection=result.connection)
        if not result.is_push:
            status = replace(
                status,
                missing=self.missing if report.paused else result.missing,
                inactive=result.inactive,
                paused_until=result.paused_until,
            )
        return replace(status, failed_at=asked_at, failure=result.failures[-1]) if result.failures else status

    def with_symbols(self, symbols: Collection[str]) -> PollStatus:
        """The status of a group that has only these symbols from now on."""
        return replace(
            self,
            missing=tuple(symbol for symbol in self.missing if symbol in symbols),
            inactive=tuple(symbol for symbol in self.inactive if symbol in symbols),
        )


def report_of(result: FetchResult, deduplicated: Deduplicated) -> PollReport:
    """The report of a poll, from what the source delivered and what became of its quotes."""
    is_empty = not (result.quotes or result.rejected or result.missing or result.failures)
    return PollReport(
        fetched=len(result.quotes) + len(result.rejected),
        accepted=len(deduplicated.accepted),
        suppressed=deduplicated.suppressed,
        late=deduplicated.late,
        rejected=len(result.rejected),
        missing=len(result.missing),
        failures=len(result.failures),
        paused=is_empty and result.complete_to is None and result.paused_until is not None,
        more=result.more,
        ended=result.ended,
    )


def total(reports: Iterable[PollReport]) -> PollReport:
    """What some polls did together. It is paused or has more if one of them is or has, and ended if all are."""
    listed = list(reports)
    counts = ("fetched", "accepted", "suppressed", "late", "rejected", "missing", "failures")
    return PollReport(
        **{name: sum(getattr(report, name) for report in listed) for name in counts},
        paused=any(report.paused for report in listed),
        more=any(report.more for report in listed),
        ended=bool(listed) and all(report.ended for report in listed),
    )
