"""The ports of `operations` in memory. They behave as the AWS services do, without a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from bars.keys import ONE_MINUTE, KeyRange, bar_keys
from operations.errors import NotFound
from operations.ports import Packet, ReceivedMessage
from processor_lambda.rows import Row

RECEIVE_LIMIT = 10


def _accept(_: Packet) -> str | None:
    return None


class MemoryStream:
    """See `ports.Stream`. `fault` returns why a packet fails, or None to accept it. It may also raise."""

    def __init__(self) -> None:
        self.fault: Callable[[Packet], str | None] = _accept
        self.requests: list[tuple[Packet, ...]] = []
        self.accepted: list[Packet] = []

    def put(self, packets: Sequence[Packet]) -> list[str | None]:
        """See `ports.Stream`."""
        self.requests.append(tuple(packets))
        outcomes = [self.fault(packet) for packet in packets]
        self.accepted += [packet for packet, failure in zip(packets, outcomes, strict=True) if failure is None]
        return outcomes


class MemoryQueue:
    """See `ports.Queue`. A received message is hidden until it is released."""

    def __init__(self, bodies: Sequence[str] = ()) -> None:
        self.bodies = {f"message-{number}": body for number, body in enumerate(bodies)}
        self.hidden: set[str] = set()
        self._receives = 0

    def receive(self) -> list[ReceivedMessage]:
        """See `ports.Queue`."""
        found = [name for name in self.bodies if name not in self.hidden][:RECEIVE_LIMIT]
        self.hidden |= set(found)
        self._receives += 1
        return [ReceivedMessage(name, f"{name}/{self._receives}", self.bodies[name]) for name in found]

    def release(self, messages: Sequence[ReceivedMessage]) -> None:
        """See `ports.Queue`."""
        self.hidden -= {message.id for message in messages}

    def delete(self, messages: Sequence[ReceivedMessage]) -> None:
        """See `ports.Queue`."""
        for message in messages:
            self.bodies.pop(message.id, None)

    def count(self) -> int:
        """See `ports.Queue`."""
        return len(self.bodies.keys() - self.hidden)


class MemoryObjectStore:
    """See `ports.ObjectStore`. It ignores when an object was written."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def list(self, prefix: str, *, written_since: datetime | None = None) -> Iterator[str]:  # noqa: ARG002
        """See `ports.ObjectStore`."""
        return iter(sorted(address for address in self.objects if address.startswith(prefix)))

    def get(self, address: str) -> bytes:
        """See `ports.ObjectStore`."""
        try:
            return self.objects[address]
        except KeyError:
            raise NotFound(f"{address} does not exist") from None

    def move(self, address: str, to: str) -> None:
        """See `ports.ObjectStore`."""
        if address in self.objects:
            self.objects[to] = self.objects.pop(address)


class MemoryTable:
    """See `ports.Table`. Counts the rows that are put, and may share its rows with the processor's own fake."""

    def __init__(self, rows: dict[tuple[str, ...], Row], key: tuple[str, str]) -> None:
        self.rows, self._key = rows, key
        self.puts = 0

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Table`."""
        self.puts += len(rows)
        self.rows.update((tuple(str(row[name]) for name in self._key), row) for row in rows)


class MemoryBarTable(MemoryTable):
    """See `ports.BarTable`."""

    def __init__(self, rows: dict[tuple[str, ...], Row]) -> None:
        super().__init__(rows, ("symbol", "key"))

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.BarTable`."""
        return self._between(symbol, bar_keys(ONE_MINUTE, None, minute))[-count:]

    def between(self, symbol: str, start: datetime, end: datetime) -> list[Row]:
        """See `ports.BarTable`."""
        return self._between(symbol, bar_keys(ONE_MINUTE, start, end))

    def _between(self, symbol: str, keys: KeyRange) -> list[Row]:
        return [self.rows[key] for key in sorted(self.rows) if key[0] == symbol and keys.first <= key[1] <= keys.last]
