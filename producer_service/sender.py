"""The sender: takes packets from the outbox, sends them, and records which of them Kinesis acknowledged.

Each of its threads has at most one request in flight. The outbox gives them packets of different lanes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from producer_service.errors import JournalError
from producer_service.health import Health
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.packing import Packet
from producer_service.stream import PutFailure, PutResult, Stream

TAKE_SECONDS = 1.0
WARNING_SECONDS = 10.0
"""How often failures are logged. During an outage, a line for each retry of each packet would be too many."""

log = structlog.get_logger(__name__)


class Sender:
    """Delivers until it is stopped. `clock` returns seconds since the epoch."""

    def __init__(
        self,
        outbox: Outbox,
        stream: Stream,
        metrics: Metrics,
        health: Health,
        *,
        threads: int,
        clock: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._stream = stream
        self._metrics = metrics
        self._health = health
        self._clock = clock
        self._stopped = threading.Event()
        self._warning = threading.Lock()
        self._failed = 0
        self._warned_at = -WARNING_SECONDS
        self._threads = [
            threading.Thread(target=self._run, args=(f"sender {number}",), name=f"sender-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads. Each finishes the request that it has in flight."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str) -> None:
        while not self._stopped.is_set():
            self._health.beat(name)
            packets = self._outbox.take(TAKE_SECONDS)
            if packets:
                self._send(packets)

    def _send(self, packets: tuple[Packet, ...]) -> None:
        started = time.perf_counter()
        try:
            result = self._stream.put(packets)
        except BaseException:
            self._outbox.settle(packets, [False] * len(packets))
            raise
        seconds = time.perf_counter() - started
        try:
            self._outbox.settle(packets, [failure is None for failure in result.failures])
        except JournalError as error:
            # Kinesis and the journal both have these packets now. Sending them twice is harmless, a stuck lane is not.
            failures: list[PutFailure] = ["journal"] * len(packets)
            result = PutResult(tuple(failures), str(error))
            self._outbox.settle(packets, [False] * len(packets))
        self._account(packets, result, seconds)

    def _account(self, packets: tuple[Packet, ...], result: PutResult, seconds: float) -> None:
        metrics, now = self._metrics, self._clock()
        metrics.put_seconds.observe(seconds)
        metrics.put_bytes.observe(sum(packet.size for packet in packets))
        available_at: list[float] = []
        for packet, failure in zip(packets, result.failures, strict=True):
            metrics.packets.labels(failure or "acknowledged").inc()
            if failure is None:
                metrics.delivery_seconds.observe(self._outbox.age_of(packet))
                for row in packet.rows:
                    available_at += row.available_at
        metrics.freshness.add(available_at, now)
        failed = sum(failure is not None for failure in result.failures)
        self._health.stream_answered(is_alive=failed < len(packets), detail=result.detail)
        log.debug("packets_put", sent=len(packets), failed=failed, seconds=round(seconds, 4))
        if failed:
            self._warn(failed, result.detail)

    def _warn(self, failed: int, detail: str) -> None:
        with self._warning:
            self._failed += failed
            if time.monotonic() - self._warned_at < WARNING_SECONDS:
                return
            failed, self._failed, self._warned_at = self._failed, 0, time.monotonic()
        log.warning("packets_failed", failed=failed, detail=detail[:300], action="they are sent again")
