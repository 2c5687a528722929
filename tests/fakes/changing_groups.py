"""The groups of a producer with all parts around them, while the test changes them and decides what runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from producer_service.accepted_log import AcceptedLog
from producer_service.group_state import GroupState
from producer_service.groups import Groups
from producer_service.health import Health
from producer_service.heartbeats import Heartbeats
from producer_service.intake import Intake
from producer_service.journal import Journal
from producer_service.listener import Listener
from producer_service.market_hours import OPEN_ALWAYS, MarketHours
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.plan import Plan
from producer_service.polling import Poller
from producer_service.sources import Source
from producer_service.supervisor import Supervisor
from quotes import Heartbeat, Line, decode
from tests.fakes.producer_bench import LANES
from tests.support.quotes import OPEN
from watchlist import WatchGroup


class RecordedLoops:
    """See `Loops`. It keeps what would run, by the names of groups and sources, and of what a run is expected."""

    def __init__(self) -> None:
        self.running: dict[str, Poller | Listener] = {}
        self.expected: set[str] = set()

    def begin(self, loop: Poller | Listener) -> None:
        self.running[self._name(loop)] = loop
        self.expected.add(self._name(loop))

    def end(self, loop: Poller | Listener) -> None:
        assert self.running.pop(self._name(loop)) is loop

    def release(self, loop: Poller | Listener) -> None:
        self.expected.remove(self._name(loop))

    def _name(self, loop: Poller | Listener) -> str:
        return loop.name if isinstance(loop, Listener) else loop.state.group.name


class ChangingGroups:
    """Groups over some sources, by their names."""

    def __init__(self, sources: Mapping[str, Source], path: Path) -> None:
        self.now = OPEN
        self.sources = dict(sources)
        self.stopping = threading.Event()
        self.loops = RecordedLoops()
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.health = Health(lambda: 0.0)
        supervisor = Supervisor(self.health, self.metrics.unexpected_errors.inc)
        self.hours = MarketHours((), lambda _name, _now: OPEN_ALWAYS, OPEN)
        self._accepted_log = AcceptedLog(path / "accepted_log.jsonl")
        self.outbox = Outbox(
            Journal(None, LANES),
            lanes=LANES,
            max_bytes=2**20,
            linger_seconds=0,
            clock=lambda: 0.0,
            monotonic=lambda: 0.0,
            jitter=lambda: 0.0,
        )
        self.intake = Intake(
            self.outbox,
            self._accepted_log,
            Heartbeats((), LANES),
            self.metrics,
            now=lambda: self.now,
            stopping=self.stopping,
            health=self.health,
            supervisor=supervisor,
        )
        self.groups = Groups(
            self.intake,
            self.metrics,
            self.health,
            supervisor,
            now=lambda: self.now,
            stopping=self.stopping,
            make_state=self._state,
        )

    def close(self) -> None:
        self._accepted_log.close()
        self.outbox.close()

    def plan(self, groups: Iterable[WatchGroup]) -> Plan:
        self.hours.include(["always"], OPEN)
        return Plan(tuple(groups), self.sources, self.hours)

    def watch(self, *groups: WatchGroup) -> None:
        self.groups.change(self.plan(groups), self.loops)

    def poll(self, *names: str) -> None:
        """One second later, poll these groups, or all of them."""
        self.now += timedelta(seconds=1)
        for name, loop in list(self.loops.running.items()):
            if isinstance(loop, Poller) and (not names or name in names):
                loop.poll_if_due()

    def complete_to(self) -> dict[int, float | None]:
        """Up to which second after the open each lane is complete, by the next heartbeats."""
        self.now += timedelta(milliseconds=1)
        self.intake.beat()
        found = {line.lane: line.complete_to for line in self.sent() if isinstance(line, Heartbeat)}
        return {
            int(lane.split("-")[1]): None if to is None else (to - OPEN) / timedelta(seconds=1)
            for lane, to in found.items()
        }

    def sent(self) -> list[Line]:
        """Everything that is pending. It is taken from the outbox and acknowledged."""
        lines: list[Line] = []
        while packets := self.outbox.take(0):
            lines += [good.line for packet in packets for good in decode(packet.data).good]
            self.outbox.settle(packets, [True] * len(packets))
        return lines

    def _state(self, group: WatchGroup, plan: Plan) -> GroupState:
        traits = plan.sources[group.source].traits
        return GroupState(group, traits, plan.market_hours, before_open=timedelta(), after_close=timedelta())
