"""The protocol of a batch: archive, read, drop, decode, fold, write, commit, publish, mark.

Commit first, publish from what was committed. Each step is there because an interleaving of crashes, retries and
racing invocations broke the promises without it: ARCHITECTURE.md says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from processor_lambda import archive
from processor_lambda.errors import LostRace, Unavailable
from processor_lambda.fold import Arrived, Fold
from processor_lambda.indicators import Indicators
from processor_lambda.ports import Archive, BarTable, Quarantine, QuarantineMessage, StateTable, Stored, Table, Topic
from processor_lambda.quarantine import Overflow, message_of_alert, messages_of
from processor_lambda.records import Admitted, Record, admit
from processor_lambda.rows import Row, bar_row, quote_row
from processor_lambda.rules import Rules
from processor_lambda.settings import Settings
from processor_lambda.state import WHOLE, Bar, LaneState, Position, Publication
from processor_lambda.warming import BARS_NEEDED, first_minutes, warmed
from quotes import Quote, decode, lanes_of_key


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: counts for one line of log."""

    records: int = 0
    quotes: int = 0
    """Quotes of the records that were not committed before; one that came twice in one batch counts twice."""
    late: int = 0
    """Those of them that moved no bar: behind their symbol's last, in a packet that was sent twice, or of a symbol too
    many for its lane."""
    repeated_records: int = 0
    """Records that an earlier invocation had committed."""
    quarantined: int = 0
    bars: int = 0
    alerts: int = 0
    lost_races: int = 0
    largest_state_bytes: int = 0
    """Of the lanes that were committed."""
    oldest_ingest_time: datetime | None = None
    """When the producer received the first of the quotes; None without any."""


