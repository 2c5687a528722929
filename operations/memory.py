"""The ports in memory: what the tests run the commands against, with AWS's semantics and none of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from operations.errors import NotThere
from operations.ports import Held, Packet

RECEIVE_LIMIT = 10


def _every_packet_taken(_: Packet) -> str | None:
    return None


class MemoryStream:
    """See `ports.Stream`. `fault` says of each packet why it is not taken, or raises."""

    def __init__(self) -> None:
        self.fault: Callable[[Packet], str | None] = _every_packet_taken
        self.requests: list[tuple[Packet, ...]] = []
        self.taken: list[Packet] = []

    def put(self, packets: Sequence[Packet]) -> list[str | None]:
        """See `ports.Stream`."""
        self.requests.append(tuple(packets))
        outcomes = [self.fault(packet) for packet in packets]
        self.taken += [packet for packet, failure in zip(packets, outcomes, strict=True) if failure is None]
        return outcomes


class MemoryQueue:
    """See `ports.Queue`. A message that was received is hidden until it is released."""

    def __init__(self, bodies: Sequence[str] = ()) -> None:
        self.bodies = {f"message-{number}": body for number, body in enumerate(bodies)}
        self.hidden: set[str] = set()
        self._receipts = 0

    def receive(self) -> list[Held]:
        """See `ports.Queue`."""
        found = [name for name in self.bodies if name not in self.hidden][:RECEIVE_LIMIT]
        self.hidden |= set(found)
        self._receipts += 1
        return [Held(name, f"{name}/{self._receipts}", self.bodies[name]) for name in found]

    def release(self, messages: Sequence[Held]) -> None:
        """See `ports.Queue`."""
        self.hidden -= {message.id for message in messages}

    def delete(self, messages: Sequence[Held]) -> None:
        """See `ports.Queue`."""
        for message in messages:
            self.bodies.pop(message.id, None)

    def count(self) -> int:
        """See `ports.Queue`."""
        return len(self.bodies.keys() - self.hidden)


class MemoryObjects:
    """See `ports.Objects`."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def list(self, prefix: str) -> Iterator[str]:
        """See `ports.Objects`."""
        return iter(sorted(address for address in self.objects if address.startswith(prefix)))

    def get(self, address: str) -> bytes:
        """See `ports.Objects`."""
        try:
            return self.objects[address]
        except KeyError:
            raise NotThere(f"{address} does not exist") from None

    def move(self, address: str, to: str) -> None:
        """See `ports.Objects`."""
        if address in self.objects:
            self.objects[to] = self.objects.pop(address)
