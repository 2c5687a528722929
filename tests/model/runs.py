"""Plays runs of the model: delivers a scenario to its end, redrives it, and computes the effects that it must have."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from unittest.mock import patch

from msgspec.structs import replace

import indicators
from indicators import Indicators
from lane_state import START, WHOLE, Alert, LaneState, Position, pack, unpack_checkpoint
from processor_lambda.alerts import Rules
from processor_lambda.checkpoints import restored
from processor_lambda.day_counts import DAYS
from processor_lambda.fold import Fold, Folded, PositionedLine
from processor_lambda.ports import QuarantineMessage
from processor_lambda.records import Record
from processor_lambda.rows import Row
from processor_lambda.settings import Resolution, Settings
from processor_lambda.warmup import warmed_up
from quotes import Quote, decode, encode, lanes_of_key
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.records import Record as KinesisRecord
from tests.fakes.pipeline import SETTINGS
from tests.fakes.processor_ports import unpack_state
from tests.model.cloud import RULES, Cloud, ItemKind, processor_of
from tests.model.event_source import EventSource, Source
from tests.model.history import Edit, History
from tests.model.lambda_function import BatchProcessor, Function, Invocation, Scheduler, TooManyInvocations
from tests.model.operators import MakeStates, OperatorStates, bars_before
from tests.model.scenarios import Scenario, heartbeat
from tests.model.streams import KEYS, Stream, lambda_record

MakeSource = Callable[[Stream, EventSourceMapping, Function, Scheduler], Source]
"""Makes what delivers a stream."""

END_SECONDS = (3500, 3560)
"""The times of the heartbeats that end a run, without its months of silence. They are later than all quotes of a
scenario, and not later than the arrival of their records. There are two for each lane, because the first may close bars
and raise alerts."""


class Effects(NamedTuple):
    """What is visible in a world."""

    rows: dict[tuple[str, ...], Row]
    bars: dict[tuple[str, ...], Row]
    alerts: dict[str, Alert]
    stored_alerts: dict[tuple[str, str], Alert]
    messages: dict[str, QuarantineMessage]
    """The last message with each id."""
    archived: frozenset[bytes]
    """The lines of the archive."""
    states: dict[str, LaneState | None]
    """The states, without what depends on how the records were cut into batches. None if one cannot be read."""
    quotes: dict[str, dict[str, int]]
    """How many quotes the state of a lane has counted on each day."""


def effects_of(cloud: Cloud) -> Effects:
    """What is visible in a world now."""
    objects = (gzip.decompress(body) for key, body in cloud.objects.items() if key.startswith("raw-data/"))
    return Effects(
        rows=dict(cloud.rows),
        bars=dict(cloud.bar_rows),
        alerts={alert.id: alert for alert in cloud.alerts},
        stored_alerts={key: stored.alert for key, stored in cloud.stored_alerts.items()},
        messages={message.id: message for message in cloud.messages},
        archived=frozenset(line for body in objects for line in body.splitlines()),
        states={lane: _comparable(cloud, lane) for lane in cloud.states},
        quotes={
            lane: {counts.day: counts.quotes for counts in unpack_state(packed).counts}
            for lane, packed in cloud.states.items()
        },
    )


def _comparable(cloud: Cloud, lane: str) -> LaneState | None:
    packed = cloud.checkpoints.get(lane)
    checkpoint = None if packed is None else unpack_checkpoint(packed)
    state = restored(unpack_state(cloud.states[lane]), checkpoint)
    if state is None:
        return None
    return replace(
        state, position=START, published=state.last_number, pending=(), checkpoint=0, log=None, arrival=None, counts=()
    )


def is_about_alert(message: QuarantineMessage) -> bool:
    """Whether a message is about a refused alert. Its record depends on which batch published the alert."""
    return message.id.startswith(f"{message.stream}/alert/")


class Build(NamedTuple):
    """The parts of the function under test. A mutant replaces one of them."""

    cloud: Callable[[], Cloud] = Cloud
    processor: Callable[[Cloud], BatchProcessor] = processor_of
    reported: Callable[[Sequence[Record]], int] = lambda _: 0
    """Which record of a failed batch is reported, by its index. `app.handler` reports the first."""
    record_of: Callable[[KinesisRecord], Record] = lambda_record
    operator_states: MakeStates = OperatorStates
    patched: Callable[[], AbstractContextManager[object]] = nullcontext
    """A patch that is active during the run."""


REAL = Build()


class Run(NamedTuple):
    """What happened in a run, and what should have happened."""

    cloud: Cloud
    history: History
    invocations: Sequence[Invocation]
    trace: Sequence[str]
    discarded: frozenset[int]
    """The sequence numbers of the records that were discarded, and put on the stream again under new ones."""
    before_redrive: Effects | None
    """What was visible before the first redrive. None if nothing was discarded."""
    never_ended: bool
    """Whether a batch was delivered again and again."""
    effects: Effects
    expected: Effects


def play(
    scenario: Scenario,
    scheduler: Scheduler,
    mapping: EventSourceMapping,
    build: Build,
    *,
    end_seconds: Sequence[float] = END_SECONDS,
    kill_at_end: bool = False,
    read_order: Sequence[ItemKind] = ("state", "mark", "checkpoint"),
    versions: Iterator[int] | None = None,
    row_resolution: Resolution = "every",
    source_of: MakeSource = EventSource,
) -> Run:
    """Deliver a scenario, redrive discarded records until there are none, and end each lane with heartbeats."""
    cloud = build.cloud()
    cloud.read_order = read_order
    cloud.versions = versions or cloud.versions
    cloud.settings = replace(SETTINGS, row_resolution=row_resolution)
    stream = scenario.stream()
    function = Function(
        cloud,
        scheduler,
        new_processor=build.processor,
        reported=build.reported,
        record_of=build.record_of,
        operator_states=build.operator_states,
    )
    source = source_of(stream, mapping, function, scheduler)
    redriven = _Redriven()
    never_ended = False
    with build.patched():
        try:
            for second in end_seconds:
                redriven.drain(source, stream, cloud)
                if kill_at_end:
                    function.end(kill=True)
                for key in KEYS:
                    stream.put(key, encode([heartbeat(key, stream.silence + second)]))
            redriven.drain(source, stream, cloud)
        except TooManyInvocations:
            never_ended = True
        finally:
            function.end(kill=never_ended)
    records = tuple(lambda_record(record) for record in stream.in_order)
    committed = tuple(_committed(records, redriven.numbers, function))
    return Run(
        cloud=cloud,
        history=function.history,
        invocations=function.invocations,
        trace=function.trace,
        discarded=frozenset(redriven.numbers),
        before_redrive=redriven.effects_before,
        never_ended=never_ended,
        effects=effects_of(cloud),
        expected=_expected(records, committed, cloud.settings, _used_rules(function), function.history.edits),
    )


class _Redriven:
    """Drains a stream, and puts discarded records on it again until none is discarded."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.effects_before: Effects | None = None

    def drain(self, source: Source, stream: Stream, cloud: Cloud) -> None:
        source.drain()
        while source.discarded:
            self.effects_before = self.effects_before or effects_of(cloud)
            records = sorted(source.discarded, key=lambda record: record.position)
            source.discarded.clear()
            self.numbers.update(record.position for record in records)
            for record in records:
                stream.put(record.partition_key, record.data)
            source.drain()


