"""Mutants: the protocol without one of its rules. The model must find what each of them breaks.

Most rules are taken out at the ports, so that little here depends on how the processor is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from copy import copy
from typing import Any, NamedTuple
from unittest.mock import patch

from msgspec.structs import replace

from aws_requests import Unavailable
from indicators import Indicators
from lane_state import WHOLE, Checkpoint, DayCounts, LaneState, Position, Publication
from processor_lambda.checkpoints import restored
from processor_lambda.day_counts import counted
from processor_lambda.fold import Fold, Folded, PositionedLine, _LaneFold
from processor_lambda.processor import Processor
from processor_lambda.records import ParsedRecord, Record
from quotes import Heartbeat, Line
from replica.event_source.records import Record as KinesisRecord
from tests.model import invariants
from tests.model.broken_operators import (
    CommitsByPosition,
    CountsNoEdit,
    DropsPending,
    EditsAnyEdit,
    EditsAnyPosition,
    IgnoresPending,
    KeepsLog,
    MovesPosition,
)
from tests.model.broken_ports import (
    AllMarkedPublished,
    AssumesCheckpointsStored,
    Calls,
    CheckpointsBeforeCommit,
    DeferredAlertTable,
    DeferredArchive,
    DeferredMarks,
    DeferredOverflows,
    DeferredQuarantine,
    DeferredRows,
    DeferredTopic,
    DropsInvalidAlerts,
    LoweringMarks,
    MarksBeforePublishing,
    MarksByCount,
    MinuteRowsBeforeCommit,
    NewAlertIds,
    NoReadAfterConflict,
    NoStoredBars,
    NothingMarkedPublished,
    NumbersMessages,
    NumbersRestart,
    OnlyAlertsOfCurrentRules,
    PublishesBeforeCommit,
    RemembersCommits,
    RetriesInvalidAlerts,
    StaleReads,
    StoresAlertsBeforeCommit,
    UnconditionalCheckpoints,
    UnconditionalCommits,
)
from tests.model.cloud import Cloud, processor_of
from tests.model.invariants import Invariant
from tests.model.runs import Build
from tests.model.streams import lambda_record


class Mutant(NamedTuple):
    """The protocol without a rule, and the invariant that is then violated."""

    build: Build
    violates: Invariant
    first_seed: int = 0
    """Where a short search starts. The first seed that finds the mutant is not much later."""


def _with_ports(**ports: Callable[[Cloud], object]) -> Build:
    """A build whose world has other ports."""

    def make_cloud() -> Cloud:
        cloud = Cloud()
        for name, port in ports.items():
            setattr(cloud, name, port(cloud))
        return cloud

    return Build(cloud=make_cloud)


def _processor_with(cloud: Cloud, **ports: object) -> Processor:
    """A processor with ports of its own to the world."""
    view = copy(cloud)
    for name, port in ports.items():
        setattr(view, name, port)
    return processor_of(view)


class _Deferring:
    """A processor that makes the calls of some ports at the end of a batch, if the invocation gets there."""

    def __init__(self, cloud: Cloud, ports: dict[str, Callable[[Cloud, Calls], object]]) -> None:
        self._calls: Calls = []
        self._processor = _processor_with(cloud, **{name: port(cloud, self._calls) for name, port in ports.items()})

    def process(self, records: Sequence[Record]) -> None:
        self._calls.clear()
        self._processor.process(records)
        for call in self._calls:
            call()


def _deferring(**ports: Callable[[Cloud, Calls], object]) -> Build:
    return Build(processor=lambda cloud: _Deferring(cloud, ports))


class _AlwaysGreater(int):
    """A sequence number that is greater than every other."""

    def __gt__(self, other: object) -> bool:
        return True

    def __le__(self, other: object) -> bool:
        return False


class _ComparedAsText(int):
    """A sequence number that compares as text."""

    def __gt__(self, other: int) -> bool:
        return str(self) > str(other)

    def __le__(self, other: int) -> bool:
        return not self > other


def _with_numbers(number: Callable[[int], int]) -> Build:
    """A build whose records have other sequence numbers."""

    def record_of(record: KinesisRecord) -> Record:
        return replace(lambda_record(record), sequence_number=number(record.position))

    return Build(record_of=record_of)


def _with_fold(fold: type[Fold]) -> Build:
    """A build with another fold."""

    def patched() -> AbstractContextManager[object]:
        return patch("processor_lambda.processor.Fold", fold)

    return Build(patched=patched)


def _forgetting(forget: Callable[[LaneState, Line], LaneState]) -> Build:
    """A build whose fold forgets something of the state before each line."""

    class ForgetfulFold(Fold):
        def __call__(
            self, state: LaneState, lines: Sequence[PositionedLine], end: Position, warm: Mapping[str, Indicators]
        ) -> Folded:
            published = state.last_number
            pending: list[Publication] = []
            quotes = late = repeated = 0
            for line in lines:
                complete_to = state.complete_to
                folded = super().__call__(forget(state, line.line), [line], line.position, warm)
                state, quotes = folded.state, quotes + folded.quotes
                late, repeated = late + folded.late, repeated + folded.repeated
                if not isinstance(line.line, Heartbeat):
                    state = replace(state, complete_to=complete_to)
                pending += state.pending
            state = replace(state, position=end, published=published, pending=tuple(pending))
            return Folded(state, len(lines), quotes, late, repeated)

    return _with_fold(ForgetfulFold)


def _order_within_symbol(state: LaneState, line: Line) -> LaneState:
    if isinstance(line, Heartbeat) or line.symbol not in state.symbols:
        return state
    before = replace(state.symbols[line.symbol], event_time=line.event_time, revision=-1)
    return replace(state, symbols=state.symbols | {line.symbol: before})


def _clock(state: LaneState, line: Line) -> LaneState:
    return replace(state, clock=None, complete_to=None) if isinstance(line, Heartbeat) else state


def _closed_minutes(state: LaneState, line: Line) -> LaneState:
    return state if isinstance(line, Heartbeat) else replace(state, complete_to=None)


def _never_forgot() -> AbstractContextManager[object]:
    """The fold does not stop after a heartbeat that made it forget symbols."""
    never = property(lambda _: False, lambda *_: None)
    return patch("processor_lambda.fold._LaneFold.has_forgotten", never, create=True)


class _CommitsWholeRecords(Fold):
    """A commit that ends within a record counts for the whole record."""

    def __call__(
        self, state: LaneState, lines: Sequence[PositionedLine], end: Position, warm: Mapping[str, Indicators]
    ) -> Folded:
        folded = super().__call__(state, lines, end, warm)
        position = folded.state.position._replace(line=WHOLE)
        return replace(folded, state=replace(folded.state, position=position))


class _IgnoresConflicts:
    """A conflict after a fresh read does not fail the batch."""

    def __init__(self, cloud: Cloud) -> None:
        self._processor = processor_of(cloud)

    def process(self, records: Sequence[Record]) -> None:
        try:
            self._processor.process(records)
        except Unavailable as error:
            if "another invocation" not in str(error):
                raise


class _FailsOnStaleCopy:
    """A conflict with a warm copy fails the batch."""

    def __init__(self, cloud: Cloud) -> None:
        self._states = NoReadAfterConflict(cloud)
        self._processor = _processor_with(cloud, state_table=self._states)

    def process(self, records: Sequence[Record]) -> None:
        self._states.has_conflict = False
        self._processor.process(records)


class _WarmBeforePublishing:
    """A committed state is a warm copy even if publishing it failed."""

    def __init__(self, cloud: Cloud) -> None:
        self._states = RemembersCommits(cloud)
        self._processor = _processor_with(cloud, state_table=self._states)

    def process(self, records: Sequence[Record]) -> None:
        self._states.committed.clear()
        try:
            self._processor.process(records)
        finally:
            self._processor._warm |= self._states.committed


class _MarksAtEnd:
    """The marks of all lanes are raised after the alerts of all lanes."""

    def __init__(self, cloud: Cloud) -> None:
        self._marks: Calls = []
        self._processor = _processor_with(cloud, state_table=DeferredMarks(cloud, self._marks))
        self._publish = self._processor._publish
        self._processor._publish = self._publish_and_mark  # type: ignore[method-assign]  # this is the mutation

    def process(self, records: Sequence[Record]) -> None:
        self._processor.process(records)

    def _publish_and_mark(self, *states: Any, **marks: Any) -> None:
        self._marks.clear()
        self._publish(*states, **marks)
        for mark in self._marks:
            mark()


class _CountsBatches:
    """The counts of a batch are added to what this instance counted before, and not to the state that was read."""

    def __init__(self, cloud: Cloud) -> None:
        self._processor = processor_of(cloud)
        self._counts: dict[str, tuple[DayCounts, ...]] = {}

    def process(self, records: Sequence[Record]) -> None:
        with patch("processor_lambda.day_counts.counted", self._counted):
            self._processor.process(records)

    def _counted(self, folded: Folded, _: LaneState, records: Sequence[ParsedRecord]) -> LaneState:
        lane = records[0].record.partition_key
        state = counted(folded, LaneState(counts=self._counts.get(lane, ())), records)
        self._counts[lane] = state.counts
        return state


class _ReadsRulesAgain:
    """The rules are read again before each commit of a batch."""

    def __init__(self, cloud: Cloud) -> None:
        self._processor = processor_of(cloud)
        self._commit = self._processor._commit
        self._processor._commit = self._read_and_commit  # type: ignore[assignment, method-assign]  # this is the mutation

    def process(self, records: Sequence[Record]) -> None:
        self._processor.process(records)

    def _read_and_commit(self, *arguments: Any) -> LaneState:
        processor = self._processor
        processor._fold = Fold(processor._rules(), keep_lines=processor._rows_by_minute)
        return self._commit(*arguments)


def _with_restored(restored: Callable[[LaneState, Checkpoint | None], LaneState | None]) -> Build:
    """A build that reads the indicators in another way."""
    return Build(patched=lambda: patch("processor_lambda.checkpoints.restored", restored))


def _applies_whole_log(state: LaneState, checkpoint: Checkpoint | None) -> LaneState | None:
    whole = restored(state, checkpoint)
    if whole is None or checkpoint is None or state.log is None:
        return whole
    again = restored(state, replace(checkpoint, number=state.checkpoint))
    return None if again is None else replace(whole, indicators=again.indicators)


def _logs_every_change() -> AbstractContextManager[object]:
    """The fold keeps the log although indicators changed in a way that it does not tell."""
    set_indicators = _LaneFold._set_indicators

    def set_and_keep(self: _LaneFold, symbol: str, after: Indicators) -> None:
        log = self._log
        set_indicators(self, symbol, after)
        self._log = log

    return patch.object(_LaneFold, "_set_indicators", set_and_keep)


class _IgnoresFailures:
    """A failure does not fail the batch."""

    def __init__(self, cloud: Cloud) -> None:
        self._processor = processor_of(cloud)

    def process(self, records: Sequence[Record]) -> None:
        with suppress(Unavailable):
            self._processor.process(records)


MUTANTS = {
    "archive first": Mutant(_deferring(archive=DeferredArchive), invariants.the_archive_is_complete),
    "write rows before the commit": Mutant(_deferring(quotes=DeferredRows), invariants.each_identity_is_one_row),
    "quarantine before the commit": Mutant(
        _deferring(quarantine=DeferredQuarantine), invariants.refused_lines_arrive_under_one_id
    ),
    "write an object before its message": Mutant(
        _deferring(archive=DeferredOverflows), invariants.the_object_of_a_message_exists
    ),
    "publish a commit before the next one": Mutant(
        _deferring(topic=DeferredTopic, state_table=DeferredMarks), invariants.no_alert_is_lost
    ),
    "publish what is pending on read": Mutant(_with_ports(state_table=AllMarkedPublished), invariants.no_alert_is_lost),
    "publish only beyond the mark": Mutant(
        _with_ports(state_table=NothingMarkedPublished), invariants.an_alert_repeats_only_after_a_fault_before_its_mark
    ),
    "read consistently": Mutant(
        _with_ports(state_table=StaleReads), invariants.an_alert_repeats_only_after_a_fault_before_its_mark
    ),
    "drop what was committed": Mutant(
        _with_numbers(_AlwaysGreater), invariants.bars_equal_one_undisturbed_pass, first_seed=380
    ),
    "compare sequence numbers as integers": Mutant(
        _with_numbers(_ComparedAsText), invariants.bars_equal_one_undisturbed_pass
    ),
    "ignore quotes that are not later than the symbol's last": Mutant(
        _forgetting(_order_within_symbol), invariants.bars_equal_one_undisturbed_pass
    ),
    "ignore heartbeats that are not later than the lane's last": Mutant(
        _forgetting(_clock), invariants.bars_equal_one_undisturbed_pass, first_seed=30
    ),
    "warm up a new symbol with its stored bars": Mutant(
        _with_ports(bars=NoStoredBars), invariants.bars_equal_one_undisturbed_pass
    ),
    "never reopen a closed minute": Mutant(_forgetting(_closed_minutes), invariants.bars_equal_one_undisturbed_pass),
    "end a commit after a heartbeat that forgets symbols": Mutant(
        Build(patched=_never_forgot), invariants.bars_equal_one_undisturbed_pass, first_seed=40
    ),
    "let a commit end within a record": Mutant(
        _with_fold(_CommitsWholeRecords), invariants.bars_equal_one_undisturbed_pass
    ),
    "commit with a condition": Mutant(
        _with_ports(state_table=UnconditionalCommits), invariants.bars_equal_one_undisturbed_pass
    ),
    "store an alert before it is published": Mutant(
        _deferring(alert_table=DeferredAlertTable), invariants.each_alert_is_stored_once_as_it_was_committed
    ),
    "store an alert after its commit": Mutant(
        _with_ports(state_table=StoresAlertsBeforeCommit), invariants.nothing_is_visible_before_its_commit
    ),
    "count a quote with its commit": Mutant(Build(processor=_CountsBatches), invariants.each_quote_counts_once),
    "publish after the commit": Mutant(
        _with_ports(state_table=PublishesBeforeCommit), invariants.nothing_is_visible_before_its_commit
    ),
    "write a minute's row after the commit": Mutant(
        _with_ports(state_table=MinuteRowsBeforeCommit), invariants.nothing_is_visible_before_its_commit
    ),
    "mark after publishing": Mutant(_with_ports(state_table=MarksBeforePublishing), invariants.no_alert_is_lost),
    "raise the marks lane by lane": Mutant(
        Build(processor=_MarksAtEnd), invariants.an_alert_repeats_only_after_a_fault_before_its_mark, first_seed=700
    ),
    "mark when all alerts are published": Mutant(
        _with_ports(topic=MarksByCount), invariants.no_alert_is_lost, first_seed=300
    ),
    "never lower a mark": Mutant(_with_ports(state_table=LoweringMarks), invariants.the_published_mark_never_falls),
    "fail after a conflict with a fresh read": Mutant(
        Build(processor=_IgnoresConflicts), invariants.bars_equal_one_undisturbed_pass, first_seed=220
    ),
    "read again after a conflict with a warm copy": Mutant(
        Build(processor=_FailsOnStaleCopy), invariants.no_batch_fails_without_a_fault
    ),
    "keep a copy warm only when it is published": Mutant(
        Build(processor=_WarmBeforePublishing), invariants.no_alert_is_lost, first_seed=70
    ),
    "fail a batch after a failure": Mutant(Build(processor=_IgnoresFailures), invariants.each_identity_is_one_row),
    "report a failure at the first record": Mutant(
        Build(reported=lambda records: len(records) - 1), invariants.bars_equal_one_undisturbed_pass
    ),
    "name an alert by its cause": Mutant(_with_ports(topic=NewAlertIds), invariants.alerts_with_the_same_id_are_equal),
    "do not fail on an invalid alert": Mutant(
        _with_ports(topic=RetriesInvalidAlerts), invariants.no_batch_fails_without_a_fault
    ),
    "quarantine an invalid alert": Mutant(
        _with_ports(topic=DropsInvalidAlerts), invariants.refused_lines_arrive_under_one_id
    ),
    "fold a batch by one set of rules": Mutant(
        Build(processor=_ReadsRulesAgain), invariants.bars_equal_one_undisturbed_pass
    ),
    "publish the alerts that were committed, whatever the rules are now": Mutant(
        _with_ports(state_table=OnlyAlertsOfCurrentRules), invariants.no_alert_is_lost
    ),
    "drop the log once its checkpoint is stored": Mutant(
        _with_ports(state_table=AssumesCheckpointsStored), invariants.no_batch_fails_without_a_fault, first_seed=120
    ),
    "write a checkpoint after the commit": Mutant(
        _with_ports(state_table=CheckpointsBeforeCommit), invariants.no_batch_fails_without_a_fault
    ),
    "write a checkpoint with a condition": Mutant(
        _with_ports(state_table=UnconditionalCheckpoints), invariants.bars_equal_one_undisturbed_pass, first_seed=160
    ),
    "go on with the numbers of the checkpoint": Mutant(
        _with_ports(state_table=NumbersRestart), invariants.bars_equal_one_undisturbed_pass, first_seed=160
    ),
    "apply the log from the checkpoint on": Mutant(
        _with_restored(_applies_whole_log), invariants.bars_equal_one_undisturbed_pass
    ),
    "keep in the item what the log does not tell": Mutant(
        Build(patched=_logs_every_change), invariants.bars_equal_one_undisturbed_pass
    ),
    "commit only what no operator has edited": Mutant(
        _with_ports(state_table=CommitsByPosition), invariants.bars_equal_one_undisturbed_pass
    ),
    "edit a lane with a condition": Mutant(
        Build(operator_states=EditsAnyPosition), invariants.bars_equal_one_undisturbed_pass
    ),
    "edit only what no other operator has edited": Mutant(
        Build(operator_states=EditsAnyEdit), invariants.bars_equal_one_undisturbed_pass, first_seed=50
    ),
    "count an edit": Mutant(Build(operator_states=CountsNoEdit), invariants.bars_equal_one_undisturbed_pass),
    "keep the position in an edit": Mutant(
        Build(operator_states=MovesPosition), invariants.bars_equal_one_undisturbed_pass
    ),
    "keep what is pending in an edit": Mutant(Build(operator_states=DropsPending), invariants.no_alert_is_lost),
    "put the indicators into the item in an edit": Mutant(
        Build(operator_states=KeepsLog), invariants.bars_equal_one_undisturbed_pass
    ),
    "count the pending bars in an edit": Mutant(
        Build(operator_states=IgnoresPending), invariants.bars_equal_one_undisturbed_pass
    ),
    "name a refused line by its place": Mutant(
        _with_ports(quarantine=NumbersMessages), invariants.refused_lines_arrive_under_one_id
    ),
}
"""The mutants, by the rule that they lack."""
