"""The function under test: its instances and invocations, which are killed, fail, or are abandoned and finish later.

One invocation runs at a time. At each of its calls another one may continue, so all interleavings of calls are
possible. Nothing here is random: a `Scheduler` makes every decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from aws_requests import Unavailable
from processor_lambda.alerts import Rules
from processor_lambda.errors import CommitConflict
from processor_lambda.records import Record
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.response import Failed, Outcome, PartlyFailed, Succeeded
from tests.model.cloud import BATCHED, Cloud, PartialFailure
from tests.model.history import Edit, History
from tests.model.operators import MakeStates, Operators
from tests.model.pausable_thread import PausableThread

MAX_INVOCATIONS = 300
"""A run with more invocations than this never ends."""
CONDITIONAL = ("states.commit done", "states.write_checkpoint done")
"""The calls with a condition, when they have taken effect."""


class Killed(BaseException):
    """The instance of the function ends here."""


class TooManyInvocations(Exception):
    """A batch is delivered again and again."""


FaultKind = Literal["killed", "failed", "abandoned", "response lost", "partial"]
CALLS: dict[FaultKind, Sequence[str]] = {"response lost": CONDITIONAL, "partial": BATCHED}
"""The calls that a kind of fault affects. The other kinds affect any call."""


class Fault(NamedTuple):
    """What happens to an invocation at one of its points. The points are before and after each of its calls.

    `killed` ends the instance. `failed` makes the call fail. `abandoned` makes Lambda give up waiting, and the
    invocation continues later. With `response lost`, the next commit or checkpoint takes effect, but its response is
    lost, and the retry reports a conflict. With `partial`, AWS processes a part of the next batch of rows, alerts or
    messages, and the call fails.
    """

    point: int
    """The first point at which it may happen."""
    kind: FaultKind
    call: str | None = None
    """The call at which it happens, if only one will do."""
    left_out: int = 1
    """The items that a `partial` fault leaves out, as bits. The first bit is the next item, and is always set."""


class BatchProcessor(Protocol):
    """What an instance runs. The real one is `Processor`."""

    def process(self, records: Sequence[Record]) -> object:
        """See `Processor`."""


class Instance:
    """An instance of the function. It keeps its memory between invocations."""

    def __init__(self, number: int, processor: BatchProcessor) -> None:
        self.number, self.processor = number, processor


class FirstFault(NamedTuple):
    """The moment of an invocation's first fault."""

    marks: dict[str, int]
    """The published marks at that moment."""
    alerts: int
    """How many alerts all invocations had published by then."""


class Invocation:
    """One call of the function with a batch."""

    def __init__(self, number: int, instance: Instance, records: Sequence[Record], faults: Sequence[Fault]) -> None:
        self.number, self.instance, self.records = number, instance, records
        self.faults = list(faults)
        self.points: list[str] = []
        """The points that it has passed."""
        self.points_left: int | None = None
        """How many points it may pass before it pauses. None if it never pauses."""
        self.outcome: Outcome | None = None
        """None while it runs."""
        self.is_undisturbed = True
        """Whether it had no fault, and no other invocation ran at the same time."""
        self.first_fault: FirstFault | None = None
        """When it was first killed, failed, abandoned or processed in part."""
        self.rules: Rules | None = None
        """The rules that it says it uses. None until it has read them."""
        self.thread: PausableThread | None = None
        """The thread that it runs in, if it is going to be abandoned."""


