"""The supervisor: decides what becomes of exceptions that nobody expected, in every thread of the daemon.

Expected trouble is handled where it happens. Anything else is logged and counted, and the activity goes on with its
next step. An activity that fails again and again ends the process, because a new process may work, and a process that
is half dead must not stay. Nothing that was accepted is lost by that: it is in the journal, or handed over.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from producer_service.errors import described
from producer_service.health import Health

MAX_FAILURES = 3
"""How often in a row an activity may fail unexpectedly."""
PAUSE_SECONDS = 1.0
"""The pause of a thread after such a failure."""

log = structlog.get_logger(__name__)


class Supervisor:
    """Thread-safe. `count` is called for each unexpected exception. Once it has given up, the process should end."""

    def __init__(self, health: Health, count: Callable[[], None]) -> None:
        self._health = health
        self._count = count
        self._failures: Counter[str] = Counter()
        self._has_given_up = threading.Event()

    @property
    def has_given_up(self) -> bool:
        """Whether the process should end with a failure."""
        return self._has_given_up.is_set()

    @contextmanager
    def step(self, activity: str) -> Iterator[None]:
        """Run a step of an activity. An exception of the step, even a library's SystemExit, ends here."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (that is the point)
            self._failed(activity, error)
        else:
            if self._failures[activity]:
                self._failures[activity] = 0
                self._health.works(activity)

    def thread(self, name: str, steps: Callable[[], None], is_done: Callable[[], bool]) -> threading.Thread:
        """A thread that calls `steps` again whenever it returns or raises, until it is done."""

        def run() -> None:
            while not is_done():
                with self.step(name):
                    steps()
                if self._failures[name]:
                    self._has_given_up.wait(PAUSE_SECONDS)

        return threading.Thread(target=run, name=name, daemon=True)

    def give_up(self, reason: str) -> None:
        """End the process with a failure."""
        is_first = not self._has_given_up.is_set()
        self._has_given_up.set()
        if is_first:
            log.critical(
                "gave_up", reason=reason[:300], action="the process ends, and its restart continues with the journal"
            )

    def watch_other_threads(self) -> None:
        """Give up if a thread ends by an exception that nobody caught, such as one of a library."""
        threading.excepthook = self._on_end_of_thread

    def _failed(self, activity: str, error: BaseException) -> None:
        self._failures[activity] += 1
        self._health.fails(activity, described(error))
        try:
            self._count()
            log.error("unexpected_error", activity=activity, exc_info=error)
        finally:
            if self._failures[activity] >= MAX_FAILURES:
                self.give_up(f"{activity} failed {MAX_FAILURES} times in a row")

    def _on_end_of_thread(self, end: threading.ExceptHookArgs) -> None:
        name = end.thread.name if end.thread is not None else "unknown"
        try:
            self._count()
            log.error("thread_died", thread=name, exc_info=end.exc_value)
        finally:
            self.give_up(f"the thread {name} died")
