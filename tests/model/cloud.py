"""The world in memory as AWS can be at its worst, and a journal of all that became visible in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar
from zlib import crc32

from aws_requests import Unavailable
from lane_state import START, Alert, Bar, LaneState, Position, unpack
from processor_lambda.alerts import (
    BollingerBreakout,
    MacdCrossover,
    PriceMove,
    Rules,
    Split,
    StaleFeed,
    VolumeSpike,
    ZScore,
)
from processor_lambda.ports import QuarantineMessage, RefusedAlert, Stored
from processor_lambda.processor import Processor
from processor_lambda.rows import Row, bar_row, timestamp_of
from quotes import Quote, decode, to_iso
from tests.fakes.pipeline import OPEN, SETTINGS, make_processor
from tests.fakes.processor_ports import (
    MemoryBarTable,
    MemoryQuarantine,
    MemoryStateTable,
    MemoryTable,
    MemoryTopic,
    World,
)
from tests.model.streams import SYMBOLS

RULES = Rules(
    [
        PriceMove(name="move", percent=5, cooldown_minutes=0),
        ZScore(name="z_score", above=1, cooldown_minutes=2),
        BollingerBreakout(name="breakout", widths=0.5, cooldown_minutes=1),
        MacdCrossover(name="macd", margin_percent=0.01, cooldown_minutes=0),
        VolumeSpike(name="volume", ratio=1.5, cooldown_minutes=3),
        StaleFeed(name="stale", minutes=2, intervals=0, cooldown_minutes=3),
        Split(name="split"),
    ]
)


def _old_bar(symbol: str, minute: int) -> Row:
    price = Decimal(100) + Decimal(minute % 3) / 10
    time = OPEN + timedelta(minutes=minute)
    bar = Bar(
        symbol=symbol,
        minute=time,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=10,
        quotes=1,
        ingest_time=time,
    )
    return bar_row(bar, SETTINGS.bar_ttl_days)


_OLD_BARS: dict[tuple[str, ...], Row] = {
    (symbol, str(row["minute"])): row
    for symbol in (symbols[0] for symbols in SYMBOLS.values())
    for row in (_old_bar(symbol, minute) for minute in range(-26, 4))
}


T = TypeVar("T")
BATCHED = ("rows.put", "bars.put", "alerts.publish", "quarantine.put")
"""The calls of which AWS may do a part, and not the first part alone."""


class InPart(Unavailable):
    """AWS leaves this one of a batch, and of the ones behind it those that bits of `holes` stand for."""

    def __init__(self, call: str, holes: int) -> None:
        super().__init__(call)
        self.holes = holes | 1


def take_in_part(take: Callable[[Sequence[T]], object], batch: Sequence[T]) -> None:
    """Have a batch taken, one by one. If any is left the call fails, once the others were taken."""
    holes, call, answer = 0, "", ""
    for one in batch:
        if not holes & 1:
            try:
                take([one])
            except InPart as fault:
                holes, call = holes | fault.holes, str(fault)
        answer += "-" if holes & 1 else "+"
        holes >>= 1
    if "-" in answer:
        raise Unavailable(f"{call} took {answer}")


class Cloud(World):
    """A world in which a read of two items is two reads, a batch may be taken with holes, and SNS refuses some alerts.

    It has bars of a symbol of each lane from before, and some minutes beyond the stories' beginning, as when the
    states were lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar_rows |= _OLD_BARS
        self.settings = SETTINGS
        self.marks_read_first = False
        self.quotes = PartlyTable(self, "rows", self.rows, ("symbol", "timestamp"))
        self.bars = PartlyBarTable(self, "bars", self.bar_rows, ("symbol", "minute"))
        self.state_table: MemoryStateTable = TornStateTable(self)
        self.topic: MemoryTopic = ChoosyTopic(self)
        self.quarantine = PartlyQuarantine(self)


def processor_of(cloud: Cloud) -> Processor:
    """A processor over a world, with rules that raise many alerts."""
    return make_processor(cloud, settings=cloud.settings, rules=RULES)