class Scheduler(Protocol):
    """Makes all the decisions that Lambda, AWS and chance make in reality."""

    def shard(self, waiting: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """Choose the shard that delivers the next batch."""

    def batch_size(self, waiting: int) -> int:
        """Choose how many of the waiting records are in the next batch."""

    def instance(self, idle: Sequence[Instance]) -> Instance | None:
        """Choose the instance that is invoked. None stands for a new one."""

    def faults(self, records: Sequence[Record]) -> Sequence[Fault]:
        """Choose the faults of the next invocation, in order."""

    def sees_rules(self) -> bool:
        """Choose whether an instance looks for other rules before a batch."""

    def changes_rules(self, call: str) -> bool:
        """Choose whether somebody writes other rules now. It is asked like `resume`."""

    def operates(self, call: str) -> str | None:
        """Choose a symbol whose operator makes one more call now. It is asked like `resume`."""

    def resume(self, abandoned: Sequence[Invocation], call: str) -> tuple[Invocation, int | None] | None:
        """Choose an abandoned invocation that continues now, and for how many points (None: to its end).

        It is asked at each point of another invocation until it returns None, and between two invocations, when `call`
        is empty.
        """


class Function:
    """The function and its instances, in one world."""

    def __init__(
        self,
        cloud: Cloud,
        scheduler: Scheduler,
        *,
        new_processor: Callable[[Cloud], BatchProcessor],
        reported: Callable[[Sequence[Record]], int],
        record_of: Callable[[KinesisRecord], Record],
        operator_states: MakeStates,
    ) -> None:
        self._cloud, self._scheduler = cloud, scheduler
        self._new_processor, self._reported, self._record_of = new_processor, reported, record_of
        self._idle: list[Instance] = []
        self._instances = 0
        self._current: Invocation | None = None
        self.invocations: list[Invocation] = []
        self.abandoned: list[Invocation] = []
        """The abandoned invocations that have not finished yet."""
        self.history = History(cloud)
        self.trace: list[str] = []
        """What happened, for a person."""
        self._operators = Operators(cloud, operator_states, self._note_edit)
        cloud.fault = self._reach_point
        cloud.stored_rules.are_seen, cloud.stored_rules.use = scheduler.sees_rules, self._use_rules

    def invoke(self, records: Sequence[KinesisRecord]) -> Outcome:
        """Invoke the function. Returns what Lambda sees."""
        if len(self.invocations) == MAX_INVOCATIONS:
            raise TooManyInvocations
        self._resume_others()
        self._change_rules()
        self._operate()
        invocation = self._new_invocation(records)
        if any(fault.kind == "abandoned" for fault in invocation.faults):
            invocation.thread = PausableThread(lambda: self._run(invocation))
            self._continue(invocation, None)
        else:
            before, self._current = self._current, invocation
            self._run(invocation)
            self._current = before
        if invocation.outcome is None:
            self.abandoned.append(invocation)
            return Failed("timed out")
        return invocation.outcome

    def end(self, *, kill: bool) -> None:
        """Let every abandoned invocation and every operator continue to its end, or kill them."""
        while self.abandoned:
            invocation = self.abandoned.pop(0)
            if kill:
                invocation.faults = [Fault(0, "killed")]
            self.trace.append(f"at the end, invocation {invocation.number} {'is killed' if kill else 'continues'}")
            self._continue(invocation, None)
        self._operators.end(kill=kill)

    def _resume_others(self, call: str = "") -> None:
        while self.abandoned and (chosen := self._scheduler.resume(self.abandoned, call)):
            invocation, points = chosen
            if self._current is not None:
                self._current.is_undisturbed = False
            self.trace.append(f"    invocation {invocation.number} continues for {points or 'all'} points")
            self._continue(invocation, points)
            if invocation.outcome is not None:
                self.abandoned.remove(invocation)

    def _change_rules(self, call: str = "") -> None:
        if self._scheduler.changes_rules(call):
            self.trace.append("    the rules change")
            self._cloud.stored_rules.change()

    def _operate(self, call: str = "") -> None:
        while symbol := self._scheduler.operates(call):
            self._operators.go_on(symbol)

    def _note_edit(self, edit: Edit) -> None:
        """An operator has committed a lane."""
        if self._current is not None:
            self._current.is_undisturbed = False
        self.trace.append(f"    an operator edits {edit.symbol} in {edit.lane} at {edit.position}")
        self.history.record_edit(edit)

    def _use_rules(self, rules: Rules) -> None:
        """The current invocation has read the rules. Its log line names the first ones that it reads."""
        if self._current is not None and self._current.rules is None:
            self._current.rules = rules

    def _new_invocation(self, records: Sequence[KinesisRecord]) -> Invocation:
        instance = self._scheduler.instance(self._idle)
        if instance is None:
            instance = Instance(self._instances, self._new_processor(self._cloud))
            self._instances += 1
        else:
            self._idle.remove(instance)
        batch = [self._record_of(record) for record in records]
        invocation = Invocation(len(self.invocations), instance, batch, self._scheduler.faults(batch))
        self.invocations.append(invocation)
        self.trace.append(
            f"invocation {invocation.number}: {', '.join(map(_name_of, batch))} to instance {instance.number}"
        )
        return invocation

    def _continue(self, invocation: Invocation, points: int | None) -> None:
        assert invocation.thread is not None
        before, self._current, invocation.points_left = self._current, invocation, points
        invocation.thread.resume()
        self._current = before

    def _run(self, invocation: Invocation) -> None:
        """Do what `app.handler` does, and what Lambda does around it."""
        try:
            invocation.instance.processor.process(invocation.records)
            invocation.outcome = Succeeded()
        except Unavailable as error:
            invocation.outcome = PartlyFailed(self._reported(invocation.records))
            self._note_fault(invocation, f"reports a failure: {error}")
        except Killed:
            invocation.outcome = Failed("killed")
            return
        except Exception as error:  # noqa: BLE001  (as Lambda's runtime does)
            invocation.outcome = Failed(repr(error))
            self._note_fault(invocation, f"raises {error!r}")
        self._idle.append(invocation.instance)

    def _reach_point(self, call: str) -> None:
        """The current invocation has reached a point, before or after a call. The world says so."""
        invocation = self._current
        assert invocation is not None
        self.history.record(invocation.number, call)
        self._change_rules(call)
        self._operate(call)
        if invocation.thread is None or invocation not in self.abandoned:
            self._resume_others(call)
        elif invocation.points_left is not None:
            if invocation.points_left == 0:
                invocation.thread.pause()
            else:
                invocation.points_left -= 1
        invocation.points.append(call)
        while invocation.faults and invocation.faults[0].point < len(invocation.points):
            if invocation.faults[0].call not in (None, call):
                return
            self._inject(invocation, invocation.faults.pop(0), call)

    def _inject(self, invocation: Invocation, fault: Fault, call: str) -> None:
        invocation.is_undisturbed = False
        what = f"has the fault {fault.kind!r} at {call!r}"
        if fault.kind == "response lost":
            self.trace.append(f"    invocation {invocation.number} {what}")
            raise CommitConflict(call)  # the invocation may recover from it
        self._note_fault(invocation, what)
        if fault.kind == "killed":
            raise Killed
        if fault.kind == "failed":
            raise Unavailable(call)
        if fault.kind == "partial":
            raise PartialFailure(call, fault.left_out)
        assert invocation.thread is not None
        invocation.thread.pause()

    def _note_fault(self, invocation: Invocation, what: str) -> None:
        self.trace.append(f"    invocation {invocation.number} {what}")
        if invocation.first_fault is None:
            invocation.first_fault = FirstFault(dict(self._cloud.marks), len(self._cloud.alerts))


def _name_of(record: Record) -> str:
    return f"{record.sequence_number % 10**10}@{record.partition_key}"
