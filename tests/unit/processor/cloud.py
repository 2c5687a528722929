"""The world in memory as AWS can be at its worst, and a journal of all that became visible in it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from zlib import crc32

from processor_lambda.errors import InvalidAlert
from processor_lambda.memory import MemoryStateTable, MemoryTopic, World
from processor_lambda.ports import Stored
from processor_lambda.rows import Row
from processor_lambda.state import Alert, LaneState, unpack
from quotes import to_iso


class Cloud(World):
    """A world in which a read of two items is two reads, and SNS refuses one alert in five for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.marks_read_first = False
        self.state_table: MemoryStateTable = TornStateTable(self)
        self.topic: MemoryTopic = ChoosyTopic(self)


class TornStateTable(MemoryStateTable):
    """A state and its mark are two items, which BatchGetItem reads at two times: others may write in between."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._cloud = cloud

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """See `ports.StateTable`."""
        first, second = super().read(lanes), super().read(lanes)
        states, marks = (second, first) if self._cloud.marks_read_first else (first, second)
        return {lane: Stored(states[lane].state, marks[lane].published) for lane in lanes}


class ChoosyTopic(MemoryTopic):
    """Refuses some alerts, and the same ones always."""

    def publish(self, alert: Alert) -> None:
        """See `ports.Topic`."""
        if crc32(alert.id.encode()) % 5 == 0:
            raise InvalidAlert("Invalid parameter: Subject")
        super().publish(alert)


class Commit(NamedTuple):
    invocation: int
    lane: str
    before: int
    """The sequence number that was there."""
    state: LaneState


class ShownBar(NamedTuple):
    invocation: int
    key: tuple[str, ...]
    row: Row
    committed: bool
    """A commit had decided it."""


class PublishedAlert(NamedTuple):
    invocation: int
    alert: Alert
    place: tuple[str, int] | None
    """The lane and number under which a commit had decided it; None if none had."""


class Journal:
    """What became visible in a world, in its order, and who did it. To be asked after each effect."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.commits: list[Commit] = []
        self.bars: list[ShownBar] = []
        self.alerts: list[PublishedAlert] = []
        self.fallen_marks: list[str] = []
        self._states: dict[str, bytes] = {}
        self._bar_rows: dict[tuple[str, ...], Row] = {}
        self._marks: dict[str, int] = {}
        self._decided_bars: set[tuple[str, ...]] = set()
        self._decided_alerts: dict[str, tuple[str, int]] = {}

    def note(self, invocation: int) -> None:
        """Write down what has changed since the last note: an invocation's doing."""
        cloud = self._cloud
        if cloud.states != self._states:
            self._note_commits(invocation)
        if cloud.bar_rows != self._bar_rows:
            for key, row in cloud.bar_rows.items():
                if self._bar_rows.get(key) != row:
                    self.bars.append(ShownBar(invocation, key, row, key in self._decided_bars))
            self._bar_rows = dict(cloud.bar_rows)
        for alert in cloud.alerts[len(self.alerts) :]:
            self.alerts.append(PublishedAlert(invocation, alert, self._decided_alerts.get(alert.id)))
        if cloud.marks != self._marks:
            self.fallen_marks += [
                f"invocation {invocation} lowered {lane} from {mark} to {cloud.marks[lane]}"
                for lane, mark in self._marks.items()
                if cloud.marks[lane] < mark
            ]
            self._marks = dict(cloud.marks)

    def _note_commits(self, invocation: int) -> None:
        for lane, packed in self._cloud.states.items():
            known = self._states.get(lane)
            if packed == known:
                continue
            state = unpack(packed)
            before = -1 if known is None else unpack(known).last_sequence
            self.commits.append(Commit(invocation, lane, before, state))
            for item in state.pending:
                if item.alert is not None:
                    self._decided_alerts[item.alert.id] = (lane, item.number)
                if item.bar is not None:
                    self._decided_bars.add((item.bar.symbol, to_iso(item.bar.minute)))
        self._states = dict(self._cloud.states)
