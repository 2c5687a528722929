"""When streamed quotes may be missing, and when the connection has stalled. Pure: times are arguments.

Times are those of a monotonic clock, in seconds.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from producer_service.sources import GapReason

STALLED_SECONDS = 30.0
"""How long a connection may bring nothing, after a poll has brought a trade that it should have brought."""
SILENT_SECONDS = 300.0
"""How long a connection may bring nothing while an exchange is open, whatever polls bring."""
_MAX_DOUBLINGS = 4


class Gap(msgspec.Struct, frozen=True):
    """A time in which streamed quotes may be missing."""

    reason: GapReason
    since: float
    """When the connection last brought something, or was opened."""


class Continuity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether everything that was streamed has come. Each method returns a value and changes nothing.

    - A gap begins when the connection is lost or cannot be opened, and when it stalls.
    - It is filled by a complete poll that begins while there is a connection again.
    - A silent connection has stalled if a poll has brought news meanwhile. Without news it may only be quiet, so it is
      opened anew after some minutes. That time doubles as long as other connections are as silent.
    """

    started: float
    """When listening began."""
    connected: float | None = None
    """When the connection was opened. None while there is none."""
    heard: float | None = None
    """When a message last came, over any connection."""
    has_news: bool = False
    """Whether a poll has brought a trade since then that was not streamed, and that is newer than the connection."""
    silent_connections: int = 0
    """How many connections in a row have brought nothing for `SILENT_SECONDS`."""
    gap: Gap | None = None

    def after_connect(self, now: float) -> Continuity:
        """A connection was opened."""
        return replace(self, connected=now, has_news=False)

    def after_loss(self, reason: GapReason, *, is_due: bool) -> Continuity:
        """The connection ended, or could not be opened. No gap begins while no price is to be expected."""
        since = max(self.started, self.connected or 0.0, self.heard or 0.0)
        gap = self.gap or (Gap(reason, since) if is_due else None)
        return replace(self, connected=None, gap=gap)

    def after_messages(self, now: float) -> Continuity:
        """Messages came."""
        return replace(self, heard=now, has_news=False, silent_connections=0)

    def after_poll(self, began: float, *, is_complete: bool, has_news: bool) -> Continuity:
        """A poll ended. It fills a gap if no request of it failed, and if there was a connection when it began."""
        is_filled = is_complete and self.connected is not None and self.connected <= began
        return replace(self, has_news=self.has_news or has_news, gap=None if is_filled else self.gap)

    def is_alive(self, now: float) -> bool:
        """Whether the connection is surely no silent one, because it has brought something in the last seconds."""
        return self.connected is not None and self.heard is not None and now - self.heard < STALLED_SECONDS

    def is_stalled(self, now: float, *, is_trading: bool) -> bool:
        """Whether the connection should be given up, because it brings nothing while there are trades."""
        if self.connected is None or not is_trading:
            return False
        silence = now - max(self.connected, self.heard or 0.0)
        if self.has_news and silence >= STALLED_SECONDS:
            return True
        return silence >= SILENT_SECONDS * 2.0 ** min(self.silent_connections, _MAX_DOUBLINGS)

    def after_stall(self) -> Continuity:
        """The connection was given up."""
        silent = self.silent_connections + (not self.has_news)
        return replace(self.after_loss("stalled", is_due=True), silent_connections=silent)
