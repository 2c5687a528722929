"""Ports through which a clause of the protocol is not kept: what the mutants are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from aws_requests import Unavailable
from lane_state import Alert, LaneState, unpack
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import QuarantineMessage, RefusedAlert, Stored
from processor_lambda.rows import Row, bar_row, quote_row
from quotes import Quote, decode
from tests.fakes.pipeline import SETTINGS
from tests.fakes.processor_ports import MemoryArchive, MemoryQuarantine, MemoryStateTable, MemoryTable
from tests.model.cloud import ChoosyTopic, Cloud, PartlyBarTable, TornStateTable

Calls = list[Callable[[], object]]


class LateArchive(MemoryArchive):
    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, key: str, body: bytes) -> str:
        self._calls.append(lambda: MemoryArchive.put(self, key, body))
        return f"s3://memory/{key}"


class LateOverflows(LateArchive):
    def put(self, key: str, body: bytes) -> str:
        return super().put(key, body) if key.startswith("quarantine/") else MemoryArchive.put(self, key, body)


class LateRows(MemoryTable):
    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud, "rows", cloud.rows, ("symbol", "timestamp"))
        self._calls = calls

    def put(self, rows: Sequence[Row]) -> None:
        self._calls.append(lambda: MemoryTable.put(self, rows))


class LateQuarantine(MemoryQuarantine):
    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        self._calls.append(lambda: MemoryQuarantine.put(self, messages))


class LateTopic(ChoosyTopic):
    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        self._calls += [partial(ChoosyTopic.publish, self, [alert]) for alert in alerts]
        return []


class LateMarks(TornStateTable):
    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def raise_mark(self, lane: str, published: int) -> None:
        self._calls.append(lambda: MemoryStateTable.raise_mark(self, lane, published))


class ForgetsBars(PartlyBarTable):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud, "bars", cloud.bar_rows, ("symbol", "minute"))

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:  # noqa: ARG002  (that is the clause)
        return []


class TakesAllForPublished(TornStateTable):
    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: Stored(read.state, read.state.last_number) for lane, read in super().read(lanes).items()}


class TakesNothingForPublished(TornStateTable):
    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: Stored(read.state, 0) for lane, read in super().read(lanes).items()}


class ReadsOfLongAgo(TornStateTable):
    """Every second read brings what was there before the last write, as DynamoDB's default read may."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._before: dict[str, Stored] = {}
        self._reads = 0

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        now = super().read(lanes)
        self._reads += 1
        return now if self._reads % 2 else {lane: self._before.get(lane, Stored(LaneState(), 0)) for lane in lanes}

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        self._keep(lane)
        return super().commit(lane, state, read)

    def raise_mark(self, lane: str, published: int) -> None:
        self._keep(lane)
        super().raise_mark(lane, published)

    def _keep(self, lane: str) -> None:
        self._before[lane] = Stored(self._state(lane), self._world.marks.get(lane, 0))


class CommitsWhateverWasRead(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:  # noqa: ARG002  (that is the clause)
        return super().commit(lane, state, self._state(lane))


class WritesMinutesFirst(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        for item in state.pending:
            for good in decode(item.bar.line).good if item.bar is not None and item.bar.line else ():
                if isinstance(good.line, Quote):
                    row = quote_row(good.line, SETTINGS.anomaly_percent, SETTINGS.quote_ttl_days)
                    self._world.quotes.put([row])
        return super().commit(lane, state, read)


class PublishesFirst(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        for item in state.pending:
            if item.bar is not None:
                self._world.bars.put([bar_row(item.bar, SETTINGS.bar_ttl_days)])
            if item.alert is not None:
                self._world.topic.publish([item.alert])
        return super().commit(lane, state, read)


class MarksFirst(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        size = super().commit(lane, state, read)
        if state.pending:
            self.raise_mark(lane, state.last_number)
        return size


class SetsMarks(TornStateTable):
    def raise_mark(self, lane: str, published: int) -> None:
        self._world.fault("states.raise_mark")
        self._world.marks[lane] = published
        self._world.fault("states.raise_mark done")


class NeverReadsAgain(TornStateTable):
    """For one invocation at a time: once it has lost a race, there is no other read."""

    lost = False

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        if self.lost:
            raise Unavailable("the race is lost")
        return super().read(lanes)

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        try:
            return super().commit(lane, state, read)
        except CommitConflict:
            self.lost = True
            raise


class RemembersCommits(TornStateTable):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.committed: dict[str, Stored] = {}

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        size = super().commit(lane, state, read)
        self.committed[lane] = Stored(state, state.last_number)
        return size


class NamesAnew(ChoosyTopic):
    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        return super().publish([replace(alert, id=f"{alert.id}:{len(self._world.alerts)}") for alert in alerts])


class HopesForInvalidAlerts(ChoosyTopic):
    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        if refused := super().publish(alerts):
            raise Unavailable(refused[0].reason)
        return []


class DropsInvalidAlerts(ChoosyTopic):
    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        super().publish(alerts)
        return []


class MarksByCount(ChoosyTopic):
    """What was taken of a batch that failed is taken for its first alerts, and marked."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        before = len(self._world.alerts)
        try:
            return super().publish(alerts)
        except Unavailable:
            taken = self._world.alerts[before:]
            self._mark(alerts[: sum(alert in taken for alert in alerts)])
            raise

    def _mark(self, alerts: Sequence[Alert]) -> None:
        for lane, packed in self._world.states.items():
            for item in unpack(packed).pending:
                if item.alert in alerts:
                    self._world.marks[lane] = max(self._world.marks.get(lane, 0), item.number)


class NumbersMessages(MemoryQuarantine):
    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        count = len(self._world.messages)
        super().put([replace(message, id=f"{message.id}/{count}") for message in messages])
