"""The history of a run: everything that became visible, in order, and which invocation made it so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bars.keys import ONE_MINUTE, bar_key
from lane_state import START, Alert, LaneState, Position
from processor_lambda.ports import QuarantineMessage
from processor_lambda.rows import Row, timestamp_of
from processor_lambda.stored_alerts import StoredAlert
from quotes import Quote, decode
from tests.fakes.processor_ports import unpack_state
from tests.model.cloud import Cloud

Rows = dict[tuple[str, ...], Row]


class Commit(NamedTuple):
    """A state of a lane that was stored."""

    invocation: int
    lane: str
    before: Position
    """The position of the state that it replaced."""
    state: LaneState


class Edit(NamedTuple):
    """A commit of an operator."""

    lane: str
    symbol: str
    position: Position


class VisibleRow(NamedTuple):
    """A row that appeared or changed."""

    invocation: int
    key: tuple[str, ...]
    row: Row
    is_committed: bool
    """Whether a commit had decided it by then."""


class PublishedAlert(NamedTuple):
    """An alert that reached the topic."""

    invocation: int
    alert: Alert
    decided: tuple[str, int] | None
    """The lane and number under which a commit had decided it by then. None if no commit had."""
    is_stored: bool
    """Whether it was in the table by then."""


class VisibleAlert(NamedTuple):
    """An alert that was stored, or stored again with another content."""

    invocation: int
    stored: StoredAlert
    replaced: StoredAlert | None
    """What was stored under its key before."""
    is_committed: bool
    """Whether a commit had decided it by then."""


class Pointer(NamedTuple):
    """A message that points to an object."""

    message: QuarantineMessage
    body: bytes | None
    """The object when the message arrived. None if it did not exist yet."""


class History:
    """Records the effects of calls. `record` is called at each point, before and after every call."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.commits: list[Commit] = []
        self.edits: list[Edit] = []
        self.bars: list[VisibleRow] = []
        self.minute_rows: list[VisibleRow] = []
        """The rows of quotes, if one row a minute is written."""
        self.alerts: list[PublishedAlert] = []
        self.stored_alerts: list[VisibleAlert] = []
        self.pointers: list[Pointer] = []
        self.lowered_marks: list[str] = []
        self._states: dict[str, bytes] = {}
        self._positions: dict[str, Position] = {}
        self._bar_rows = dict(cloud.bar_rows)
        self._rows: Rows = {}
        self._stored_alerts: dict[tuple[str, str], StoredAlert] = {}
        self._marks: dict[str, int] = {}
        self._messages = 0
        self._decided: set[tuple[str, ...]] = set()
        """The keys of bars, and of rows of minutes."""
        self._decided_alerts: dict[str, tuple[str, int]] = {}

    def record(self, invocation: int, call: str) -> None:
        """Record what an invocation's call made visible. Nothing has changed unless it is done."""
        match call:
            case "states.commit done":
                self._record_commits(invocation)
            case "states.raise_mark done":
                self._record_marks(invocation)
            case "bars.put done":
                self.bars += self._changed(invocation, self._cloud.bar_rows, self._bar_rows)
            case "rows.put done":
                if self._cloud.settings.row_resolution == "minute":
                    self.minute_rows += self._changed(invocation, self._cloud.rows, self._rows)
            case "alerts.publish done":
                for alert in self._cloud.alerts[len(self.alerts) :]:
                    stored = self._cloud.stored_alerts.get(StoredAlert(alert, None).key)
                    is_stored = stored is not None and stored.alert == alert
                    self.alerts.append(PublishedAlert(invocation, alert, self._decided_alerts.get(alert.id), is_stored))
            case "stored_alerts.put done":
                self._record_stored_alerts(invocation)
            case "quarantine.put done":
                self._record_pointers()

    def record_edit(self, edit: Edit) -> None:
        """Record the commit of an operator."""
        self.edits.append(edit)
        self._states[edit.lane] = self._cloud.states[edit.lane]

    def _record_commits(self, invocation: int) -> None:
        for lane, packed in self._cloud.states.items():
            if packed == self._states.get(lane):
                continue
            state = unpack_state(packed)
            self.commits.append(Commit(invocation, lane, self._positions.get(lane, START), state))
            self._positions[lane] = state.position
            for item in state.pending:
                if item.alert is not None:
                    self._decided_alerts[item.alert.id] = (lane, item.number)
                if item.bar is not None:
                    self._decided.add((item.bar.symbol, bar_key(ONE_MINUTE, item.bar.minute)))
                    self._decided.update(
                        (good.line.symbol, timestamp_of(good.line))
                        for good in decode(item.bar.line).good
                        if isinstance(good.line, Quote)
                    )
        self._states = dict(self._cloud.states)

    def _record_marks(self, invocation: int) -> None:
        self.lowered_marks += [
            f"invocation {invocation} lowered the mark of {lane} from {mark} to {self._cloud.marks[lane]}"
            for lane, mark in self._marks.items()
            if self._cloud.marks[lane] < mark
        ]
        self._marks = dict(self._cloud.marks)

    def _record_stored_alerts(self, invocation: int) -> None:
        for key, stored in self._cloud.stored_alerts.items():
            before = self._stored_alerts.get(key)
            if stored != before:
                self.stored_alerts.append(
                    VisibleAlert(invocation, stored, before, stored.alert.id in self._decided_alerts)
                )
        self._stored_alerts = dict(self._cloud.stored_alerts)

    def _record_pointers(self) -> None:
        for message in self._cloud.messages[self._messages :]:
            if message.object is not None:
                self.pointers.append(
                    Pointer(message, self._cloud.objects.get(message.object.removeprefix("s3://memory/")))
                )
        self._messages = len(self._cloud.messages)

    def _changed(self, invocation: int, rows: Rows, known: Rows) -> Iterator[VisibleRow]:
        for key, row in rows.items():
            before = known.get(key)
            if before is not row and before != row:
                yield VisibleRow(invocation, key, row, key in self._decided)
                known[key] = row