class PartlyTable(MemoryTable):
    """BatchWriteItem may leave any of the rows."""

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Table`."""
        take_in_part(super().put, rows)


class PartlyBarTable(PartlyTable, MemoryBarTable):
    """As may that of bars."""


class PartlyQuarantine(MemoryQuarantine):
    """SendMessageBatch may leave any of the messages."""

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """See `ports.Quarantine`."""
        take_in_part(super().put, messages)


class TornStateTable(MemoryStateTable):
    """A state and its mark are two items, which BatchGetItem reads at two times: others may write in between."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._cloud = cloud

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """See `ports.StateTable`."""
        if self._cloud.marks_read_first:
            marks = self._marks(lanes)
            read = super().read(lanes)
        else:
            read = super().read(lanes)
            marks = self._marks(lanes)
        return {lane: Stored(read[lane].state, marks[lane]) for lane in lanes}

    def _marks(self, lanes: Collection[str]) -> dict[str, int]:
        self._world.fault("states.read")
        return {lane: self._world.marks.get(lane, 0) for lane in lanes}


class ChoosyTopic(MemoryTopic):
    """Refuses some alerts, the same ones always, and PublishBatch may leave any of the others."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        """See `ports.Topic`."""
        refused = [alert for alert in alerts if crc32(alert.id.encode()) % 5 == 0]
        take_in_part(super().publish, [alert for alert in alerts if alert not in refused])
        return [RefusedAlert(alert, "Invalid parameter: Subject") for alert in refused]


class Commit(NamedTuple):
    invocation: int
    lane: str
    before: Position
    state: LaneState


class Shown(NamedTuple):
    """A row that appeared or changed."""

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


class Pointer(NamedTuple):
    """A message that points to an object."""

    message: QuarantineMessage
    body: bytes | None
    """The object, as it was when the message arrived; None if it was not there."""


class Journal:
    """What became visible in a world, in its order, and who did it. To be asked after each effect."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.commits: list[Commit] = []
        self.bars: list[Shown] = []
        self.minute_rows: list[Shown] = []
        """The rows of quotes, where there is one a minute."""
        self.alerts: list[PublishedAlert] = []
        self.pointers: list[Pointer] = []
        self.fallen_marks: list[str] = []
        self._states: dict[str, bytes] = {}
        self._positions: dict[str, Position] = {}
        self._bar_rows = dict(cloud.bar_rows)
        self._rows: dict[tuple[str, ...], Row] = {}
        self._marks: dict[str, int] = {}
        self._messages = 0
        self._decided: set[tuple[str, ...]] = set()
        """The keys of bars and of minutes' rows."""
        self._decided_alerts: dict[str, tuple[str, int]] = {}

    def note(self, invocation: int) -> None:
        """Write down what has changed since the last note: an invocation's doing."""
        cloud = self._cloud
        if cloud.states != self._states:
            self._note_commits(invocation)
        if cloud.bar_rows != self._bar_rows:
            self.bars += self._shown(invocation, cloud.bar_rows, self._bar_rows)
            self._bar_rows = dict(cloud.bar_rows)
        if cloud.settings.row_resolution == "minute" and cloud.rows != self._rows:
            self.minute_rows += self._shown(invocation, cloud.rows, self._rows)
            self._rows = dict(cloud.rows)
        for alert in cloud.alerts[len(self.alerts) :]:
            self.alerts.append(PublishedAlert(invocation, alert, self._decided_alerts.get(alert.id)))
        for message in cloud.messages[self._messages :]:
            if message.object is not None:
                self.pointers.append(Pointer(message, cloud.objects.get(message.object.removeprefix("s3://memory/"))))
        self._messages = len(cloud.messages)
        if cloud.marks != self._marks:
            self.fallen_marks += [
                f"invocation {invocation} lowered {lane} from {mark} to {cloud.marks[lane]}"
                for lane, mark in self._marks.items()
                if cloud.marks[lane] < mark
            ]
            self._marks = dict(cloud.marks)

    def _note_commits(self, invocation: int) -> None:
        for lane, packed in self._cloud.states.items():
            if packed == self._states.get(lane):
                continue
            state = unpack(packed)
            self.commits.append(Commit(invocation, lane, self._positions.get(lane, START), state))
            self._positions[lane] = state.position
            for item in state.pending:
                if item.alert is not None:
                    self._decided_alerts[item.alert.id] = (lane, item.number)
                if item.bar is not None:
                    self._decided.add((item.bar.symbol, to_iso(item.bar.minute)))
                    self._decided.update(
                        (good.line.symbol, timestamp_of(good.line))
                        for good in decode(item.bar.line).good
                        if isinstance(good.line, Quote)
                    )
        self._states = dict(self._cloud.states)

    def _shown(
        self, invocation: int, rows: dict[tuple[str, ...], Row], known: dict[tuple[str, ...], Row]
    ) -> Iterator[Shown]:
        for key, row in rows.items():
            if known.get(key) != row:
                yield Shown(invocation, key, row, key in self._decided)
