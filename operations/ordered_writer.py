"""Delivers packets to the stream in the order of their keys, however many of them fail at first."""

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
"""Of one packet: with the pauses below, about half a minute of a stream that takes nothing of its key."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0

P = TypeVar("P", bound=Packet)


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """Time, as functions."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Courier:
    """Delivers packets to a stream.

    A request holds at most one packet of a key, and a packet that failed is sent again before the next of its key: so
    no packet overtakes another of its key, though PutRecords takes some records of a request and not others. No more
    than `bytes_per_second` go out (0: no limit), since the live producer writes to the same shards.
    """

    def __init__(self, stream: Stream, *, bytes_per_second: float = 0, clock: Clock | None = None) -> None:
        self._stream = stream
        self._bytes_per_second = bytes_per_second
        self._clock = clock or Clock()

    def deliver(
        self, packets: Iterable[P], acknowledged: Callable[[Sequence[P]], None] = lambda _: None
    ) -> Mapping[str, str]:
        """Deliver packets; return why the stream did not take those of some keys, by key: empty when all arrived.

        `acknowledged` is told the packets that Kinesis has acknowledged, after each request. A packet that failed
        `ATTEMPTS` times gives its key up, and what stands behind it is not sent.
        """
        waiting: dict[str, deque[P]] = {}
        for packet in packets:
            waiting.setdefault(packet.partition_key, deque()).append(packet)
        failures: Counter[str] = Counter()
        given_up: dict[str, str] = {}
        while waiting:
            request = _request(queue[0] for queue in waiting.values())
            began = self._clock.monotonic()
            outcomes = self._stream.put(request)
            taken: list[P] = []
            for packet, failure in zip(request, outcomes, strict=True):
                key = packet.partition_key
                if failure is None:
                    taken.append(packet)
                    failures.pop(key, None)
                    waiting[key].popleft()
                    if not waiting[key]:
                        del waiting[key]
                    continue
                failures[key] += 1
                if failures[key] == ATTEMPTS:
                    given_up[key] = failure
                    del waiting[key], failures[key]
            if taken:
                acknowledged(taken)
            self._wait(sum(map(_size, request)), self._clock.monotonic() - began, max(failures.values(), default=0))
        return given_up

    def _wait(self, sent: int, took: float, failures: int) -> None:
        pause = sent / self._bytes_per_second - took if self._bytes_per_second else 0.0
        if failures:
            # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
            longest = min(_FIRST_PAUSE_SECONDS * 2**failures, _LONGEST_PAUSE_SECONDS)
            pause = max(pause, random.uniform(0, longest))  # noqa: S311  (no secret)
        if pause > 0:
            self._clock.sleep(pause)


def _request(packets: Iterable[P]) -> list[P]:
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
