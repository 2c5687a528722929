"""What arrived at the stream, in its order, and the verdict: what came out of order, what came twice, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tests.trials.faults import Fate

Moment = tuple[str, int]
"""Event time as on the wire, which sorts as the times do, and revision."""


class Request(msgspec.Struct, eq=False):
    """One request that was stored, and what its sender knows of that."""

    fate: Fate
    is_heard: bool = False
    """Whether the connection was used again, which is done only after the whole answer was read."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream's consumer would see."""

    records: int
    quotes: int
    """Arrivals; a quote that came twice counts twice."""
    distinct: int
    out_of_order: int
    """First arrivals behind a later quote of their symbol."""
    twice: int
    """Arrivals of what had arrived before."""
    twice_by_fault: int
    """Those of them whose earlier answer was held back or cut off by a fault."""
    twice_too_late: int
    """Those of them whose earlier answer went out whole, and its connection was not used again."""
    repeats_by_key: dict[str, int]
    """Records that bring again what was answered whole, by partition key. A kill may cause one in each lane."""

    @property
    def twice_for_no_reason(self) -> int:
        """Arrivals of what had been answered, and the answer read. Only a kill right then excuses it."""
        return self.twice - self.twice_by_fault - self.twice_too_late


class _Line(msgspec.Struct, gc=False):
    kind: str
    symbol: str = ""
    event_time: str = ""
    revision: int = 0


class _Symbol:
    def __init__(self) -> None:
        self.newest: Moment = ("", 0)
        self.requests: dict[Moment, Request] = {}
        """The last request that brought each quote."""


class Arrivals:
    """Takes records in the order of the stream."""

    def __init__(self) -> None:
        self._symbols: dict[str, _Symbol] = {}
        self._records = 0
        self._quotes = 0
        self._out_of_order = 0
        self._repeats: list[tuple[str, list[Request]]] = []
        self._decoder = msgspec.json.Decoder(_Line)

    def store(self, request: Request, partition_key: str, data: bytes) -> None:
        """Take the next record. Raises `msgspec.MsgspecError` if it is not a packet of lines."""
        self._records += 1
        repeated: list[Request] = []
        for line in self._decoder.decode_lines(data):
            if line.kind != "quote":
                continue
            self._quotes += 1
            symbol = self._symbols.get(line.symbol)
            if symbol is None:
                symbol = self._symbols[line.symbol] = _Symbol()
            moment = (line.event_time, line.revision)
            earlier = symbol.requests.get(moment)
            symbol.requests[moment] = request
            if earlier is not None:
                repeated.append(earlier)
            elif moment > symbol.newest:
                symbol.newest = moment
            else:
                self._out_of_order += 1
        if repeated:
            self._repeats.append((partition_key, repeated))

    def verdict(self) -> Verdict:
        """The verdict on everything that has arrived by now."""
        by_fault = too_late = 0
        by_key: dict[str, int] = {}
        for key, earlier in self._repeats:
            answered = [request for request in earlier if not request.fate.hides_its_answer]
            by_fault += len(earlier) - len(answered)
            too_late += sum(not request.is_heard for request in answered)
            if answered:
                by_key[key] = by_key.get(key, 0) + 1
        return Verdict(
            records=self._records,
            quotes=self._quotes,
            distinct=sum(len(symbol.requests) for symbol in self._symbols.values()),
            out_of_order=self._out_of_order,
            twice=sum(len(earlier) for _, earlier in self._repeats),
            twice_by_fault=by_fault,
            twice_too_late=too_late,
            repeats_by_key=by_key,
        )

    def identities(self) -> Iterator[tuple[str, str, int]]:
        """Each quote that arrived, once."""
        for name, symbol in self._symbols.items():
            for event_time, revision in symbol.requests:
                yield name, event_time, revision
