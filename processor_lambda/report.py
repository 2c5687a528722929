"""The outcome of a batch, as a value."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a batch, as counts for one log line."""

    records: int = 0
    quotes: int = 0
    """Quotes of the records that were not committed before. A quote that is in the batch twice counts twice."""
    late: int = 0
    """Those of them that changed no bar: late, repeated, or of a symbol beyond the lane's limit."""
    repeated_records: int = 0
    """Records that an earlier invocation committed."""
    quarantined: int = 0
    bars: int = 0
    alerts: int = 0
    commit_conflicts: int = 0
    largest_state_bytes: int = 0
    """The size of the largest state that was committed."""
    oldest_ingest_time: datetime | None = None
    """When the producer received the oldest of the quotes. None if there are none."""
