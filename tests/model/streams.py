"""A Kinesis stream whose shards split and merge, and stories that producers tell on it. Deterministic by seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

from msgspec.structs import replace

from processor_lambda.fold import FORGET_AFTER
from processor_lambda.quarantine import MAX_LINES
from processor_lambda.records import Record
from quotes import Heartbeat, Line, Quote, encode, lane_of, partition_key
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.shards import Shard
from tests.fakes.pipeline import LANES, OPEN, make_quote

GAP = 1_000_003
FIRST_NUMBER = 10**55 - 5 * GAP
"""The sixth record has a digit more than the fifth: who compares sequence numbers as text gets their order wrong."""
KEYS = tuple(partition_key(lane, LANES) for lane in range(LANES))
SYMBOLS = {
    key: tuple(symbol for symbol in ("AAPL", "MSFT", "NVDA", "TSLA", "^GSPC") if lane_of(symbol, LANES) == lane)
    for lane, key in enumerate(KEYS)
}
RUBBISH = (b"rubbish\n", b"\n\xff\n", b"rubbish\n\xff\n", b"rubbish\n" * (MAX_LINES + 1))
"""The last is too many lines for the queue."""
MONTH = round((FORGET_AFTER + timedelta(days=1)).total_seconds())
FOREIGN_KEY = "AAPL"
"""A partition key that is no lane's."""


def handed_over(record: KinesisRecord) -> Record:
    """A record as the function gets it."""
    return Record(
        stream="quotes",
        shard=record.shard_id,
        sequence_number=record.position,
        partition_key=record.partition_key,
        arrival=record.approximate_arrival_timestamp,
        data=record.data,
    )


class Stream:
    """Records in shards. A lane's records are in one shard, until that is split or merged: then in a child of it."""

    def __init__(self) -> None:
        self.shards: list[Shard] = []
        self.records: dict[str, list[KinesisRecord]] = {}
        self.closed: set[str] = set()
        self.seconds = 0
        """The time, counted from an hour after the open: a second later with each record."""
        self.silence = 0
        """How much of it nothing was told."""
        self._owners: dict[str, str] = {}
        self._open(KEYS)

    @property
    def in_order(self) -> list[KinesisRecord]:
        """All records in the order of their arrival."""
        return sorted((record for shard in self.records.values() for record in shard), key=lambda each: each.position)

    @property
    def now(self) -> datetime:
        """The time."""
        return OPEN + timedelta(hours=1, seconds=self.seconds)

    def put(self, key: str, data: bytes) -> KinesisRecord:
        """Append a record."""
        count = sum(map(len, self.records.values()))
        record = KinesisRecord(
            shard_id=self._owners.get(key, self._owners[KEYS[0]]),
            sequence_number=str(FIRST_NUMBER + count * GAP),
            partition_key=key,
            data=data,
            approximate_arrival_timestamp=self.now,
        )
        self.records[record.shard_id].append(record)
        self.seconds += 1
        return record

    def reshard(self) -> None:
        """Split the one shard, so that each lane has its own, or merge those of all lanes."""
        parents = tuple(dict.fromkeys(self._owners.values()))
        self.closed.update(parents)
        for keys in [(key,) for key in KEYS] if len(parents) == 1 else [KEYS]:
            self._open(keys, parents)

    def fall_silent(self) -> None:
        """Let a month and a day pass: symbols are forgotten then."""
        self.seconds += MONTH
        self.silence += MONTH

    def _open(self, keys: tuple[str, ...], parents: tuple[str, ...] = ()) -> None:
        shard = Shard(shard_id=f"shardId-{len(self.shards):012}", parents=parents)
        self.shards.append(shard)
        self.records[shard.shard_id] = []
        self._owners |= dict.fromkeys(keys, shard.shard_id)


Telling = Callable[[Stream], object]
"""Something that happens to a stream."""


def packet(key: str, *lines: Line, rubbish: bytes = b"") -> Telling:
    """A producer sends a packet, rubbish first."""
    data = rubbish + encode(lines)
    return lambda stream: stream.put(key, data)


def heartbeat(key: str, second: float, behind: float = 0) -> Heartbeat:
    """It is this second, and all that is older than `behind` seconds has come."""
    return Heartbeat(
        lane=key,
        clock=OPEN + timedelta(seconds=second),
        complete_to=OPEN + timedelta(seconds=second - behind),
    )


class Story:
    """What happens to a stream, in order; each telling of it makes the same stream."""

    def __init__(self, tellings: list[Telling]) -> None:
        self._tellings = tuple(tellings)

    def told(self) -> Stream:
        """A stream to which all of it has happened."""
        stream = Stream()
        for telling in self._tellings:
            telling(stream)
        return stream


@cache
def random_story(seed: int) -> Story:
    """Quotes that move, revise, come late and raise alerts, heartbeats, rubbish, packets sent twice, and reshards.

    In some a month passes: the first heartbeat after it has a lane forget its symbols, which may be back behind it.
    """
    teller = _Teller(random.Random(seed))
    for _ in range(teller.rng.randint(6, 12)):
        teller.go_on()
    return Story(teller.tellings)


class _Teller:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tellings: list[Telling] = []
        self._second = 0.0
        self._volume = 0
        self._last: dict[str, Quote] = {}
        self._identities: set[tuple[str, float, int]] = set()
        self._sent: dict[str, list[Telling]] = {key: [] for key in KEYS}

    def go_on(self) -> None:
        key = self.rng.choice(KEYS)
        match self.rng.choices(("quotes", "heartbeat", "again", "foreign", "reshard", "month"), (52, 20, 20, 3, 5, 2))[
            0
        ]:
            case "quotes":
                rubbish = self.rng.choice(RUBBISH) if self.rng.random() < 0.2 else b""
                self._send(key, packet(key, *self._quotes(key), rubbish=rubbish))
            case "heartbeat":
                self._send(key, packet(key, heartbeat(key, self._second, self.rng.choice((0, 0, 30)))))
            case "again" if self._sent[key]:
                any_ = self.rng.choice(self._sent[key])
                self.tellings.append(self.rng.choice((self._sent[key][-1], any_)))
            case "foreign":
                self.tellings.append(packet(FOREIGN_KEY, make_quote(second=self._second)))
            case "reshard":
                self.tellings.append(Stream.reshard)
            case "month":
                self._second += MONTH
                self.tellings.append(Stream.fall_silent)
                self._send(key, packet(key, heartbeat(key, self._second), *self._quotes(key)))

    def _send(self, key: str, sent: Telling) -> None:
        self._sent[key].append(sent)
        self.tellings.append(sent)

    def _quotes(self, key: str) -> list[Quote]:
        return [self._quote(self.rng.choice(SYMBOLS[key])) for _ in range(self.rng.randint(1, 3))]

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
                case "late for its symbol":  # as when two producers are at work
                    second = newest - self.rng.choice((1, 70))
                case "late for its lane":  # its minute may be closed
                    second = max(newest + 1, second - self.rng.choice((30, 90)))
        while (symbol, second, revision) in self._identities:  # producers agree on what an identity says
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
