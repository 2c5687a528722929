"""Lambda in one thread of time: an event source, and invocations that die, fail, or are given up and finish later.

What becomes of a batch is decided by the replica's own rules. One invocation acts at a time; at each call that it makes
another one may get its turn, so that every interleaving of calls can come about. Who does what when is asked of a
`Director`: nothing here is random.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol
from zlib import crc32

from processor_lambda.errors import LostRace, Unavailable
from processor_lambda.records import Record
from replica.event_source.delivery import Attempt, Decision, decide, expire
from replica.event_source.function import Invocation as Answer
from replica.event_source.mapping import UNLIMITED, EventSourceMapping
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.response import Failed, Outcome, PartlyFailed, Succeeded
from replica.event_source.shards import readable
from tests.unit.processor.cloud import Cloud, Journal
from tests.unit.processor.streams import Stream

MAX_INVOCATIONS = 300
"""Of one run: what has not come to an end by then never does."""
SECONDS_OF_A_TRY = 3
COMMITTED = "states.commit done"


class Killed(BaseException):
    """The function's instance ends here."""


class Endless(Exception):
    """A batch comes again and again."""


BlowKind = Literal["killed", "failed", "abandoned", "unheard"]


class Blow(NamedTuple):
    """What befalls an invocation at one of the points before and after its calls.

    `unheard`: the next commit takes effect, its answer is lost, and boto3 asks again and is told that the race is lost.
    """

    point: int
    kind: BlowKind


class Processing(Protocol):
    """What the function is made of."""

    def process(self, records: Sequence[Record]) -> object:
        """See `Processor`."""


class Instance:
    """A function's instance, which keeps what it remembers between invocations."""

    def __init__(self, number: int, processing: Processing) -> None:
        self.number, self.processing = number, processing


class Invocation:
    """One call of the function with a batch."""

    def __init__(self, number: int, instance: Instance, records: Sequence[Record], fate: Sequence[Blow]) -> None:
        self.number, self.instance, self.records = number, instance, records
        self.blows = list(fate)
        self.points = 0
        """Points that it has passed."""
        self.turn: int | None = None
        """Points that it may pass before it has to wait again; None for as many as it likes."""
        self.outcome: Outcome | None = None
        """None while it is under way."""
        self.undisturbed = True
        """Nothing befell it, and no other invocation acted while it was under way."""
        self.marks_in_trouble: dict[str, int] | None = None
        """The marks at the moment in which it was first killed, failed or given up."""
        self.course: _Course | None = None


