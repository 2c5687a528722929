"""When a source that gives no usable answers is asked no further. Pure.

A refusal says something about the source, so the breaker decides. Anything else, such as a malformed chart, may say
something about one symbol alone. So a symbol counts once, however many of its requests fail in a row, and after the
third symbol in a row only its own chunks are still asked for: one that is answered shows that the source is in order.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from yahoo_requests.breaker import Breaker, PollOutcome
from yahoo_requests.errors import SourceError

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""A run does not wait until a breaker closes, so the time does not matter."""


class Failures(msgspec.Struct, frozen=True):
    """The failures since the last answer. It is a value: `after` returns another one."""

    breaker: Breaker = Breaker()
    symbols: tuple[str, ...] = ()
    """The symbols that failed since the last answer, in this order."""
    outcome: PollOutcome = "answered"
    """The last failure."""

    def after(self, symbol: str, outcome: PollOutcome) -> Failures:
        """The failures after a request for a symbol that failed."""
        is_counted = outcome != "failed" or symbol not in self.symbols
        breaker = self.breaker.after(outcome, _ANY_TIME, 0.0) if is_counted else self.breaker
        symbols = self.symbols if symbol in self.symbols else (*self.symbols, symbol)
        return Failures(breaker, symbols, outcome)

    def forbid(self, symbol: str) -> bool:
        """Whether to ask for nothing more, and not for this symbol either."""
        return self.reason is not None and (self.outcome != "failed" or symbol != self.symbols[-1])

    @property
    def reason(self) -> str | None:
        """Why to ask for nothing more, for people. None if there is no reason."""
        if self.breaker.permits(_ANY_TIME) == "all":
            return None
        match self.outcome:
            case "rate_limited":
                return "Yahoo refuses further requests for now, and counts those of the producer together with these"
            case "unauthorized":
                return "Yahoo refused several requests in a row, as if they needed a login"
            case _:
                return f"Yahoo gave no usable answer for {len(self.symbols)} symbols in a row"


def outcome_of(error: SourceError) -> PollOutcome:
    """What an error says to the breaker."""
    match error.reason:
        case "rate_limited" | "unauthorized" as refused:
            return refused
        case _:
            return "failed"
