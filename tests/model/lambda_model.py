"""A function and its invocations, which die, fail, or are given up and finish later.

One invocation acts at a time; at each call that it makes another one may get its turn, so that every interleaving of
calls can come about. Who does what when is asked of a `Director`: nothing here is random.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from aws_requests import Unavailable
from processor_lambda.errors import CommitConflict
from processor_lambda.records import Record
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.response import Failed, Outcome, PartlyFailed, Succeeded
from tests.model.cloud import BATCHED, Cloud, InPart, Journal

MAX_INVOCATIONS = 300
"""Of one run: what has not come to an end by then never does."""
COMMITTED = "states.commit done"


class Killed(BaseException):
    """The function's instance ends here."""


class Endless(Exception):
    """A batch comes again and again."""


BlowKind = Literal["killed", "failed", "abandoned", "unheard", "served in part"]
CALLS: dict[BlowKind, Sequence[str]] = {"unheard": (COMMITTED,), "served in part": BATCHED}
"""Those that a kind befalls; any if it is not here."""


class Blow(NamedTuple):
    """What befalls an invocation at one of the points before and after its calls.

    `unheard`: the next commit takes effect, its answer is lost, and boto3 asks again and is told that the race is lost.
    `served in part`: the next batch of rows, alerts or messages is taken with holes, and the call fails.
    """

    point: int
    kind: BlowKind
    call: str | None = None
    """It waits for this one."""
    holes: int = 1
    """Which of the batch are left, bit by bit from the next one on: that one always is."""


class Processing(Protocol):
    """What the function is made of."""

    def process(self, records: Sequence[Record]) -> object:
        """See `Processor`."""


class Instance:
    """A function's instance, which keeps what it remembers between invocations."""

    def __init__(self, number: int, processing: Processing) -> None:
        self.number, self.processing = number, processing


class Trouble(NamedTuple):
    """A moment: the marks, and how many alerts all invocations had published by then."""

    marks: dict[str, int]
    alerts: int


class Invocation:
    """One call of the function with a batch."""

    def __init__(self, number: int, instance: Instance, records: Sequence[Record], fate: Sequence[Blow]) -> None:
        self.number, self.instance, self.records = number, instance, records
        self.blows = list(fate)
        self.points: list[str] = []
        """Those that it has passed: before its calls, and after."""
        self.turn: int | None = None
        """Points that it may pass before it has to wait again; None for as many as it likes."""
        self.outcome: Outcome | None = None
        """None while it is under way."""
        self.undisturbed = True
        """Nothing befell it, and no other invocation acted while it was under way."""
        self.trouble: Trouble | None = None
        """The moment in which it was first killed, failed or given up."""
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

    def meanwhile(self, waiting: Sequence[Invocation], call: str) -> tuple[Invocation, int | None] | None:
        """Which abandoned invocation acts now, and for how many points. Asked at each point, until none does.

        `call` is empty between two invocations.
        """


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
        self._let_others_act()
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

    def _let_others_act(self, call: str = "") -> None:
        while self.abandoned and (chosen := self._director.meanwhile(self.abandoned, call)):
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
            self._let_others_act(call)
        elif invocation.turn is not None:
            if invocation.turn == 0:
                invocation.course.wait()
            else:
                invocation.turn -= 1
        invocation.points.append(call)
        while invocation.blows and invocation.blows[0].point < len(invocation.points):
            if invocation.blows[0].call not in (None, call):
                return
            self._strike(invocation, invocation.blows.pop(0), call)

    def _strike(self, invocation: Invocation, blow: Blow, call: str) -> None:
        invocation.undisturbed = False
        if blow.kind == "unheard":
            self.trace.append(f"    invocation {invocation.number} is unheard at {call!r}")
            raise CommitConflict(call)  # which it may recover from
        self._trouble(invocation, f"is {blow.kind} at {call!r}")
        if blow.kind == "killed":
            raise Killed
        if blow.kind == "failed":
            raise Unavailable(call)
        if blow.kind == "served in part":
            raise InPart(call, blow.holes)
        assert invocation.course is not None
        invocation.course.wait()

    def _trouble(self, invocation: Invocation, what: str) -> None:
        self.trace.append(f"    invocation {invocation.number} {what}")
        if invocation.trouble is None:
            invocation.trouble = Trouble(dict(self._cloud.marks), len(self._cloud.alerts))


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


def _name_of(record: Record) -> str:
    return f"{record.sequence_number % 10**10}@{record.partition_key}"
