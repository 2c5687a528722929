"""A stream in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from producer_service.packing import Packet
from producer_service.stream import PutFailure, PutResult
from quotes import Line, Quote, decode


class FakeStream:
    """Fails the first requests with the given failures, each for all records of the request, and takes the others."""

    def __init__(self, *failures: PutFailure) -> None:
        self.failures = list(failures)
        self.taken: list[Packet] = []
        self.on_put: Callable[[], None] = lambda: None

    def put(self, packets: Sequence[Packet]) -> PutResult:
        if self.failures:
            failure = self.failures.pop(0)
            return PutResult((failure,) * len(packets), "injected failure")
        self.taken += packets
        self.on_put()
        return PutResult((None,) * len(packets))

    def check(self) -> str:
        return "it answers"

    @property
    def lines(self) -> list[Line]:
        """Everything that was taken, in its order."""
        return [good.line for packet in self.taken for good in decode(packet.data).good]

    @property
    def quotes(self) -> list[Quote]:
        """The quotes that were taken, in their order."""
        return [line for line in self.lines if isinstance(line, Quote)]
