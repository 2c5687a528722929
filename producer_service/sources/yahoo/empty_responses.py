"""Decides what a response without a quote means: that Yahoo fails, or that the symbols have no price. Pure.

Yahoo sometimes answers with HTTP 200 and an empty list (yahooquery #192). It answers a batch of delisted symbols in the
same way. A symbol that always has a price tells them apart: if its price is missing too, Yahoo fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

REFERENCE = "^GSPC"
"""The S&P 500, which Yahoo never lacks."""
TOGETHER = 2
"""This many symbols do not lose their prices at once."""
REMEMBERED_SECONDS = 3_600.0
"""How long a price counts as recent. If symbols do lose their prices together, polls fail for this long."""

Verdict = Literal["answered", "failed", "ask with reference"]


class LastAnswers:
    """Remembers which symbols had a quote when they were last answered. Not thread-safe. Times are monotonic seconds.

    A response without a quote for any symbol of its batch is judged like this:

    - If two or more of the symbols had a quote in their last answer, within the last hour, Yahoo fails.
    - Otherwise the reference symbol decides, which the batch is then requested with. With a price for it, Yahoo is
      right, and the symbols have no price.

    A batch whose symbols all lacked a quote before is requested with the reference at once. So a batch of delisted
    symbols costs one request, not two.
    """

    def __init__(self) -> None:
        self._quoted_at: dict[str, float] = {}
        self._unquoted: set[str] = set()

    def record(self, quoted: Iterable[str], unquoted: Iterable[str], now: float) -> None:
        """Record the answers of a poll. A symbol whose request failed is in neither."""
        for symbol in quoted:
            self._quoted_at[symbol] = now
            self._unquoted.discard(symbol)
        for symbol in unquoted:
            self._quoted_at.pop(symbol, None)
            self._unquoted.add(symbol)

    def to_request(self, batch: Sequence[str]) -> tuple[str, ...]:
        """The symbols to request for a batch: its own, and the reference if none of them had a quote before."""
        return with_reference(batch) if self._unquoted.issuperset(batch) else tuple(batch)

    def judge(self, batch: Sequence[str], requested: Sequence[str], quoted: Sequence[str], now: float) -> Verdict:
        """What a response means that has quotes of some of the symbols that were requested for a batch."""
        if any(symbol in quoted for symbol in batch):
            return "answered"
        recent = sum(now - self._quoted_at.get(symbol, -REMEMBERED_SECONDS) < REMEMBERED_SECONDS for symbol in batch)
        if recent >= TOGETHER:
            return "failed"
        reference = next((symbol for symbol in requested if symbol.upper() == REFERENCE), None)
        if reference is None:
            return "ask with reference"
        return "answered" if reference in quoted else "failed"


def with_reference(batch: Sequence[str]) -> tuple[str, ...]:
    """A batch and the reference symbol, which may be one of the batch."""
    return tuple(batch) if REFERENCE in map(str.upper, batch) else (*batch, REFERENCE)
