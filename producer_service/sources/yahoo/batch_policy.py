"""Which batch of a poll to ask next, and when to ask none: the rules of a poll, without its threads. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from producer_service.sources import FailureReason
from producer_service.sources.breaker import PollOutcome

REFUSALS: tuple[FailureReason, ...] = ("rate_limited", "unauthorized")
FAILURES_IN_A_ROW = 2


class Course:
    """Decides which of a poll's batches to ask, given what came of the others. They go by their numbers from 0 on.

    Begins with `first` and goes round to the one before it, with at most `in_flight` under way at a time. A refusal
    ends it, as do two failures in a row (as they come in); so does the first failure of a `probe`, which asks one batch
    and no other before that was answered.
    """

    def __init__(self, batches: int, *, in_flight: int, first: int = 0, probe: bool = False) -> None:
        self._waiting: list[int] = [*range(first, batches), *range(first)]
        self._in_flight = in_flight
        self._probing = probe
        self._failed_in_a_row = 0
        self.under_way = 0
        self.ended_by: FailureReason | None = None
        """Why the batches that are left are not asked; None if none is left, or it goes on."""

    @property
    def unasked(self) -> Sequence[int]:
        """The batches not asked so far, in the order in which they would be."""
        return self._waiting

    def next(self) -> int | None:
        """The batch to ask now, which is under way from now on. None if there is none, or one under way to wait for."""
        allowed = 1 if self._probing else self._in_flight
        if self.ended_by is not None or not self._waiting or self.under_way >= allowed:
            return None
        self.under_way += 1
        return self._waiting.pop(0)

    def note(self, failure: FailureReason | None) -> None:
        """One of those under way failed, or was answered (None)."""
        self.under_way -= 1
        if failure is None:
            self._probing = False
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        if self._probing or failure in REFUSALS or self._failed_in_a_row >= FAILURES_IN_A_ROW:
            self.end(failure)

    def end(self, reason: FailureReason) -> None:
        """Ask no more. The first reason stays."""
        self.ended_by = self.ended_by or reason


def outcome_of(batches: Collection[FailureReason | None]) -> PollOutcome | None:
    """What a poll means to the breaker, from how each batch failed, or did not (None).

    One batch answered among failed ones is Yahoo at work; one refused among answered ones is Yahoo's word to stop. None
    if it means nothing: no batch, or told to stop.
    """
    if not batches or "stopped" in batches:
        return None
    if "rate_limited" in batches:
        return "rate_limited"
    if "unauthorized" in batches:
        return "unauthorized"
    return "answered" if None in batches else "failed"
