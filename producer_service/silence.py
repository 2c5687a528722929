"""Why no new prices of a group come, in words, for a person who waits for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from producer_service.deduplication import SymbolHistory
from producer_service.group_state import GroupState
from producer_service.hours_text import closed, in_utc
from producer_service.sources import Failure
from watchlist.groups import ALWAYS

MAX_NAMED = 10
"""The most symbols that a text names."""
FIRST_POLL = timedelta(seconds=5)
"""How long the first poll may take before that is said."""
GAP = timedelta(minutes=5)
"""How long a recording, or an open market, may have nothing new before that is said."""

Reason = Literal[
    "refused",
    "unreachable",
    "closed",
    "first_poll",
    "ended",
    "unknown",
    "missing",
    "inactive",
    "rejected",
    "gap",
    "unchanged",
]
"""What keeps prices away:

- `refused`: the source refuses requests; `unreachable`: it does not answer, or answers with an error.
- `closed`: an exchange is closed.
- `first_poll`: nothing has been answered yet; `ended`: the source has no more prices.
- `unknown`: the source has never had a price of some symbols; `missing`: it has none now; `inactive`: it had none for
  days.
- `rejected`: no quote can hold what the source delivered.
- `gap`: a recording has nothing at this time; `unchanged`: the source repeats what is known.
"""


class Silence(msgspec.Struct, frozen=True):
    """A reason why a group, or a part of it, has no new prices."""

    reason: Reason
    text: str


def silences(
    state: GroupState, histories: Mapping[str, SymbolHistory], now: datetime, *, started_at: datetime
) -> list[Silence]:
    """The reasons for a group, those that concern most of it first.

    `histories` are those of all symbols that have had a price, and `started_at` is when the producer started.
    """
    return [
        *_troubles(state, now, started_at),
        *_hours(state, now),
        *_absences(state, histories),
        *_pauses(state, histories, now),
    ]


def _troubles(state: GroupState, now: datetime, started_at: datetime) -> Iterator[Silence]:
    status, source = state.poll_status, state.group.source
    if status.polled_at is None or status.report is None:
        if now - started_at >= FIRST_POLL:
            yield Silence("first_poll", f"{source} has not answered the first poll yet")
        return
    until = status.paused_until if status.paused_until is not None and status.paused_until > now else None
    failure = status.failure
    if failure is None or not (until or status.report.failures):
        return
    when = "with the next poll" if until is None else f"at {until:%H:%M:%S} UTC"
    is_partial = until is None and status.report.outcome == "partial"
    subject = f"{source}, for a part of the symbols," if is_partial else source
    yield _trouble(subject, failure, when)


def _trouble(subject: str, failure: Failure, when: str) -> Silence:
    detail = f"({failure.reason}: {failure.detail[:150]}); it is asked again {when}"
    match failure.reason:
        case "rate_limited" | "unauthorized":
            return Silence("refused", f"{subject} refuses requests {detail}")
        case "timeout" | "connection":
            return Silence("unreachable", f"{subject} cannot be reached {detail}")
    return Silence("unreachable", f"{subject} answers with errors {detail}")


def _hours(state: GroupState, now: datetime) -> Iterator[Silence]:
    for calendar, phase in state.sessions(now):
        if calendar.name != ALWAYS and phase is not None and not phase.is_open:
            yield Silence("closed", closed(calendar, phase))
    if state.progress.ended:
        yield Silence("ended", f"{state.group.source} has ended: it has no more prices")


def _absences(state: GroupState, histories: Mapping[str, SymbolHistory]) -> Iterator[Silence]:
    status, source = state.poll_status, state.group.source
    inactive = set(status.inactive)
    absent = [symbol for symbol in status.missing if symbol not in inactive]
    if unknown := [symbol for symbol in absent if symbol not in histories]:
        yield Silence("unknown", f"{source} has no price of {_named(unknown)}: check how they are written")
    if missing := [symbol for symbol in absent if symbol in histories]:
        yield Silence("missing", f"{source} has no price of {_named(missing)} now")
    if status.report is not None and status.report.rejected and not status.report.accepted:
        text = f"{source} delivers prices that no quote can hold; the log lines quote_rejected of the producer say why"
        yield Silence("rejected", text)
    if inactive:
        yield Silence(
            "inactive", f"{source} had no price of {_named(inactive)} for days, so it is asked for them once a day"
        )


def _pauses(state: GroupState, histories: Mapping[str, SymbolHistory], now: datetime) -> Iterator[Silence]:
    """Reasons of a source that answers. Nothing is unusual until `GAP` has passed since the newest price."""
    report, progress = state.poll_status.report, state.progress
    if report is None or report.failures or report.accepted or report.more or progress.ended:
        return
    newest = max((histories[symbol].event_time for symbol in state.group.symbols if symbol in histories), default=None)
    if not state.traits.is_live:
        if progress.complete_to is not None and newest is not None and progress.complete_to - newest > GAP:
            yield Silence("gap", f"the recording has no prices for a while after {in_utc(newest)}")
    elif (
        report.fetched > report.rejected
        and state.is_trading(now)
        and (newest is None or now - progress.delay - newest > GAP)
    ):
        yield Silence("unchanged", f"{state.group.source} answers, but with nothing new")


def _named(symbols: Iterable[str]) -> str:
    listed = sorted(symbols)
    more = f" and {len(listed) - MAX_NAMED} more" if len(listed) > MAX_NAMED else ""
    return ", ".join(listed[:MAX_NAMED]) + more
