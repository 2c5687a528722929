"""Writes packets to the stream and keeps the order of each partition key, however many of them fail at first."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from aws_limits import KINESIS_REQUEST_BYTES, KINESIS_REQUEST_RECORDS
from operations.ports import Packet, Stream

ATTEMPTS = 10
"""How many times a packet is sent before its key is given up. With the pauses below, that takes half a minute."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0

P = TypeVar("P", bound=Packet)


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The functions that read the time and wait."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class OrderedWriter:
    """Writes packets to a stream.

    A request holds at most one packet of each partition key, and a packet that failed is sent again before the next one
    of its key. PutRecords may store some records of a request and not others, but no packet overtakes another one of
    its key. No more than `bytes_per_second` are sent (0 means no limit), because the live producer writes to the same
    shards.
    """

    def __init__(self, stream: Stream, *, bytes_per_second: float = 0, clock: Clock | None = None) -> None:
        self._stream = stream
        self._bytes_per_second = bytes_per_second
        self._clock = clock or Clock()

    def write(
        self, packets: Iterable[P], on_acknowledged: Callable[[Sequence[P]], None] = lambda _: None
    ) -> Mapping[str, str]:
        """Write packets. Returns the keys that were given up, with the reason; it is empty if all packets arrived.

        After each request, `on_acknowledged` is called with the packets that Kinesis acknowledged. A key is given up
        when one of its packets has failed `ATTEMPTS` times. The packets after that one are not sent.
        """
        waiting: dict[str, deque[P]] = {}
        for packet in packets:
            waiting.setdefault(packet.partition_key, deque()).append(packet)
        failures: Counter[str] = Counter()
        given_up: dict[str, str] = {}
        while waiting:
            request = _next_request(queue[0] for queue in waiting.values())
            started = self._clock.monotonic()
            outcomes = self._stream.put(request)
            acknowledged: list[P] = []
            for packet, failure in zip(request, outcomes, strict=True):
                key = packet.partition_key
                if failure is None:
                    acknowledged.append(packet)
                    failures.pop(key, None)
                    waiting[key].popleft()
                    if not waiting[key]:
                        del waiting[key]
                    continue
                failures[key] += 1
                if failures[key] == ATTEMPTS:
                    given_up[key] = failure
                    del waiting[key], failures[key]
            if acknowledged:
                on_acknowledged(acknowledged)
            self._wait(sum(map(_size, request)), self._clock.monotonic() - started, max(failures.values(), default=0))
        return given_up

    def _wait(self, sent_bytes: int, seconds: float, failures: int) -> None:
        """Wait as long as the rate limit and the number of failures in a row ask for."""
        pause = sent_bytes / self._bytes_per_second - seconds if self._bytes_per_second else 0.0
        if failures:
            # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
            longest = min(_FIRST_PAUSE_SECONDS * 2**failures, _LONGEST_PAUSE_SECONDS)
            pause = max(pause, random.uniform(0, longest))  # noqa: S311  (no secret)
        if pause > 0:
            self._clock.sleep(pause)


def _next_request(packets: Iterable[P]) -> list[P]:
    """Select as many packets as fit into one request."""
    request: list[P] = []
    size = 0
    for packet in packets:
        size += _size(packet)
        if request and (len(request) == KINESIS_REQUEST_RECORDS or size > KINESIS_REQUEST_BYTES):
            break
        request.append(packet)
    return request


def _size(packet: Packet) -> int:
    return len(packet.data) + len(packet.partition_key)
