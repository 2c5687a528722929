"""Scenarios: what happens to a stream, in order. A random one is determined by its seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from msgspec.structs import replace

from processor_lambda.quarantine import MAX_LINES
from quotes import Action, Heartbeat, Line, Quote, encode
from tests.fakes.pipeline import OPEN, make_quote
from tests.model.streams import KEYS, MONTH, SYMBOLS, Stream

BAD_LINES = (b"rubbish\n", b"\n\xff\n", b"rubbish\n\xff\n", b"rubbish\n" * (MAX_LINES + 1))
"""Bytes that are no lines of the contract. The last one has too many lines for the queue."""
SPLITS = 0.1
"""The share of packets that declare a split."""
FOREIGN_KEY = "AAPL"
"""A partition key that is not the key of a lane."""

Event = Callable[[Stream], object]
"""Something that happens to a stream."""


def packet(key: str, *lines: Line, bad_lines: bytes = b"") -> Event:
    """A producer sends a packet. The bad lines come first in it."""
    data = bad_lines + encode(lines)
    return lambda stream: stream.put(key, data)


def heartbeat(key: str, second: float, delay: float = 0) -> Heartbeat:
    """A heartbeat of a lane at a second. The lane is complete up to `delay` seconds before."""
    return Heartbeat(
        lane=key,
        clock=OPEN + timedelta(seconds=second),
        complete_to=OPEN + timedelta(seconds=second - delay),
    )


class Scenario:
    """A sequence of events. The same scenario always makes the same stream."""

    def __init__(self, events: list[Event]) -> None:
        self._events = tuple(events)

    def stream(self) -> Stream:
        """A new stream after all events."""
        stream = Stream()
        for event in self._events:
            event(stream)
        return stream


@cache
def random_scenario(seed: int) -> Scenario:
    """Quotes of many kinds, declared splits, heartbeats, bad lines, packets that are sent twice, and reshards.

    Quotes move, are revised, come late and raise alerts. In some scenarios a month passes. Then the first heartbeat
    makes a lane forget its symbols, and they may return in the same packet.
    """
    builder = _Builder(random.Random(seed), random.Random(f"splits {seed}"))
    for _ in range(builder.rng.randint(6, 12)):
        builder.add_event()
    return Scenario(builder.events)


class _Builder:
    def __init__(self, rng: random.Random, splits: random.Random) -> None:
        self.rng = rng
        self._splits = splits
        self.events: list[Event] = []
        self._second = 0.0
        self._volume = 0
        self._last: dict[str, Quote] = {}
        self._identities: set[tuple[str, float, int]] = set()
        self._sent: dict[str, list[Event]] = {key: [] for key in KEYS}

    def add_event(self) -> None:
        key = self.rng.choice(KEYS)
        kinds = ("quotes", "heartbeat", "repeat", "foreign", "reshard", "month")
        match self.rng.choices(kinds, (52, 20, 20, 3, 5, 2))[0]:
            case "quotes":
                bad_lines = self.rng.choice(BAD_LINES) if self.rng.random() < 0.2 else b""
                self._send(key, packet(key, *self._quotes(key), bad_lines=bad_lines))
            case "heartbeat":
                self._send(key, packet(key, heartbeat(key, self._second, self.rng.choice((0, 0, 30)))))
            case "repeat" if self._sent[key]:
                any_packet = self.rng.choice(self._sent[key])
                self.events.append(self.rng.choice((self._sent[key][-1], any_packet)))
            case "foreign":
                self.events.append(packet(FOREIGN_KEY, make_quote(second=self._second)))
            case "reshard":
                self.events.append(Stream.reshard)
            case "month":
                self._second += MONTH
                self.events.append(Stream.pass_month)
                self._send(key, packet(key, heartbeat(key, self._second), *self._quotes(key)))

    def _send(self, key: str, sent: Event) -> None:
        self._sent[key].append(sent)
        self.events.append(sent)

    def _quotes(self, key: str) -> list[Line]:
        quotes = [self._quote(self.rng.choice(SYMBOLS[key])) for _ in range(self.rng.randint(1, 3))]
        declared = [self._split(self._splits.choice(SYMBOLS[key]))] if self._splits.random() < SPLITS else []
        return [*declared, *quotes]

    def _split(self, symbol: str) -> Action:
        """A split that took effect a while ago, takes effect now, or will."""
        time = OPEN + timedelta(seconds=self._second + self._splits.choice((-100, 0, 30)))
        return Action(
            symbol=symbol,
            action="split",
            event_time=time,
            numerator=self._splits.choice((2, 11)),
            denominator=self._splits.choice((1, 10)),
            source="synthetic",
            ingest_time=OPEN + timedelta(seconds=self._second),
        )

    def _quote(self, symbol: str) -> Quote:
        self._second += self.rng.choice((1, 5, 25, 60))
        self._volume += self.rng.randint(0, 50)
        second, revision = self._second, 0
        last = self._last.get(symbol)
        if last is not None:
            newest = (last.event_time - OPEN).total_seconds()
            match self.rng.choices(("new", "revised", "late for its symbol", "late for its lane"), (75, 8, 7, 10))[0]:
                case "revised":
                    second, revision = newest, last.revision + 1
                case "late for its symbol":  # as with two producers
                    second = newest - self.rng.choice((1, 70))
                case "late for its lane":  # its minute may be closed
                    second = max(newest + 1, second - self.rng.choice((30, 90)))
        while (symbol, second, revision) in self._identities:  # an identity always has the same content
            second += 0.001
        self._identities.add((symbol, second, revision))
        price = self.rng.choice(("100", "101", "107", "108", "93"))
        quote = make_quote(
            symbol,
            second,
            price,
            volume=self._volume,
            revision=revision,
            previous_close=self.rng.choice(("100", "100", None)),
        )
        if last is None or quote.event_time >= last.event_time:
            self._last[symbol] = quote
        market_state = self.rng.choice(("REGULAR", "REGULAR", "CLOSED", None))
        return replace(quote, ingest_time=OPEN + timedelta(seconds=self._second), market_state=market_state)
