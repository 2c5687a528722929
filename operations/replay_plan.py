"""The plan of a replay: which quarantined lines go back on the stream, in which packets, and which stay. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from aws_limits import KINESIS_PAYLOAD_UNIT_BYTES
from operations.ports import Packet
from operations.quarantine import AcceptedLine, Entry, Refusal


class PlannedPacket(Packet, frozen=True):
    """A packet of quarantined lines."""

    lines: int
    entries: frozenset[str]
    """The ids of the entries that the lines come from."""


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay will do."""

    packets: tuple[PlannedPacket, ...]
    """The packets of each partition key are in the order in which their lines first arrived."""
    refused: dict[str, list[Refusal]]
    """The lines that cannot be replayed, by the id of their entry. Those entries stay in quarantine."""

    @property
    def lines(self) -> int:
        """The number of lines that will be put back."""
        return sum(packet.lines for packet in self.packets)


def replay_plan(checked: Iterable[tuple[Entry, list[AcceptedLine | Refusal]]], *, all_or_nothing: bool) -> ReplayPlan:
    """The plan for some entries whose lines were checked.

    The accepted lines of an entry are replayed even if other lines of it are refused, unless it is all or nothing.
    """
    packing = _Packing()
    refused: dict[str, list[Refusal]] = {}
    for entry, results in checked:
        if refusals := [each for each in results if isinstance(each, Refusal)]:
            refused[entry.id] = refusals
            if all_or_nothing:
                continue
        for each in results:
            if isinstance(each, AcceptedLine):
                packing.add(each, entry.id)
    return ReplayPlan(packets=tuple(packing.packets()), refused=refused)


class _Packing:
    """Packs lines into packets and keeps the order of the lines of each partition key.

    A packet is smaller than one payload unit, which is what Kinesis bills and what the mapping's batch size assumes. A
    longer line is a packet by itself.
    """

    def __init__(self) -> None:
        self._packets: list[tuple[str, list[bytes], set[str]]] = []
        self._open: dict[str, tuple[str, list[bytes], set[str]]] = {}

    def add(self, line: AcceptedLine, entry: str) -> None:
        """Add a line of an entry."""
        packet = self._open.get(line.partition_key)
        size = 0 if packet is None else sum(len(content) + 1 for content in packet[1])
        if packet is None or size + len(line.content) >= KINESIS_PAYLOAD_UNIT_BYTES:
            packet = self._open[line.partition_key] = (line.partition_key, [], set())
            self._packets.append(packet)
        packet[1].append(line.content)
        packet[2].add(entry)

    def packets(self) -> Iterator[PlannedPacket]:
        """The packets, in the order of their first lines."""
        for key, contents, entries in self._packets:
            yield PlannedPacket(key, b"\n".join(contents) + b"\n", len(contents), frozenset(entries))
