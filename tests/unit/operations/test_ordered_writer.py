"""Whatever fails, no packet overtakes another of its key."""

from __future__ import annotations

import random

import pytest

from aws_limits import KINESIS_REQUEST_BYTES, KINESIS_REQUEST_RECORDS
from operations.ordered_writer import ATTEMPTS, Clock, Courier
from operations.ports import Packet
from tests.fakes.operations_ports import MemoryStream


class Timer:
    """A clock that only its own sleeps move."""

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


def taken(stream: MemoryStream, key: str) -> list[int]:
    return [int(packet.data) for packet in stream.taken if packet.partition_key == key]


def test_random_failures_leave_every_packet_delivered_once_and_in_its_keys_order(
    stream: MemoryStream, timer: Timer
) -> None:
    rng = random.Random(1)
    stream.fault = lambda _: "throttled" if rng.random() < 0.4 else None
    told: list[Packet] = []
    given_up = Courier(stream, clock=timer.clock).deliver(packets("a", 200) + packets("b", 50), told.extend)
    assert not given_up
    assert taken(stream, "a") == list(range(200))
    assert taken(stream, "b") == list(range(50))
    assert told == stream.taken
    assert len(stream.requests) > 200  # some did fail


def test_a_request_holds_at_most_one_packet_of_a_key_and_what_kinesis_takes(stream: MemoryStream, timer: Timer) -> None:
    many = [Packet(f"key-{number}", b"x") for number in range(KINESIS_REQUEST_RECORDS + 1)]
    large = [Packet(f"large-{number}", b"x" * 1_000_000) for number in range(12)]
    Courier(stream, clock=timer.clock).deliver(many * 2 + large)
    for request in stream.requests:
        keys = [packet.partition_key for packet in request]
        assert len(keys) == len(set(keys)) <= KINESIS_REQUEST_RECORDS
        assert sum(len(packet.data) + len(packet.partition_key) for packet in request) <= KINESIS_REQUEST_BYTES
    assert len(stream.taken) == 2 * len(many) + len(large)


def test_a_key_that_is_never_taken_is_given_up_and_holds_no_other_up(stream: MemoryStream, timer: Timer) -> None:
    stream.fault = lambda packet: "throttled" if packet.partition_key == "a" else None
    given_up = Courier(stream, clock=timer.clock).deliver(packets("a", 3) + packets("b", 30))
    assert given_up == {"a": "throttled"}
    assert taken(stream, "b") == list(range(30))
    assert sum(packet.partition_key == "a" for request in stream.requests for packet in request) == ATTEMPTS
    assert {packet.data for request in stream.requests for packet in request if packet.partition_key == "a"} == {b"0"}


def test_failures_are_waited_out_and_success_is_not(stream: MemoryStream, timer: Timer) -> None:
    outcomes = iter(["throttled", "throttled", None, None])
    stream.fault = lambda _: next(outcomes)
    Courier(stream, clock=timer.clock).deliver(packets("a", 2))
    assert len(timer.pauses) == 2


def test_the_rate_is_kept(stream: MemoryStream, timer: Timer) -> None:
    stream.fault = lambda _: timer.sleep(0.01)
    Courier(stream, bytes_per_second=1000, clock=timer.clock).deliver([Packet("a", b"x" * 99)] * 20)
    assert timer.now == pytest.approx(20 * 100 / 1000)
