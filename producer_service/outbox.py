"""The outbox: every line that was accepted and is not yet acknowledged, lane by lane, in order.

A lane has at most one packet in flight, and a request holds at most one packet of a lane. A failed packet stays at the
head of its lane and is sent again after a pause, while the other lanes go on. So the quotes of a symbol cannot overtake
each other, and none is lost if a request fails in part. An acknowledged packet is removed from the journal before the
next packet of its lane is sent, so a crash repeats at most one packet per lane.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import islice

from producer_service.backoff import pause
from producer_service.deduplication import Accepted, Deduplicated, SymbolHistory, merge_histories
from producer_service.errors import JournalError, described
from producer_service.handover_store import UndeliveredState
from producer_service.journal import Journal
from producer_service.packing import Packet, Row, chunks, fits, packet_length
from producer_service.quote_counts import LaneLevel, QuoteCounts
from quotes import Action, Heartbeat, encode_line, lane_of, partition_key

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
"""The bounds of the pause before a failed packet is sent again."""


class _Lane:
    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.symbols: set[str] = set()
        """The symbols with a history."""
        self.in_flight = False
        self.failures = 0
        self.not_before = 0.0
        """When the lane may send again (monotonic seconds): after a pause, or when the linger of its first row ends."""


class Outbox:
    """Thread-safe. The intake calls `put`, the senders call `take` and `settle`, and every line passes once.

    `clock` returns seconds since the epoch that do not step, `monotonic` seconds from any origin, and `jitter` a number
    from 0 to 1. The rows in the journal are pending from the start.
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
        """The committed history of each symbol. Callers only read it."""
        self.durable = journal.durable
        """Whether pending lines outlive the process."""
        self._journal = journal
        self.lane_count = lanes
        self._lane_of = cache(partial(lane_of, lanes=lanes))
        self._max_bytes = max_bytes
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._lanes = [_Lane() for _ in range(lanes)]
        self._next_lane = 0  # the lane that the next request looks at first
        self._bytes = 0
        self._quotes = 0
        self._totals: Counter[str] = Counter()
        self._is_draining = False
        self._next_look = float("inf")
        """When a waiting sender looks at the lanes again by itself (monotonic seconds); infinity if none waits."""
        lock = threading.Lock()
        # Two conditions with one lock: polls and the drain wait for `_changed`, and senders for `_work`, which wakes
        # one of them at a time.
        self._changed = threading.Condition(lock)
        self._work = threading.Condition(lock)
        for number, histories in journal.histories().items():
            self._lanes[number].symbols = set(histories)
            self.histories.update(histories)
        for row in journal.rows():
            self._add(row)
        self._totals["recovered"] = self._quotes

    def put(
        self,
        deduplicated: Deduplicated,
        *,
        actions: Iterable[Action] = (),
        rejected: int = 0,
        live: bool = True,
        log_entries: bytes = b"",
    ) -> None:
        """Add accepted quotes. When this returns, they, the histories of their symbols and `log_entries` are committed.

        Corporate actions are committed with them, before the quotes of their lanes. No count includes them, since they
        are lines and no quotes. It also counts the other outcomes: those of the deduplication, and the quotes that were
        `rejected` before it. Without `live`, event times say nothing about freshness. Raises `JournalError`; then
        nothing has changed.
        """
        by_lane: defaultdict[int, list[Accepted]] = defaultdict(list)
        for accepted in deduplicated.accepted:
            by_lane[self._lane_of(accepted.quote.symbol)].append(accepted)
        now = self._clock()
        rows = [Row(0, self._lane_of(action.symbol), encode_line(action), 0, now) for action in actions]
        for lane, of_lane in by_lane.items():
            first = 0
            for lines, count in chunks([accepted.line for accepted in of_lane]):
                available_at = _available_at(of_lane[first : first + count]) if live else ()
                rows.append(Row(0, lane, lines, count, now, available_at))
                first += count
        with self._changed:
            self._append(rows, deduplicated.histories, log_entries=log_entries)
            self._totals.update(
                accepted=len(deduplicated.accepted),
                suppressed=deduplicated.suppressed,
                late=deduplicated.late,
                rejected=rejected,
            )

    def put_heartbeats(self, heartbeat: Callable[[str], Heartbeat], *, closing: bool = False) -> None:
        """Add a heartbeat to each lane, after its pending lines. `heartbeat` makes it for a partition key.

        A full outbox takes only the closing ones. Otherwise heartbeats would fill the disk during an outage.
        """
        if self._bytes >= self._max_bytes and not closing:
            return
        now = self._clock()
        keys = [partition_key(lane, self.lane_count) for lane in range(self.lane_count)]
        with self._changed:
            self._append([Row(0, lane, encode_line(heartbeat(key)), 0, now) for lane, key in enumerate(keys)], {})

    def restore(self, key: str, state: UndeliveredState) -> int:
        """Add the state that another producer left under a key, after the pending lines.

        Returns how many quotes were added: 0 if this key was restored before. When this returns, they are committed.
        Raises `JournalError` if the state has another number of lanes.
        """
        if state.lanes != self.lane_count:
            raise JournalError(
                f"undelivered state {key}: it has {state.lanes} lanes, and this producer has {self.lane_count}"
            )
        with self._changed:
            if self._journal.has_restored(key):
                return 0
            histories = {
                symbol: merge_histories(self.histories[symbol], history) if symbol in self.histories else history
                for symbol, history in state.histories.items()
            }
            # The rows do not say how two producers' histories became one, so the journal writes those of their lanes.
            of_lanes: dict[int, dict[str, SymbolHistory]] = {}
            for symbol, history in histories.items():
                lane = self._lane_of(symbol)
                if lane not in of_lanes:
                    of_lanes[lane] = self._histories_of(lane)
                of_lanes[lane][symbol] = history
            self._append(state.rows, histories, restored=key, of_lanes=of_lanes)
            self._totals["recovered"] += state.quotes
            return state.quotes

    def undelivered(self) -> UndeliveredState:
        """Everything pending, and the histories. Nothing may be in flight any more."""
        with self._changed:
            rows = tuple(row for lane in self._lanes for row in lane.rows)
            histories = {symbol: history.digested for symbol, history in self.histories.items()}
            return UndeliveredState(self.lane_count, rows, histories)

    def forget(self, state: UndeliveredState) -> None:
        """Remove the rows of a state that `undelivered` returned, because another place holds them now."""
        with self._changed:
            self._totals["handed_over"] += state.quotes
            self._journal.remove(state.rows, self._histories_of)
            for lane in self._lanes:
                lane.rows.clear()
            self._bytes = self._quotes = 0
            self._changed.notify_all()

    def wait_for_room(self, seconds: float) -> bool:
        """Wait until the pending bytes are below the bound, at most some seconds. Returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._bytes < self._max_bytes, seconds)

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until nothing is pending, at most some seconds. Returns whether that is so.

        After this call, lines do not linger.
        """
        with self._changed:
            self._is_draining = True
            self._work.notify_all()
            return self._changed.wait_for(lambda: not self._bytes, seconds)

    def take(self, seconds: float) -> tuple[Packet, ...]:
        """The packets of the next request, each of another lane. Waits at most some seconds, then returns none."""
        deadline = self._monotonic() + seconds
        with self._changed:
            while True:
                now = self._monotonic()
                packets, due_at = self._ready(now)
                for packet in packets:
                    self._lanes[packet.lane].in_flight = True
                if packets or now >= deadline:
                    if due_at < self._next_look:
                        self._work.notify()  # another sender now waits for the lanes that are not ready yet
                    return packets
                look_at = min(due_at, deadline)
                self._next_look = min(look_at, self._next_look)
                self._work.wait(max(0.0, look_at - now))
                self._next_look = float("inf")

    def settle(self, packets: Sequence[Packet], acknowledged: Sequence[bool]) -> None:
        """Record for each packet that `take` returned whether Kinesis acknowledged it. If not, it is sent again."""
        done = [packet for packet, is_done in zip(packets, acknowledged, strict=True) if is_done]
        with self._changed:
            if done:
                self._journal.remove((row for packet in done for row in packet.rows), self._histories_of)
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
                        self._totals["acknowledged"] += row.quotes
                else:
                    lane.not_before = now + pause(
                        lane.failures, self._jitter(), first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS
                    )
                    lane.failures += 1
            self._changed.notify_all()
            self._wake_sender(packet.lane for packet in packets)

    def age_of(self, packet: Packet) -> float:
        """For how many seconds the oldest line of a packet has been accepted."""
        return self._age(packet.rows[0])

    def counts(self) -> QuoteCounts:
        """The outcome of every quote up to now."""
        with self._changed:
            totals = self._totals
            return QuoteCounts(
                accepted=totals["accepted"],
                suppressed=totals["suppressed"],
                late=totals["late"],
                rejected=totals["rejected"],
                recovered=totals["recovered"],
                acknowledged=totals["acknowledged"],
                handed_over=totals["handed_over"],
                pending=self._quotes,
                bytes=self._bytes,
                oldest_age_seconds=max((self._age(lane.rows[0]) for lane in self._lanes if lane.rows), default=None),
            )

    def lanes(self) -> list[LaneLevel]:
        """What is pending in each lane now."""
        with self._changed:
            return [
                LaneLevel(
                    sum(row.quotes for row in lane.rows),
                    sum(len(row.lines) for row in lane.rows),
                    self._age(lane.rows[0]) if lane.rows else None,
                    lane.in_flight,
                    lane.failures,
                )
                for lane in self._lanes
            ]

    def journal_bytes(self) -> int:
        """The size of the journal on disk; 0 if it is in memory."""
        return self._journal.size()

    def export_log_entries(self, write: Callable[[bytes], None]) -> None:
        """Hand the committed entries of the accepted log to `write`. If it raises, they are handed over next time."""
        with self._changed:
            self._journal.export(write)

    def sync(self) -> None:
        """Sync the journal to disk, so that a power cut does not lose what was committed up to now."""
        self._journal.sync()

    def close(self) -> None:
        """Close the journal."""
        with self._changed:
            self._journal.close()

    def _append(
        self,
        rows: Sequence[Row],
        histories: Mapping[str, SymbolHistory],
        *,
        restored: str | None = None,
        of_lanes: Mapping[int, Mapping[str, SymbolHistory]] | None = None,
        log_entries: bytes = b"",
    ) -> None:
        if not (rows or restored):
            return
        linger_until = self._monotonic() + self._linger_seconds
        for row in self._commit(rows, of_lanes or {}, restored, log_entries):
            lane = self._lanes[row.lane]
            if not lane.rows and not lane.failures:
                lane.not_before = linger_until
            self._add(row)
        for symbol in histories:
            if symbol not in self.histories:
                self._lanes[self._lane_of(symbol)].symbols.add(symbol)
        self.histories.update(histories)
        self._wake_sender(row.lane for row in rows)

    def _histories_of(self, lane: int) -> dict[str, SymbolHistory]:
        return {symbol: self.histories[symbol] for symbol in self._lanes[lane].symbols}

    def _age(self, row: Row) -> float:
        # The clock of the process that left a row in the journal may have been fast.
        return max(0.0, self._clock() - row.accepted_at)

    def _commit(
        self,
        rows: Sequence[Row],
        histories: Mapping[int, Mapping[str, SymbolHistory]],
        restored: str | None,
        log_entries: bytes,
    ) -> list[Row]:
        try:
            return self._journal.append(rows, histories, restored=restored, log_entries=log_entries)
        except JournalError:
            raise
        except BaseException as error:  # whatever it is, nothing was accepted, and the caller may try again
            raise JournalError(described(error)) from error

    def _add(self, row: Row) -> None:
        self._lanes[row.lane].rows.append(row)
        self._bytes += len(row.lines)
        self._quotes += row.quotes

    def _ready(self, now: float) -> tuple[tuple[Packet, ...], float]:
        """The packets that may be sent now, and when the next of the other lanes is due."""
        packets: list[Packet] = []
        size = 0
        next_at = float("inf")
        for offset in range(self.lane_count):
            number = (self._next_lane + offset) % self.lane_count
            lane = self._lanes[number]
            due_at = self._due_at(lane)
            if due_at > now:
                next_at = min(next_at, due_at)
                continue
            rows = tuple(islice(lane.rows, packet_length(lane.rows)))
            packet = Packet(number, partition_key(number, self.lane_count), rows)
            if not fits(packets, size, packet):
                next_at = due_at
                break
            packets.append(packet)
            size += packet.size
        if packets:
            self._next_lane = (packets[-1].lane + 1) % self.lane_count
        return tuple(packets), next_at

    def _due_at(self, lane: _Lane) -> float:
        """From when on the lane may send (monotonic seconds); infinity while it has nothing to send."""
        if lane.in_flight or not lane.rows:
            return float("inf")
        if lane.failures:
            return lane.not_before
        lingers = not self._is_draining and packet_length(lane.rows) == len(lane.rows)
        return lane.not_before if lingers else 0.0

    def _wake_sender(self, lanes: Iterable[int]) -> None:
        """Wake a sender if a lane is due before one looks by itself. A wake-up costs as much CPU as several quotes."""
        if min((self._due_at(self._lanes[lane]) for lane in lanes), default=float("inf")) < self._next_look:
            self._work.notify()


def _available_at(accepted: Iterable[Accepted]) -> tuple[float, ...]:
    """See `Row.available_at`."""
    times: list[float] = []
    # Quotes of one poll often share their time, and its conversion takes longer than the rest.
    event_time, seconds = None, 0.0
    for quote in [each.quote for each in accepted]:
        if quote.event_time != event_time:
            event_time, seconds = quote.event_time, quote.event_time.timestamp()
        times.append(seconds + 60.0 * quote.delay_minutes if quote.delay_minutes else seconds)
    return tuple(times)
