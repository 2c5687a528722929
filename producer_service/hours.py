"""When polls are worth it: the sessions of exchanges, widened by margins and merged. Pure: times are arguments."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import msgspec

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
"""The ends of time, which stand for an open or a close that is not known."""


class Session(NamedTuple):
    """A span of time in which an exchange trades without a break. Aware UTC."""

    opens: datetime
    """The first moment of the session. `EARLIEST` if the session has no known start."""
    closes: datetime
    """The first moment after the session. `LATEST` if the session has no known end."""


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a moment falls into opening hours, and when that changes."""

    is_open: bool
    since: datetime | None
    """When this phase began, by an open or a close; None if that is not known."""
    opens: datetime | None
    """The next open; None if none is known."""
    closes: datetime | None
    """The next close; None if none is known."""


class Hours:
    """Some sessions, each widened by margins. Sessions that overlap or touch then become one."""

    def __init__(
        self, sessions: Iterable[Session], *, before: timedelta = timedelta(), after: timedelta = timedelta()
    ) -> None:
        self.sessions = _merged(_widened(session, before, after) for session in sessions)
        """Disjoint, in their order, none of them empty."""

    def phase(self, now: datetime) -> Phase:
        """The phase of a moment. A session is open from `opens` to just before `closes`; everything else is closed."""
        index = bisect_right(self.sessions, now, key=attrgetter("opens"))
        current = self.sessions[index - 1] if index else None
        following = self.sessions[index] if index < len(self.sessions) else None
        opens = following.opens if following else None
        if current is not None and now < current.closes:
            return Phase(is_open=True, since=_known(current.opens), opens=opens, closes=_known(current.closes))
        closes = _known(following.closes) if following else None
        return Phase(is_open=False, since=current.closes if current else None, opens=opens, closes=closes)

    def held_at(self, moment: datetime, *, settling: timedelta, stamped_before: timedelta) -> datetime | None:
        """The earliest event time of a session's last price that a poll at a moment cannot bring.

        That session settles at the moment, or its close is the next one. None if no close is known. A session settles
        for a time after its close, but not longer than to the next open. The event times of prices that come then may
        be up to `stamped_before` before the close.
        """
        index = bisect_right(self.sessions, moment, key=attrgetter("opens"))
        if index and moment < _after(self.sessions[index - 1].closes, settling):
            index -= 1
        if index == len(self.sessions) or (closes := self.sessions[index].closes) == LATEST:
            return None
        return closes - stamped_before


def _after(time: datetime, margin: timedelta) -> datetime:
    return time if time == LATEST else time + margin


ALWAYS_OPEN = (Session(EARLIEST, LATEST),)


def is_due(phase: Phase, completed_at: datetime | None) -> bool:
    """Whether a poll is worth it. `completed_at` is when the last complete poll began.

    While exchanges are open, a poll is always due. While they are closed, polls are due until one completes that began
    after the close: it brings the last prices of the session, or the newest prices after a start of the producer.
    """
    return phase.is_open or completed_at is None or (phase.since is not None and completed_at < phase.since)


def _widened(session: Session, before: timedelta, after: timedelta) -> Session:
    return Session(
        session.opens if session.opens == EARLIEST else session.opens - before,
        session.closes if session.closes == LATEST else session.closes + after,
    )


def _merged(sessions: Iterable[Session]) -> tuple[Session, ...]:
    merged: list[Session] = []
    for session in sorted(sessions):
        if merged and session.opens <= merged[-1].closes:
            merged[-1] = Session(merged[-1].opens, max(merged[-1].closes, session.closes))
        elif session.opens < session.closes:
            merged.append(session)
    return tuple(merged)


def _known(moment: datetime) -> datetime | None:
    return None if moment in (EARLIEST, LATEST) else moment
