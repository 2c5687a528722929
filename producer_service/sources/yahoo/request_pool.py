"""The requests of a poll, on threads that outlive it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue

from producer_service.sources import Failure
from producer_service.sources.yahoo.batch_policy import Course
from producer_service.sources.yahoo.parsing import Answer

Outcome = Answer | Failure
Batch = tuple[str, ...]
_Arrivals = SimpleQueue[tuple[int, Future[Outcome]] | None]


class Volleys:
    """Asks the batches of one poll after another, on at most `threads` threads.

    A connection belongs to the thread that opened it, so the threads stay, and with them their connections. One volley
    at a time; `stop` is for any thread.
    """

    def __init__(self, threads: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="yahoo")
        self._monotonic = monotonic
        self._stopped = threading.Event()
        self._arrivals: _Arrivals = SimpleQueue()

    def fire(
        self, batches: Sequence[Batch], ask: Callable[[Batch], Outcome], course: Course, seconds: float
    ) -> dict[int, Outcome]:
        """What came of the batches that the course had asked, by their numbers.

        Ends with the course; after so many seconds, which the course then knows as `timeout`; or at once when stopped.
        What is under way by then ends by itself, unheard.
        """
        deadline = self._monotonic() + seconds
        outcomes: dict[int, Outcome] = {}
        # Before the look at `_stopped`: whoever stops does it the other way round, so that one of the two is seen.
        arrivals: _Arrivals = SimpleQueue()
        self._arrivals = arrivals
        while not self._stopped.is_set():
            while (number := course.next()) is not None:
                future = self._pool.submit(ask, batches[number])
                future.add_done_callback(partial(_arrive, arrivals, number))
            if not course.under_way:
                return outcomes
            try:
                arrival = arrivals.get(timeout=max(0.0, deadline - self._monotonic()))
            except Empty:
                course.end("timeout")
                return outcomes
            if arrival is not None:
                number, future = arrival
                outcome = outcomes[number] = future.result()
                course.note(outcome.reason if isinstance(outcome, Failure) else None)
        course.end("stopped")
        return outcomes

    def stop(self) -> None:
        """Make the volley under way return, and those to come ask nothing."""
        self._stopped.set()
        self._arrivals.put(None)

    def close(self) -> None:
        """Let the threads go, once what they ask has ended. Not while a volley is under way."""
        self._pool.shutdown(wait=False)


def _arrive(arrivals: _Arrivals, number: int, done: Future[Outcome]) -> None:
    arrivals.put((number, done))
