"""The protocol with one clause taken out, again and again: what the model must find, or it is not to be trusted.

A clause is taken out at the ports where that is possible, so that little here depends on how the processor is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from copy import copy
from typing import Any, NamedTuple
from unittest.mock import patch

from msgspec.structs import replace

from aws_requests import Unavailable
from lane_state import WHOLE, LaneState, Position, Publication
from processor_lambda.fold import Fold, Folded, PositionedLine
from processor_lambda.indicators import Indicators
from processor_lambda.processor import Processor
from processor_lambda.records import Record
from quotes import Heartbeat, Line
from replica.event_source.records import Record as KinesisRecord
from tests.model import promises
from tests.model.broken_ports import (
    Calls,
    CommitsWhateverWasRead,
    DropsInvalidAlerts,
    ForgetsBars,
    HopesForInvalidAlerts,
    LateArchive,
    LateMarks,
    LateOverflows,
    LateQuarantine,
    LateRows,
    LateTopic,
    MarksByCount,
    MarksFirst,
    NamesAnew,
    NeverReadsAgain,
    NumbersMessages,
    PublishesFirst,
    ReadsOfLongAgo,
    RemembersCommits,
    SetsMarks,
    TakesAllForPublished,
    TakesNothingForPublished,
    WritesMinutesFirst,
)
from tests.model.cloud import Cloud, processor_of
from tests.model.promises import Judge
from tests.model.runs import Build
from tests.model.streams import handed_over


class Mutant(NamedTuple):
    """The protocol without a clause, and the promise that is broken then."""

    build: Build
    breaks: Judge


def _cloud_with(**ports: Callable[[Cloud], object]) -> Build:
    """A build whose world has other ports."""

    def made() -> Cloud:
        cloud = Cloud()
        for name, port in ports.items():
            setattr(cloud, name, port(cloud))
        return cloud

    return Build(cloud=made)


def _processor_with(cloud: Cloud, **ports: object) -> Processor:
    """A processor that has ports of its own to the world."""
    seen = copy(cloud)
    for name, port in ports.items():
        setattr(seen, name, port)
    return processor_of(seen)


class _Late:
    """A processor that makes the calls of some ports at the end of a batch, if it lives to see it."""

    def __init__(self, cloud: Cloud, ports: dict[str, Callable[[Cloud, Calls], object]]) -> None:
        self._calls: Calls = []
        self._processor = _processor_with(cloud, **{name: port(cloud, self._calls) for name, port in ports.items()})

    def process(self, records: Sequence[Record]) -> None:
        self._calls.clear()
        self._processor.process(records)
        for call in self._calls:
            call()


def _late(**ports: Callable[[Cloud, Calls], object]) -> Build:
    return Build(processing=lambda cloud: _Late(cloud, ports))


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


def _numbered(number: Callable[[int], int]) -> Build:
    def record_of(record: KinesisRecord) -> Record:
        return replace(handed_over(record), sequence_number=number(record.position))

    return Build(record_of=record_of)


def _folding(fold: type[Fold]) -> Build:
    def patched() -> AbstractContextManager[object]:
        return patch("processor_lambda.processor.Fold", fold)

    return Build(patched=patched)


def _forgetting(forget: Callable[[LaneState, Line], LaneState]) -> Build:
    """A fold that forgets something of the state for each line's sake."""

    class Forgetful(Fold):
        def __call__(
            self, state: LaneState, lines: Sequence[PositionedLine], end: Position, warm: Mapping[str, Indicators]
        ) -> Folded:
            published = state.last_number
            pending: list[Publication] = []
            late = 0
            for line in lines:
                complete_to = state.complete_to
                folded = super().__call__(forget(state, line.line), [line], line.position, warm)
                state, late = folded.state, late + folded.late
                if not isinstance(line.line, Heartbeat):
                    state = replace(state, complete_to=complete_to)
                pending += state.pending
            state = replace(state, position=end, published=published, pending=tuple(pending))
            return Folded(state, len(lines), late)

    return _folding(Forgetful)


