"""Ports that break one rule of the protocol each. Mutants are made of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from aws_requests import Unavailable
from lane_state import Alert, Checkpoint, LaneState, unpack
from processor_lambda.checkpoints import checkpoint_of
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import QuarantineMessage, RefusedAlert, Stored
from processor_lambda.rows import Row, bar_row
from processor_lambda.stored_alerts import StoredAlert, stored_alerts
from quotes import Quote, decode
from tests.fakes.pipeline import OPEN, SETTINGS
from tests.fakes.processor_ports import MemoryArchive, MemoryQuarantine, MemoryStateTable, MemoryTable
from tests.model.cloud import Cloud, PartialAlertTable, PartialBarTable, RefusingTopic, TornStateTable

Calls = list[Callable[[], object]]
"""Calls that are made at the end of the batch."""


class DeferredArchive(MemoryArchive):
    """Writes its objects at the end of the batch."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, key: str, body: bytes) -> str:
        self._calls.append(lambda: MemoryArchive.put(self, key, body))
        return f"s3://memory/{key}"


class DeferredOverflows(DeferredArchive):
    """Writes the objects of refused lines at the end of the batch."""

    def put(self, key: str, body: bytes) -> str:
        return super().put(key, body) if key.startswith("quarantine/") else MemoryArchive.put(self, key, body)


class DeferredRows(MemoryTable):
    """Writes its rows at the end of the batch."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud, "rows", cloud.rows, ("symbol", "timestamp"))
        self._calls = calls

    def put(self, rows: Sequence[Row]) -> None:
        self._calls.append(lambda: MemoryTable.put(self, rows))


class DeferredQuarantine(MemoryQuarantine):
    """Sends its messages at the end of the batch."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        self._calls.append(lambda: MemoryQuarantine.put(self, messages))


class DeferredTopic(RefusingTopic):
    """Publishes its alerts at the end of the batch."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        self._calls += [partial(RefusingTopic.publish, self, [alert]) for alert in alerts]
        return []


class DeferredAlertTable(PartialAlertTable):
    """Stores its alerts at the end of the batch, and so after the marks."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, alerts: Sequence[StoredAlert]) -> None:
        self._calls.append(lambda: PartialAlertTable.put(self, alerts))


class StoresAlertsBeforeCommit(TornStateTable):
    """Stores alerts before the commit."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        alerts = [item.alert for item in state.pending if item.alert is not None]
        self._world.alert_table.put(stored_alerts(alerts, OPEN, SETTINGS.alert_ttl_days))
        return super().commit(lane, state, read)


class DeferredMarks(TornStateTable):
    """Raises its marks at the end of the batch."""

    def __init__(self, cloud: Cloud, calls: Calls) -> None:
        super().__init__(cloud)
        self._calls = calls

    def raise_mark(self, lane: str, published: int) -> None:
        self._calls.append(lambda: MemoryStateTable.raise_mark(self, lane, published))


class NoStoredBars(PartialBarTable):
    """Finds no stored bars."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud, "bars", cloud.bar_rows, ("symbol", "key"))

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:  # noqa: ARG002  (they do not matter here)
        return []


class AllMarkedPublished(TornStateTable):
    """Reads a mark as if everything in the state were published."""

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: replace(read, published=read.state.last_number) for lane, read in super().read(lanes).items()}


class NothingMarkedPublished(TornStateTable):
    """Reads a mark as if nothing in the state were published."""

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: replace(read, published=0) for lane, read in super().read(lanes).items()}


class OnlyAlertsOfCurrentRules(TornStateTable):
    """Reads a state with those pending alerts alone that the current rules would raise, by their names."""

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {
            lane: replace(stored, state=self._filtered(stored.state)) for lane, stored in super().read(lanes).items()
        }

    def _filtered(self, state: LaneState) -> LaneState:
        names = {rule.id for rule in self._cloud.stored_rules.current.rules}
        kept = [item for item in state.pending if item.alert is None or item.alert.rule in names]
        return replace(state, pending=tuple(kept), published=state.published + len(state.pending) - len(kept))


class StaleReads(TornStateTable):
    """Every second read returns what was stored before the last write, as DynamoDB's default read may."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._before: dict[str, Stored] = {}
        self._reads = 0

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        now = super().read(lanes)
        self._reads += 1
        return now if self._reads % 2 else {lane: self._before.get(lane, Stored(LaneState(), 0)) for lane in lanes}

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        self._remember(lane)
        return super().commit(lane, state, read)

    def raise_mark(self, lane: str, published: int) -> None:
        self._remember(lane)
        super().raise_mark(lane, published)

    def _remember(self, lane: str) -> None:
        self._before[lane] = Stored(self._state(lane), self._world.marks.get(lane, 0), self._checkpoint(lane))


class UnconditionalCommits(TornStateTable):
    """Commits whatever state was read."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:  # noqa: ARG002  (it does not matter here)
        return super().commit(lane, state, self._state(lane))


