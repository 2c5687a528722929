"""What a backfill did, for people and programs. Pure."""

from __future__ import annotations

import msgspec


class Summary(msgspec.Struct, kw_only=True):
    """The counts of a run. It is one line of JSON."""

    event: str = "backfill"
    status: str = "done"
    """`done`, or `failed` if something could not be done."""
    resolution: str
    symbols: int = 0
    requests: int = 0
    """Requests that were sent."""
    chunks: int = 0
    """Chunks that were asked for and stored, without those of days that show the splits."""
    from_archive: int = 0
    """Chunks of an earlier run that were stored without a request."""
    bars: int = 0
    """Bars in all these chunks and in those of the days that show the splits."""
    written: int = 0
    """Those of these bars that were written: they were missing, or differed from an earlier backfill."""
    written_days: int = 0
    """Those of the written bars that are bars of days and show the splits, where minutes or hours were asked for."""
    without_trades: int = 0
    """Minutes of sessions that were asked for, and for which the source has no bar."""
    actions: int = 0
    refolded: int = 0
    """Bars whose indicators were computed again."""
    lanes: int = 0
    """Symbols whose live indicators were computed again."""
    forgotten_days: int = 0
    """Days that lack bars, and that the source does not keep any more."""
    unknown_sessions: list[str] = []
    """Symbols of which some sessions are not known."""
    problems: list[str] = []
    """What was wrong with the answers of the source."""
    failures: list[str] = []
    """What could not be done."""
