"""An outbox that has seen nothing, for tests of what is exported."""

from __future__ import annotations

from producer_service.quote_counts import QuoteCounts


class EmptyOutbox:
    """All its counts are 0."""

    def counts(self) -> QuoteCounts:
        return QuoteCounts(
            accepted=0,
            suppressed=0,
            late=0,
            rejected=0,
            recovered=0,
            acknowledged=0,
            handed_over=0,
            pending=0,
            bytes=0,
            oldest_age_seconds=None,
        )

    def journal_bytes(self) -> int:
        return 0
