"""The note of a symbol in the table of bars: from which minute on its indicators must be computed again. Pure.

Several commands may change the bars of a symbol at the same time, and each may be killed. So the note has a marking of
each run that changes bars, and a version that every write of the note raises. A run writes the note only in the version
that it has read. So it drops its marking only if no other run has marked, computed or finished since it read the bars.
It drops no marking of another run that may still write bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from bars.keys import ONE_MINUTE
from processor_lambda.rows import Row
from quotes import to_iso

KEY = f"refold#{ONE_MINUTE}"
"""The range key of the note. It is not that of a bar."""
VERSION = "version"
"""The attribute with the version."""
DEAD_AFTER = timedelta(hours=6)
"""A run that marked a symbol so long ago has written its bars or was killed. It takes minutes at most."""
_MARKINGS = "markings"


class Marking(msgspec.Struct, frozen=True, array_like=True):
    """A run changes the minutes of a symbol from `since` on. It said so at `at`."""

    since: datetime
    at: datetime


_decode = msgspec.json.Decoder(dict[str, Marking]).decode


class RefoldNote(msgspec.Struct, frozen=True):
    """The note of a symbol. Each method returns a note and changes nothing."""

    symbol: str
    version: int = 0
    """0 if no note was ever written."""
    markings: Mapping[str, Marking] = {}
    """The marking of each run, by the name of the run."""

    @property
    def since(self) -> datetime | None:
        """The first minute whose indicators must be computed again. None if all are computed."""
        return min((each.since for each in self.markings.values()), default=None)

    def marked(self, run: str, minute: datetime, now: datetime) -> RefoldNote:
        """The note after a run says that it changes bars from a minute on. The earliest minute of the run counts."""
        own = self.markings.get(run)
        since = minute if own is None else min(minute, own.since)
        return self._with({**self.markings, run: Marking(since, now)})

    def finished(self, run: str, since: datetime) -> RefoldNote:
        """The note after a run has computed all indicators. It read the bars at `since` or later."""
        return self._with(
            {name: each for name, each in self.markings.items() if name != run and each.at > since - DEAD_AFTER}
        )

    def row(self) -> Row:
        """The row of the table."""
        markings = {name: [to_iso(each.since), to_iso(each.at)] for name, each in sorted(self.markings.items())}
        return {
            "symbol": self.symbol,
            "key": KEY,
            VERSION: self.version,
            _MARKINGS: msgspec.json.encode(markings).decode(),
        }

    def _with(self, markings: Mapping[str, Marking]) -> RefoldNote:
        return replace(self, version=self.version + 1, markings=markings)


def note_of(symbol: str, rows: Iterable[Mapping[str, Any]]) -> RefoldNote:
    """The note of a symbol, from the rows with its key: one or none."""
    for row in rows:
        return RefoldNote(symbol, int(row[VERSION]), _decode(str(row[_MARKINGS])))
    return RefoldNote(symbol)
