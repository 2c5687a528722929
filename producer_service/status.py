"""The page /status: the state of each group, and what a person looks for when quotes are missing."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from producer_service.deduplication import SymbolHistory
from producer_service.group_state import GroupState
from producer_service.metrics import GroupSummary
from producer_service.outbox import Outbox
from producer_service.quote_counts import LaneLevel, QuoteCounts
from producer_service.silence import silences
from quotes import to_iso
from terminal import ascii_json

MAX_LISTED = 50
"""The most symbols that a list shows. Its count is that of all."""
STALEST = 10


class Status:
    """Reads the states of the groups and the outbox. Any thread may call it. `build` is shown as it is.

    `watchlist` returns what is known of the file of the groups, or None if there is none.
    """

    def __init__(
        self,
        groups: Callable[[], Sequence[GroupState]],
        outbox: Outbox,
        build: Mapping[str, str],
        *,
        now: Callable[[], datetime],
        watchlist: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self._groups = groups
        self._watchlist = watchlist
        self._outbox = outbox
        self._build = build
        self._now = now
        self._started_at = now()

    def summary(self) -> GroupSummary:
        """All groups together, now."""
        now, groups = self._now(), self._groups()
        return GroupSummary(
            groups=len(groups),
            open=sum(state.phase(now).is_open for state in groups),
            trading=sum(state.is_trading(now) for state in groups),
            missing=len(_symbols(groups, "missing")),
            inactive=len(_symbols(groups, "inactive")),
            is_paused=any(_is_paused(state, now) for state in groups),
            has_gap=any(_has_gap(state, now) for state in groups),
        )

    def page(self) -> bytes:
        """The page as JSON. Times are UTC, and hours include their margins. Long lists of symbols are cut."""
        now, groups = self._now(), self._groups()
        symbols = [symbol for state in groups for symbol in state.group.symbols]
        histories = dict(self._outbox.histories)  # a copy, since the intake goes on
        page = {
            "build": self._build,
            "started_at": to_iso(self._started_at),
            "now": to_iso(now),
            "watchlist": self._watchlist(),
            "groups": [{**_group(state, now), "silences": self._silences(state, histories, now)} for state in groups],
            "paused_sources": _paused_sources(groups, now),
            "missing": _listed(_symbols(groups, "missing")),
            "set_aside": _listed(_symbols(groups, "inactive")),
            "outbox": _with_age(self._outbox.counts()),
            "lanes": [_with_age(lane) for lane in self._outbox.lanes()],
            "never_quoted": _listed(symbol for symbol in symbols if symbol not in histories),
            "stalest": stalest(symbols, histories, now),
        }
        return ascii_json(msgspec.json.format(msgspec.json.encode(page), indent=2).decode()).encode() + b"\n"

    def _silences(
        self, state: GroupState, histories: Mapping[str, SymbolHistory], now: datetime
    ) -> list[dict[str, str]]:
        found = silences(state, histories, now, started_at=self._started_at)
        return [msgspec.structs.asdict(silence) for silence in found]


def _symbols(groups: Iterable[GroupState], field: str) -> set[str]:
    return {symbol for state in groups for symbol in getattr(state.poll_status, field)}


def stalest(symbols: Iterable[str], histories: Mapping[str, SymbolHistory], now: datetime) -> list[dict[str, Any]]:
    """The symbols whose newest accepted quote is the oldest, at most `STALEST`, the stalest first."""
    known = ((histories[symbol].event_time, symbol) for symbol in symbols if symbol in histories)
    return [
        {
            "symbol": symbol,
            "event_time": to_iso(event_time),
            "age_seconds": max(0.0, (now - event_time).total_seconds()),
        }
        for event_time, symbol in heapq.nsmallest(STALEST, known)
    ]


def _group(state: GroupState, now: datetime) -> dict[str, Any]:
    group, phase, status = state.group, state.phase(now), state.poll_status
    failure, connection = status.failure, status.connection
    return {
        "name": group.name,
        "source": group.source,
        "symbols": len(group.symbols),
        "interval_seconds": group.interval_seconds,
        "calendar": group.calendar,
        "calendars": list(state.calendars),
        "trading": state.is_trading(now),
        "open": phase.is_open,
        "due": state.is_due(now),
        "opens": _iso(phase.opens),
        "closes": _iso(phase.closes),
        "complete_to": _iso(state.progress.complete_to),
        "polled_at": _iso(status.polled_at),
        "last_poll": None if status.report is None else msgspec.structs.asdict(status.report),
        "connection": connection
        and {"connected_since": _iso(connection.connected_since), "gap_since": _iso(connection.gap_since)},
        "last_failure": failure
        and {
            "at": _iso(status.failed_at),
            "reason": failure.reason,
            "detail": failure.detail[:300],
            "symbols": len(failure.symbols),
        },
    }


def _paused_sources(groups: Iterable[GroupState], now: datetime) -> dict[str, str]:
    """When the pause of each paused source ends."""
    return {
        state.group.source: to_iso(state.poll_status.paused_until)
        for state in groups
        if state.poll_status.paused_until is not None and _is_paused(state, now)
    }


def _is_paused(state: GroupState, now: datetime) -> bool:
    until = state.poll_status.paused_until
    return until is not None and until > now


def _has_gap(state: GroupState, now: datetime) -> bool:
    """Whether there is a gap that polls fill. After the hours of a group nothing more is to come."""
    connection = state.poll_status.connection
    return connection is not None and connection.gap_since is not None and state.is_due(now)


def _listed(symbols: Iterable[str]) -> dict[str, Any]:
    listed = sorted(symbols)
    return {"count": len(listed), "symbols": listed[:MAX_LISTED]}


def _with_age(level: QuoteCounts | LaneLevel) -> dict[str, Any]:
    """The fields of a level, with the age of its oldest line in whole milliseconds."""
    age = level.oldest_age_seconds
    return {**msgspec.structs.asdict(level), "oldest_age_seconds": None if age is None else round(age, 3)}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else to_iso(time)
