"""Sends the requests of a poll on threads that outlive it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue

from producer_service.sources import Failure
from producer_service.sources.yahoo.batch_policy import BatchPolicy
from producer_service.sources.yahoo.parsing import ParsedResponse

BatchResult = ParsedResponse | Failure
Batch = tuple[str, ...]
_Finished = SimpleQueue[tuple[int, Future[BatchResult]] | None]


class RequestPool:
    """Requests the batches of one poll after another, on at most `threads` threads.

    A connection belongs to the thread that opened it, so the threads stay, and their connections with them. One `run`
    at a time. `stop` may be called from any thread.
    """

    def __init__(self, threads: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="yahoo")
        self._monotonic = monotonic
        self._stopped = threading.Event()
        self._finished: _Finished = SimpleQueue()

    def run(
        self, batches: Sequence[Batch], request: Callable[[Batch], BatchResult], policy: BatchPolicy, seconds: float
    ) -> dict[int, BatchResult]:
        """Request the batches that the policy selects, and return the results by batch number.

        Returns when the policy has no more batches. Returns early after this many seconds, with the policy stopped for
        `timeout`, and at once on `stop`. Requests in flight then end by themselves, and their results are dropped.
        """
        deadline = self._monotonic() + seconds
        results: dict[int, BatchResult] = {}
        # Replace the queue before checking `_stopped`. `stop` does the same two steps in the opposite order, so this
        # thread sees either the flag or the entry in the queue.
        finished: _Finished = SimpleQueue()
        self._finished = finished
        while not self._stopped.is_set():
            while (number := policy.next_batch()) is not None:
                future = self._executor.submit(request, batches[number])
                future.add_done_callback(partial(_enqueue, finished, number))
            if not policy.in_flight:
                return results
            try:
                entry = finished.get(timeout=max(0.0, deadline - self._monotonic()))
            except Empty:
                policy.stop("timeout")
                return results
            if entry is not None:
                number, future = entry
                result = results[number] = future.result()
                policy.record(result.reason if isinstance(result, Failure) else None)
        policy.stop("stopped")
        return results

    def run_aside(self, work: Callable[[], None]) -> Future[None]:
        """Start other requests on one of the threads, without waiting for them."""
        return self._executor.submit(work)

    def stop(self) -> None:
        """Make the current `run` return at once, and later ones request nothing."""
        self._stopped.set()
        self._finished.put(None)

    def close(self) -> None:
        """Let the threads end after their requests. Must not be called during `run`."""
        self._executor.shutdown(wait=False)


def _enqueue(finished: _Finished, number: int, done: Future[BatchResult]) -> None:
    finished.put((number, done))
