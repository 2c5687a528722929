"""The protocol with one clause taken out, again and again: what the model must find, or it is not to be trusted.

A clause is taken out at the ports where that is possible, so that little here depends on how the processor is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

from msgspec.structs import replace

from processor_lambda.errors import InvalidAlert, LostRace, Unavailable
from processor_lambda.fold import fold
from processor_lambda.memory import MemoryArchive, MemoryQuarantine, MemoryStateTable, MemoryTable, MemoryTopic
from processor_lambda.ports import QuarantineMessage, Stored
from processor_lambda.processor import Processor
from processor_lambda.records import Record
from processor_lambda.rows import Row, bar_row
from processor_lambda.state import Alert, LaneState
from quotes import Heartbeat, Line
from replica.event_source.records import Record as KinesisRecord
from tests.unit.processor.cloud import ChoosyTopic, Cloud, TornStateTable
from tests.unit.processor.lambda_model import Processing
from tests.unit.processor.pipeline import SETTINGS, make_processor
from tests.unit.processor.runs import Build
from tests.unit.processor.streams import handed_over

MUTANTS: dict[str, Build] = {}
"""By the clause that is taken out."""


def _with_states(table: Callable[[Cloud], MemoryStateTable]) -> Build:
    def cloud() -> Cloud:
        made = Cloud()
        made.state_table = table(made)
        return made

    return Build(cloud=cloud)


def _with_topic(topic: Callable[[Cloud], MemoryTopic]) -> Build:
    def cloud() -> Cloud:
        made = Cloud()
        made.topic = topic(made)
        return made

    return Build(cloud=cloud)


class _Afterwards:
    """A processor that does some calls last, if it lives to do them."""

    def __init__(self, cloud: Cloud, late: Collection[str]) -> None:
        self._calls: list[Callable[[], object]] = []
        self._processor = Processor(
            archive=_LateArchive(cloud, self._calls) if "archive" in late else cloud.archive,
            quotes=_LateTable(cloud, self._calls) if "rows" in late else cloud.quotes,
            bars=cloud.bars,
            states=cloud.state_table,
            alerts=cloud.topic,
            quarantine=_LateQuarantine(cloud, self._calls) if "quarantine" in late else cloud.quarantine,
            settings=SETTINGS,
        )

    def process(self, records: Sequence[Record]) -> object:
        self._calls.clear()
        report = self._processor.process(records)
        for call in self._calls:
            call()
        return report


class _LateArchive(MemoryArchive):
    def __init__(self, cloud: Cloud, calls: list[Callable[[], object]]) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, key: str, body: bytes) -> str:
        self._calls.append(lambda: MemoryArchive.put(self, key, body))
        return f"s3://memory/{key}"


class _LateTable(MemoryTable):
    def __init__(self, cloud: Cloud, calls: list[Callable[[], object]]) -> None:
        super().__init__(cloud, "rows", cloud.rows, ("symbol", "timestamp"))
        self._calls = calls

    def put(self, rows: Sequence[Row]) -> None:
        self._calls.append(lambda: MemoryTable.put(self, rows))


class _LateQuarantine(MemoryQuarantine):
    def __init__(self, cloud: Cloud, calls: list[Callable[[], object]]) -> None:
        super().__init__(cloud)
        self._calls = calls

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        self._calls.append(lambda: MemoryQuarantine.put(self, messages))


for _late in ("archive", "rows", "quarantine"):
    _clause = "archive first" if _late == "archive" else f"{_late} before the commit"
    MUTANTS[_clause] = Build(processing=lambda cloud, late=_late: _Afterwards(cloud, (late,)))


class _TakesAllForPublished(TornStateTable):
    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: Stored(read.state, read.state.last_number) for lane, read in super().read(lanes).items()}


class _TakesNothingForPublished(TornStateTable):
    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: Stored(read.state, 0) for lane, read in super().read(lanes).items()}


class _ReadsOfLongAgo(TornStateTable):
    """Every second read brings what was there before the last write, as DynamoDB's default read may."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._before: dict[str, Stored] = {}
        self._reads = 0

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        now = super().read(lanes)
        self._reads += 1
        return now if self._reads % 2 else {lane: self._before.get(lane, Stored(LaneState(), 0)) for lane in lanes}

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        self._keep(lane)
        super().commit(lane, state, read)

    def raise_mark(self, lane: str, published: int) -> None:
        self._keep(lane)
        super().raise_mark(lane, published)

    def _keep(self, lane: str) -> None:
        self._before[lane] = Stored(self._state(lane), self._world.marks.get(lane, 0))


