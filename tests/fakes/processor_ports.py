"""The processor's ports in memory. They behave as AWS does, and make no calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from bars.keys import ONE_MINUTE, bar_keys
from lane_state import Alert, Checkpoint, LaneState, pack, pack_checkpoint, unpack, unpack_checkpoint
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import QuarantineMessage, RefusedAlert, Stored
from processor_lambda.rows import Row, quote_row
from processor_lambda.stored_alerts import StoredAlert
from quotes import Quote


def _no_fault(call: str) -> None:
    """Let every call succeed."""


class World:
    """All ports, and what is stored behind them. It outlives the processors that use it.

    `fault` is called twice for each call, with its name before the call (`rows.put`) and with `rows.put done` after it
    took effect. It may raise: `Unavailable` as AWS would, or anything else to end the processor there.
    """

    def __init__(self) -> None:
        self.fault: Callable[[str], None] = _no_fault
        self.objects: dict[str, bytes] = {}
        self.rows: dict[tuple[str, ...], Row] = {}
        self.bar_rows: dict[tuple[str, ...], Row] = {}
        self.states: dict[str, bytes] = {}
        self.marks: dict[str, int] = {}
        self.checkpoints: dict[str, bytes] = {}
        self.stored_alerts: dict[tuple[str, str], StoredAlert] = {}
        self.alerts: list[Alert] = []
        self.messages: list[QuarantineMessage] = []
        self.archive = MemoryArchive(self)
        self.quotes = MemoryQuoteTable(self)
        self.bars = MemoryBarTable(self, "bars", self.bar_rows, ("symbol", "key"))
        self.state_table = MemoryStateTable(self)
        self.alert_table = MemoryAlertTable(self)
        self.topic = MemoryTopic(self)
        self.quarantine = MemoryQuarantine(self)


class MemoryArchive:
    """See `ports.Archive`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, key: str, body: bytes) -> str:
        """See `ports.Archive`."""
        self._world.fault("archive.put")
        self._world.objects[key] = body
        self._world.fault("archive.put done")
        return f"s3://memory/{key}"


class MemoryTable:
    """A table of rows."""

    def __init__(self, world: World, name: str, rows: dict[tuple[str, ...], Row], key: tuple[str, str]) -> None:
        self._world, self._name, self._rows, self._key = world, name, rows, key

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows. A fault may happen between any two rows."""
        for row in rows:
            self._world.fault(f"{self._name}.put")
            self._rows[tuple(str(row[name]) for name in self._key)] = row
            self._world.fault(f"{self._name}.put done")


class MemoryQuoteTable:
    """See `ports.QuoteTable`."""

    def __init__(self, world: World) -> None:
        self._table = MemoryTable(world, "rows", world.rows, ("symbol", "timestamp"))

    def put(self, quotes: Sequence[Quote], anomaly_percent: Decimal, ttl_days: int) -> None:
        """See `ports.QuoteTable`. A fault may happen between any two rows."""
        self._table.put([quote_row(quote, anomaly_percent, ttl_days) for quote in quotes])


class MemoryBarTable(MemoryTable):
    """See `ports.BarTable`."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.BarTable`."""
        self._world.fault("bars.before")
        first, last = bar_keys(ONE_MINUTE, None, minute)
        found = sorted(key for key in self._rows if key[0] == symbol and first <= key[1] <= last)
        return [self._rows[key] for key in found[-count:]]


class MemoryAlertTable:
    """See `ports.AlertTable`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, alerts: Sequence[StoredAlert]) -> None:
        """See `ports.AlertTable`. A fault may happen between any two alerts."""
        for stored in alerts:
            self._world.fault("stored_alerts.put")
            self._world.stored_alerts[stored.key] = stored
            self._world.fault("stored_alerts.put done")


class MemoryStateTable:
    """See `ports.StateTable`. It stores packed states, so what packing loses is lost here as well."""

    def __init__(self, world: World) -> None:
        self._world = world

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """See `ports.StateTable`."""
        self._world.fault("states.read")
        return {lane: self.stored(lane) for lane in lanes}

    def stored(self, lane: str) -> Stored:
        """What is stored of a lane. Unlike a read, it is no call."""
        return Stored(self._state(lane), self._world.marks.get(lane, 0), self._checkpoint(lane))

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        """See `ports.StateTable`."""
        self._world.fault("states.commit")
        stored = self._state(lane)
        if (stored.position, stored.edits) != (read.position, read.edits):
            raise CommitConflict(lane)
        self._world.states[lane] = pack(state)
        self._world.fault("states.commit done")
        return len(self._world.states[lane])

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        """See `ports.StateTable`."""
        self._world.fault("states.write_checkpoint")
        stored = self._checkpoint(lane)
        if (0 if stored is None else stored.number) != replaced:
            raise CommitConflict(lane)
        self._world.checkpoints[lane] = pack_checkpoint(checkpoint)
        self._world.fault("states.write_checkpoint done")
        return len(self._world.checkpoints[lane])

    def raise_mark(self, lane: str, published: int) -> None:
        """See `ports.StateTable`."""
        self._world.fault("states.raise_mark")
        self._world.marks[lane] = max(self._world.marks.get(lane, 0), published)
        self._world.fault("states.raise_mark done")

    def _state(self, lane: str) -> LaneState:
        packed = self._world.states.get(lane)
        return LaneState() if packed is None else unpack_state(packed)

    def _checkpoint(self, lane: str) -> Checkpoint | None:
        packed = self._world.checkpoints.get(lane)
        return None if packed is None else unpack_checkpoint(packed)


@lru_cache(maxsize=64)
def unpack_state(packed: bytes) -> LaneState:
    """The state in some bytes. States are never modified, so the last ones can be shared."""
    return unpack(packed)


class MemoryTopic:
    """See `ports.Topic`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        """See `ports.Topic`. A fault may happen between any two alerts."""
        for alert in alerts:
            self._world.fault("alerts.publish")
            self._world.alerts.append(alert)
            self._world.fault("alerts.publish done")
        return []


class MemoryQuarantine:
    """See `ports.Quarantine`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """See `ports.Quarantine`."""
        for message in messages:
            self._world.fault("quarantine.put")
            self._world.messages.append(message)
            self._world.fault("quarantine.put done")
