"""A pushed source that follows a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from producer_service.sources import FetchResult, Market, SourceTraits

OPEN_END: Final = "open end"
"""The last step of a connection that stays open until the source is closed."""

Step = FetchResult | Exception | str


class FakePushedSource:
    """Plays one list of steps for each connection: a result is delivered, an exception raised.

    After its last step a connection ends. `is_quiet` is set once a connection has come to its open end.
    """

    symbols = ("AAPL", "MSFT")
    traits = SourceTraits(is_live=True)

    def __init__(self, *connections: list[Step]) -> None:
        self.opened = 0
        self.is_quiet = threading.Event()
        self._connections: Iterator[list[Step]] = iter(connections)
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def listen(self, deliver: Callable[[FetchResult], None], market: Market) -> None:
        del market
        self.opened += 1
        for step in next(self._connections):
            match step:
                case FetchResult():
                    deliver(step)
                case Exception():
                    raise step
                case _:
                    self.is_quiet.set()
                    self._closed.wait()

    def close(self) -> None:
        self._closed.set()
