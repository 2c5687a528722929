"""The protocol of a batch: archive, read, drop, decode, fold, write, commit, publish, mark.

Commit first, publish from what was committed. Each step is there because an interleaving of crashes, retries and
racing invocations broke the promises without it: ARCHITECTURE.md says which.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from processor_lambda import archive
from processor_lambda.errors import InvalidAlert, LostRace, Unavailable
from processor_lambda.fold import fold
from processor_lambda.ports import Archive, Quarantine, QuarantineMessage, StateTable, Stored, Table, Topic
from processor_lambda.quarantine import Overflow, message_of_alert, messages_of
from processor_lambda.records import Admitted, Record, admit
from processor_lambda.rows import Row, bar_row, quote_row
from processor_lambda.settings import Settings
from processor_lambda.state import LaneState, Publication
from quotes import Quote, lanes_of_key

COMMIT_LINES = 4_000
"""Lines of a lane that are committed at once: what they decide is part of the lane's item, and that has a limit."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: counts for one line of log."""

    records: int = 0
    quotes: int = 0
    """Rows written; a quote that came twice in one batch counts twice."""
    repeated_records: int = 0
    """Records that an earlier invocation had committed."""
    quarantined: int = 0
    bars: int = 0
    alerts: int = 0
    lost_races: int = 0


