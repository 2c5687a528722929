"""What arrived at the stream, in its order, and the verdict: what is out of order, what was repeated, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from benchmarks.kinesis_standin.faults import Fate

Moment = tuple[str, int]
"""Event time as on the wire, which sorts as the times do, and revision."""


class Request(msgspec.Struct, eq=False):
    """A request that was stored, and what its sender can know of that."""

    fate: Fate
    is_answer_read: bool = False
    """Whether the client used the connection again, which it does only after it has read the whole answer."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer of the stream would see."""

    records: int
    quotes: int
    """The number of arrivals. A quote that arrived twice counts twice."""
    distinct: int
    """The number of different quotes."""
    out_of_order: int
    """Quotes whose first arrival is behind a later quote of their symbol."""
    repeated: int
    """Arrivals of quotes that had arrived before."""
    repeated_after_fault: int
    """Repeated arrivals whose earlier answer was held back or cut off by a fault."""
    repeated_after_unread_answer: int
    """Repeated arrivals whose earlier answer was sent, but perhaps not read: its connection was not used again."""
    repeats_by_key: dict[str, int]
    """The number of records for each partition key that repeat quotes which had been answered.

    A kill of the sender may cause one in each lane.
    """

    @property
    def repeated_without_reason(self) -> int:
        """Repeated arrivals whose earlier answer was read. Only a kill at that moment explains one."""
        return self.repeated - self.repeated_after_fault - self.repeated_after_unread_answer


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
        """For each record that repeats quotes: its partition key, and the earlier requests."""
        self._decoder = msgspec.json.Decoder(_Line)

    def store(self, request: Request, partition_key: str, data: bytes) -> None:
        """Take the next record. Raises `msgspec.MsgspecError` if it is not a packet of lines."""
        self._records += 1
        earlier_requests: list[Request] = []
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
                earlier_requests.append(earlier)
            elif moment > symbol.newest:
                symbol.newest = moment
            else:
                self._out_of_order += 1
        if earlier_requests:
            self._repeats.append((partition_key, earlier_requests))

    def verdict(self) -> Verdict:
        """The verdict on everything that has arrived up to now."""
        after_fault = after_unread_answer = 0
        by_key: dict[str, int] = {}
        for key, earlier in self._repeats:
            answered = [request for request in earlier if not request.fate.hides_its_answer]
            after_fault += len(earlier) - len(answered)
            after_unread_answer += sum(not request.is_answer_read for request in answered)
            if answered:
                by_key[key] = by_key.get(key, 0) + 1
        return Verdict(
            records=self._records,
            quotes=self._quotes,
            distinct=sum(len(symbol.requests) for symbol in self._symbols.values()),
            out_of_order=self._out_of_order,
            repeated=sum(len(earlier) for _, earlier in self._repeats),
            repeated_after_fault=after_fault,
            repeated_after_unread_answer=after_unread_answer,
            repeats_by_key=by_key,
        )

    def identities(self) -> Iterator[tuple[str, str, int]]:
        """Each quote that arrived, once."""
        for name, symbol in self._symbols.items():
            for event_time, revision in symbol.requests:
                yield name, event_time, revision