class MinuteRowsBeforeCommit(TornStateTable):
    """Writes the rows of minutes before the commit."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        for item in state.pending:
            for good in decode(item.bar.line).good if item.bar is not None and item.bar.line else ():
                if isinstance(good.line, Quote):
                    self._world.quotes.put([good.line], SETTINGS.anomaly_percent, SETTINGS.quote_ttl_days)
        return super().commit(lane, state, read)


class PublishesBeforeCommit(TornStateTable):
    """Publishes bars and alerts before the commit."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        for item in state.pending:
            if item.bar is not None:
                self._world.bars.put([bar_row(item.bar, SETTINGS.bar_ttl_days)])
            if item.alert is not None:
                self._world.topic.publish([item.alert])
        return super().commit(lane, state, read)


class MarksBeforePublishing(TornStateTable):
    """Raises the mark with the commit."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        size = super().commit(lane, state, read)
        if state.pending:
            self.raise_mark(lane, state.last_number)
        return size


class LoweringMarks(TornStateTable):
    """Sets a mark even if it was higher."""

    def raise_mark(self, lane: str, published: int) -> None:
        self._world.fault("states.raise_mark")
        self._world.marks[lane] = published
        self._world.fault("states.raise_mark done")


class AssumesCheckpointsStored(TornStateTable):
    """Does not tell if a checkpoint could not be stored, so the log is dropped all the same."""

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        try:
            return super().write_checkpoint(lane, checkpoint, replaced)
        except (Unavailable, CommitConflict):
            return 0


class CheckpointsBeforeCommit(TornStateTable):
    """Writes the checkpoint of a state before it is committed."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        if state.log:
            with suppress(CommitConflict):
                self.write_checkpoint(lane, checkpoint_of(state), state.checkpoint)
        return super().commit(lane, state, read)


class UnconditionalCheckpoints(TornStateTable):
    """Replaces any checkpoint."""

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:  # noqa: ARG002  (it does not matter here)
        stored = self._checkpoint(lane)
        return super().write_checkpoint(lane, checkpoint, 0 if stored is None else stored.number)


class RisingCheckpoints(UnconditionalCheckpoints):
    """Replaces any checkpoint with a lower number."""

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        stored = self._checkpoint(lane)
        if stored is not None and stored.number >= checkpoint.number:
            raise CommitConflict(lane)
        return super().write_checkpoint(lane, checkpoint, replaced)


class NumbersRestart(RisingCheckpoints):
    """Numbers begin again after a state without a log, and its checkpoint replaces any other."""

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        read = super().read(lanes)
        return {
            lane: replace(stored, checkpoint=None) if stored.state.log is None else stored
            for lane, stored in read.items()
        }

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        if replaced == 0:
            self._world.checkpoints.pop(lane, None)
        return super().write_checkpoint(lane, checkpoint, replaced)


class NoReadAfterConflict(TornStateTable):
    """After a conflict, no read succeeds until `has_conflict` is reset."""

    has_conflict = False

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        if self.has_conflict:
            raise Unavailable("there was a conflict")
        return super().read(lanes)

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        try:
            return super().commit(lane, state, read)
        except CommitConflict:
            self.has_conflict = True
            raise


class RemembersCommits(TornStateTable):
    """Remembers the states that were committed."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.committed: dict[str, Stored] = {}

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        size = super().commit(lane, state, read)
        self.committed[lane] = Stored(state, state.last_number)
        return size


class NewAlertIds(RefusingTopic):
    """Gives every alert a new id."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        return super().publish([replace(alert, id=f"{alert.id}:{len(self._world.alerts)}") for alert in alerts])


class RetriesInvalidAlerts(RefusingTopic):
    """Fails if an alert is refused."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        if refused := super().publish(alerts):
            raise Unavailable(refused[0].reason)
        return []


class DropsInvalidAlerts(RefusingTopic):
    """Does not report refused alerts."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        super().publish(alerts)
        return []


class MarksByCount(RefusingTopic):
    """If n alerts of a batch were published and the batch failed, marks the first n as published."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        before = len(self._world.alerts)
        try:
            return super().publish(alerts)
        except Unavailable:
            published = self._world.alerts[before:]
            self._mark(alerts[: sum(alert in published for alert in alerts)])
            raise

    def _mark(self, alerts: Sequence[Alert]) -> None:
        for lane, packed in self._world.states.items():
            for item in unpack(packed).pending:
                if item.alert in alerts:
                    self._world.marks[lane] = max(self._world.marks.get(lane, 0), item.number)


class NumbersMessages(MemoryQuarantine):
    """Gives every message a new id."""

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        count = len(self._world.messages)
        super().put([replace(message, id=f"{message.id}/{count}") for message in messages])
