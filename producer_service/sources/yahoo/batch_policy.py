"""Decides which batch of a poll to request next, and when to stop requesting. Pure: it knows no threads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from yahoo_requests.breaker import PollOutcome
from yahoo_requests.errors import FailureReason

REFUSALS: tuple[FailureReason, ...] = ("rate_limited", "unauthorized")
"""Failures that mean Yahoo does not want our requests. One of them ends the poll."""

MAX_FAILURES_IN_A_ROW = 2
"""This many failures in a row end the poll, whatever their reasons."""


class BatchPolicy:
    """Decides which of a poll's batches to request, from the results of the others. Batches are numbered from 0.

    Starts with batch `first`, wraps around at the last batch, and allows `max_in_flight` requests at a time. A refusal
    ends the poll, and so do two failures in a row, in the order in which results arrive. A `probe` requests one batch
    alone. If that fails, the poll ends; if it succeeds, the other batches follow.
    """

    def __init__(self, batches: int, *, max_in_flight: int, first: int = 0, probe: bool = False) -> None:
        self._waiting: list[int] = [*range(first, batches), *range(first)]
        self._max_in_flight = max_in_flight
        self._probing = probe
        self._failures_in_a_row = 0
        self.in_flight = 0
        """The number of requests without a result."""
        self.stopped_by: FailureReason | None = None
        """Why the waiting batches are not requested. None while the poll goes on, or when no batch is waiting."""

    @property
    def waiting(self) -> Sequence[int]:
        """The batches that were not requested so far, in the order in which they would be."""
        return self._waiting

    def next_batch(self) -> int | None:
        """The batch to request now, which counts as in flight from now on. None if none may be requested now."""
        allowed = 1 if self._probing else self._max_in_flight
        if self.stopped_by is not None or not self._waiting or self.in_flight >= allowed:
            return None
        self.in_flight += 1
        return self._waiting.pop(0)

    def record(self, failure: FailureReason | None) -> None:
        """Record the result of a batch in flight: the reason of its failure, or None if it succeeded."""
        self.in_flight -= 1
        if failure is None:
            self._probing = False
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        if self._probing or failure in REFUSALS or self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self.stop(failure)

    def stop(self, reason: FailureReason) -> None:
        """Request no more batches. If this is called more than once, the first reason stays."""
        self.stopped_by = self.stopped_by or reason


def poll_outcome(results: Collection[FailureReason | None]) -> PollOutcome | None:
    """The outcome of a poll for the breaker, from the result of each batch (None for success).

    If one batch succeeded, the poll counts as answered although others failed. If one batch was refused, the poll
    counts as refused although others succeeded. None if the poll says nothing about Yahoo: it had no batch, or was
    stopped.
    """
    if not results or "stopped" in results:
        return None
    if "rate_limited" in results:
        return "rate_limited"
    if "unauthorized" in results:
        return "unauthorized"
    return "answered" if None in results else "failed"
