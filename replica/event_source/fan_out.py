"""Reads a shard by enhanced fan-out: Kinesis pushes records to a registered consumer (SubscribeToShard)."""

from __future__ import annotations

import threading

from replica.event_source.invoker import Clock
from replica.event_source.shards import (
    Position,
    PushedEvent,
    ShardGone,
    ShardRead,
    StreamReader,
    StreamUnavailable,
    Subscription,
)


class ShardSubscriber:
    """A `ShardReader` that subscribes, and subscribes again after the last event whenever a subscription ends.

    The rules are those of SubscribeToShard (docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html):

    - A subscription lasts "for up to 5 minutes, after which time you need to call SubscribeToShard again to renew the
      subscription". The next one starts after the last event: "Use this as SequenceNumber in the next call to
      SubscribeToShard" (`ContinuationSequenceNumber`, API_SubscribeToShardEvent.html). So a break loses nothing, and
      no record comes twice.
    - A call "within 5 seconds of a successful call" raises ResourceInUseException. "If you call SubscribeToShard 5
      seconds or more after a successful call, the second call takes over the subscription and the previous connection
      expires or fails with a ResourceInUseException". Both are `StreamUnavailable` here: the caller waits and reads
      again. So two readers with the same consumer take over from each other in turn.
    - "The list of the child shards of the current shard, returned only at the end of the current shard" ends the shard.
      The runner finds the children by ListShards, as it does with polling.

    Back-pressure: between two calls of `read`, nobody takes bytes from the connection. The buffers of the network fill
    up, and Kinesis cannot send more. AWS does not say how long it keeps such a connection. When it ends, the subscriber
    first reads what has arrived, and the next subscription goes on after it.
    """

    def __init__(
        self, stream: StreamReader, consumer_arn: str, shard_id: str, position: Position, *, clock: Clock
    ) -> None:
        self._stream = stream
        self._consumer_arn = consumer_arn
        self._shard_id = shard_id
        self._position = position
        self._clock = clock
        self._lock = threading.Lock()
        self._subscription: Subscription | None = None
        self._subscribed_at = 0.0
        self._has_answered = False
        self._interrupted = False

    def open(self) -> None:
        """Subscribe. With LATEST, the subscriber reads what is put from now on. Raises `StreamUnavailable`."""
        self._subscribe()

    def read(self) -> ShardRead:
        """The records of the next event. Raises `StreamUnavailable`.

        An event does not say when Kinesis made it, and it may have waited in a buffer. So a read that reaches the tip
        is complete only to the time at which its subscription was asked for. `interrupt` makes the next read ask again.
        """
        try:
            event = self._next_event()
        except ShardGone:
            return ShardRead(ended=True)
        if event is None:
            return ShardRead()
        self._position = Position(type="AFTER_SEQUENCE_NUMBER", sequence_number=event.continuation)
        return ShardRead(
            records=event.records,
            complete_to=self._subscribed_at if event.at_tip else None,
            ended=event.ended,
        )

    def interrupt(self) -> None:
        """End a read that waits, now or when it begins. The next read subscribes again."""
        with self._lock:
            self._interrupted = True
            if self._subscription is not None:
                self._subscription.interrupt()

    def close(self) -> None:
        """End the subscription."""
        self._drop()

    def _next_event(self) -> PushedEvent | None:
        """The next event, or None if there is none because the subscription expired or was interrupted."""
        event = None
        try:
            if not self._interrupted:
                event = (self._subscription or self._subscribe()).next_event()
        except StreamUnavailable:
            if not self._drop():
                raise
            return None
        if event is not None:
            self._has_answered = True
        elif not self._drop() and not self._has_answered:
            raise StreamUnavailable("the subscription ended before its first event")  # so the caller waits
        return event

    def _subscribe(self) -> Subscription:
        now, started_at = self._clock.now(), self._clock.monotonic()
        subscription = self._stream.subscribe(self._consumer_arn, self._shard_id, self._position)
        if self._position.type == "LATEST":
            # If the subscription ended before its first event, a new one at LATEST would skip records.
            self._position = Position(type="AT_TIMESTAMP", timestamp=now)
        with self._lock:
            self._subscription, self._subscribed_at, self._has_answered = subscription, started_at, False
            if self._interrupted:
                subscription.interrupt()
        return subscription

    def _drop(self) -> bool:
        """Close the subscription, and return whether it was interrupted."""
        with self._lock:
            subscription, self._subscription = self._subscription, None
            interrupted, self._interrupted = self._interrupted, False
        if subscription is not None:
            subscription.close()
        return interrupted