class Processor:
    """Processes the batches of one stream. `process` may be called again with any batch, whole or in part."""

    def __init__(
        self,
        *,
        archive: Archive,
        quotes: Table,
        bars: Table,
        states: StateTable,
        alerts: Topic,
        quarantine: Quarantine,
        settings: Settings,
    ) -> None:
        self._archive = archive
        self._quotes = quotes
        self._bars = bars
        self._states = states
        self._alerts = alerts
        self._quarantine = quarantine
        self._settings = settings
        self._warm: dict[str, Stored] = {}
        """Lanes as this instance last committed and published them. A copy may be stale: the commit finds out."""

    def process(self, records: Sequence[Record]) -> Report:
        """Give a batch its effects, once, however often it comes. Raises `Unavailable`: then it must come again.

        The records are those of one shard in the order of their sequence numbers.
        """
        batch = [admit(record) for record in records]
        self._archive.put(archive.key_of(batch), archive.body_of(batch))
        lanes: dict[str, list[Admitted]] = {}
        strays: list[Admitted] = []
        for admitted in batch:
            key = admitted.record.partition_key
            (strays if lanes_of_key(key) is None else lanes.setdefault(key, [])).append(admitted)

        counts: Counter[str] = Counter(records=len(batch))
        read = self._warm | self._read_and_publish(
            [lane for lane in lanes if lane not in self._warm], records[-1], counts
        )
        fresh = {lane: _beyond(read[lane].state, arrived) for lane, arrived in lanes.items()}
        counts["repeated_records"] = len(batch) - len(strays) - sum(map(len, fresh.values()))
        self._write(strays + [admitted for arrived in fresh.values() for admitted in arrived], counts)

        lost: set[str] = set()
        for round_ in _rounds(fresh):
            committed: dict[str, LaneState] = {}
            for lane in [lane for lane in round_ if lane not in lost]:
                warm = self._warm.pop(lane, None)
                state = (warm or read[lane]).state
                due = _beyond(state, round_[lane])  # the lane may have been read again since the first round
                if not due:
                    continue
                try:
                    committed[lane] = self._commit(lane, state, due)
                except LostRace:
                    counts["lost_races"] += 1
                    if warm is None or not self._commit_again(
                        lane, due, records[-1], counts, read=read, committed=committed
                    ):
                        lost.add(lane)
            self._publish(committed, records[-1], counts)
            self._warm.update((lane, Stored(state, state.last_number)) for lane, state in committed.items())
        if lost:
            raise Unavailable(f"another invocation is at work on {', '.join(sorted(lost))}")
        return Report(**counts)

    def _read_and_publish(self, lanes: Iterable[str], cause: Record, counts: Counter[str]) -> dict[str, Stored]:
        """Read lanes, and show what an earlier run committed and may not have shown."""
        lanes = list(lanes)
        if not lanes:
            return {}
        read = self._states.read(lanes)
        left = {lane: stored.state for lane, stored in read.items() if stored.state.last_number > stored.published}
        self._publish(left, cause, counts, marks={lane: stored.published for lane, stored in read.items()})
        return read

    def _write(self, batch: Sequence[Admitted], counts: Counter[str]) -> None:
        """Rows and quarantined lines: what does not depend on state, and is harmless twice."""
        rows = [self._quote_row(line) for admitted in batch for line in admitted.lines if isinstance(line, Quote)]
        self._quotes.put(rows)
        counts["quotes"] += len(rows)
        messages: list[QuarantineMessage] = []
        for admitted in batch:
            refused = messages_of(admitted)
            if isinstance(refused, Overflow):
                address = self._archive.put(refused.key, refused.body)
                messages.append(msgspec.structs.replace(refused.message, object=address))
            else:
                messages += refused
        self._quarantine.put(messages)
        counts["quarantined"] += sum(message.lines for message in messages)

    def _commit(self, lane: str, state: LaneState, arrived: Sequence[Admitted]) -> LaneState:
        lines = [line for admitted in arrived for line in admitted.lines]
        after = fold(state, lines, arrived[-1].record.sequence_number, self._settings.anomaly_percent)
        self._states.commit(lane, after, state)
        return after

    def _commit_again(
        self,
        lane: str,
        arrived: Sequence[Admitted],
        cause: Record,
        counts: Counter[str],
        *,
        read: dict[str, Stored],
        committed: dict[str, LaneState],
    ) -> bool:
        """Read a lane whose warm copy was stale, and commit what is still due. False if the race was lost once more.

        The stale copy knew fewer records than the lane has now, so every row that is due has been written.
        """
        read |= self._read_and_publish([lane], cause, counts)
        state = read[lane].state
        due = _beyond(state, arrived)
        try:
            if due:
                committed[lane] = self._commit(lane, state, due)
        except LostRace:
            return False
        return True

    def _publish(
        self, states: dict[str, LaneState], cause: Record, counts: Counter[str], marks: dict[str, int] | None = None
    ) -> None:
        """Show what is pending in committed states beyond the lanes' marks, then raise the marks."""
        due: dict[str, list[Publication]] = {
            lane: [item for item in state.pending if marks is None or item.number > marks[lane]]
            for lane, state in states.items()
        }
        bars = [bar_row(item.bar, self._settings.bar_ttl_days) for items in due.values() for item in items if item.bar]
        self._bars.put(bars)
        counts["bars"] += len(bars)
        for items in due.values():
            for item in items:
                if item.alert is None:
                    continue
                try:
                    self._alerts.publish(item.alert)
                    counts["alerts"] += 1
                except InvalidAlert as error:
                    self._quarantine.put([message_of_alert(cause, item.alert, str(error))])
                    counts["quarantined"] += 1
        for lane, items in due.items():
            if items:
                self._states.raise_mark(lane, items[-1].number)

    def _quote_row(self, quote: Quote) -> Row:
        return quote_row(quote, self._settings.anomaly_percent, self._settings.quote_ttl_days)


def _rounds(fresh: dict[str, list[Admitted]]) -> Iterator[dict[str, list[Admitted]]]:
    """Each lane's records in their order, `COMMIT_LINES` lines or one record a lane and round."""
    left = {lane: deque(arrived) for lane, arrived in fresh.items() if arrived}
    while left:
        round_: dict[str, list[Admitted]] = {}
        for lane, arrived in left.items():
            taken = [arrived.popleft()]
            lines = len(taken[0].good)
            while arrived and lines + len(arrived[0].good) <= COMMIT_LINES:
                lines += len(arrived[0].good)
                taken.append(arrived.popleft())
            round_[lane] = taken
        yield round_
        left = {lane: arrived for lane, arrived in left.items() if arrived}


def _beyond(state: LaneState, arrived: Sequence[Admitted]) -> list[Admitted]:
    return [admitted for admitted in arrived if admitted.record.sequence_number > state.last_sequence]
