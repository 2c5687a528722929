"""Runs of the model: a story is told, delivered to the end and redriven, and its effects stand beside the expected."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from lane_state import START, WHOLE, Alert, LaneState, Position, unpack
from processor_lambda.ports import QuarantineMessage
from processor_lambda.records import Record
from processor_lambda.rows import Row
from processor_lambda.settings import Resolution, Settings
from quotes import encode
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.records import Record as KinesisRecord
from tests.fakes.pipeline import SETTINGS
from tests.model.cloud import Cloud, Journal, processor_of
from tests.model.event_source import EventSource
from tests.model.lambda_model import (
    Director,
    Endless,
    Function,
    Invocation,
    Processing,
)
from tests.model.streams import KEYS, Story, handed_over, heartbeat

END_SECONDS = (3500, 3560)
"""When the heartbeats are that end a story, but for its silence: after all its quotes, and not after the records'
arrival. They may themselves close bars and raise alerts: hence two of each lane."""


class Effects(NamedTuple):
    """What is to be seen in a world."""

    rows: dict[tuple[str, ...], Row]
    bars: dict[tuple[str, ...], Row]
    alerts: dict[str, Alert]
    messages: dict[str, QuarantineMessage]
    """By id; the last one of each."""
    archived: frozenset[bytes]
    """Lines."""
    states: dict[str, LaneState]
    """Without what depends on how the records were cut into batches."""


def effects_of(cloud: Cloud) -> Effects:
    """What is to be seen in a world now."""
    objects = (gzip.decompress(body) for key, body in cloud.objects.items() if key.startswith("raw-data/"))
    return Effects(
        rows=dict(cloud.rows),
        bars=dict(cloud.bar_rows),
        alerts={alert.id: alert for alert in cloud.alerts},
        messages={message.id: message for message in cloud.messages},
        archived=frozenset(line for body in objects for line in body.splitlines()),
        states={lane: _comparable(unpack(packed)) for lane, packed in cloud.states.items()},
    )


def _comparable(state: LaneState) -> LaneState:
    return replace(state, position=START, published=state.last_number, pending=())


def is_of_alert(message: QuarantineMessage) -> bool:
    """Whether SNS refused an alert, not the decoder a line. Its record is whichever was being processed then."""
    return message.id.startswith(f"{message.stream}/alert/")


class Build(NamedTuple):
    """What the function under trial is made of: the real one, unless a clause is to be taken out."""

    cloud: Callable[[], Cloud] = Cloud
    processing: Callable[[Cloud], Processing] = processor_of
    reported: Callable[[Sequence[Record]], int] = lambda _: 0
    """Which record of a batch that failed is reported: `app.handler` names the first."""
    record_of: Callable[[KinesisRecord], Record] = handed_over
    patched: Callable[[], AbstractContextManager[object]] = nullcontext


REAL = Build()


class Run(NamedTuple):
    """What happened, and what should have."""

    cloud: Cloud
    journal: Journal
    invocations: Sequence[Invocation]
    trace: Sequence[str]
    discarded: frozenset[int]
    """The sequence numbers of what was given up, and put on the stream again under new ones."""
    before_redrive: Effects | None
    """None where nothing was discarded."""
    endless: bool
    """A batch came again and again."""
    effects: Effects
    expected: Effects


def play(
    story: Story,
    director: Director,
    mapping: EventSourceMapping,
    build: Build,
    *,
    end_seconds: Sequence[float] = END_SECONDS,
    kill_at_last: bool = False,
    marks_read_first: bool = False,
    row_resolution: Resolution = "every",
) -> Run:
    """Deliver a story, redrive what was given up until nothing is, and end each lane with heartbeats."""
    cloud = build.cloud()
    cloud.marks_read_first = marks_read_first
    cloud.settings = replace(SETTINGS, row_resolution=row_resolution)
    stream = story.told()
    function = Function(
        cloud, director, new_processing=build.processing, reported=build.reported, record_of=build.record_of
    )
    source = EventSource(stream, mapping, function, director)
    discarded: set[int] = set()
    before_redrive: Effects | None = None
    endless = False
    with build.patched():
        try:
            for second in (*end_seconds, None):
                source.drain()
                while source.discarded:
                    before_redrive = before_redrive or effects_of(cloud)
                    given_up = sorted(source.discarded, key=lambda record: record.position)
                    source.discarded.clear()
                    discarded.update(record.position for record in given_up)
                    for record in given_up:
                        stream.put(record.partition_key, record.data)
                    source.drain()
                if second is not None:
                    function.end(kill=True) if kill_at_last else None
                    for key in KEYS:
                        stream.put(key, encode([heartbeat(key, stream.silence + second)]))
        except Endless:
            endless = True
        finally:
            function.end(kill=endless)
    records = tuple(handed_over(record) for record in stream.in_order)
    return Run(
        cloud=cloud,
        journal=function.journal,
        invocations=function.invocations,
        trace=function.trace,
        discarded=frozenset(discarded),
        before_redrive=before_redrive,
        endless=endless,
        effects=effects_of(cloud),
        expected=_expected(records, _counted(records, discarded, function), cloud.settings),
    )


def _counted(records: Sequence[Record], discarded: Collection[int], function: Function) -> tuple[Record, ...]:
    """What bars are made of: the first arrival of each packet, without what was given up before a commit took it in."""
    taken_in: dict[int, int] = defaultdict(int)
    for commit in function.journal.commits:
        for record in function.invocations[commit.invocation].records:
            number = int(record.sequence_number)  # it may be one that compares wrongly
            if record.partition_key == commit.lane and commit.before < Position(number, WHOLE):
                line = WHOLE if commit.state.position.sequence > number else commit.state.position.line
                if commit.state.position.sequence >= number:
                    taken_in[number] = max(taken_in[number], line)
    first: dict[tuple[str, bytes], Record] = {}
    for record in records:
        if record.sequence_number not in discarded:
            data = record.data
        elif taken := taken_in[record.sequence_number]:
            data = b"".join(record.data.splitlines(keepends=True)[:taken])
        else:
            continue
        first.setdefault((record.partition_key, data), replace(record, data=data))
    return tuple(first.values())


@lru_cache(maxsize=200)
def one_undisturbed_pass(records: tuple[Record, ...], settings: Settings) -> Effects:
    """The effects of some records that come as one batch, and nothing befalls it."""
    cloud = Cloud()
    cloud.settings = settings
    processor_of(cloud).process(records)
    return effects_of(cloud)


def _expected(records: tuple[Record, ...], counted: tuple[Record, ...], settings: Settings) -> Effects:
    """Rows, archive and refused lines are those of all records; bars, alerts and states those of the counted ones."""
    of_all, of_counted = one_undisturbed_pass(records, settings), one_undisturbed_pass(counted, settings)
    return of_counted._replace(
        rows=of_counted.rows if settings.row_resolution == "minute" else of_all.rows,
        archived=of_all.archived,
        messages={id_: message for id_, message in of_all.messages.items() if not is_of_alert(message)}
        | {id_: message for id_, message in of_counted.messages.items() if is_of_alert(message)},
    )
