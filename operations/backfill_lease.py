"""Holds the lease of a stage while a backfill runs: see `backfill.lease`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Protocol

from backfill.lease import KEY, RENEWED_EVERY, SYMBOL, Lease, lease_of
from operations.errors import Unavailable
from processor_lambda.rows import Row

PAUSE_SECONDS = 1.0
"""How long to wait before the lease of another run is read again."""


class Leases(Protocol):
    """The table with the lease."""

    def between(self, symbol: str, first: str, last: str) -> list[Row]:
        """See `backfill.ports.Bars`."""

    def put_lease(self, row: Row, read: int) -> bool:
        """Write the lease if the stored one still has the version `read`, 0 if there is none.

        Returns whether it did.
        """


@contextmanager
def only_backfill(
    leases: Leases,
    run: str,
    now: Callable[[], datetime],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Wait until no other backfill of the stage runs, and let no other one run meanwhile."""
    lease = _taken(leases, run, now, say, sleep)
    has_ended = threading.Event()
    held = [lease]

    def renew() -> None:
        while not has_ended.wait(RENEWED_EVERY.total_seconds()):
            with suppress(Unavailable):  # the run says so itself. The next renewal may succeed
                renewed = held[0].renewed(now())
                if not leases.put_lease(renewed.row(), held[0].version):
                    return  # it was late, and another run has begun. Both go on: nothing is damaged
                held[0] = renewed

    renewal = threading.Thread(target=renew, name="lease", daemon=True)
    renewal.start()
    answers = True
    try:
        yield
    except Unavailable:
        answers = False  # perhaps the table does not: then the lease ends by itself
        raise
    finally:
        has_ended.set()
        if answers:
            renewal.join()
            with suppress(Unavailable):
                leases.put_lease(held[0].released(now()).row(), held[0].version)


def _taken(
    leases: Leases, run: str, now: Callable[[], datetime], say: Callable[[str], None], sleep: Callable[[float], None]
) -> Lease:
    told = ""
    while True:
        lease = lease_of(leases.between(SYMBOL, KEY, KEY))
        if not lease.is_held(now()):
            taken = lease.taken(run, now())
            if leases.put_lease(taken.row(), lease.version):
                return taken
        elif lease.run != told:
            told = lease.run
            say(
                f"another backfill of this stage has been running since {lease.since:%Y-%m-%d %H:%M} (UTC): this one "
                "waits until it has ended, because Yahoo counts the requests of both. Ctrl-C ends this one"
            )
        sleep(PAUSE_SECONDS)
