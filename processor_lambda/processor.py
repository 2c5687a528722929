"""The processing of a batch: archive, read, drop, write, fold, commit, publish, mark, checkpoint.

What a batch decides is committed first and published from what was committed. Each step prevents a failure that some
interleaving of crashes, retries and racing invocations causes without it. ARCHITECTURE.md lists them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from aws_requests import Unavailable
from indicators import Indicators
from lane_state import START, WHOLE, LaneState, Position, Publication
from processor_lambda import archive, checkpoints, day_counts
from processor_lambda.alerts import Rules
from processor_lambda.checkpoints import Carried
from processor_lambda.errors import CommitConflict
from processor_lambda.fold import Fold, PositionedLine, without_future
from processor_lambda.ports import (
    AlertTable,
    Archive,
    BarTable,
    Quarantine,
    QuarantineMessage,
    QuoteTable,
    StateTable,
    Stored,
    Topic,
)
from processor_lambda.quarantine import Overflow, message_of_alert, messages_of
from processor_lambda.records import ParsedRecord, Record, parse_record
from processor_lambda.report import Report
from processor_lambda.rows import bar_row
from processor_lambda.settings import Settings
from processor_lambda.stored_alerts import stored_alerts
from processor_lambda.warmup import BARS_NEEDED, first_minutes, warmed_up
from quotes import Quote, decode, lanes_of_key

READ_ATTEMPTS = 3
"""How often a lane is read until its state and its checkpoint fit. They do, unless another invocation writes them."""


class Processor:
    """Processes the batches of one stream. `process` may be called again with any batch, whole or in part."""

    def __init__(
        self,
        *,
        archive: Archive,
        quotes: QuoteTable,
        bars: BarTable,
        states: StateTable,
        stored_alerts: AlertTable,
        alerts: Topic,
        quarantine: Quarantine,
        settings: Settings,
        rules: Callable[[], Rules],
    ) -> None:
        """`rules` is called once for each batch, so a batch is folded by one set of rules."""
        self._archive = archive
        self._quotes = quotes
        self._bars = bars
        self._states = states
        self._stored_alerts = stored_alerts
        self._alerts = alerts
        self._quarantine = quarantine
        self._settings = settings
        self._rows_by_minute = settings.row_resolution == "minute"
        self._rules = rules
        self._fold: Fold
        """That of the current batch."""
        self._warm: dict[str, Stored] = {}
        """Lanes as this instance last committed and published them. A copy may be stale: then its commit conflicts."""
        self._carried: dict[str, Carried] = {}
        """What their logs have cost since their checkpoints."""

    def process(self, records: Sequence[Record]) -> Report:
        """Apply a batch exactly once, however often it comes. Raises `Unavailable` if it must come again.

        The records are those of one shard, in the order of their sequence numbers.
        """
        self._fold = Fold(self._rules(), keep_lines=self._rows_by_minute)
        batch = [parse_record(record) for record in records]
        self._archive.put(archive.key_of(batch), archive.body_of(batch))
        lanes: dict[str, list[ParsedRecord]] = {}
        without_lane: list[ParsedRecord] = []
        for parsed in batch:
            key = parsed.record.partition_key
            (without_lane if lanes_of_key(key) is None else lanes.setdefault(key, [])).append(parsed)

        counts: Counter[str] = Counter(records=len(batch))
        read = self._warm | self._read_and_publish(
            [lane for lane in lanes if lane not in self._warm], records[-1], counts
        )
        new = {lane: _beyond(read[lane].state, of_lane) for lane, of_lane in lanes.items()}
        counts["repeated_records"] = len(batch) - len(without_lane) - sum(map(len, new.values()))
        oldest = self._write(without_lane + [parsed for of_lane in new.values() for parsed in of_lane], counts)

        conflicted: set[str] = set()
        remaining = {lane: of_lane for lane, of_lane in new.items() if of_lane}
        while remaining:
            committed: dict[str, LaneState] = {}
            for lane, of_lane in remaining.items():
                warm = self._warm.pop(lane, None)
                try:
                    committed[lane] = self._commit(lane, (warm or read[lane]).state, of_lane, counts)
                except CommitConflict:
                    counts["commit_conflicts"] += 1
                    if warm is None or not self._commit_again(lane, of_lane, records[-1], counts, committed):
                        conflicted.add(lane)
            self._publish(committed, records[-1], counts)
            self._warm.update((lane, Stored(state, state.last_number)) for lane, state in committed.items())
            beyond = {lane: _beyond(state, remaining[lane]) for lane, state in committed.items()}
            remaining = {lane: of_lane for lane, of_lane in beyond.items() if of_lane}
        for lane in lanes:
            if lane in self._warm:
                self._write_checkpoint(lane, counts)
        if conflicted:
            raise Unavailable(f"another invocation is processing {', '.join(sorted(conflicted))}")
        return Report(**counts, oldest_ingest_time=oldest)

    def _read_and_publish(self, lanes: Iterable[str], cause: Record, counts: Counter[str]) -> dict[str, Stored]:
        """Read lanes, and publish what an earlier invocation committed but may not have published."""
        lanes = list(lanes)
        if not lanes:
            return {}
        read = self._read(lanes)
        unpublished = {
            lane: stored.state for lane, stored in read.items() if stored.state.last_number > stored.published
        }
        self._publish(unpublished, cause, counts, marks={lane: stored.published for lane, stored in read.items()})
        return read

    def _read(self, lanes: Sequence[str]) -> dict[str, Stored]:
        """Read lanes, each until its state and its checkpoint fit."""
        read: dict[str, Stored] = {}
        for _ in range(READ_ATTEMPTS):
            for lane, stored in self._states.read([lane for lane in lanes if lane not in read]).items():
                state = checkpoints.restored(stored.state, stored.checkpoint)
                if state is not None:
                    if state.position == START:  # a new lane, or one whose item is lost but whose mark is not
                        state = replace(state, published=stored.published)
                    read[lane] = Stored(state, stored.published)
            if len(read) == len(lanes):
                return read
        lane = next(lane for lane in lanes if lane not in read)
        raise Unavailable(
            f"the items {lane} and {lane}#indicators of the state table do not fit. If this lasts, somebody has changed"
            " one of them: set MappingState=Disabled and deploy, restore both as they were at one time or delete both,"
            " and set MappingState=Enabled. Without them, the lane's symbols start from their stored bars; rebuild the"
            " bars of the day afterwards"
        )

    def _write(self, batch: Sequence[ParsedRecord], counts: Counter[str]) -> datetime | None:
        """Write rows and quarantined lines. They do not depend on the state, and writing them twice is harmless.

        Returns the oldest ingest time of the quotes.
        """
        quotes = [line for parsed in batch for line in parsed.lines if isinstance(line, Quote)]
        counts["quotes"] += len(quotes)
        if not self._rows_by_minute:
            self._put_rows(quotes)
        messages: list[QuarantineMessage] = []
        for parsed in batch:
            refused = messages_of(parsed, self._settings.release)
            if isinstance(refused, Overflow):
                address = self._archive.put(refused.key, refused.body)
                messages.append(replace(refused.message, object=address))
            else:
                messages += refused
        self._quarantine.put(messages)
        counts["quarantined"] += sum(message.lines for message in messages)
        return min((quote.ingest_time for quote in quotes), default=None)

    def _commit(self, lane: str, state: LaneState, records: Sequence[ParsedRecord], counts: Counter[str]) -> LaneState:
        """Fold a lane's records into its state, as many as one commit can take, and store the state."""
        records = day_counts.of_one_day(records)
        lines = [
            PositionedLine(Position(parsed.record.sequence_number, good.number), good.content, good.line)
            for parsed in records
            for good in parsed.good
        ]
        lines = [line for line in lines if line.position > state.position]
        end = Position(records[-1].record.sequence_number, WHOLE)
        recovered = without_future(state, records[0].record.arrival)
        folded = self._fold(recovered, lines, end, self._warm_up(recovered, lines))
        counted = day_counts.counted(folded, state, records)
        committed = checkpoints.committable(counted, self._settings.state_version)
        size = self._states.commit(lane, committed, state)
        self._carried[lane] = checkpoints.after_commit(self._carried.get(lane, Carried()), state, committed, size)
        counts["late"] += folded.late + folded.repeated
        counts["largest_state_bytes"] = max(counts["largest_state_bytes"], size)
        return committed

    def _write_checkpoint(self, lane: str, counts: Counter[str]) -> None:
        """Write the checkpoint of a lane that this instance has committed and published, if it is due."""
        state = self._warm[lane].state
        carried = self._carried.get(lane, Carried())
        if not checkpoints.is_due(carried, state, self._settings.state_version):
            return
        try:
            size = self._states.write_checkpoint(lane, checkpoints.checkpoint_of(state), replaced=state.checkpoint)
        except CommitConflict:
            del self._warm[lane]  # another checkpoint is stored than the one that this copy knows
            return
        self._warm[lane] = Stored(checkpoints.checkpointed(state), state.last_number)
        self._carried[lane] = checkpoints.after_checkpoint(carried)
        counts["largest_state_bytes"] = max(counts["largest_state_bytes"], size)

    def _warm_up(self, state: LaneState, lines: Sequence[PositionedLine]) -> Mapping[str, Indicators]:
        """The indicators of the symbols that the state does not know, from the bars stored before their first quote."""
        return {
            symbol: warmed_up(self._bars.before(symbol, minute, BARS_NEEDED))
            for symbol, minute in first_minutes(state, lines).items()
        }

    def _commit_again(
        self,
        lane: str,
        records: Sequence[ParsedRecord],
        cause: Record,
        counts: Counter[str],
        committed: dict[str, LaneState],
    ) -> bool:
        """Read a lane whose warm copy was stale, and commit the remaining records. False if that conflicts as well.

        The stale copy had seen fewer records than the stored state, so the rows of all remaining records are written.
        """
        state = self._read_and_publish([lane], cause, counts)[lane].state
        remaining = _beyond(state, records)
        try:
            if remaining:
                committed[lane] = self._commit(lane, state, remaining, counts)
        except CommitConflict:
            return False
        return True

    def _publish(
        self, states: dict[str, LaneState], cause: Record, counts: Counter[str], marks: dict[str, int] | None = None
    ) -> None:
        """Publish what is pending in committed states beyond the lanes' marks, then raise each lane's mark.

        Alerts are stored before SNS is asked, so that every alert that people received can be read.
        """
        unpublished: dict[str, list[Publication]] = {
            lane: [item for item in state.pending if marks is None or item.number > marks[lane]]
            for lane, state in states.items()
        }
        bars = [item.bar for items in unpublished.values() for item in items if item.bar]
        self._put_rows([quote for bar in bars if bar.line for quote in _quotes_in(bar.line)])
        self._bars.put([bar_row(bar, self._settings.bar_ttl_days) for bar in bars])
        counts["bars"] += len(bars)
        for lane, items in unpublished.items():
            alerts = [item.alert for item in items if item.alert]
            arrival = states[lane].arrival or cause.arrival  # an earlier release committed no arrival
            self._stored_alerts.put(stored_alerts(alerts, arrival, self._settings.alert_ttl_days))
            refused = self._alerts.publish(alerts)
            self._quarantine.put(
                [message_of_alert(cause, alert, reason, self._settings.release) for alert, reason in refused]
            )
            counts["alerts"] += len(alerts) - len(refused)
            counts["quarantined"] += len(refused)
            if items:
                # Before the next lane's alerts: if the function dies first, this lane's are published again.
                self._states.raise_mark(lane, items[-1].number)

    def _put_rows(self, quotes: Sequence[Quote]) -> None:
        self._quotes.put(quotes, self._settings.anomaly_percent, self._settings.quote_ttl_days)


def _quotes_in(line: bytes) -> list[Quote]:
    """The quote in the line that a bar kept."""
    return [good.line for good in decode(line).good if isinstance(good.line, Quote)]


def _beyond(state: LaneState, records: Sequence[ParsedRecord]) -> list[ParsedRecord]:
    """The records that end beyond a state's position."""
    return [parsed for parsed in records if Position(parsed.record.sequence_number, WHOLE) > state.position]