class Director(Protocol):
    """Decides all that Lambda, AWS and chance decide."""

    def shard(self, waiting: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """Which shard's batcher gets its turn."""

    def batch_size(self, waiting: int) -> int:
        """How many of the records that wait make the next batch."""

    def instance(self, idle: Sequence[Instance]) -> Instance | None:
        """Which instance is invoked; None for a new one."""

    def fate(self, records: Sequence[Record]) -> Sequence[Blow]:
        """What befalls the next invocation, in order."""

    def meanwhile(self, waiting: Sequence[Invocation]) -> tuple[Invocation, int | None] | None:
        """Which abandoned invocation acts now, and for how many points. Asked at each point, and in between."""


class Function:
    """A function and its instances, over one world."""

    def __init__(
        self,
        cloud: Cloud,
        director: Director,
        *,
        new_processing: Callable[[Cloud], Processing],
        reported: Callable[[Sequence[Record]], int],
        record_of: Callable[[KinesisRecord], Record],
    ) -> None:
        self._cloud, self._director = cloud, director
        self._new_processing, self._reported, self._record_of = new_processing, reported, record_of
        self._idle: list[Instance] = []
        self._instances = 0
        self._current: Invocation | None = None
        self.invocations: list[Invocation] = []
        self.abandoned: list[Invocation] = []
        """Those that are still under way."""
        self.journal = Journal(cloud)
        self.trace: list[str] = []
        cloud.fault = self._at

    def invoke(self, records: Sequence[KinesisRecord]) -> Outcome:
        """What Lambda makes of an invocation with these records."""
        if len(self.invocations) == MAX_INVOCATIONS:
            raise Endless
        self.let_others_act()
        invocation = self._new_invocation(records)
        if any(blow.kind == "abandoned" for blow in invocation.blows):
            invocation.course = _Course(lambda: self._run(invocation))
            self._give_turn(invocation, None)
        else:
            before, self._current = self._current, invocation
            self._run(invocation)
            self._current = before
        if invocation.outcome is None:
            self.abandoned.append(invocation)
            return Failed("timed out")
        return invocation.outcome

    def let_others_act(self) -> None:
        """Abandoned invocations may go on."""
        while self.abandoned and (chosen := self._director.meanwhile(self.abandoned)):
            invocation, points = chosen
            if self._current is not None:
                self._current.undisturbed = False
            self.trace.append(f"    invocation {invocation.number} goes on for {points or 'all'} points")
            self._give_turn(invocation, points)
            if invocation.outcome is not None:
                self.abandoned.remove(invocation)

    def end(self, *, kill: bool) -> None:
        """Let every abandoned invocation go on to its end, or have none of them act again."""
        while self.abandoned:
            invocation = self.abandoned.pop(0)
            if kill:
                invocation.blows = [Blow(0, "killed")]
            self.trace.append(f"at last invocation {invocation.number} {'is killed' if kill else 'goes on'}")
            self._give_turn(invocation, None)

    def _new_invocation(self, records: Sequence[KinesisRecord]) -> Invocation:
        instance = self._director.instance(self._idle)
        if instance is None:
            instance = Instance(self._instances, self._new_processing(self._cloud))
            self._instances += 1
        else:
            self._idle.remove(instance)
        handed = [self._record_of(record) for record in records]
        invocation = Invocation(len(self.invocations), instance, handed, self._director.fate(handed))
        self.invocations.append(invocation)
        self.trace.append(
            f"invocation {invocation.number}: {', '.join(map(_name_of, handed))} to instance {instance.number}"
        )
        return invocation

    def _give_turn(self, invocation: Invocation, points: int | None) -> None:
        assert invocation.course is not None
        before, self._current, invocation.turn = self._current, invocation, points
        invocation.course.go_on()
        self._current = before

    def _run(self, invocation: Invocation) -> None:
        """As `app.handler` does, and Lambda around it."""
        try:
            invocation.instance.processing.process(invocation.records)
            invocation.outcome = Succeeded()
        except Unavailable as error:
            invocation.outcome = PartlyFailed(self._reported(invocation.records))
            self._trouble(invocation, f"reports a failure: {error}")
        except Killed:
            invocation.outcome = Failed("killed")
            return
        except Exception as error:  # noqa: BLE001  (the runtime takes everything)
            invocation.outcome = Failed(repr(error))
            self._trouble(invocation, f"raises {error!r}")
        self._idle.append(invocation.instance)

    def _at(self, call: str) -> None:
        """The world tells of a point before or after a call of the current invocation."""
        invocation = self._current
        assert invocation is not None
        self.journal.note(invocation.number)
        if invocation.course is None or invocation not in self.abandoned:
            self.let_others_act()
        elif invocation.turn is not None:
            if invocation.turn == 0:
                invocation.course.wait()
            else:
                invocation.turn -= 1
        invocation.points += 1
        while invocation.blows and invocation.blows[0].point < invocation.points:
            if invocation.blows[0].kind == "unheard" and call != COMMITTED:
                return
            self._strike(invocation, invocation.blows.pop(0), call)

    def _strike(self, invocation: Invocation, blow: Blow, call: str) -> None:
        invocation.undisturbed = False
        self._trouble(invocation, f"is {blow.kind} at {call!r}")
        match blow.kind:
            case "killed":
                raise Killed
            case "failed":
                raise Unavailable(call)
            case "unheard":
                raise LostRace(call)
            case "abandoned":
                assert invocation.course is not None
                invocation.course.wait()

    def _trouble(self, invocation: Invocation, what: str) -> None:
        self.trace.append(f"    invocation {invocation.number} {what}")
        if invocation.marks_in_trouble is None:
            invocation.marks_in_trouble = dict(self._cloud.marks)


class _Course:
    """Work that can stand still in the middle: a thread that acts only while someone waits for it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._go, self._gone = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._gone.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def go_on(self) -> None:
        """Let it act until it waits again or has ended."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._gone.acquire()

    def wait(self) -> None:
        """From within the work: stand still until told to go on."""
        self._gone.release()
        self._go.acquire()

    def _run(self) -> None:
        self._work()
        self._gone.release()


class EventSource:
    """Delivers a stream to a function, batch by batch, as the replica does with threads and time."""

    def __init__(self, stream: Stream, mapping: EventSourceMapping, function: Function, director: Director) -> None:
        self._stream, self._mapping, self._function, self._director = stream, mapping, function, director
        self._begun: list[str] = []
        self._ended: list[str] = []
        self._taken: dict[tuple[str, int], int] = {}
        self._attempts: dict[tuple[str, int], list[Attempt]] = {}
        self.discarded: list[KinesisRecord] = []
        """What lies at the on-failure destination."""

    def drain(self) -> None:
        """Deliver all that is in the stream."""
        while True:
            self._begun += [
                shard.shard_id for shard in readable(self._stream.shards, set(self._begun), set(self._ended))
            ]
            batchers = [
                (shard, n)
                for shard in self._begun
                if shard not in self._ended
                for n in range(self._mapping.parallelization_factor)
            ]
            waiting = [batcher for batcher in batchers if self._attempts.get(batcher) or self._waiting(batcher)]
            if waiting:
                self._step(self._director.shard(waiting))
            ended = {shard for shard, _ in batchers if shard in self._stream.closed} - {
                shard for shard, n in batchers if self._attempts.get((shard, n)) or self._waiting((shard, n))
            }
            self._ended += sorted(ended)
            if not waiting and not ended:
                return

    def _waiting(self, batcher: tuple[str, int]) -> Sequence[KinesisRecord]:
        shard, n = batcher
        factor = self._mapping.parallelization_factor
        records = self._stream.records[shard]
        if factor > 1:
            records = [record for record in records if crc32(record.partition_key.encode()) % factor == n]
        return records[self._taken.get(batcher, 0) :]

    def _step(self, batcher: tuple[str, int]) -> None:
        attempts = self._attempts.setdefault(batcher, [])
        if not attempts:
            waiting = self._waiting(batcher)
            size = self._director.batch_size(len(waiting))
            self._taken[batcher] = self._taken.get(batcher, 0) + size
            attempts.append(Attempt(records=tuple(waiting[:size])))
        if self._mapping.maximum_record_age_in_seconds != UNLIMITED:
            self._stream.seconds += SECONDS_OF_A_TRY  # else time does not matter
        expired = self._settle(expire(attempts.pop(0), self._stream.now, self._mapping))
        for attempt in expired.remaining:
            outcome = self._function.invoke(attempt.records)
            decision = self._settle(decide(attempt, Answer(request_id="model"), outcome, self._mapping))
            attempts[:0] = decision.remaining

    def _settle(self, decision: Decision) -> Decision:
        if decision.discarded is not None:
            records = decision.discarded.records
            self.discarded += records
            self._function.trace.append(f"{len(records)} records are discarded: {decision.discarded.condition}")
        return decision


def _name_of(record: Record) -> str:
    return f"{record.sequence_number % 10**10}@{record.partition_key}"
