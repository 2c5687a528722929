"""The step that adds a symbol while the producer runs."""

from __future__ import annotations

from dataclasses import dataclass

from smoke.deadline import Deadline
from smoke.quotes import Quotes
from smoke.runner import CleanUps
from smoke.stage import Stage
from smoke.verdicts import LeftOut, Verdict


@dataclass(frozen=True)
class Symbols:
    """The symbols that the producer polls."""

    stage: Stage
    quotes: Quotes
    clean_ups: CleanUps

    def can_be_added(self, _deadline: Deadline) -> Verdict:
        """Add a symbol, and wait for its quotes."""
        return LeftOut("the producer of this stage reads no list of symbols from S3")
