"""The sender: takes packets from the outbox, sends them, and records which of them Kinesis acknowledged.

Each of its threads has at most one request in flight. The outbox gives them packets of different lanes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from producer_service.errors import described
from producer_service.health import REMOVAL, STREAM, Health
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.packing import Packet
from producer_service.stream import PutFailure, PutResult, Stream
from producer_service.supervisor import Supervisor

TAKE_SECONDS = 1.0
STOP_SECONDS = 80.0
"""Longer than a request may take, with the longest `PRODUCER_KINESIS_TIMEOUT_SECONDS`."""
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
        supervisor: Supervisor | None = None,
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
        supervisor = supervisor or Supervisor(health, metrics.unexpected_errors.inc)
        self._threads = [
            supervisor.thread(name, partial(self._step, name), self._stopped.is_set)
            for name in (f"sender {number}" for number in range(threads))
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, within_seconds: float = STOP_SECONDS) -> None:
        """Stop the threads. Each finishes the request that it has in flight, unless that takes too long."""
        self._stopped.set()
        deadline = time.monotonic() + within_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _step(self, name: str) -> None:
        self._health.beat(name)
        packets = self._outbox.take(TAKE_SECONDS)
        if packets:
            self._send(packets)

    def _send(self, packets: tuple[Packet, ...]) -> None:
        started = time.perf_counter()
        with self._health.asking(STREAM):
            result, unexpected = self._put(packets)
        seconds = time.perf_counter() - started
        try:
            self._outbox.settle(packets, [failure is None for failure in result.failures])
            if None in result.failures:
                self._health.works(REMOVAL)
        except BaseException as error:  # noqa: BLE001  (whatever it is, the lanes must become free)
            # Kinesis and the journal both have these packets now. Sending them twice is harmless, a stuck lane is not.
            result, unexpected = _all_failed(packets, "journal", error), None
            self._outbox.settle(packets, [False] * len(packets))
            if self._health.fails(REMOVAL, result.detail):
                log.warning("packets_not_removed", detail=result.detail[:300], action="they are sent again")
        self._account(packets, result, seconds, unexpected)

    def _put(self, packets: tuple[Packet, ...]) -> tuple[PutResult, BaseException | None]:
        """The result of a request, and the exception that it raised if it is of no known kind."""
        try:
            return self._stream.put(packets), None
        except BaseException as error:  # noqa: BLE001  (whatever a library raises, the packets must be sent again)
            return _all_failed(packets, "unexpected", error), error

    def _account(
        self, packets: tuple[Packet, ...], result: PutResult, seconds: float, unexpected: BaseException | None
    ) -> None:
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
        is_alive = failed < len(packets) or "journal" in result.failures
        self._health.stream_answered(is_alive=is_alive, detail=result.detail)
        log.debug("packets_put", sent=len(packets), failed=failed, seconds=round(seconds, 4))
        if failed and "journal" not in result.failures:
            self._warn(failed, result.detail, unexpected)

    def _warn(self, failed: int, detail: str, unexpected: BaseException | None) -> None:
        with self._warning:
            self._failed += failed
            if time.monotonic() - self._warned_at < WARNING_SECONDS:
                return
            failed, self._failed, self._warned_at = self._failed, 0, time.monotonic()
        log.warning(
            "packets_failed",
            failed=failed,
            detail=detail[:300],
            action="they are sent again",
            **({} if unexpected is None else {"exc_info": unexpected}),
        )


def _all_failed(packets: Sequence[Packet], failure: PutFailure, error: BaseException) -> PutResult:
    return PutResult((failure,) * len(packets), described(error))
