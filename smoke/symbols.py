"""The step that adds a symbol while the producer runs."""

from __future__ import annotations

from dataclasses import dataclass

from configuration import WATCHLIST_KEY, ConfigurationObject
from smoke.checks import polled
from smoke.commands import Commands
from smoke.deadline import Deadline
from smoke.quotes import Quotes
from smoke.runner import CleanUps
from smoke.stage import Stage
from smoke.verdicts import LeftOut, Passed, Verdict

ALWAYS_TRADED = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD")
"""Symbols that trade day and night. The simulated market knows them too."""

GROUP = "smoke-test"
"""The watch group of the symbol. It is removed with its only symbol."""


@dataclass(frozen=True)
class Symbols:
    """The symbols that the producer polls."""

    stage: Stage
    quotes: Quotes
    commands: Commands
    clean_ups: CleanUps

    def can_be_added(self, deadline: Deadline) -> Verdict:
        """Add a symbol, and wait for its quotes."""
        if self._watchlist() is None:
            return LeftOut(
                f"this stage has no {WATCHLIST_KEY} in its archive bucket, so its producer reads no list there"
            )
        known = self.quotes.symbols_since(self.stage.started_at)
        new = next((symbol for symbol in ALWAYS_TRADED if symbol not in known), None)
        if new is None:
            return LeftOut(f"the stage polls all of {', '.join(ALWAYS_TRADED)} already")

        def remove(deadline: Deadline) -> Verdict:
            if new in (self._watchlist() or ""):
                self._edit("remove", new, deadline)
            return Passed(f"{new} is not in the list")

        self.clean_ups.add(f"remove the symbol {new}", remove)
        added_at = self.stage.clock.now()
        self._edit("add", new, deadline, "--new-group", GROUP)
        return deadline.until(lambda: polled(new, self.quotes.symbols_since(added_at)))

    def _edit(self, verb: str, symbol: str, deadline: Deadline, *options: str) -> None:
        names = ("--stack-prefix", self.stage.prefix, "--stage", self.stage.name)
        self.commands.run("operations", "symbols", verb, symbol, *names, *options, seconds=deadline.seconds_left)

    def _watchlist(self) -> str | None:
        """The text of the object; None if there is none."""
        s3, bucket = self.stage.client("s3"), self.stage.output("ArchiveBucket")
        stored = ConfigurationObject(s3, bucket, WATCHLIST_KEY).read()
        return None if stored is None else stored.content.decode()