class Processor:
    """Processes the batches of one stream. `process` may be called again with any batch, whole or in part."""

    def __init__(
        self,
        *,
        archive: Archive,
        quotes: Table,
        bars: BarTable,
        states: StateTable,
        alerts: Topic,
        quarantine: Quarantine,
        settings: Settings,
        rules: Rules,
    ) -> None:
        self._archive = archive
        self._quotes = quotes
        self._bars = bars
        self._states = states
        self._alerts = alerts
        self._quarantine = quarantine
        self._settings = settings
        self._rows_by_minute = settings.row_resolution == "minute"
        self._fold = Fold(rules, keep_lines=self._rows_by_minute)
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
        oldest = self._write(strays + [admitted for arrived in fresh.values() for admitted in arrived], counts)

        lost: set[str] = set()
        due = {lane: arrived for lane, arrived in fresh.items() if arrived}
        while due:
            committed: dict[str, LaneState] = {}
            for lane, arrived in due.items():
                warm = self._warm.pop(lane, None)
                try:
                    committed[lane] = self._commit(lane, (warm or read[lane]).state, arrived, counts)
                except LostRace:
                    counts["lost_races"] += 1
                    if warm is None or not self._commit_again(lane, arrived, records[-1], counts, committed):
                        lost.add(lane)
            self._publish(committed, records[-1], counts)
            self._warm.update((lane, Stored(state, state.last_number)) for lane, state in committed.items())
            beyond = {lane: _beyond(state, due[lane]) for lane, state in committed.items()}
            due = {lane: arrived for lane, arrived in beyond.items() if arrived}
        if lost:
            raise Unavailable(f"another invocation is at work on {', '.join(sorted(lost))}")
        return Report(**counts, oldest_ingest_time=oldest)

    def _read_and_publish(self, lanes: Iterable[str], cause: Record, counts: Counter[str]) -> dict[str, Stored]:
        """Read lanes, and show what an earlier run committed and may not have shown."""
        lanes = list(lanes)
        if not lanes:
            return {}
        read = self._states.read(lanes)
        left = {lane: stored.state for lane, stored in read.items() if stored.state.last_number > stored.published}
        self._publish(left, cause, counts, marks={lane: stored.published for lane, stored in read.items()})
        return read

    def _write(self, batch: Sequence[Admitted], counts: Counter[str]) -> datetime | None:
        """Rows and quarantined lines: what does not depend on state, and is harmless twice.

        Returns the first ingest time of the quotes.
        """
        quotes = [line for admitted in batch for line in admitted.lines if isinstance(line, Quote)]
        counts["quotes"] += len(quotes)
        if not self._rows_by_minute:
            self._quotes.put([self._quote_row(quote) for quote in quotes])
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
        return min((quote.ingest_time for quote in quotes), default=None)

    def _commit(self, lane: str, state: LaneState, arrived: Sequence[Admitted], counts: Counter[str]) -> LaneState:
        """Fold a lane's records into its state, as far as one commit goes, and put it."""
        lines = [
            Arrived(Position(admitted.record.sequence_number, good.number), good.content, good.line)
            for admitted in arrived
            for good in admitted.good
        ]
        lines = [line for line in lines if line.position > state.position]
        end = Position(arrived[-1].record.sequence_number, WHOLE)
        folded = self._fold(state, lines, end, self._warm_up(state, lines))
        size = self._states.commit(lane, folded.state, state)
        counts["late"] += folded.late
        counts["largest_state_bytes"] = max(counts["largest_state_bytes"], size)
        return folded.state

    def _warm_up(self, state: LaneState, lines: Sequence[Arrived]) -> Mapping[str, Indicators]:
        """The indicators of the symbols that the state does not know, from the bars stored before their first quote."""
        return {
            symbol: warmed(self._bars.before(symbol, minute, BARS_NEEDED))
            for symbol, minute in first_minutes(state, lines).items()
        }

    def _commit_again(
        self,
        lane: str,
        arrived: Sequence[Admitted],
        cause: Record,
        counts: Counter[str],
        committed: dict[str, LaneState],
    ) -> bool:
        """Read a lane whose warm copy was stale, and commit what is still due. False if the race was lost once more.

        The stale copy knew fewer records than the lane has now, so every row that is due has been written.
        """
        state = self._read_and_publish([lane], cause, counts)[lane].state
        due = _beyond(state, arrived)
        try:
            if due:
                committed[lane] = self._commit(lane, state, due, counts)
        except LostRace:
            return False
        return True

    def _publish(
        self, states: dict[str, LaneState], cause: Record, counts: Counter[str], marks: dict[str, int] | None = None
    ) -> None:
        """Show what is pending in committed states beyond the lanes' marks, and raise each mark behind its lane's."""
        due: dict[str, list[Publication]] = {
            lane: [item for item in state.pending if marks is None or item.number > marks[lane]]
            for lane, state in states.items()
        }
        bars = [item.bar for items in due.values() for item in items if item.bar]
        self._quotes.put([row for bar in bars if bar.line for row in self._minute_row(bar)])
        self._bars.put([bar_row(bar, self._settings.bar_ttl_days) for bar in bars])
        counts["bars"] += len(bars)
        for lane, items in due.items():
            alerts = [item.alert for item in items if item.alert]
            refused = self._alerts.publish(alerts)
            self._quarantine.put([message_of_alert(cause, alert, reason) for alert, reason in refused])
            counts["alerts"] += len(alerts) - len(refused)
            counts["quarantined"] += len(refused)
            if items:  # at once: an alert repeats for each time that the function dies in between
                self._states.raise_mark(lane, items[-1].number)

    def _minute_row(self, bar: Bar) -> list[Row]:
        """The row of a minute's last quote, which was kept for it."""
        return [self._quote_row(good.line) for good in decode(bar.line).good if isinstance(good.line, Quote)]

    def _quote_row(self, quote: Quote) -> Row:
        return quote_row(quote, self._settings.anomaly_percent, self._settings.quote_ttl_days)


def _beyond(state: LaneState, arrived: Sequence[Admitted]) -> list[Admitted]:
    return [admitted for admitted in arrived if Position(admitted.record.sequence_number, WHOLE) > state.position]
