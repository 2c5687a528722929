"""AWS at its worst: batches that are processed in part, reads that are not atomic, alerts that are refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import repeat
from typing import Literal, TypeVar
from zlib import crc32

from msgspec.structs import replace

from aws_requests import Unavailable
from lane_state import Alert, Bar, LaneState
from lane_state.codec import WRITES
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
from processor_lambda.rows import Row, bar_row
from processor_lambda.stored_alerts import StoredAlert
from quotes import Quote
from tests.fakes.pipeline import OPEN, SETTINGS, make_processor
from tests.fakes.processor_ports import (
    MemoryAlertTable,
    MemoryBarTable,
    MemoryQuarantine,
    MemoryQuoteTable,
    MemoryStateTable,
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
"""Rules that raise many alerts."""
CHANGED_RULES = Rules(
    [
        PriceMove(name="move", percent=2, cooldown_minutes=0, severity="critical"),
        ZScore(name="z_score", above=1, cooldown_minutes=2),
        BollingerBreakout(name="other_breakout", widths=0.5, cooldown_minutes=1),
        StaleFeed(name="stale", minutes=1, intervals=0, cooldown_minutes=1),
    ]
)
"""Other rules: some are new, some are gone, and some of the same name raise other alerts."""


def old_bar(symbol: str, minute: int) -> Row:
    """A stored bar that no quote of a scenario made. The minute counts from the open."""
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
    (symbol, str(row["key"])): row
    for symbol in (symbols[0] for symbols in SYMBOLS.values())
    for row in (old_bar(symbol, minute) for minute in range(-26, 4))
}


T = TypeVar("T")
BATCHED = ("rows.put", "bars.put", "stored_alerts.put", "alerts.publish", "quarantine.put")
"""The calls of which AWS may process only a part, and any part."""


ItemKind = Literal["state", "mark", "checkpoint"]
"""The items of a lane."""


class PartialFailure(Unavailable):
    """AWS does not process this item of a batch, and none of the next items whose bits are set in `left_out`."""

    def __init__(self, call: str, left_out: int) -> None:
        super().__init__(call)
        self.left_out = left_out | 1


def process_in_part(process: Callable[[Sequence[T]], object], batch: Sequence[T]) -> None:
    """Process a batch item by item. If items are left out, the call fails after the others were processed."""
    left_out, call, result = 0, "", ""
    for item in batch:
        if not left_out & 1:
            try:
                process([item])
            except PartialFailure as fault:
                left_out, call = left_out | fault.left_out, str(fault)
        result += "-" if left_out & 1 else "+"
        left_out >>= 1
    if "-" in result:
        raise Unavailable(f"{call} processed {result}")


class Cloud(World):
    """A world in which a read of two items is two reads, a batch may be processed in part, and SNS refuses some alerts.

    One symbol of each lane has stored bars from before the first quote and from the first minutes, as if the states had
    been lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar_rows |= _OLD_BARS
        self.settings = SETTINGS
        self.read_order: Sequence[ItemKind] = ("state", "mark", "checkpoint")
        """The order in which a read reads the items of the lanes."""
        self.versions: Iterator[int] = repeat(WRITES)
        """The latest version of the states that each new instance writes."""
        self.stored_rules = StoredRules()
        self.quotes = PartialQuoteTable(self)
        self.bars = PartialBarTable(self, "bars", self.bar_rows, ("symbol", "key"))
        self.state_table: MemoryStateTable = TornStateTable(self)
        self.alert_table = PartialAlertTable(self)
        self.topic: MemoryTopic = RefusingTopic(self)
        self.quarantine = PartialQuarantine(self)


class StoredRules:
    """The rules in S3."""

    def __init__(self) -> None:
        self.current = RULES
        self.are_seen: Callable[[], bool] = lambda: True
        """Whether an instance looks for other rules before a batch."""
        self.use: Callable[[Rules], None] = lambda _: None
        """Called with the rules that an instance uses for a batch."""

    def change(self) -> None:
        """Write other rules."""
        self.current = CHANGED_RULES if self.current is RULES else RULES


class InstanceRules:
    """The rules of one instance, which looks for others now and then."""

    def __init__(self, stored: StoredRules) -> None:
        self._stored, self._rules = stored, stored.current

    def __call__(self) -> Rules:
        """The rules for the next batch."""
        if self._stored.are_seen():
            self._rules = self._stored.current
        self._stored.use(self._rules)
        return self._rules


def processor_of(cloud: Cloud) -> Processor:
    """A processor over a world, with rules that raise many alerts."""
    settings = replace(cloud.settings, state_version=next(cloud.versions))
    return make_processor(cloud, settings=settings, rules=InstanceRules(cloud.stored_rules))


class PartialQuoteTable(MemoryQuoteTable):
    """BatchWriteItem may leave out any of the rows."""

    def put(self, quotes: Sequence[Quote], anomaly_percent: Decimal, ttl_days: int) -> None:
        """See `ports.QuoteTable`."""
        put = super().put
        process_in_part(lambda quote: put(quote, anomaly_percent, ttl_days), quotes)


class PartialBarTable(MemoryBarTable):
    """BatchWriteItem may leave out any of the bars."""

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.BarTable`."""
        process_in_part(super().put, rows)


class PartialAlertTable(MemoryAlertTable):
    """BatchWriteItem may leave out any of the alerts."""

    def put(self, alerts: Sequence[StoredAlert]) -> None:
        """See `ports.AlertTable`."""
        process_in_part(super().put, alerts)


class PartialQuarantine(MemoryQuarantine):
    """SendMessageBatch may leave out any of the messages."""

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """See `ports.Quarantine`."""
        process_in_part(super().put, messages)


class TornStateTable(MemoryStateTable):
    """BatchGetItem reads the items of a lane at different times. Other invocations may write in between."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._cloud = cloud

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """See `ports.StateTable`."""
        read = {lane: Stored(LaneState(), 0) for lane in lanes}
        for kind in self._cloud.read_order:
            now = super().read(lanes)
            read = {lane: with_item(kind, read[lane], now[lane]) for lane in lanes}
        return read


def with_item(kind: ItemKind, read: Stored, now: Stored) -> Stored:
    """What is read of a lane after one more of its items is."""
    match kind:
        case "state":
            return replace(read, state=now.state)
        case "mark":
            return replace(read, published=now.published)
        case "checkpoint":
            return replace(read, checkpoint=now.checkpoint)


class RefusingTopic(MemoryTopic):
    """SNS refuses some alerts, always the same ones, and PublishBatch may leave out any of the others."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        """See `ports.Topic`."""
        refused = [alert for alert in alerts if crc32(alert.id.encode()) % 5 == 0]
        process_in_part(super().publish, [alert for alert in alerts if alert not in refused])
        return [RefusedAlert(alert, "Invalid parameter: Subject") for alert in refused]
