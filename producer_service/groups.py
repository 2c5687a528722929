"""The groups at work: their states, and what polls or listens for them. They change when the watchlist does."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from producer_service.group_state import GroupState
from producer_service.health import Health
from producer_service.intake import Intake
from producer_service.listener import Listener
from producer_service.metrics import Metrics
from producer_service.plan import Plan
from producer_service.polling import Poller, SharedSource
from producer_service.sources import PolledSource, PushedSource
from producer_service.supervisor import Supervisor
from watchlist import Changes, WatchGroup, changes


def poll_loop(group: str) -> str:
    """The name of a group's polls, for the health check and the schedule."""
    return f"poll {group}"


def listen_loop(source: str) -> str:
    """The name of a pushed source's listener, for the health check."""
    return f"listen {source}"


class Loops(Protocol):
    """Runs pollers on a schedule, and listeners on threads."""

    def begin(self, loop: Poller | Listener) -> None:
        """Run it from now on."""

    def end(self, loop: Poller | Listener) -> None:
        """Begin no more runs of it. One that is under way is still expected to advance."""

    def release(self, loop: Poller | Listener) -> None:
        """Expect nothing of it any more, because its last run is over."""


class NoLoops:
    """See `Loops`. Nothing runs: the pollers are called by hand, or begun later."""

    def begin(self, loop: Poller | Listener) -> None:
        """See `Loops.begin`."""

    def end(self, loop: Poller | Listener) -> None:
        """See `Loops.end`."""

    def release(self, loop: Poller | Listener) -> None:
        """See `Loops.release`."""


class Groups:
    """Any thread may read the states, which are replaced together. One thread at a time changes them."""

    def __init__(
        self,
        intake: Intake,
        metrics: Metrics,
        health: Health,
        supervisor: Supervisor,
        *,
        now: Callable[[], datetime],
        stopping: threading.Event,
        make_state: Callable[[WatchGroup, Plan], GroupState],
    ) -> None:
        self.states: tuple[GroupState, ...] = ()
        self.pollers: tuple[Poller, ...] = ()
        self.listeners: tuple[Listener, ...] = ()
        self._intake = intake
        self._metrics = metrics
        self._health = health
        self._supervisor = supervisor
        self._now = now
        self._stopping = stopping
        self._make_state = make_state
        self._shared: dict[str, SharedSource] = {}

    def change(self, plan: Plan, loops: Loops) -> Changes:
        """Work by another plan. The groups that are the same in both go on untouched.

        - A poll under way is finished first, so a symbol that moves to another group keeps the order of its quotes.
        - From the next heartbeats on, the lanes wait for the first poll of new symbols, and for no removed ones.
        - What was accepted stays accepted, and what is known of a removed symbol is kept for its return. The source
          forgets how long it had no price.
        """
        before = {state.group.name: state for state in self.states}
        found = changes([state.group for state in self.states], plan.groups)
        of_source = {name: [group for group in plan.groups if group.source == name] for name in plan.sources}
        polling = [each for each in self.pollers if each.state.group.name in found.kept]
        listening = [
            each for each in self.listeners if [state.group for state in each.states] == of_source.get(each.name)
        ]
        self._end([each for each in self.pollers if each not in polling], loops)
        self._end([each for each in self.listeners if each not in listening], loops)
        if self._stopping.is_set():
            return found
        states = tuple(
            before[group.name] if group.name in found.kept else self._state(group, plan, before.get(group.name))
            for group in plan.groups
        )
        self._intake.watch(states)
        self.states = states
        pollers = [
            self._poller(state, source)
            for state in states
            if not isinstance(source := plan.sources[state.group.source], PushedSource)
            and state not in [each.state for each in polling]
        ]
        listeners = [
            self._listener(name, source, [state for state in states if state.group.source == name])
            for name, source in plan.sources.items()
            if isinstance(source, PushedSource) and of_source[name] and name not in [each.name for each in listening]
        ]
        self.pollers, self.listeners = (*polling, *pollers), (*listening, *listeners)
        begun: list[Poller | Listener] = [*pollers, *listeners]
        for loop in begun:
            loops.begin(loop)
        for name, shared in self._shared.items():
            past = {symbol for state in before.values() if state.group.source == name for symbol in state.group.symbols}
            shared.forget(past.difference(plan.symbols_of(name)))
        return found

    def close(self) -> None:
        """End the fetches under way, start no more, and stop listening."""
        sources = list(self._shared.values())  # a copy, since a change may be under way
        for closeable in [*(source.close for source in sources), *(each.stop for each in self.listeners)]:
            with self._supervisor.step("closing the sources"):
                closeable()

    def _end(self, leaving: Sequence[Poller | Listener], loops: Loops) -> None:
        for loop in leaving:
            loops.end(loop)
        waiting = list(leaving)
        while waiting and not self._stopping.is_set():
            # In turns: one that is idle is released at once, and one whose poll hangs fails the health check.
            for loop in [each for each in waiting if each.retire()]:
                loops.release(loop)
                waiting.remove(loop)

    def _state(self, group: WatchGroup, plan: Plan, before: GroupState | None) -> GroupState:
        state = self._make_state(group, plan)
        if before is not None and before.group.source == group.source:
            state.progress = before.progress.with_symbols(before.group.symbols, group.symbols)
            state.poll_status = before.poll_status.with_symbols(group.symbols)
        return state

    def _poller(self, state: GroupState, source: PolledSource) -> Poller:
        name = state.group.source
        if name not in self._shared:
            self._shared[name] = SharedSource(source, self._metrics, now=self._now, stopping=self._stopping)
        beat = partial(self._health.beat, poll_loop(state.group.name))
        return Poller(state, self._shared[name], self._intake, now=self._now, stopping=self._stopping, beat=beat)

    def _listener(self, name: str, source: PushedSource, states: Sequence[GroupState]) -> Listener:
        return Listener(
            name,
            source,
            states,
            self._intake,
            self._metrics,
            now=self._now,
            stopping=self._stopping,
            beat=partial(self._health.beat, listen_loop(name)),
            jitter=random.random,
            supervisor=self._supervisor,
        )