def _going_on_when_it_forgot() -> AbstractContextManager[object]:
    never = property(lambda _: False, lambda *_: None)
    return patch("processor_lambda.fold._LaneFold.has_forgotten", never, create=True)


class _TakesRecordsWhole(Fold):
    """What is committed of a record counts for all of it."""

    def __call__(
        self, state: LaneState, lines: Sequence[PositionedLine], end: Position, warm: Mapping[str, Indicators]
    ) -> Folded:
        folded = super().__call__(state, lines, end, warm)
        position = folded.state.position._replace(line=WHOLE)
        return replace(folded, state=replace(folded.state, position=position))


def _when_the_symbol_moved(state: LaneState, line: Line) -> LaneState:
    if isinstance(line, Heartbeat) or line.symbol not in state.symbols:
        return state
    before = replace(state.symbols[line.symbol], event_time=line.event_time, revision=-1)
    return replace(state, symbols=state.symbols | {line.symbol: before})


def _what_time_it_is(state: LaneState, line: Line) -> LaneState:
    return replace(state, clock=None, complete_to=None) if isinstance(line, Heartbeat) else state


def _what_is_closed(state: LaneState, line: Line) -> LaneState:
    return state if isinstance(line, Heartbeat) else replace(state, complete_to=None)


class _TakesALostRaceForSuccess:
    """A race that is lost on a fresh read ends the lane's work, and nobody is told."""

    def __init__(self, cloud: Cloud) -> None:
        self._processor = processor_of(cloud)

    def process(self, records: Sequence[Record]) -> None:
        try:
            self._processor.process(records)
        except Unavailable as error:
            if "another invocation" not in str(error):
                raise


class _FailsWithItsWarmCopy:
    """A race that is lost on a warm copy fails the batch."""

    def __init__(self, cloud: Cloud) -> None:
        self._states = NeverReadsAgain(cloud)
        self._processor = _processor_with(cloud, state_table=self._states)

    def process(self, records: Sequence[Record]) -> None:
        self._states.lost = False
        self._processor.process(records)


class _IsWarmTooSoon:
    """A copy of what was committed is warm though publishing it failed."""

    def __init__(self, cloud: Cloud) -> None:
        self._states = RemembersCommits(cloud)
        self._processor = _processor_with(cloud, state_table=self._states)

    def process(self, records: Sequence[Record]) -> None:
        self._states.committed.clear()
        try:
            self._processor.process(records)
        finally:
            self._processor._warm |= self._states.committed


class _MarksAtLast:
    """All lanes' marks are raised behind all their alerts."""

    def __init__(self, cloud: Cloud) -> None:
        self._marks: Calls = []
        self._processor = _processor_with(cloud, state_table=LateMarks(cloud, self._marks))
        self._publish = self._processor._publish
        self._processor._publish = self._publish_and_mark  # type: ignore[method-assign]  # that is the clause

    def process(self, records: Sequence[Record]) -> None:
        self._processor.process(records)

    def _publish_and_mark(self, *states: Any, **marks: Any) -> None:
        self._marks.clear()
        self._publish(*states, **marks)
        for mark in self._marks:
            mark()


class _SwallowsFailures:
    def __init__(self, cloud: Cloud) -> None:
        self._processor = processor_of(cloud)

    def process(self, records: Sequence[Record]) -> None:
        with suppress(Unavailable):
            self._processor.process(records)


