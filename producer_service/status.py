"""What /status shows: how each group stands, and what a person looks for when quotes are missing."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from producer_service.deduplication import SymbolHistory
from producer_service.metrics import Tally
from producer_service.outbox import Outbox
from producer_service.polling import Poller
from producer_service.quote_counts import LaneLevel, QuoteCounts
from quotes import to_iso

MAX_LISTED = 50
"""Symbols of a list; its count is of all of them."""
STALEST = 10


class Status:
    """Reads what the pollers and the outbox say of themselves; safe to ask from any thread. `build` says what runs."""

    def __init__(
        self, pollers: Sequence[Poller], outbox: Outbox, build: Mapping[str, str], *, now: Callable[[], datetime]
    ) -> None:
        self._pollers = pollers
        self._outbox = outbox
        self._build = build
        self._now = now
        self._started_at = now()

    def tally(self) -> Tally:
        """How the groups stand together."""
        now = self._now()
        return Tally(
            groups=len(self._pollers),
            open=sum(poller.state.phase(now).is_open for poller in self._pollers),
            missing=len(self._symbols("missing")),
            set_aside=len(self._symbols("set_aside")),
            is_paused=any(_is_paused(poller, now) for poller in self._pollers),
        )

    def page(self) -> bytes:
        """The page, as JSON. Times are UTC, hours with their margins; lists of symbols are cut, and counted whole."""
        now = self._now()
        symbols = [symbol for poller in self._pollers for symbol in poller.state.group.symbols]
        histories = dict(self._outbox.histories)  # a copy: the intake goes on
        page = {
            "build": self._build,
            "started_at": to_iso(self._started_at),
            "now": to_iso(now),
            "groups": [_group(poller, now) for poller in self._pollers],
            "paused_sources": _paused(self._pollers, now),
            "missing": _listed(self._symbols("missing")),
            "set_aside": _listed(self._symbols("set_aside")),
            "outbox": _outbox(self._outbox.counts(), now),
            "lanes": [_lane(lane, now) for lane in self._outbox.lanes()],
            "never_quoted": _listed(symbol for symbol in symbols if symbol not in histories),
            "stalest": stalest(symbols, histories, now),
        }
        return msgspec.json.format(msgspec.json.encode(page), indent=2) + b"\n"

    def _symbols(self, which: str) -> set[str]:
        return {symbol for poller in self._pollers for symbol in getattr(poller.poll_status, which)}


def stalest(symbols: Iterable[str], histories: Mapping[str, SymbolHistory], now: datetime) -> list[dict[str, Any]]:
    """The symbols whose newest accepted quote is the oldest, `STALEST` at the most, the worst first."""
    known = ((histories[symbol].event_time, symbol) for symbol in symbols if symbol in histories)
    return [
        {"symbol": symbol, "event_time": to_iso(event_time), "age_seconds": (now - event_time).total_seconds()}
        for event_time, symbol in heapq.nsmallest(STALEST, known)
    ]


def _group(poller: Poller, now: datetime) -> dict[str, Any]:
    state, poll_status = poller.state, poller.poll_status
    group, phase = state.group, state.phase(now)
    failure = poll_status.failure
    return {
        "name": group.name,
        "source": group.source,
        "symbols": len(group.symbols),
        "interval_seconds": group.interval_seconds,
        "calendar": group.calendar,
        "calendars": list(state.calendars),
        "open": phase.is_open,
        "due": state.is_due(now),
        "opens": _optional(phase.opens),
        "closes": _optional(phase.closes),
        "complete_to": _optional(state.progress.complete_to),
        "polled_at": _optional(poll_status.polled_at),
        "last_poll": None if poll_status.report is None else msgspec.structs.asdict(poll_status.report),
        "last_failure": failure
        and {
            "at": _optional(poll_status.failed_at),
            "reason": failure.reason,
            "detail": failure.detail[:300],
            "symbols": len(failure.symbols),
        },
    }


def _paused(pollers: Iterable[Poller], now: datetime) -> dict[str, str]:
    """Until when each source is left alone."""
    return {
        poller.state.group.source: to_iso(poller.poll_status.paused_until)
        for poller in pollers
        if poller.poll_status.paused_until is not None and _is_paused(poller, now)
    }


def _is_paused(poller: Poller, now: datetime) -> bool:
    until = poller.poll_status.paused_until
    return until is not None and until > now


def _listed(symbols: Iterable[str]) -> dict[str, Any]:
    listed = sorted(symbols)
    return {"count": len(listed), "symbols": listed[:MAX_LISTED]}


def _outbox(counts: QuoteCounts, now: datetime) -> dict[str, Any]:
    page = msgspec.structs.asdict(counts)
    page["oldest_age_seconds"] = _age(page.pop("oldest_accepted_at"), now)
    return page


def _lane(lane: LaneLevel, now: datetime) -> dict[str, Any]:
    page = msgspec.structs.asdict(lane)
    page["oldest_age_seconds"] = _age(page.pop("oldest_accepted_at"), now)
    return page


def _age(accepted_at: float | None, now: datetime) -> float | None:
    return None if accepted_at is None else max(0.0, round(now.timestamp() - accepted_at, 3))


def _optional(time: datetime | None) -> str | None:
    return None if time is None else to_iso(time)
