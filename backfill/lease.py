"""The lease of a stage, by which only one backfill asks the source at a time. Pure.

Two at once would damage nothing, but ask for everything twice. A run renews its lease while it lives, so the lease of a
run that was killed ends soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from backfill.refold_note import VERSION
from processor_lambda.rows import Row
from quotes import from_iso, to_iso

SYMBOL, KEY = "#backfill", "lease"
"""The key of its row in the table of bars. No symbol is written so."""
LENGTH = timedelta(seconds=30)
"""How long it lasts unless it is renewed."""
RENEWED_EVERY = timedelta(seconds=10)


class Lease(msgspec.Struct, frozen=True):
    """Who runs, since when, and until when at least. Each method returns a lease and changes nothing."""

    version: int = 0
    """Every write of the row raises it. 0 if there is none."""
    run: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def is_held(self, now: datetime) -> bool:
        """Whether a run has it."""
        return self.until is not None and now < self.until

    def taken(self, run: str, now: datetime) -> Lease:
        """The lease of a run that begins now."""
        return Lease(self.version + 1, run, now, now + LENGTH)

    def renewed(self, now: datetime) -> Lease:
        """The lease of the same run, from now on."""
        return replace(self, version=self.version + 1, until=now + LENGTH)

    def released(self, now: datetime) -> Lease:
        """The lease after the run has ended."""
        return replace(self, version=self.version + 1, until=now)

    def row(self) -> Row:
        """The row of the table, of a lease that was taken."""
        times = {"since": self.since, "until": self.until}
        return {
            "symbol": SYMBOL,
            "key": KEY,
            VERSION: self.version,
            "run": self.run,
            **{name: to_iso(time) for name, time in times.items() if time is not None},
        }


def lease_of(rows: Iterable[Mapping[str, Any]]) -> Lease:
    """The lease, from the rows with its key: one or none."""
    for row in rows:
        return Lease(int(row[VERSION]), str(row["run"]), from_iso(str(row["since"])), from_iso(str(row["until"])))
    return Lease()
