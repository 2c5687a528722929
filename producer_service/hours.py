"""When polls are worth it: sessions of exchanges, widened by margins and merged. Pure; every time is an argument."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import msgspec

EVER = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)


class Session(NamedTuple):
    """A span in which an exchange trades without a break. Aware UTC."""

    opens: datetime
    closes: datetime
    """The first moment that is no longer of it; `FOREVER` if it has no known end."""


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Where in its hours a moment falls."""

    is_open: bool
    since: datetime | None
    """When it opened or closed; None if that is not known."""
    opens: datetime | None
    """When it opens next; None if it never closes, as far as is known."""
    closes: datetime | None
    """When it closes next; None likewise."""


class Hours:
    """Some sessions, each begun `before` earlier and ended `after` later; those that then touch are one."""

    def __init__(
        self, sessions: Iterable[Session], *, before: timedelta = timedelta(), after: timedelta = timedelta()
    ) -> None:
        self.sessions = _merged(_widened(session, before, after) for session in sessions)
        """Disjoint, in order, none empty."""

    def phase(self, now: datetime) -> Phase:
        """Open from a session's first moment to before its last; what is not known to be open is closed."""
        place = bisect_right(self.sessions, now, key=attrgetter("opens"))
        current = self.sessions[place - 1] if place else None
        following = self.sessions[place] if place < len(self.sessions) else None
        opens = following.opens if following else None
        if current is not None and now < current.closes:
            return Phase(is_open=True, since=_known(current.opens), opens=opens, closes=_known(current.closes))
        closes = _known(following.closes) if following else None
        return Phase(is_open=False, since=current.closes if current else None, opens=opens, closes=closes)


ALWAYS_OPEN = (Session(EVER, FOREVER),)


def is_due(phase: Phase, completed_at: datetime | None) -> bool:
    """Whether a poll is worth it, given when the last complete one began.

    While open, yes. While closed, until one has completed since the close: it brings the last prices of the session,
    or, at the start of the producer, whatever is newest. A group that is not due is at rest.
    """
    return phase.is_open or completed_at is None or (phase.since is not None and completed_at < phase.since)


def _widened(session: Session, before: timedelta, after: timedelta) -> Session:
    return Session(
        session.opens if session.opens == EVER else session.opens - before,
        session.closes if session.closes == FOREVER else session.closes + after,
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
    return None if moment in (EVER, FOREVER) else moment
