"""When a subscription ends, breaks, is refused or taken over, nothing is lost and nothing comes twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from replica.event_source import Position, Record, ShardGone, StreamUnavailable
from replica.event_source.fan_out import ShardSubscriber
from replica.event_source.invoker import Clock
from replica.event_source.shards import TRIM_HORIZON, ShardRead
from tests.fakes.event_source import SUBSCRIPTION_SECONDS, FakeStream, FakeSubscription
from tests.support.event_source import CONSUMER

_SHARD = "shardId-000000000000"
_NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
_TIMEOUT_SECONDS = 20.0


class Time:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def stream(time: Time) -> FakeStream:
    return FakeStream(clock=time, takeover_seconds=5.0)


def _subscriber(stream: FakeStream, time: Time, position: Position = TRIM_HORIZON) -> ShardSubscriber:
    return ShardSubscriber(stream, CONSUMER, _SHARD, position, clock=Clock(monotonic=time, now=lambda: _NOW))


def _in_a_thread(read: Callable[[], ShardRead]) -> tuple[threading.Thread, list[ShardRead]]:
    reads: list[ShardRead] = []
    thread = threading.Thread(target=lambda: reads.append(read()))
    thread.start()
    return thread, reads


def _after(record: Record) -> Position:
    return Position(type="AFTER_SEQUENCE_NUMBER", sequence_number=record.sequence_number)


def test_a_subscription_that_expires_is_renewed_after_its_last_event(stream: FakeStream, time: Time) -> None:
    subscriber = _subscriber(stream, time)
    first = stream.put("key")
    assert subscriber.read().records == (first,)

    time.seconds = SUBSCRIPTION_SECONDS
    second = stream.put("key")
    assert subscriber.read() == ShardRead()  # the end of the subscription
    assert subscriber.read().records == (second,)

    assert stream.subscriptions == [(0.0, TRIM_HORIZON), (SUBSCRIPTION_SECONDS, _after(first))]


def test_a_read_that_waits_sees_that_its_subscription_expires(stream: FakeStream, time: Time) -> None:
    subscriber = _subscriber(stream, time)
    subscriber.read()
    thread, reads = _in_a_thread(subscriber.read)

    time.seconds = SUBSCRIPTION_SECONDS
    stream.tick()
    thread.join(_TIMEOUT_SECONDS)

    assert reads == [ShardRead()]


@pytest.mark.parametrize("broken", range(6))
def test_a_break_before_any_event_loses_no_record_and_repeats_none(time: Time, broken: int) -> None:
    stream = FakeStream(page_size=1, clock=time, takeover_seconds=5.0)
    put = [stream.put("key") for _ in range(5)]
    subscriber = _subscriber(stream, time)

    read: list[Record] = []
    for _ in range(broken):
        read += subscriber.read().records
    stream.faults.append(StreamUnavailable("connection reset"))
    with pytest.raises(StreamUnavailable, match="connection reset"):
        subscriber.read()
    time.seconds += 5
    stream.put("key")
    while len(read) < len(put) + 1:
        read += subscriber.read().records

    assert [record.position for record in read] == [8, 9, 10, 11, 12, 13]


def test_a_new_call_within_five_seconds_is_refused_and_a_later_one_goes_on(stream: FakeStream, time: Time) -> None:
    subscriber = _subscriber(stream, time)
    first = stream.put("key")
    assert subscriber.read().records == (first,)
    stream.faults.append(StreamUnavailable("InternalFailureException"))
    with pytest.raises(StreamUnavailable, match="InternalFailureException"):
        subscriber.read()

    second = stream.put("key")
    time.seconds = 4.9
    with pytest.raises(StreamUnavailable, match="ResourceInUseException"):
        subscriber.read()
    time.seconds = 5.0

    assert subscriber.read().records == (second,)


def test_a_second_subscriber_takes_over_and_the_first_one_comes_back_after_its_last_record(
    stream: FakeStream, time: Time
) -> None:
    first, second = _subscriber(stream, time), _subscriber(stream, time)
    put = stream.put("key")
    assert first.read().records == (put,)

    time.seconds = 5.0
    assert second.read().records == (put,)
    with pytest.raises(StreamUnavailable, match="ResourceInUseException"):
        first.read()
    time.seconds = 10.0
    later = stream.put("key")

    assert first.read().records == (later,)
    with pytest.raises(StreamUnavailable, match="ResourceInUseException"):
        second.read()


def test_a_closed_shard_ends_with_its_last_record(stream: FakeStream, time: Time) -> None:
    put = stream.put("key")
    stream.split(_SHARD, "left", "right")

    assert _subscriber(stream, time).read() == ShardRead(records=(put,), complete_to=0.0, ended=True)


def test_a_shard_that_is_gone_has_ended(time: Time) -> None:
    class WithoutShard(FakeStream):
        def subscribe(self, consumer_arn: str, shard_id: str, position: Position) -> FakeSubscription:
            raise ShardGone(consumer_arn, shard_id, position)

    assert _subscriber(WithoutShard(), time).read() == ShardRead(ended=True)


def test_latest_skips_nothing_if_it_breaks_before_the_first_event(stream: FakeStream, time: Time) -> None:
    stream.put("key", b"before", arrival=_NOW - timedelta(seconds=1))
    subscriber = _subscriber(stream, time, Position(type="LATEST"))
    subscriber.open()
    put = stream.put("key", b"after", arrival=_NOW + timedelta(seconds=1))
    stream.faults.append(StreamUnavailable("connection reset"))
    with pytest.raises(StreamUnavailable):
        subscriber.read()
    time.seconds = 5.0

    assert subscriber.read().records == (put,)


def test_latest_goes_on_after_an_event_without_records(stream: FakeStream, time: Time) -> None:
    stream.put("key", b"before")
    subscriber = _subscriber(stream, time, Position(type="LATEST"))
    assert subscriber.read().records == ()
    put = stream.put("key", b"after")
    stream.faults.append(StreamUnavailable("connection reset"))
    with pytest.raises(StreamUnavailable):
        subscriber.read()
    time.seconds = 5.0

    assert subscriber.read().records == (put,)


def test_a_subscription_that_ends_without_an_event_makes_the_caller_wait(time: Time) -> None:
    class Silent(FakeStream):
        def subscribe(self, consumer_arn: str, shard_id: str, position: Position) -> FakeSubscription:
            subscription = super().subscribe(consumer_arn, shard_id, position)
            subscription.started_at -= SUBSCRIPTION_SECONDS
            return subscription

    with pytest.raises(StreamUnavailable, match="before its first event"):
        _subscriber(Silent(clock=time), time).read()


def test_only_an_event_without_records_behind_it_reaches_the_tip(time: Time) -> None:
    stream = FakeStream(page_size=2, clock=time)
    for _ in range(3):
        stream.put("key")
    subscriber = _subscriber(stream, time)
    time.seconds = 7.0

    reads = [subscriber.read(), subscriber.read()]

    assert [read.complete_to for read in reads] == [None, 7.0]


def test_an_event_is_complete_only_to_the_time_of_its_subscription(stream: FakeStream, time: Time) -> None:
    subscriber = _subscriber(stream, time)
    assert subscriber.read().complete_to == 0.0
    time.seconds = 6.0
    stream.put("key")
    assert subscriber.read().complete_to == 0.0  # Kinesis may have made this event earlier

    subscriber.interrupt()

    assert subscriber.read() == ShardRead()
    assert subscriber.read().complete_to == 6.0


def test_a_read_that_waits_can_be_interrupted(stream: FakeStream, time: Time) -> None:
    subscriber = _subscriber(stream, time)
    subscriber.read()
    thread, reads = _in_a_thread(subscriber.read)

    subscriber.interrupt()
    thread.join(_TIMEOUT_SECONDS)

    assert reads == [ShardRead()]


def test_an_interrupt_before_the_subscription_ends_the_next_read(stream: FakeStream, time: Time) -> None:
    subscriber = _subscriber(stream, time)

    subscriber.interrupt()

    assert subscriber.read() == ShardRead()
    assert stream.subscriptions == []