MUTANTS = {
    "archive first": Mutant(_late(archive=LateArchive), promises.the_archive_is_complete),
    "write rows before the commit": Mutant(_late(quotes=LateRows), promises.each_identity_is_one_row),
    "quarantine before the commit": Mutant(
        _late(quarantine=LateQuarantine), promises.refused_lines_arrive_under_one_id
    ),
    "an overflow's object before its message": Mutant(
        _late(archive=LateOverflows), promises.what_a_message_points_to_is_there
    ),
    "publish a commit before the next one": Mutant(
        _late(topic=LateTopic, state_table=LateMarks), promises.no_alert_is_lost
    ),
    "publish what is pending on read": Mutant(_cloud_with(state_table=TakesAllForPublished), promises.no_alert_is_lost),
    "publish only beyond the mark": Mutant(
        _cloud_with(state_table=TakesNothingForPublished),
        promises.an_alert_repeats_once_per_invocation_that_ended_before_its_mark,
    ),
    "read consistently": Mutant(
        _cloud_with(state_table=ReadsOfLongAgo),
        promises.an_alert_repeats_once_per_invocation_that_ended_before_its_mark,
    ),
    "drop what was committed": Mutant(_numbered(_Undroppable), promises.bars_equal_one_undisturbed_pass),
    "compare sequence numbers as integers": Mutant(_numbered(_Text), promises.bars_equal_one_undisturbed_pass),
    "quotes move a symbol forward only": Mutant(
        _forgetting(_when_the_symbol_moved), promises.bars_equal_one_undisturbed_pass
    ),
    "heartbeats move the clock forward only": Mutant(
        _forgetting(_what_time_it_is), promises.bars_equal_one_undisturbed_pass
    ),
    "a new symbol begins with its stored bars": Mutant(
        _cloud_with(bars=ForgetsBars), promises.bars_equal_one_undisturbed_pass
    ),
    "a closed minute stays closed": Mutant(_forgetting(_what_is_closed), promises.bars_equal_one_undisturbed_pass),
    "a commit ends behind the heartbeat that forgets symbols": Mutant(
        Build(patched=_going_on_when_it_forgot), promises.bars_equal_one_undisturbed_pass
    ),
    "a commit may end within a record": Mutant(_folding(_TakesRecordsWhole), promises.bars_equal_one_undisturbed_pass),
    "commit on condition": Mutant(
        _cloud_with(state_table=CommitsWhateverWasRead), promises.bars_equal_one_undisturbed_pass
    ),
    "publish after the commit": Mutant(
        _cloud_with(state_table=PublishesFirst), promises.nothing_is_shown_before_its_commit
    ),
    "write a minute's row after the commit": Mutant(
        _cloud_with(state_table=WritesMinutesFirst), promises.nothing_is_shown_before_its_commit
    ),
    "mark after publishing": Mutant(_cloud_with(state_table=MarksFirst), promises.no_alert_is_lost),
    "raise the marks lane by lane": Mutant(
        Build(processing=_MarksAtLast),
        promises.an_alert_repeats_once_per_invocation_that_ended_before_its_mark,
    ),
    "mark when all was published": Mutant(_cloud_with(topic=MarksByCount), promises.no_alert_is_lost),
    "mark upwards only": Mutant(_cloud_with(state_table=SetsMarks), promises.the_published_mark_never_falls),
    "a race lost on a fresh read fails the batch": Mutant(
        Build(processing=_TakesALostRaceForSuccess), promises.bars_equal_one_undisturbed_pass
    ),
    "a race lost on a warm copy is read again": Mutant(
        Build(processing=_FailsWithItsWarmCopy), promises.no_batch_fails_without_a_fault
    ),
    "a copy is warm once it is published": Mutant(Build(processing=_IsWarmTooSoon), promises.no_alert_is_lost),
    "a failure fails the batch": Mutant(Build(processing=_SwallowsFailures), promises.each_identity_is_one_row),
    "a failure is reported at the first record": Mutant(
        Build(reported=lambda records: len(records) - 1), promises.bars_equal_one_undisturbed_pass
    ),
    "an alert's id is that of its cause": Mutant(
        _cloud_with(topic=NamesAnew), promises.an_alert_is_the_same_under_its_id_whenever_it_is_published
    ),
    "an invalid alert does not fail the batch": Mutant(
        _cloud_with(topic=HopesForInvalidAlerts), promises.no_batch_fails_without_a_fault
    ),
    "an invalid alert goes to quarantine": Mutant(
        _cloud_with(topic=DropsInvalidAlerts), promises.refused_lines_arrive_under_one_id
    ),
    "a refused line's id is that of its place": Mutant(
        _cloud_with(quarantine=NumbersMessages), promises.refused_lines_arrive_under_one_id
    ),
}
"""By the clause that is taken out."""