def _committed(records: Sequence[Record], discarded: Collection[int], function: Function) -> Iterator[Record]:
    """The records as far as they were committed.

    Of a discarded record, those are the lines that a commit took in before. The rest is committed when it is redriven.
    """
    committed_lines: dict[int, int] = defaultdict(int)
    for commit in function.history.commits:
        for record in function.invocations[commit.invocation].records:
            number = int(record.sequence_number)  # a mutant's number may compare wrongly
            if record.partition_key == commit.lane and commit.before < Position(number, WHOLE):
                line = WHOLE if commit.state.position.sequence > number else commit.state.position.line
                if commit.state.position.sequence >= number:
                    committed_lines[number] = max(committed_lines[number], line)
    for record in records:
        if record.sequence_number not in discarded:
            yield record
        elif lines := committed_lines[record.sequence_number]:
            yield replace(record, data=b"".join(record.data.splitlines(keepends=True)[:lines]))


def _first_arrivals(records: Sequence[Record]) -> tuple[Record, ...]:
    """The records that bars are made of: the first arrival of each packet."""
    first: dict[tuple[str, bytes], Record] = {}
    for record in records:
        first.setdefault((record.partition_key, record.data), record)
    return tuple(first.values())


def _quotes_by_day(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """How many quotes arrived on each day, by lane, from the days that a state keeps."""
    count: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[str, datetime] = {}
    for record in records:
        count[record.partition_key][record.arrival.date().isoformat()] += _quotes_in(record.data)
        last[record.partition_key] = record.arrival
    oldest = {lane: (arrival - timedelta(days=DAYS - 1)).date().isoformat() for lane, arrival in last.items()}
    return {
        lane: {day: quotes for day, quotes in days.items() if quotes and day >= oldest[lane]}
        for lane, days in count.items()
        if lanes_of_key(lane) is not None
    }


@lru_cache(maxsize=5_000)
def _quotes_in(data: bytes) -> int:
    return sum(isinstance(good.line, Quote) for good in decode(data).good)


class UsedRules(NamedTuple):
    """The rules by which the lines of a lane were committed, between two positions."""

    after: Position
    until: Position
    rules: Rules


def _used_rules(function: Function) -> dict[int, list[UsedRules]]:
    """By which rules each record was committed, as the invocations say it. Empty if the rules never changed."""
    invocations = function.invocations
    if all(invocation.rules in (None, RULES) for invocation in invocations):
        return {}
    used: dict[int, list[UsedRules]] = defaultdict(list)
    for commit in function.history.commits:
        invocation = invocations[commit.invocation]
        for record in invocation.records:
            if record.partition_key == commit.lane and invocation.rules is not None:
                used[record.sequence_number].append(UsedRules(commit.before, commit.state.position, invocation.rules))
    return used


def _rules_of(record: Record, used: Mapping[int, Sequence[UsedRules]]) -> tuple[Rules, ...]:
    """The rules by which each line of a record was committed in a run."""
    of_record = used.get(int(record.sequence_number), ())
    positions = (Position(int(record.sequence_number), line + 1) for line in range(record.data.count(b"\n") + 1))
    return tuple(
        next((each.rules for each in of_record if each.after < position <= each.until), RULES) for position in positions
    )


class _Replayed:
    """What happened in a run, and has to happen again at the same positions."""

    def __init__(
        self, cloud: Cloud, records: Sequence[Record], rules: Sequence[Sequence[Rules]], edits: Sequence[Edit]
    ) -> None:
        self._rules = {int(record.sequence_number): of_lines for record, of_lines in zip(records, rules, strict=True)}
        self.edits = list(edits)
        """The edits that are still to come, in order."""
        self._cloud = cloud
        self._lanes = {record.sequence_number: record.partition_key for record in records}

    def rules_of(self, line: Position) -> Rules:
        """The rules by which a line was committed."""
        return self._rules[line.sequence][line.line - 1]

    def next_edit(self, position: Position) -> Edit | None:
        """The next edit of the lane that has a record at a position."""
        return next((edit for edit in self.edits if edit.lane == self._lanes[position.sequence]), None)

    def edited(self, state: LaneState, symbol: str) -> LaneState:
        """A state after an edit: the symbol's indicators are those after all of its closed bars. All are stored."""
        known = state.symbols.get(symbol)
        if known is None:
            return state
        end = known.event_time if state.complete_to is None else state.complete_to
        rows = bars_before(self._cloud, symbol, end.replace(second=0) if known.bar is None else known.bar.minute)
        split = known.split
        after = indicators.pack(warmed_up(rows, [split] if split is not None and split.is_applied else []))
        return replace(state, indicators=state.indicators | {symbol: after}, log=None, edits=state.edits + 1)

    def end(self) -> None:
        """Edit the lanes that were edited after their last record."""
        for edit in self.edits:
            stored = self._cloud.state_table.stored(edit.lane)
            state = restored(stored.state, stored.checkpoint)
            assert state is not None
            self._cloud.states[edit.lane] = pack(self.edited(state, edit.symbol))


class _ReplayingFold(Fold):
    """Folds each line by the rules by which it was committed in a run, and edits each lane where it was edited."""

    replayed: _Replayed

    def __init__(self, rules: Rules, *, keep_lines: bool = False) -> None:
        super().__init__(rules, keep_lines=keep_lines)
        self._keep = keep_lines

    def __call__(
        self, state: LaneState, lines: Sequence[PositionedLine], end: Position, warm: Mapping[str, Indicators]
    ) -> Folded:
        """Fold the lines up to the next edit, and to the first that was committed by other rules than the first."""
        edit = self.replayed.next_edit(end)
        if edit is not None and edit.position < (lines[0].position if lines else end):
            self.replayed.edits.remove(edit)
            state = self.replayed.edited(state, edit.symbol)
            return Folded(replace(state, published=state.last_number, pending=()), 0, 0, 0, 0)
        if edit is not None and edit.position < end:
            lines = [line for line in lines if line.position <= edit.position]
            end = lines[-1].position
        rules = [self.replayed.rules_of(line.position) for line in lines]
        same = next((number for number, each in enumerate(rules) if each is not rules[0]), len(lines))
        if same < len(lines):
            lines, end = lines[:same], lines[same - 1].position
        return Fold(rules[0] if rules else RULES, keep_lines=self._keep)(state, lines, end, warm)


@lru_cache(maxsize=200)
def undisturbed_effects(records: tuple[Record, ...], settings: Settings) -> Effects:
    """The effects of records that arrive as one batch and are processed without a fault."""
    cloud = Cloud()
    cloud.settings = settings
    processor_of(cloud).process(records)
    return effects_of(cloud)


@lru_cache(maxsize=200)
def _effects_by(
    rules: tuple[tuple[Rules, ...], ...], edits: tuple[Edit, ...], records: tuple[Record, ...], settings: Settings
) -> Effects:
    """The same, where each line of a record is folded by its own rules, and with edits.

    Many runs of a script have the same rules and edits.
    """
    cloud = Cloud()
    cloud.settings = settings
    replayed = _Replayed(cloud, records, rules, edits)
    with patch("processor_lambda.processor.Fold", type("_FoldOfRun", (_ReplayingFold,), {"replayed": replayed})):
        processor_of(cloud).process(records)
    replayed.end()
    return effects_of(cloud)


def _expected(
    records: tuple[Record, ...],
    committed: tuple[Record, ...],
    settings: Settings,
    used: Mapping[int, Sequence[UsedRules]],
    edits: Sequence[Edit],
) -> Effects:
    """Rows, archive and refused lines come from all records; bars, alerts and states from the first arrivals.

    The counts of the days come from all that was committed, and repeated packets count again.
    """
    of_all = undisturbed_effects(records, settings)
    counted = _first_arrivals(committed)
    rules = tuple(_rules_of(record, used) for record in counted)
    if edits or any(each is not RULES for of_lines in rules for each in of_lines):
        of_counted = _effects_by(rules, tuple(edits), counted, settings)
    else:
        of_counted = undisturbed_effects(counted, settings)
    return of_counted._replace(
        quotes=_quotes_by_day(committed),
        rows=of_counted.rows if settings.row_resolution == "minute" else of_all.rows,
        archived=of_all.archived,
        messages={id_: message for id_, message in of_all.messages.items() if not is_about_alert(message)}
        | {id_: message for id_, message in of_counted.messages.items() if is_about_alert(message)},
    )
