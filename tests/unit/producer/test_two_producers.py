"""Two producers on one stream, which is not supported: they do to each other only what the README names."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.deduplication import deduplicate
from producer_service.journal import Journal
from producer_service.outbox import Outbox
from producer_service.packing import Packet
from quotes import Identity, Quote, content_of, decode
from tests.support.quotes import OPEN, make_quote
from tests.support.sizes import sized

LANES = 2


class Producer:
    """One of the two. It accepts what it polls, and its packets reach the stream when the test decides."""

    def __init__(self) -> None:
        self.accepted: list[Identity] = []
        self._outbox = Outbox(
            Journal(None, LANES),
            lanes=LANES,
            max_bytes=2**20,
            linger_seconds=0,
            clock=lambda: 0.0,
            monotonic=lambda: 0.0,
            jitter=lambda: 0.0,
        )

    def poll(self, *quotes: Quote) -> None:
        deduplicated = deduplicate(self._outbox.histories, quotes)
        self._outbox.put(deduplicated)
        self.accepted += [accepted.identity for accepted in deduplicated.accepted]

    def take(self) -> tuple[Packet, ...]:
        return self._outbox.take(0)

    def deliver(self, stream: Stream) -> None:
        while packets := self.take():
            stream.store(packets)
            self._outbox.settle(packets, [True] * len(packets))

    def close(self) -> None:
        self._outbox.close()


class Stream:
    """Everything that arrived, in its order."""

    def __init__(self) -> None:
        self.arrived: list[tuple[Identity, bytes]] = []

    def store(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            for good in decode(packet.data).good:
                assert isinstance(good.line, Quote)
                self.arrived.append((good.line.identity, content_of(good.content)))

    def identities(self) -> list[Identity]:
        """The identities, in the order of their first arrival."""
        return list(dict.fromkeys(identity for identity, _ in self.arrived))

    def contents(self, identity: Identity) -> set[bytes]:
        return {content for found, content in self.arrived if found == identity}


@pytest.fixture
def two() -> Iterator[tuple[Producer, Producer]]:
    producers = Producer(), Producer()
    yield producers
    for producer in producers:
        producer.close()


def test_a_quote_that_both_poll_arrives_twice_under_one_identity(two: tuple[Producer, Producer]) -> None:
    stream = Stream()
    for received, producer in enumerate(two):
        producer.poll(make_quote(received=received))
        producer.deliver(stream)
    [identity] = stream.identities()
    assert len(stream.arrived) == 2
    assert len(stream.contents(identity)) == 1


def test_one_identity_may_carry_two_contents(two: tuple[Producer, Producer]) -> None:
    stream = Stream()
    for price, producer in zip(("100", "101"), two, strict=True):  # a source that revises, polled by each once
        producer.poll(make_quote(price=price))
        producer.deliver(stream)
    [identity] = stream.identities()
    assert len(stream.contents(identity)) == 2


def test_a_first_arrival_may_be_behind_a_later_quote(two: tuple[Producer, Producer]) -> None:
    stream, (slow, quick) = Stream(), two
    slow.poll(make_quote(second=0))
    quick.poll(make_quote(second=1))
    quick.deliver(stream)
    slow.deliver(stream)
    assert [identity.event_time.second for identity in stream.identities()] == [1, 0]


@settings(max_examples=sized(12, 100))
@given(st.integers(0, 2**32))
def test_nothing_is_lost_and_each_keeps_its_own_order(seed: int) -> None:
    chance, market = random.Random(seed), Market()
    two, streams, together = (Producer(), Producer()), (Stream(), Stream()), Stream()
    for _ in range(60):
        which = chance.randrange(2)
        match chance.randrange(3):
            case 0:
                market.move(chance)
            case 1:
                two[which].poll(*market.quotes())
            case 2:
                deliver(two[which], streams[which], together)
    for which in range(2):
        deliver(two[which], streams[which], together)
        two[which].close()
        assert sorted(streams[which].identities()) == sorted(two[which].accepted)
        for symbol in market.SYMBOLS:
            own = [identity for identity in streams[which].identities() if identity.symbol == symbol]
            assert own == sorted(own)
    assert set(together.identities()) == {*two[0].accepted, *two[1].accepted}


def deliver(producer: Producer, own: Stream, together: Stream) -> None:
    before = len(own.arrived)
    producer.deliver(own)
    together.arrived += own.arrived[before:]


class Market:
    """Quotes that change, at a new time or as a revision of the last one."""

    SYMBOLS = ("AAPL", "MSFT")

    def __init__(self) -> None:
        self._second = dict.fromkeys(self.SYMBOLS, 0)
        self._price = 100

    def move(self, chance: random.Random) -> None:
        self._price += 1
        self._second[chance.choice(self.SYMBOLS)] += chance.randrange(2)

    def quotes(self) -> list[Quote]:
        return [
            Quote(
                symbol=symbol,
                event_time=OPEN + timedelta(seconds=second),
                price=Decimal(self._price),
                source="synthetic",
                ingest_time=OPEN + timedelta(minutes=1),
            )
            for symbol, second in self._second.items()
        ]
