"""Whatever fails, no packet overtakes another packet of its partition key."""

from __future__ import annotations

import random

import pytest

from aws_limits import KINESIS_REQUEST_BYTES, KINESIS_REQUEST_RECORDS
from operations.ordered_writer import ATTEMPTS, Clock, OrderedWriter
from operations.ports import Packet
from tests.fakes.operations_ports import MemoryStream


class Timer:
    """A clock that only its own `sleep` advances."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def stream() -> MemoryStream:
    return MemoryStream()


@pytest.fixture
def timer() -> Timer:
    return Timer()


def packets(key: str, count: int) -> list[Packet]:
    return [Packet(key, b"%d" % number) for number in range(count)]


def accepted(stream: MemoryStream, key: str) -> list[int]:
    return [int(packet.data) for packet in stream.accepted if packet.partition_key == key]


def test_every_packet_arrives_once_and_in_the_order_of_its_key_despite_random_failures(
    stream: MemoryStream, timer: Timer
) -> None:
    rng = random.Random(1)
    stream.fault = lambda _: "throttled" if rng.random() < 0.4 else None
    acknowledged: list[Packet] = []
    given_up = OrderedWriter(stream, clock=timer.clock).write(packets("a", 200) + packets("b", 50), acknowledged.extend)
    assert not given_up
    assert accepted(stream, "a") == list(range(200))
    assert accepted(stream, "b") == list(range(50))
    assert acknowledged == stream.accepted
    assert len(stream.requests) > 200  # some of them failed


def test_a_request_holds_at_most_one_packet_of_a_key_and_what_kinesis_accepts(
    stream: MemoryStream, timer: Timer
) -> None:
    many = [Packet(f"key-{number}", b"x") for number in range(KINESIS_REQUEST_RECORDS + 1)]
    large = [Packet(f"large-{number}", b"x" * 1_000_000) for number in range(12)]
    OrderedWriter(stream, clock=timer.clock).write(many * 2 + large)
    for request in stream.requests:
        keys = [packet.partition_key for packet in request]
        assert len(keys) == len(set(keys)) <= KINESIS_REQUEST_RECORDS
        assert sum(len(packet.data) + len(packet.partition_key) for packet in request) <= KINESIS_REQUEST_BYTES
    assert len(stream.accepted) == 2 * len(many) + len(large)


def test_a_key_that_always_fails_is_given_up_and_delays_no_other_key(stream: MemoryStream, timer: Timer) -> None:
    stream.fault = lambda packet: "throttled" if packet.partition_key == "a" else None
    given_up = OrderedWriter(stream, clock=timer.clock).write(packets("a", 3) + packets("b", 30))
    assert given_up == {"a": "throttled"}
    assert accepted(stream, "b") == list(range(30))
    assert sum(packet.partition_key == "a" for request in stream.requests for packet in request) == ATTEMPTS
    assert {packet.data for request in stream.requests for packet in request if packet.partition_key == "a"} == {b"0"}


def test_it_waits_after_a_failure_and_not_after_a_success(stream: MemoryStream, timer: Timer) -> None:
    outcomes = iter(["throttled", "throttled", None, None])
    stream.fault = lambda _: next(outcomes)
    OrderedWriter(stream, clock=timer.clock).write(packets("a", 2))
    assert len(timer.pauses) == 2


def test_it_keeps_to_the_rate_limit(stream: MemoryStream, timer: Timer) -> None:
    stream.fault = lambda _: timer.sleep(0.01)
    OrderedWriter(stream, bytes_per_second=1000, clock=timer.clock).write([Packet("a", b"x" * 99)] * 20)
    assert timer.now == pytest.approx(20 * 100 / 1000)
