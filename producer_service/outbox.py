"""The outbox: what was accepted and is not yet acknowledged, lane by lane, in order.

A lane has at most one packet in flight, and a request at most one packet of a lane. A failed packet stays at its lane's
head and is sent again after a pause while the other lanes go on, so one symbol's quotes can neither overtake each other
nor be lost in a request that failed in part. An acknowledged packet leaves the journal before its lane's next is sent.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial

from producer_service.backoff import pause
from producer_service.deduplication import Accepted, Deduplicated, SymbolHistory, merge_histories
from producer_service.errors import JournalError
from producer_service.handover_store import UndeliveredState
from producer_service.journal import Journal
from producer_service.packing import Packet, Row, chunks, fits, head
from producer_service.quote_counts import LaneLevel, QuoteCounts
from quotes import Heartbeat, encode_line, lane_of, partition_key

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0


class _Lane:
    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.histories: dict[str, SymbolHistory] = {}
        self.in_flight = False
        self.failures = 0
        self.not_before = 0.0  # monotonic seconds: after a failure its pause, before the first row's linger is over


class Outbox:
    """Thread-safe. `put` from the poll, `take` and `settle` from the senders; every accepted line passes once.

    `clock` is seconds since the epoch, `monotonic` seconds of any origin, `jitter` uniform in 0 to 1. Rows that
    the journal held are pending again from the start.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        lanes: int,
        max_bytes: int,
        linger_seconds: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.histories: dict[str, SymbolHistory] = {}
        """Of each symbol, as committed. To be read only."""
        self.durable = journal.durable
        """Whether what is pending outlives the process."""
        self._journal = journal
        self._count = lanes
        self._lane_of = cache(partial(lane_of, lanes=lanes))
        self._max_bytes = max_bytes
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._lanes = [_Lane() for _ in range(lanes)]
        self._first = 0  # whose turn it is to be looked at first
        self._bytes = 0
        self._quotes = 0
        self._count_of: Counter[str] = Counter()
        self._hurry = False
        lock = threading.Lock()
        # Of one lock: what a poll or a drain waits for, and what senders wait for, one of whom is woken at a time.
        self._changed = threading.Condition(lock)
        self._work = threading.Condition(lock)
        for number, histories in journal.histories().items():
            self._lanes[number].histories = histories
            self.histories.update(histories)
        for row in journal.rows():
            self._add(row)
        self._count_of["recovered"] = self._quotes

    def put(self, decision: Deduplicated, *, rejected: int = 0, live: bool = True) -> None:
        """Accept quotes: when this returns, they and what is remembered of their symbols are committed.

        What the decision did not accept, and what was `rejected` before it, is entered in the books with them. Unless
        they are `live`, their event times say nothing of how fresh they are.
        """
        by_lane: defaultdict[int, list[Accepted]] = defaultdict(list)
        for accepted in decision.accepted:
            by_lane[self._lane_of(accepted.quote.symbol)].append(accepted)
        now = self._clock()
        rows: list[Row] = []
        for lane, of_lane in by_lane.items():
            first = 0
            for lines, count in chunks([accepted.line for accepted in of_lane]):
                due_at = _due_at(of_lane[first : first + count]) if live else ()
                rows.append(Row(0, lane, lines, count, now, due_at))
                first += count
        with self._changed:
            self._append(rows, decision.histories)
            self._count_of.update(
                accepted=len(decision.accepted), suppressed=decision.suppressed, late=decision.late, rejected=rejected
            )

    def put_heartbeats(self, heartbeat: Callable[[str], Heartbeat], *, closing: bool = False) -> None:
        """Add a heartbeat to each lane, behind what is pending there; `heartbeat` makes it for a partition key.

        A full outbox takes none but the closing ones, or an outage would fill the disk with them.
        """
        if self._bytes >= self._max_bytes and not closing:
            return
        now = self._clock()
        keys = [partition_key(lane, self._count) for lane in range(self._count)]
        with self._changed:
            self._append([Row(0, lane, encode_line(heartbeat(key)), 0, now) for lane, key in enumerate(keys)], {})

    def restore(self, key: str, state: UndeliveredState) -> int:
        """Take over what another producer left, behind what is pending. Returns its quotes; 0 for a key taken before.

        When this returns it is committed. Raises `JournalError` if it is of another number of lanes.
        """
        if state.lanes != self._count:
            raise JournalError(f"undelivered state {key}: holds {state.lanes} lanes, and this producer {self._count}")
        with self._changed:
            if self._journal.has_restored(key):
                return 0
            histories = {
                symbol: merge_histories(self.histories[symbol], history) if symbol in self.histories else history
                for symbol, history in state.histories.items()
            }
            self._append(state.rows, histories, restored=key)
            self._count_of["recovered"] += state.quotes
            return state.quotes

    def undelivered(self) -> UndeliveredState:
        """What is pending and remembered. To be asked when nothing is in flight any more."""
        with self._changed:
            rows = tuple(row for lane in self._lanes for row in lane.rows)
            return UndeliveredState(self._count, rows, dict(self.histories))

    def forget(self, state: UndeliveredState) -> None:
        """Drop the rows of `state`: another place holds them now."""
        with self._changed:
            self._count_of["handed_over"] += state.quotes
            self._journal.remove(state.rows)
            for lane in self._lanes:
                lane.rows.clear()
            self._bytes = self._quotes = 0
            self._changed.notify_all()

    def wait_for_room(self, seconds: float) -> bool:
        """Wait until the outbox is below its bound, for some seconds at the most. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._bytes < self._max_bytes, seconds)

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until nothing is pending, for some seconds at the most, without lingering. Returns whether it is so."""
        with self._changed:
            self._hurry = True
            self._work.notify_all()
            return self._changed.wait_for(lambda: not self._bytes, seconds)

    def take(self, seconds: float) -> tuple[Packet, ...]:
        """The packets of the next request, of disjoint lanes; waits for some seconds at the most, then none."""
        deadline = self._monotonic() + seconds
        with self._changed:
            while True:
                now = self._monotonic()
                packets, due = self._ready(now)
                if packets or now >= deadline:
                    for packet in packets:
                        self._lanes[packet.lane].in_flight = True
                    if packets:
                        self._work.notify()  # to whom it falls to wait for the lanes that are not due yet
                    return packets
                self._work.wait(max(0.0, min(due, deadline) - now))

    def settle(self, packets: Sequence[Packet], acknowledged: Sequence[bool]) -> None:
        """Say of each packet that `take` gave whether Kinesis has acknowledged it; if not, it is sent again."""
        done = [packet for packet, is_done in zip(packets, acknowledged, strict=True) if is_done]
        with self._changed:
            if done:
                self._journal.remove(row for packet in done for row in packet.rows)
            now = self._monotonic()
            for packet, is_done in zip(packets, acknowledged, strict=True):
                lane = self._lanes[packet.lane]
                lane.in_flight = False
                if is_done:
                    lane.failures, lane.not_before = 0, 0.0
                    for row in packet.rows:
                        lane.rows.popleft()
                        self._bytes -= len(row.lines)
                        self._quotes -= row.quotes
                        self._count_of["acknowledged"] += row.quotes
                else:
                    lane.not_before = now + pause(
                        lane.failures, self._jitter(), first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS
                    )
                    lane.failures += 1
            self._changed.notify_all()
            self._work.notify()

    def counts(self) -> QuoteCounts:
        """What became of every quote up to now."""
        with self._changed:
            count = self._count_of
            return QuoteCounts(
                accepted=count["accepted"],
                suppressed=count["suppressed"],
                late=count["late"],
                rejected=count["rejected"],
                recovered=count["recovered"],
                acknowledged=count["acknowledged"],
                handed_over=count["handed_over"],
                pending=self._quotes,
                bytes=self._bytes,
                oldest_accepted_at=min((lane.rows[0].accepted_at for lane in self._lanes if lane.rows), default=None),
            )

    def lanes(self) -> list[LaneLevel]:
        """What is pending in each lane now."""
        with self._changed:
            return [
                LaneLevel(
                    sum(row.quotes for row in lane.rows),
                    sum(len(row.lines) for row in lane.rows),
                    lane.rows[0].accepted_at if lane.rows else None,
                    lane.in_flight,
                    lane.failures,
                )
                for lane in self._lanes
            ]

    def journal_bytes(self) -> int:
        """The size of the journal on disk; 0 for one in memory."""
        return self._journal.size()

    def sync(self) -> None:
        """Put what was committed up to now beyond the reach of a power cut."""
        self._journal.sync()

    def close(self) -> None:
        """Give the journal back."""
        with self._changed:
            self._journal.close()

    def _append(self, rows: Sequence[Row], histories: Mapping[str, SymbolHistory], restored: str | None = None) -> None:
        if not (rows or histories or restored):
            return
        changed: dict[int, dict[str, SymbolHistory]] = {}
        for symbol, history in histories.items():
            number = self._lane_of(symbol)
            if number not in changed:
                changed[number] = dict(self._lanes[number].histories)
            changed[number][symbol] = history
        linger_until = self._monotonic() + self._linger_seconds
        for row in self._journal.append(rows, changed, restored=restored):
            lane = self._lanes[row.lane]
            if not lane.rows and not lane.failures:
                lane.not_before = linger_until
            self._add(row)
        for number, of_lane in changed.items():
            self._lanes[number].histories = of_lane
        self.histories.update(histories)
        self._work.notify()

    def _add(self, row: Row) -> None:
        self._lanes[row.lane].rows.append(row)
        self._bytes += len(row.lines)
        self._quotes += row.quotes

    def _ready(self, now: float) -> tuple[tuple[Packet, ...], float]:
        """The packets that may go now, and when to look again if there are none."""
        packets: list[Packet] = []
        size = 0
        due = float("inf")
        for offset in range(self._count):
            number = (self._first + offset) % self._count
            lane = self._lanes[number]
            if lane.in_flight or not lane.rows:
                continue
            count = head(lane.rows)
            may_linger = not (lane.failures or self._hurry or count < len(lane.rows))
            if lane.not_before > now and (lane.failures or may_linger):
                due = min(due, lane.not_before)
                continue
            rows = tuple(lane.rows[index] for index in range(count))
            packet = Packet(number, partition_key(number, self._count), rows)
            if not fits(packets, size, packet):
                break
            packets.append(packet)
            size += packet.size
        if packets:
            self._first = (packets[-1].lane + 1) % self._count
        return tuple(packets), due


def _due_at(accepted: Iterable[Accepted]) -> tuple[float, ...]:
    """See `Row.due_at`."""
    quotes = [each.quote for each in accepted]
    return tuple([quote.event_time.timestamp() + 60.0 * (quote.delay_minutes or 0) for quote in quotes])