class _CommitsWhateverWasRead(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:  # noqa: ARG002  (that is the clause)
        super().commit(lane, state, self._state(lane))


class _PublishesFirst(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        for item in state.pending:
            if item.bar is not None:
                self._world.bars.put([bar_row(item.bar, SETTINGS.bar_ttl_days)])
            if item.alert is not None:
                try:
                    self._world.topic.publish(item.alert)
                except InvalidAlert:
                    continue
        super().commit(lane, state, read)


class _MarksFirst(TornStateTable):
    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        super().commit(lane, state, read)
        if state.pending:
            self.raise_mark(lane, state.last_number)


class _SetsMarks(TornStateTable):
    def raise_mark(self, lane: str, published: int) -> None:
        self._world.marks.pop(lane, None)
        super().raise_mark(lane, published)


MUTANTS |= {
    "publish what is pending on read": _with_states(_TakesAllForPublished),
    "publish only beyond the mark": _with_states(_TakesNothingForPublished),
    "read consistently": _with_states(_ReadsOfLongAgo),
    "condition on the commit": _with_states(_CommitsWhateverWasRead),
    "publish after the commit": _with_states(_PublishesFirst),
    "mark after publishing": _with_states(_MarksFirst),
    "mark upwards only": _with_states(_SetsMarks),
}


class _Undroppable(int):
    """A sequence number that is above every other."""

    def __gt__(self, other: object) -> bool:
        return True

    def __le__(self, other: object) -> bool:
        return False


class _Text(int):
    """A sequence number that compares as text."""

    def __gt__(self, other: int) -> bool:
        return str(self) > str(other)

    def __le__(self, other: int) -> bool:
        return not self > other


def _numbered(number: Callable[[int], int]) -> Callable[[KinesisRecord], Record]:
    return lambda record: replace(handed_over(record), sequence_number=number(record.position))


MUTANTS |= {
    "drop what was committed": Build(record_of=_numbered(_Undroppable)),
    "compare sequence numbers as integers": Build(record_of=_numbered(_Text)),
}


def _fold_that_forgets(forget: Callable[[LaneState, Line], LaneState]) -> Callable[[], AbstractContextManager[object]]:
    """A fold that forgets something of the state before each line."""

    def forgetful(state: LaneState, lines: Iterable[Line], *arguments: object) -> LaneState:
        published, pending = state.last_number, []
        for line in lines:
            state = fold(forget(state, line), [line], *arguments)
            pending += state.pending
        return replace(fold(state, [], *arguments), published=published, pending=tuple(pending))

    return lambda: patch("processor_lambda.processor.fold", forgetful)


def _quotes_come_first(state: LaneState, line: Line) -> LaneState:
    if isinstance(line, Heartbeat) or line.symbol not in state.symbols:
        return state
    before = replace(state.symbols[line.symbol], event_time=line.event_time, revision=-1)
    return replace(state, symbols=state.symbols | {line.symbol: before})


def _heartbeats_come_first(state: LaneState, line: Line) -> LaneState:
    return replace(state, clock=None, complete_to=None) if isinstance(line, Heartbeat) else state


def _minutes_are_open(state: LaneState, line: Line) -> LaneState:
    return state if isinstance(line, Heartbeat) else replace(state, complete_to=None)


MUTANTS |= {
    "quotes move the state forward only": Build(patched=_fold_that_forgets(_quotes_come_first)),
    "heartbeats move the clock forward only": Build(patched=_fold_that_forgets(_heartbeats_come_first)),
}


class _TakesALostRaceForSuccess:
    """A race that is lost on a fresh read ends the lane's work, and nobody is told."""

    def __init__(self, cloud: Cloud) -> None:
        self._processor = make_processor(cloud)

    def process(self, records: Sequence[Record]) -> object:
        try:
            return self._processor.process(records)
        except Unavailable as error:
            if "another invocation" not in str(error):
                raise
            return None


class _NeverReadsAgain:
    """A race that is lost on a warm copy fails the batch."""

    def __init__(self, cloud: Cloud) -> None:
        self._lost = False
        self._cloud = cloud
        self._processor = Processor(
            archive=cloud.archive,
            quotes=cloud.quotes,
            bars=cloud.bars,
            states=self,
            alerts=cloud.topic,
            quarantine=cloud.quarantine,
            settings=SETTINGS,
        )

    def process(self, records: Sequence[Record]) -> object:
        self._lost = False
        return self._processor.process(records)

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        if self._lost:
            raise Unavailable("the race is lost")
        return self._cloud.state_table.read(lanes)

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        try:
            self._cloud.state_table.commit(lane, state, read)
        except LostRace:
            self._lost = True
            raise

    def raise_mark(self, lane: str, published: int) -> None:
        self._cloud.state_table.raise_mark(lane, published)


class _KeepsWhatItCommitted:
    """A copy of what was committed is warm though publishing it failed."""

    def __init__(self, cloud: Cloud) -> None:
        self._committed: dict[str, LaneState] = {}
        self._cloud = cloud
        self._processor = Processor(
            archive=cloud.archive,
            quotes=cloud.quotes,
            bars=cloud.bars,
            states=self,
            alerts=cloud.topic,
            quarantine=cloud.quarantine,
            settings=SETTINGS,
        )

    def process(self, records: Sequence[Record]) -> object:
        self._committed.clear()
        try:
            return self._processor.process(records)
        finally:
            self._processor._warm |= {lane: Stored(state, 0) for lane, state in self._committed.items()}

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return self._cloud.state_table.read(lanes)

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        self._cloud.state_table.commit(lane, state, read)
        self._committed[lane] = state

    def raise_mark(self, lane: str, published: int) -> None:
        self._cloud.state_table.raise_mark(lane, published)


class _SwallowsFailures:
    def __init__(self, cloud: Cloud) -> None:
        self._processor = make_processor(cloud)

    def process(self, records: Sequence[Record]) -> object:
        try:
            return self._processor.process(records)
        except Unavailable:
            return None


MUTANTS |= {
    "a race lost on a fresh read fails the batch": Build(processing=_TakesALostRaceForSuccess),
    "a race lost on a warm copy is read again": Build(processing=_NeverReadsAgain),
    "a copy is warm once it is published": Build(processing=_KeepsWhatItCommitted),
    "a failure fails the batch": Build(processing=_SwallowsFailures),
    "a failure is reported at the first record": Build(reported=lambda records: len(records) - 1),
}


class _NamesAnew(ChoosyTopic):
    def publish(self, alert: Alert) -> None:
        super().publish(replace(alert, id=f"{alert.id}:{len(self._world.alerts)}"))


class _HopesForInvalidAlerts(ChoosyTopic):
    def publish(self, alert: Alert) -> None:
        try:
            super().publish(alert)
        except InvalidAlert as error:
            raise Unavailable(str(error)) from error


class _DropsInvalidAlerts(ChoosyTopic):
    def publish(self, alert: Alert) -> None:
        try:
            super().publish(alert)
        except InvalidAlert:
            return


MUTANTS |= {
    "an alert's id is the same for the same cause": _with_topic(_NamesAnew),
    "an invalid alert does not fail the batch": _with_topic(_HopesForInvalidAlerts),
    "an invalid alert goes to quarantine": _with_topic(_DropsInvalidAlerts),
}
