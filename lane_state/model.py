"""What is remembered of a lane, as values. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from quotes import MAX_LINES

WHOLE = MAX_LINES + 1
"""The line number that stands for the end of a record. A decoded packet has at most `MAX_LINES` lines."""


class Position(NamedTuple):
    """A place on the stream: a line of a record. Positions of one lane sort in the order of the stream."""

    sequence: int
    """The record's sequence number. It has up to 56 digits, so it does not sort as text."""
    line: int
    """The number of a line in the record, from 1. `WHOLE` is the end of the record."""

    def __str__(self) -> str:
        return str(self.sequence) if self.line == WHOLE else f"{self.sequence}+{self.line}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse what `str` wrote."""
        sequence, _, line = text.partition("+")
        return cls(int(sequence), int(line) if line else WHOLE)


START = Position(-1, WHOLE)
"""The position before the first record."""
ANOTHER_STREAM = Position(0, WHOLE)
"""The position of a state whose stream is gone: before every record of the next stream.

Unlike `START`, it is that of a state that is stored, so a commit replaces it.
"""


class Bar(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One minute of one symbol. Prices are as quoted, and times are aware UTC."""

    symbol: str
    minute: datetime
    """The start of the minute."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """What was traded in the minute, from the day's cumulative volume. None if the source never gave a volume."""
    quotes: int
    """How many quotes the bar was made from."""
    ingest_time: datetime
    """When the producer received the last of those quotes."""
    line: bytes = b""
    """The last quote's line as it stood on the stream. Empty unless one row a minute is written."""
    indicators: dict[str, float] = {}
    """The indicators that are known (`indicators.NAMES`). They are set when the bar closes."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a person should know."""

    id: str
    """The same for the same cause, however often the alert is published."""
    rule: str
    """The rule's name."""
    severity: str
    symbol: str
    """The symbol. If the alert is about several symbols, the partition key of their lane."""
    timestamp: str
    """The range key of the row or bar that raised the alert, or the clock of the heartbeat."""
    subject: str
    """One line for a person: ASCII, under 100 characters (the limit of an SNS subject)."""
    values: dict[str, Decimal]
    """The values that raised the alert, by name."""
    symbols: tuple[str, ...] = ()
    """All symbols, if the alert is about several."""


class AlertState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of one rule and one symbol. A rule at rest has none."""

    side: int
    """Where the signal is: 1 above its band, -1 below it, 0 inside."""
    announced: int
    """The side of the last alert, or 0 once the signal is back inside its band."""
    raised_at: datetime | None
    """When the last alert was raised. None once the rule's cooldown is over."""


class Publication(msgspec.Struct, frozen=True):
    """A bar or an alert that a commit decided, to be published after it. Numbers rise by one within a lane."""

    number: int
    bar: Bar | None = None
    alert: Alert | None = None


class Session(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A session of a symbol's cumulative volume, as `processor_lambda.volume_counter` remembers it."""

    previous_close: Decimal | None
    """The previous close that the source gave when the session began. It names the session."""
    counted: int
    """The cumulative volume of this session up to which bars have counted."""


class Split(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stock split, as `processor_lambda.splits` remembers it."""

    time: datetime
    """When the split takes effect. If it was inferred: the event time of the quote that showed it."""
    new: int
    """How many new shares there are for `old` old ones."""
    old: int
    is_declared: bool
    """Whether the source declared it. Otherwise it was inferred from prices."""
    is_applied: bool
    """Whether the indicators are in new shares."""


class SymbolState(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is remembered of a symbol."""

    event_time: datetime
    """The event time of the last quote that changed this state."""
    revision: int
    """The revision of that quote."""
    price: Decimal | None
    """The last price. None before the first quote is folded in."""
    previous_close: Decimal | None
    """The last previous close that the source gave."""
    volume: int | None
    """The cumulative volume up to which bars have counted, in the session of the last volume that the source gave."""
    is_open: bool
    """Whether the source last said that the market is in its regular session."""
    delay_minutes: int
    """The delay that the source declares."""
    bar: Bar | None
    """The current minute."""
    indicators: bytes = b""
    """The packed indicators in bytes of version 1. They are empty in memory, see `LaneState.indicators`."""
    alert_states: dict[str, AlertState] = {}
    """The states of the rules that are not at rest, by rule name."""
    open_since: datetime | None = None
    """When the source first said that the market is open, by the producer's clock. None while it is closed."""
    interval_ms: int = 225_000
    """The longest usual time between two quotes in an open market. It is forgotten slowly.

    A new symbol starts with a quarter of `StaleFeed.minutes`, so that those minutes decide at first.
    """
    currency: str | None = None
    """The currency of the prices. None if the source never gave one."""
    session_close: Decimal | None = None
    """The previous close that the source gave when the session of `volume` began."""
    last_session: Session | None = None
    """The session before the session of `volume`."""
    open_until: datetime | None = None
    """The event time of the last quote that was not from a closed market. None if there was none."""
    split: Split | None = None
    """The last split that is known."""
    exchange: str | None = None
    """The exchange that the source names. None if it never named one."""

    @property
    def silent_since(self) -> datetime:
        """When the last quote was. After an open it is the time of the open, because the last quote is a day old."""
        if self.open_since is None or self.open_since < self.event_time:
            return self.event_time
        return self.open_since


class LogEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A minute that closed. It advances the indicators of its symbol."""

    symbol: str
    minute: datetime
    """The start of the minute."""
    close: float
    volume: int | None


class Checkpoint(msgspec.Struct, frozen=True):
    """The indicators of a lane as of an entry of its log. It is an item of its own, and may be older than the state."""

    number: int
    """The number of the entry. Numbers rise for the life of the lane."""
    indicators: dict[str, bytes]
    """The packed indicators of each symbol."""


class DayCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many quotes of a lane Kinesis received on one UTC day. Each is counted exactly once."""

    day: str
    """The date, as in `2026-11-27`."""
    quotes: int
    """All quotes, with the late and the repeated ones."""
    late: int
    """Quotes that changed no bar: they are older than the closed minute or than the symbol's last quote, or they are of
    another currency or of a symbol beyond the lane's limit."""
    repeated: int
    """Quotes with the identity of the symbol's last quote."""


class LaneState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of a lane. `processor_lambda.fold` changes it.

    Indicators are most of a lane's bytes, and change once a minute. So they are in a checkpoint, which is written
    rarely, and the lane's item has the log of what closed since. `processor_lambda.checkpoints` has the rules.
    """

    position: Position = START
    """The position of the last line that was folded in."""
    clock: datetime | None = None
    """The clock of the last heartbeat."""
    complete_to: datetime | None = None
    """Minutes that end at or before this time are closed."""
    symbols: dict[str, SymbolState] = {}
    splits: dict[str, Split] = {}
    """The declared splits of symbols that are not among `symbols` yet."""
    published: int = 0
    """The number of the last publication before the pending ones."""
    pending: tuple[Publication, ...] = ()
    """What this commit decided. The lane's published mark, an item of its own, says how much of it is published."""
    indicators: dict[str, bytes] = {}
    """The packed indicators of each symbol that has a closed minute."""
    checkpoint: int = 0
    """The number of the checkpoint that is known to be stored. 0 if there is none."""
    log: tuple[LogEntry, ...] | None = None
    """The minutes that closed since the checkpoint, oldest first. The first has the number after the checkpoint's.

    None if they and the checkpoint do not give `indicators`, as in a new lane or after a split. Then the lane's item
    holds the indicators.
    """
    arrival: datetime | None = None
    """When Kinesis received the last record that was folded in. None if an earlier release wrote the state."""
    counts: tuple[DayCounts, ...] = ()
    """The counts of the last days, newest last (`processor_lambda.day_counts`)."""
    edits: int = 0
    """How many commits came from an operator's command, which changes indicators and keeps the position.

    A commit is stored only if both the position and this number are still those that were read. An earlier release
    does not know the number and drops it.
    """

    @property
    def last_entry(self) -> int:
        """The number of the last entry of the log. A state without a log counts as one entry."""
        return self.checkpoint + (1 if self.log is None else len(self.log))

    @property
    def last_number(self) -> int:
        """The number of the last publication that this lane ever decided."""
        return self.pending[-1].number if self.pending else self.published
